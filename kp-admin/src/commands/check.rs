use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures::{StreamExt as _, TryStreamExt as _};
use kp_core::audit::{Fault, Finding};
use kp_core::moving::PoolExport;
use kp_core::{Error, PoolId};
use serde::Serialize;

use super::digest::{Digest, bar};
use super::{now, reads};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::pool_name::PoolName;
use crate::report::{Report, count, print, say};
use crate::stores::{self, Store};

/// How many pools are looked at at once.
const AT_ONCE: usize = 16;

/// How often a pool is looked at that changes meanwhile.
const LOOKS: usize = 5;

#[derive(Debug, Default, Serialize)]
struct Checked {
    pools: u64,
    records: u64,
    digest: String,
    faults: Vec<Found>,
    /// What was found and is no longer there, what was removed included.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<Vec<Found>>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Found {
    #[serde(skip)]
    id: Option<PoolId>,
    /// `None`: it is no pool's.
    pool: Option<String>,
    code: &'static str,
    count: u64,
    says: String,
    /// Whether a repair may mend it.
    mendable: bool,
    /// Whether a repair removes what is wrong.
    removed: bool,
}

impl Found {
    /// What no audit finds.
    fn new(id: &PoolId, code: &'static str, says: String, mendable: bool) -> Self {
        Self {
            id: Some(id.clone()),
            pool: Some(PoolName(id.clone()).to_string()),
            code,
            count: 1,
            says,
            mendable,
            removed: false,
        }
    }

    fn of(id: Option<&PoolId>, finding: Finding) -> Self {
        let Finding { fault, count, .. } = finding;
        Self {
            id: id.cloned(),
            pool: id.map(|id| PoolName(id.clone()).to_string()),
            code: fault.code(),
            count,
            says: fault.to_string(),
            mendable: fault.is_mendable(),
            removed: fault.is_removed(),
        }
    }

    fn line(&self) -> String {
        let pool = self.pool.as_ref().map(|pool| format!("{pool}: ")).unwrap_or_default();
        let times = match self.count {
            1 => String::new(),
            count => format!(" ({count} times)"),
        };
        format!("{pool}{}{times}", self.says)
    }
}

impl Report for Checked {
    fn text(&self) -> String {
        let Self {
            pools,
            records,
            digest,
            faults,
            mended,
        } = self;
        let (pools, records) = (count(*pools, "pool"), count(*records, "record"));
        let mut text = format!("{pools} with {records}\ndigest {digest}");
        for mended in mended.iter().flatten() {
            let what = if mended.removed { "removed" } else { "mended" };
            let _ = write!(text, "\n{what}: {}", mended.line());
        }
        for fault in faults {
            let _ = write!(text, "\n{}", fault.line());
        }
        text
    }
}

/// Looks at one pool once: its records, what is derived from them, and what its reads find.
async fn look_once(store: &Store, pool: &PoolId) -> Result<(Option<PoolExport>, Vec<Found>), Error> {
    let audited = store.audit_pool(pool).await?;
    let found = audited
        .into_iter()
        .map(|finding| Found::of(Some(pool), finding))
        .collect();
    let looked = async {
        let export = store.export_pool(pool).await?;
        let astray = reads::astray(store, pool, &export, now()).await?;
        Ok::<_, Error>((export, astray))
    };
    judged(pool, found, looked.await)
}

/// Adds to what an audit found what the look at a pool's records and reads did. A store that is not reached for now fails the
/// look, and says nothing of the pool.
fn judged(
    pool: &PoolId,
    mut found: Vec<Found>,
    looked: Result<(PoolExport, Option<String>), Error>,
) -> Result<(Option<PoolExport>, Vec<Found>), Error> {
    match looked {
        Ok((export, astray)) => {
            // Reads follow what is derived: they are mended with it, unless the records themselves are at fault.
            let mendable = found.iter().all(|found| found.mendable);
            found.extend(astray.map(|says| Found::new(pool, "reads", says, mendable)));
            Ok((Some(export), found))
        }
        // A store that is there, and cannot read what it holds.
        Err(Error::Backend(failure)) if !failure.is_transient() => {
            if found.is_empty() {
                found.push(Found::new(pool, "failure", failure.to_string(), false));
            }
            Ok((None, found))
        }
        Err(failure) => Err(failure),
    }
}

/// Looks at one pool, again if it changes meanwhile.
async fn look(store: &Store, pool: &PoolId) -> Result<(PoolExport, Vec<Found>), Failure> {
    let (mut export, mut found) = look_once(store, pool).await?;
    for _ in 1..LOOKS {
        if found.is_empty() || store.export_pool(pool).await.ok() == export {
            break;
        }
        (export, found) = look_once(store, pool).await?;
    }
    Ok((export.unwrap_or_default(), found))
}

