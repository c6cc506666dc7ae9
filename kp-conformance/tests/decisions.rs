//! The rules of kp-core answer every call in every state as the decision table says.

use std::sync::Arc;

use kp_conformance::ReferenceStore;
use kp_conformance::decisions::{Cell, Event, State, cells};
use rstest::rstest;

/// The test over all states and events given, and one that they are all there are.
macro_rules! exhaustive {
    (states: $($state:ident)*; events: $($event:ident)*;) => {
        #[rstest]
        #[tokio::test]
        async fn the_rules_obey_the_table(
            #[values($(State::$state),*)] state: State,
            #[values($(Event::$event),*)] event: Event,
        ) {
            Cell { state, event }.run(Arc::new(ReferenceStore::default())).await;
        }

        #[test]
        fn every_state_and_every_event_is_tested() {
            assert_eq!(State::ALL, [$(State::$state),*]);
            assert_eq!(Event::ALL, [$(Event::$event),*]);
        }
    };
}

exhaustive! {
    states:
        Available NotYetValid Reserved OtherReserved
        WithdrawnWhileReserved RetiredWhileReserved OtherWithdrawnWhileReserved OtherRetiredWhileReserved
        LapsedReturn LapsedRetire LapsedWithdrawn LapsedRetired
        Spent Claimed ClaimedLapsed ClaimedEnded OtherSpent OtherClaimed OtherClaimedLapsed OtherClaimedEnded
        Withdrawn Retired
        ExpiredFree ExpiredReserved ExpiredSpent ExpiredOtherSpent ExpiredWithdrawn ExpiredLastResort ExpiredReplaced
        Absent AbsentNotYetValid AbsentLastResort
        LastResort LastResortUsed Replaced LastResortWithdrawn;
    events:
        ReserveNamed ReserveNamedByOtherParty ReserveNamedUnfit ReserveNamedUnmet ReserveNamedLastResort ReserveNamedIdTaken
        ReserveOther ReserveById ReserveByIdByOtherParty ReserveOtherSuite ReserveUnmet ReserveLastResort
        Claim ClaimByOtherParty ClaimForOtherGroup ClaimOtherSuite ClaimUnmet ClaimLastResort
        Spend SpendForOtherGroup SpendByOtherParty Release Renew RenewShorter
        SaveAgain SaveOtherBytes SaveOtherFacts SaveAtCap SaveReplacing SaveInitKey SaveLastResort
        Withdraw WithdrawAll RetireUnspent ReleaseExpired CleanupExpired DeletePool Read;
}

#[test]
fn no_two_cells_have_one_name() {
    let mut names: Vec<_> = cells().map(Cell::name).collect();
    assert_eq!(names.len(), State::ALL.len() * Event::ALL.len());
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cells().count());
}
