use kp_core::rules::{LeaseRecord, PoolRecords, Recall, State};
use kp_core::server::Withdrawal;

use crate::flaw::sure;
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// A deleted pool remembers what was spent.
    #[breaks("DEL-1", a_deleted_pool_is_gone_with_its_memory)]
    fn a_deleted_pool_remembers_spent_packages(flaw: &mut Flaw) {
        flaw.delete = |records| records.forget(|record| record.state.shows_bytes());
    }

    /// What was saved in the very second of the backup is retired too.
    #[breaks("DEL-2", what_was_saved_before_the_backup_is_retired)]
    fn retires_a_second_too_much(flaw: &mut Flaw) {
        flaw.saved_before = |saved_before| saved_before.plus(1);
    }

    /// Withdrawing all ends at a last resort that has expired.
    #[breaks("DEL-3", an_expired_last_resort_keeps_no_other_from_being_withdrawn)]
    fn withdraws_up_to_an_expired_last_resort(flaw: &mut Flaw) {
        flaw.withdraw = |records, what, now| {
            let expired = records.pool.records.iter().any(|(record, _)| {
                record.info.role.is_last_resort() && record.is_expired(now)
            });
            if *what != Withdrawal::All || !expired {
                return records.withdraw(what, now);
            }
            let unspent = records.pool.records.iter().filter(|(record, _)| record.state.is_unspent_one_time());
            let refs = unspent.map(|(record, _)| record.info.key_package_ref.clone()).collect();
            records.withdraw(&Withdrawal::Refs(refs), now)
        };
    }

    /// Who holds a lease on a package that its owner withdraws loses it.
    #[breaks("DEL-3", a_withdrawal_recalls_a_live_reservation)]
    fn a_withdrawal_ends_the_lease(flaw: &mut Flaw) {
        flaw.withdraw = |records, what, now| {
            let withdrawn = records.withdraw(what, now);
            records.alter(|record| {
                if matches!(&record.state, State::Reserved(hold) if hold.recalled == Some(Recall::Withdrawn)) {
                    record.state = State::Withdrawn { at: now };
                }
            });
            withdrawn
        };
    }

    /// A package that was withdrawn while reserved returns.
    #[breaks("DEL-3", a_withdrawal_recalls_a_live_reservation)]
    fn a_recalled_package_returns(flaw: &mut Flaw) {
        flaw.update = |pool, before, mut after| {
            if let State::Reserved(LeaseRecord { recalled, .. }) = &mut after.state {
                *recalled = None;
            }
            sure(pool.update(before, after.state));
        };
    }
}