/// Looks at all pools, and at what belongs to none. Changes nothing.
async fn look_at_all(store: &Store, json: bool) -> Result<Checked, Failure> {
    let strays = store.audit_strays().await?;
    let pools = stores::pools(store).await?;
    let progress = bar(pools.len(), "checking", json);
    let looks =
        futures::stream::iter(&pools).map(|pool| async move { Ok::<_, Failure>((pool, look(store, pool).await?)) });
    let mut looks = looks.buffer_unordered(AT_ONCE);
    let (mut checked, mut digest) = (Checked::default(), Digest::default());
    checked.faults = strays.into_iter().map(|finding| Found::of(None, finding)).collect();
    while let Some((pool, (export, found))) = looks.try_next().await? {
        progress.inc(1);
        checked.pools += 1;
        checked.records += export.records().len() as u64;
        digest.add(pool, &export);
        checked.faults.extend(found);
    }
    progress.finish_and_clear();
    checked.digest = digest.to_string();
    checked.faults.sort_unstable();
    Ok(checked)
}

/// Derives anew what can be, and looks again.
async fn repair(store: &Store, before: Checked, json: bool) -> Result<Checked, Failure> {
    // What belongs to no pool comes first: a lease among it may be a pool's.
    let were_listed = stores::pools(store).await?.len();
    store.repair_strays().await?;
    let listed_again = stores::pools(store).await?.len().saturating_sub(were_listed);
    let damaged: BTreeSet<_> = before.faults.iter().filter_map(|fault| fault.id.as_ref()).collect();
    for pool in damaged {
        store.repair_pool(pool).await?;
    }
    let mut after = look_at_all(store, json).await?;
    let is_there = |was: &Found| after.faults.iter().any(|is| (&is.id, is.code) == (&was.id, was.code));
    let mended = before.faults.iter().filter(|was| !is_there(was)).cloned();
    let mended = mended.flat_map(|was| told_apart(was, listed_again as u64)).collect();
    after.mended = Some(mended);
    Ok(after)
}

/// Tells pools that were listed again from what was removed.
fn told_apart(was: Found, listed_again: u64) -> Vec<Found> {
    if was.code != Fault::Orphan.code() || listed_again == 0 {
        return vec![was];
    }
    let removed = was.count.saturating_sub(listed_again);
    let listed = Found {
        count: was.count - removed,
        says: "a pool is listed again".to_owned(),
        removed: false,
        ..was.clone()
    };
    let removed = (removed > 0).then_some(Found { count: removed, ..was });
    [Some(listed), removed].into_iter().flatten().collect()
}

/// Says what a repair does with what was found.
fn consequences(faults: &[Found]) -> String {
    let sum = |fault: Fault| -> u64 {
        let same = faults.iter().filter(|found| found.code == fault.code());
        same.map(|found| found.count).sum()
    };
    let mut text = "What can be derived is written anew.".to_owned();
    let orphans = sum(Fault::Orphan);
    if orphans > 0 {
        let what = match orphans {
            1 => "1 row or key that belongs to no pool is".to_owned(),
            _ => format!("{orphans} rows or keys that belong to no pool are"),
        };
        let _ = write!(
            text,
            "\n{what} REMOVED, KeyPackages among them.\nIn Redis, a pool that has records is listed again instead."
        );
    }
    let leases = sum(Fault::StrayLease);
    if leases > 0 {
        let _ = write!(text, "\nREMOVED: {} without a KeyPackage.", count(leases, "lease"));
    }
    text + "\nNo server may use the store meanwhile."
}

pub(crate) async fn run(store: &Store, repairs: bool, yes: bool, json: bool) -> Result<(), Failure> {
    let mut checked = look_at_all(store, json).await?;
    if repairs && !checked.faults.is_empty() {
        if !yes {
            say(&format!("{}\n", checked.text()));
        }
        confirm(yes, &consequences(&checked.faults))?;
        checked = repair(store, checked, json).await?;
    }
    print(&checked, json)?;
    if checked.faults.is_empty() {
        return Ok(());
    }
    let faults = count(checked.faults.len() as u64, "fault");
    let mendable = checked.faults.iter().any(|fault| fault.mendable);
    Err(Failure::Found(match checked.mended {
        None if mendable => format!("{faults} found: --repair mends what can be derived"),
        None => format!("{faults} found, which cannot be mended: docs/moving.md has what to do"),
        Some(_) => format!("{faults} left, which cannot be mended: docs/moving.md has what to do"),
    }))
}

#[cfg(test)]
mod tests {
    use kp_core::{BackendError, Effect};

    use super::*;

    /// ERR-1: what a store fails at for good is damage; what passes is none, whatever the audit found before.
    #[test]
    fn a_store_that_is_away_for_now_is_not_called_damaged() {
        let pool = PoolId::try_from("bob/phone").expect("it is short");
        let of_audit = || vec![Found::of(Some(&pool), Finding::new(Fault::Count, 1))];
        let failure = |failed: fn(&'static str, &'static str, Effect, &'static str) -> BackendError| {
            Err(Error::from(failed(
                "redis",
                "export_pool",
                Effect::NotApplied,
                "a reason",
            )))
        };
        for found in [Vec::new(), of_audit()] {
            let away = judged(&pool, found.clone(), failure(BackendError::transient));
            assert!(matches!(away, Err(Error::Backend(failure)) if failure.is_transient()));
            let (export, damaged) = judged(&pool, found.clone(), failure(BackendError::new)).expect("it is damaged");
            assert_eq!(export, None);
            let due = if found.is_empty() {
                "failure"
            } else {
                Fault::Count.code()
            };
            assert!(matches!(&damaged[..], [only] if only.code == due));
        }
    }
}
