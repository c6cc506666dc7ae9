use std::fmt::Write as _;

use futures::{StreamExt as _, TryStreamExt as _};
use kp_core::moving::{PoolExport, import};
use kp_core::rules::{MAX_ITEMS, Model};
use kp_core::{Error, PoolId, Timestamp};
use serde::Serialize;

use super::digest::{Digest, bar};
use super::now;
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
    faults: Vec<Fault>,
}

/// What is wrong with a pool.
#[derive(Debug, Serialize)]
struct Fault {
    pool: String,
    says: String,
}

impl Report for Checked {
    fn text(&self) -> String {
        let Self {
            pools,
            records,
            digest,
            faults,
        } = self;
        let mut text = format!("{pools} pools with {records} records\ndigest {digest}");
        for Fault { pool, says } in faults {
            let _ = write!(text, "\n{pool}: {says}");
        }
        text
    }
}

/// Says how what a pool's reads find through its indexes differs from its records. Nothing is changed.
async fn fault(store: &Store, pool: &PoolId, export: &PoolExport, now: Timestamp) -> kp_core::Result<Option<String>> {
    if export.is_empty() {
        return Ok(Some("is listed, and holds nothing".to_owned()));
    }
    let mut model = Model::default();
    if model.step(pool, |records| import(records, export)).is_err() {
        return Ok(Some("is held twice".to_owned()));
    }
    let mut found = Vec::new();
    if store.count_by_status(pool, now).await?.ciphersuites != model.count_by_status(pool, now).ciphersuites {
        found.push("the counts");
    }
    if store.list_ready(pool, now).await? != model.list_ready(pool, now) {
        found.push("what is ready");
    }
    let (mut available, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_available(pool, after.as_ref(), 1_000, now).await?;
        available.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if available != model.list_available(pool, now) {
        found.push("the queue");
    }
    let refs = export
        .records()
        .iter()
        .map(|(record, _)| record.info.key_package_ref.clone());
    for refs in refs.collect::<Vec<_>>().chunks(MAX_ITEMS) {
        let statuses = store.get_statuses(pool, refs, now).await?;
        let due: Vec<_> = refs.iter().map(|named| model.status(pool, named, now)).collect();
        if statuses != due {
            found.push("the refs");
            break;
        }
    }
    Ok((!found.is_empty()).then(|| format!("{} do not follow from its records", found.join(", "))))
}

/// Looks at one pool, again if it changes meanwhile.
async fn look(store: &Store, pool: &PoolId) -> Result<(PoolExport, Option<String>), Failure> {
    let mut found = (PoolExport::default(), None);
    for _ in 0..LOOKS {
        let looked = async {
            let export = store.export_pool(pool).await?;
            let says = fault(store, pool, &export, now()).await?;
            Ok::<_, Error>((export, says))
        };
        found = match looked.await {
            Ok(looked) => looked,
            // A store that is there, and cannot read what it holds.
            Err(Error::Backend(failure)) if !failure.is_transient() => {
                return Ok((PoolExport::default(), Some(failure.to_string())));
            }
            Err(failure) => return Err(failure.into()),
        };
        let (export, says) = &found;
        if says.is_none() || store.export_pool(pool).await? == *export {
            break;
        }
    }
    Ok(found)
}

pub(crate) async fn run(store: &Store, json: bool) -> Result<(), Failure> {
    let pools = stores::pools(store).await?;
    let progress = bar(pools.len(), "checking", json);
    let looks =
        futures::stream::iter(&pools).map(|pool| async move { Ok::<_, Failure>((pool, look(store, pool).await?)) });
    let mut looks = looks.buffer_unordered(AT_ONCE);
    let (mut checked, mut digest) = (Checked::default(), Digest::default());
    while let Some((pool, (export, says))) = looks.try_next().await? {
        progress.inc(1);
        checked.pools += 1;
        checked.records += export.records().len() as u64;
        digest.add(pool, &export);
        checked.faults.extend(says.map(|says| Fault {
            pool: PoolName(pool.clone()).to_string(),
            says,
        }));
    }
    progress.finish_and_clear();
    checked.digest = digest.to_string();
    checked.faults.sort_by(|a, b| a.pool.cmp(&b.pool));
    print(&checked, json)?;
    match checked.faults.len() {
        0 => Ok(()),
        faults => Err(Failure::Found(format!("{faults} pools are damaged"))),
    }
}
