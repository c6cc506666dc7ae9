use kp_core::rules::{LeaseRecord, PoolRecords, Recall, State};

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
