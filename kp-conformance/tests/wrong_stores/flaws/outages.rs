use crate::engine::Mishap;
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// While its engine is away, the store answers as if all pools were empty.
    #[breaks("RES-6", a_killed_engine_is_a_failure_and_no_answer)]
    fn an_outage_is_an_empty_pool(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::FindsNothing);
    }

    /// A call whose connection was lost after it was made says that it was not applied.
    #[breaks("ERR-1", cut_connections_are_a_failure_and_no_answer)]
    fn a_lost_reply_is_a_call_not_made(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::DeniesWhatItDid);
    }

    /// A call is answered, whether or not it can be committed.
    #[breaks("ERR-5", a_commit_that_fails_is_a_failure_and_no_answer)]
    fn a_failed_commit_is_an_answer(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::AnswersWithoutItsCommit);
    }

    /// A call that fails as not applied is applied when the engine is back.
    #[breaks("ERR-1", a_hung_engine_is_a_failure_and_no_answer)]
    fn applies_later_what_it_denied(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::AppliesLater);
    }

    /// A save that fails half-way has stored its first item alone.
    #[breaks("ERR-2", a_full_engine_is_a_failure_and_no_answer)]
    fn stores_as_much_as_there_is_room_for(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::StoresAPart);
    }

    /// A handle whose connection was lost never works again.
    #[breaks("ERR-2", a_killed_engine_is_a_failure_and_no_answer)]
    fn keeps_a_dead_connection(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::KeepsADeadConnection);
    }

    /// An engine that was killed comes back without what was used before.
    #[breaks("ERR-5", a_killed_engine_is_a_failure_and_no_answer)]
    fn loses_what_was_answered_before_an_outage(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::ComesBackWithout);
    }

    /// The outage that the factory begins is none: the store was not tried, and that is said.
    #[breaks("ERR-1", an_engine_that_takes_reads_alone_is_a_failure_and_no_answer)]
    fn an_outage_that_is_none(flaw: &mut Flaw) {
        flaw.mishap = Some(Mishap::NeverInForce);
    }
}
