//! Compares what the reads of a store find with the records of a pool: an index of the engine may lead them astray.

use kp_core::moving::{PoolExport, import};
use kp_core::rules::{MAX_ITEMS, Model};
use kp_core::{PoolId, Timestamp};

use crate::stores::Store;

/// Says how what a pool's reads find differs from its records.
pub(super) async fn astray(
    store: &Store,
    pool: &PoolId,
    export: &PoolExport,
    now: Timestamp,
) -> kp_core::Result<Option<String>> {
    if export.is_empty() {
        return Ok(Some("it is listed, and holds nothing".to_owned()));
    }
    let mut model = Model::default();
    if model.step(pool, |records| import(records, export)).is_err() {
        return Ok(Some("it is held twice".to_owned()));
    }
    let mut found = Vec::new();
    if store.count_by_status(pool, now).await?.ciphersuites != model.count_by_status(pool, now).ciphersuites {
        found.push("counts");
    }
    if store.list_ready(pool, now).await? != model.list_ready(pool, now) {
        found.push("ready KeyPackages");
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
        found.push("available KeyPackages");
    }
    let refs = export
        .records()
        .iter()
        .map(|(record, _)| record.info.key_package_ref.clone());
    for refs in refs.collect::<Vec<_>>().chunks(MAX_ITEMS) {
        let statuses = store.get_statuses(pool, refs, now).await?;
        let due: Vec<_> = refs.iter().map(|named| model.status(pool, named, now)).collect();
        if statuses != due {
            found.push("refs");
            break;
        }
    }
    Ok((!found.is_empty()).then(|| format!("reads find other {}", found.join(", "))))
}
