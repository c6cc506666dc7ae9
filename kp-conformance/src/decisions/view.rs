use std::collections::{BTreeMap, BTreeSet};

use kp_core::server::StoredKeyPackage;
use kp_core::{Ciphersuite, Counts, Slot, Status, Timestamp};

use super::Seen;
use crate::must_be::must_be;
use crate::packages::key_package_ref;
use crate::pool::Pool;

/// The package of the cell, saved before all others.
pub(super) const P: u64 = 1;
/// An available package of another ciphersuite, for new requests.
pub(super) const SPARE: u64 = 2;
/// The last resort that took the slot from P.
pub(super) const SUCCESSOR: u64 = 3;
/// A package that comes by the call.
pub(super) const NEW: u64 = 4;
/// All packages that there may be.
const PACKAGES: [u64; 4] = [P, SPARE, SUCCESSOR, NEW];

/// All that the reads show of a pool: what `get_key_package` answers for each package, with which the others agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    stored: Vec<Option<StoredKeyPackage>>,
}

fn count(stored: &StoredKeyPackage, counts: &mut Counts) {
    match stored.status {
        Status::Available => counts.available += 1,
        Status::NotYetValid => counts.not_yet_valid += 1,
        Status::Reserved { .. } => counts.reserved += 1,
        Status::Spent { .. } => {
            counts.spent += 1;
            counts.spent_last_resorts += u32::from(stored.info.role.is_last_resort());
        }
        Status::Expired => counts.expired += 1,
        Status::LastResort { used } => counts.last_resort = Slot::of(used),
        other => panic!("READ-3: a status that the table has not: {other:?}"),
    }
}

impl View {
    pub(super) async fn of(pool: &Pool, now: Timestamp) -> Self {
        let mut stored = Vec::new();
        for n in PACKAGES {
            stored.push(pool.get(n, now).await);
        }
        let statuses: Vec<_> = stored.iter().map(|stored| Some(stored.as_ref()?.status)).collect();
        must_be!(
            pool.statuses(PACKAGES, now).await,
            statuses,
            "READ-4: get_statuses agrees"
        );
        let mut counts = BTreeMap::<Ciphersuite, Counts>::new();
        for stored in stored.iter().flatten() {
            count(stored, counts.entry(stored.info.ciphersuite).or_default());
        }
        let mut counted = pool.counts(now).await;
        for counted in counted.values_mut() {
            // No status shows what is recalled: a check of its own counts it.
            counted.recalled = 0;
        }
        must_be!(counted, counts, "READ-3: count_by_status agrees");
        let available: BTreeSet<_> = stored
            .iter()
            .flatten()
            .filter(|stored| stored.status == Status::Available)
            .map(|stored| stored.info.key_package_ref.clone())
            .collect();
        let listed: BTreeSet<_> = pool.available(now).await.into_iter().collect();
        must_be!(listed, available, "READ-2: list_available agrees");
        Self { stored }
    }

    /// What is shown of P.
    pub(super) fn p(&self) -> Option<&StoredKeyPackage> {
        let is_p = |stored: &&StoredKeyPackage| stored.info.key_package_ref == key_package_ref(P);
        self.stored.iter().flatten().find(is_p)
    }

    /// What is shown of the others.
    pub(super) fn others(&self) -> &[Option<StoredKeyPackage>] {
        &self.stored[1..]
    }

    /// What is shown of P, without the times.
    ///
    /// # Panics
    ///
    /// When there are bytes where there should be none, or none where there should be (`READ-4`).
    pub(super) fn seen(&self) -> Seen {
        let Some(StoredKeyPackage { status, bytes, .. }) = self.p() else {
            return Seen::Nothing;
        };
        let bytes = bytes.is_some();
        let (seen, expected) = match *status {
            Status::Available => (Seen::Available, true),
            Status::NotYetValid => (Seen::NotYetValid, true),
            Status::Reserved { .. } => (Seen::Reserved, true),
            Status::Spent { cause, .. } => (Seen::Spent(cause), false),
            Status::Expired => (Seen::Expired { bytes }, bytes),
            Status::LastResort { used } => (Seen::LastResort { used }, true),
            other => panic!("READ-3: a status that the table has not: {other:?}"),
        };
        must_be!(bytes, expected, "READ-4: bytes while it is unspent: {status:?}");
        seen
    }
}
