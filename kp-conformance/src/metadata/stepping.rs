use kp_core::Timestamp;
use kp_core::client::KeyPackageMetadata;
use kp_core::client::Lifecycle::{Available, Created, Expired, Failed, Joining, Reserved, Spent};
use kp_core::client::MetadataRejection::{IllegalStep, NotFound};

use super::ledger::Context;
use super::rows::{lifecycles, row, row_in, rows, superseded};
use crate::check::checks;
use crate::packages::at;

checks! {
    /// META-2: a package's usual life, with the times that it leaves.
    #[rules("META-2")]
    async fn a_whole_life_leaves_its_times(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        for (seconds, to) in (10..).zip([Available, Reserved, Joining, Spent]) {
            assert_eq!(ledger.step(1, to, at(seconds)).await, Ok(()));
            assert_eq!(ledger.row(1).await.lifecycle, to);
        }
        let lived = KeyPackageMetadata {
            lifecycle: Spent,
            uploaded_at: Some(at(10)),
            reserved_at: Some(at(11)),
            spent_at: Some(at(13)),
            ..row(1)
        };
        assert_eq!(ledger.row(1).await, lived);
    }

    /// META-2: the first upload is remembered, and the last reservation.
    #[rules("META-2")]
    async fn the_first_upload_and_the_last_reservation_are_remembered(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        for (seconds, to) in (10..).zip([Available, Created, Available, Reserved, Available, Reserved]) {
            assert_eq!(ledger.step(1, to, at(seconds)).await, Ok(()));
        }
        let stored = ledger.row(1).await;
        assert_eq!(stored.uploaded_at, Some(at(10)));
        assert_eq!(stored.reserved_at, Some(at(15)));
        assert_eq!(stored.spent_at, None);
    }

    /// META-2: the same state again is no change, of the times neither.
    #[rules("META-2")]
    async fn the_same_state_again_changes_nothing(context: &Context) {
        let given: Vec<_> = (1..).zip(lifecycles()).map(|(n, lifecycle)| row_in(n, lifecycle)).collect();
        let ledger = context.ledger().await.with(&given).await;
        let before = ledger.list().await;
        for (n, to) in (1..).zip(lifecycles()) {
            assert_eq!(ledger.step(n, to, at(99)).await, Ok(()));
        }
        assert_eq!(ledger.list().await, before);
    }

    /// META-2: a grace period may be set anew, sooner or later.
    #[rules("META-2")]
    async fn a_grace_period_may_be_set_anew(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        for delete_at in [superseded(5), superseded(9), superseded(-9)] {
            assert_eq!(ledger.step(1, delete_at, at(1)).await, Ok(()));
            assert_eq!(ledger.row(1).await, KeyPackageMetadata { lifecycle: delete_at, ..row(1) });
        }
    }

    /// META-2: time is an argument: it may step back, and lie at its bounds.
    #[rules("META-2")]
    async fn any_time_will_do(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        assert_eq!(ledger.step(1, Available, Timestamp::MAX).await, Ok(()));
        assert_eq!(ledger.step(1, Reserved, at(-5)).await, Ok(()));
        assert_eq!(ledger.step(1, Spent, Timestamp::MIN).await, Ok(()));
        let stored = ledger.row(1).await;
        assert_eq!(stored.uploaded_at, Some(Timestamp::MAX));
        assert_eq!(stored.reserved_at, Some(at(-5)));
        assert_eq!(stored.spent_at, Some(Timestamp::MIN));
    }

    /// META-2: expiry is the client's to judge: a step is not refused for a `not_after` that has come.
    #[rules("META-2")]
    async fn a_package_past_its_end_may_still_step(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        assert_eq!(ledger.step(1, Joining, row(1).not_after).await, Ok(()));
        assert_eq!(ledger.step(1, Expired, row(1).not_after).await, Ok(()));
        assert_eq!(ledger.row(1).await.lifecycle, Expired);
    }

    /// META-2: a step of an unknown package is refused, and creates nothing.
    #[rules("META-2")]
    async fn an_unknown_package_takes_no_step(context: &Context) {
        let ledger = context.ledger().await.with(&[row(2)]).await;
        assert_eq!(ledger.step(1, Available, at(1)).await, Err(NotFound));
        assert_eq!(ledger.list().await, [row(2)]);
        assert_eq!(ledger.delete([2]).await, 1);
        assert_eq!(ledger.step(2, Created, at(1)).await, Err(NotFound));
        assert_eq!(ledger.list().await, []);
    }

    /// META-2: a batch of steps is taken as a whole.
    #[rules("META-2")]
    async fn a_batch_takes_all_its_steps(context: &Context) {
        let ledger = context.ledger().await.with(&rows(0..32)).await;
        let steps: Vec<_> = (0..32).map(|n| (n, if n % 2 == 0 { Available } else { Failed })).collect();
        assert_eq!(ledger.steps(&steps, at(7)).await, Ok(()));
        for (n, to) in steps {
            let uploaded_at = (to == Available).then_some(at(7));
            assert_eq!(ledger.row(n).await, KeyPackageMetadata { lifecycle: to, uploaded_at, ..row(n) });
        }
    }

    /// META-2: a batch with an illegal step, wherever it stands, takes none.
    #[rules("META-2")]
    async fn a_batch_with_an_illegal_step_takes_none(context: &Context) {
        let given = [row(1), row(2), row_in(3, Spent)];
        let ledger = context.ledger().await.with(&given).await;
        let before = ledger.list().await;
        let refused = Err(IllegalStep { from: Spent, to: Available });
        for order in [[1, 2, 3], [1, 3, 2], [3, 1, 2]] {
            let steps = order.map(|n| (n, Available));
            assert_eq!(ledger.steps(&steps, at(1)).await, refused);
            assert_eq!(ledger.list().await, before);
        }
    }

    /// META-2: a batch with an unknown package takes no step.
    #[rules("META-2")]
    async fn a_batch_with_an_unknown_package_takes_none(context: &Context) {
        let ledger = context.ledger().await.with(&rows([1, 2])).await;
        let before = ledger.list().await;
        assert_eq!(ledger.steps(&[(1, Available), (9, Available), (2, Available)], at(1)).await, Err(NotFound));
        assert_eq!(ledger.list().await, before);
    }

    /// META-2: of several that fail, the first is named.
    #[rules("META-2")]
    async fn the_first_that_fails_is_named(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1), row_in(2, Expired), row_in(3, Spent)]).await;
        let illegal = Err(IllegalStep { from: Expired, to: Joining });
        assert_eq!(ledger.steps(&[(1, Joining), (2, Joining), (9, Joining), (3, Joining)], at(1)).await, illegal);
        assert_eq!(ledger.steps(&[(1, Joining), (9, Joining), (2, Joining)], at(1)).await, Err(NotFound));
        assert_eq!(ledger.row(1).await, row(1));
    }

    /// META-2: steps are taken in order: one sees the ones before.
    #[rules("META-2")]
    async fn a_step_sees_the_ones_before_in_its_batch(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        let illegal = Err(IllegalStep { from: Spent, to: Available });
        assert_eq!(ledger.steps(&[(1, Spent), (1, Available)], at(1)).await, illegal);
        assert_eq!(ledger.row(1).await, row(1));
        assert_eq!(ledger.steps(&[(1, Available), (1, Reserved), (1, Spent)], at(2)).await, Ok(()));
        let times = row_in(1, Spent);
        let lived = KeyPackageMetadata {
            uploaded_at: Some(at(2)),
            reserved_at: Some(at(2)),
            spent_at: Some(at(2)),
            ..times
        };
        assert_eq!(ledger.row(1).await, lived);
    }

    /// META-2: an empty batch is no step.
    #[rules("META-2")]
    async fn an_empty_batch_takes_no_step(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        assert_eq!(ledger.steps(&[], at(1)).await, Ok(()));
        assert_eq!(ledger.list().await, [row(1)]);
    }
}
