use kp_core::server::SaveOutcome;

use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// An index holds three bytes of a fingerprint, and nobody looks at the rest.
    #[breaks("SAVE-9", init_keys_that_are_nearly_alike_are_different)]
    fn compares_three_bytes_of_fingerprints(flaw: &mut Flaw) {
        flaw.has_init_key = |pool, fingerprint, now| {
            let begins = |bytes: &[u8; 8]| bytes[..3] == fingerprint.as_bytes()[..3];
            let mut records = pool.records.iter().filter(|(record, _)| !record.is_expired(now));
            records.any(|(_, kept)| kept.fingerprint.is_some_and(|print| begins(print.as_bytes())))
        };
    }

    /// Ids are compared by their last eight bytes.
    #[breaks("RES-5", ids_that_are_nearly_alike_are_of_different_requests)]
    fn compares_half_of_an_id(flaw: &mut Flaw) {
        flaw.by_id = |pool, id| {
            let ends = |bound: &kp_core::ReservationId| bound.as_bytes()[8..] == id.as_bytes()[8..];
            let mut records = pool.records.iter().map(|(record, _)| record);
            records.find(|record| record.state.bound_id().is_some_and(ends)).cloned()
        };
    }

    /// Refs are compared by their first eight bytes.
    #[breaks("SAVE-5", refs_that_are_nearly_alike_are_of_different_packages)]
    fn compares_eight_bytes_of_refs(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let mut outcomes = Vec::new();
            for item in save.packages() {
                let named = item.package.info.key_package_ref.as_bytes();
                let is_like = |other: &[u8]| other != named && other.iter().take(8).eq(named.iter().take(8));
                let mut others = records.pool.records.iter();
                if others.any(|(record, _)| is_like(record.info.key_package_ref.as_bytes())) {
                    outcomes.push(SaveOutcome::RefConflict);
                } else {
                    outcomes.extend(records.save(&super::saving::with(save, std::iter::once(item.clone())), now));
                }
            }
            outcomes
        };
    }
}
