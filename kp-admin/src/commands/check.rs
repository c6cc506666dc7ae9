use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures::{StreamExt as _, TryStreamExt as _};
use kp_core::audit::Finding;
use kp_core::moving::PoolExport;
use kp_core::{Error, PoolId};
use serde::Serialize;

use super::digest::{Digest, bar};
use super::{now, reads};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::pool_name::PoolName;
use crate::report::{Report, print};
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
    /// What was found and is no longer there.
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
}

impl Found {
    fn new(id: Option<&PoolId>, code: &'static str, count: u64, says: String) -> Self {
        Self {
            id: id.cloned(),
            pool: id.map(|id| PoolName(id.clone()).to_string()),
            code,
            count,
            says,
        }
    }

    fn of(id: Option<&PoolId>, finding: Finding) -> Self {
        let Finding { fault, count, .. } = finding;
        Self::new(id, fault.code(), count, fault.to_string())
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
        let mut text = format!("{pools} pools with {records} records\ndigest {digest}");
        for mended in mended.iter().flatten() {
            let _ = write!(text, "\nmended: {}", mended.line());
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
    let mut found: Vec<_> = audited
        .into_iter()
        .map(|finding| Found::of(Some(pool), finding))
        .collect();
    let looked = async {
        let export = store.export_pool(pool).await?;
        let astray = reads::astray(store, pool, &export, now()).await?;
        Ok::<_, Error>((export, astray))
    };
    match looked.await {
        Ok((export, astray)) => {
            found.extend(astray.map(|says| Found::new(Some(pool), "reads", 1, says)));
            Ok((Some(export), found))
        }
        // A store that is there, and cannot read what it holds.
        Err(Error::Backend(failure)) if !failure.is_transient() => {
            if found.is_empty() {
                found.push(Found::new(Some(pool), "failure", 1, failure.to_string()));
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
    store.repair_strays().await?;
    let damaged: BTreeSet<_> = before.faults.iter().filter_map(|fault| fault.id.as_ref()).collect();
    for pool in damaged {
        store.repair_pool(pool).await?;
    }
    let mut after = look_at_all(store, json).await?;
    let is_there = |was: &Found| after.faults.iter().any(|is| (&is.id, is.code) == (&was.id, was.code));
    after.mended = Some(before.faults.iter().filter(|was| !is_there(was)).cloned().collect());
    Ok(after)
}

pub(crate) async fn run(store: &Store, repairs: bool, yes: bool, json: bool) -> Result<(), Failure> {
    let mut checked = look_at_all(store, json).await?;
    if repairs && !checked.faults.is_empty() {
        if !yes {
            eprintln!("{}", checked.text());
        }
        confirm(
            yes,
            "What can be derived is written anew. No server may use the store meanwhile.",
        )?;
        checked = repair(store, checked, json).await?;
    }
    print(&checked, json)?;
    let faults = match checked.faults.len() {
        0 => return Ok(()),
        1 => "1 fault".to_owned(),
        faults => format!("{faults} faults"),
    };
    Err(Failure::Found(match checked.mended {
        None => format!("{faults} found: --repair mends what can be derived"),
        Some(_) => format!("{faults} left, which cannot be mended: docs/moving.md has what to do"),
    }))
}
