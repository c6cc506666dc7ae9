use kp_core::Timestamp;
use kp_core::client::KeyPackageMetadata;
use kp_core::client::Lifecycle::{Available, Created, Expired, Failed, Joining, Reserved, Spent};
use kp_core::client::MetadataRejection::{IllegalStep, NotFound};

use super::ledger::Context;
use super::rows::{joining, joining_by, row, row_in, rows, superseded};
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::at;

checks! {
    /// META-2: a package's life leaves its times: of the first upload, the last reservation, and the end.
    #[rules("META-2")]
    async fn a_whole_life_leaves_its_times(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        let life = [Available, Created, Available, Reserved, Available, Reserved, joining(0), Spent];
        for (seconds, to) in (10..).zip(life) {
            must_be!(ledger.step(1, to, at(seconds)).await, Ok(()));
            must_be!(ledger.row(1).await.lifecycle, to);
        }
        let lived = KeyPackageMetadata {
            lifecycle: Spent,
            uploaded_at: Some(at(10)),
            reserved_at: Some(at(15)),
            spent_at: Some(at(17)),
            ..row(1)
        };
        must_be!(ledger.row(1).await, lived);
    }

    /// META-2: a grace period may be set anew, sooner or later.
    #[rules("META-2")]
    async fn a_grace_period_may_be_set_anew(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        for delete_at in [superseded(5), superseded(9), superseded(-9)] {
            must_be!(ledger.step(1, delete_at, at(1)).await, Ok(()));
            must_be!(ledger.row(1).await, KeyPackageMetadata { lifecycle: delete_at, ..row(1) });
        }
    }

    /// META-2: a join is marked anew, by its holder and by another, sooner or later, and with no mark, as a row of an older
    /// table has none. No other state has a mark: not the one after a join, nor that of the next one.
    #[rules("META-2", "META-1")]
    async fn a_join_is_marked_with_its_holder_and_end(context: &Context) {
        let ledger = context.ledger().await.with(&rows([1, 2])).await;
        let unmarked = Joining { mark: None };
        let marks = [joining_by(1, 60), joining_by(1, 120), joining_by(1, 30), joining_by(2, 30), unmarked, joining_by(0, -9)];
        for to in marks.into_iter().chain([Reserved, joining_by(3, 9), superseded(1), unmarked, joining_by(0xFF, 9)]) {
            must_be!(ledger.step(1, to, at(5)).await, Ok(()));
            let reserved_at = ledger.row(1).await.reserved_at;
            must_be!(ledger.row(1).await, KeyPackageMetadata { lifecycle: to, reserved_at, ..row(1) });
        }
        must_be!(ledger.step(1, Spent, at(6)).await, Ok(()));
        must_be!(ledger.row(1).await.lifecycle, Spent);
        // Refused, it leaves the mark that is there.
        must_be!(ledger.step(2, joining_by(1, 60), at(5)).await, Ok(()));
        let illegal = IllegalStep { from: Spent, to: joining_by(2, 90) };
        must_be!(ledger.steps(&[(2, joining_by(2, 90)), (1, joining_by(2, 90))], at(7)).await, Err(illegal));
        must_be!(ledger.row(2).await.lifecycle, joining_by(1, 60));
    }

    /// META-2: time is an argument: it may step back, and lie at its bounds. Expiry is the client's to judge: a step is not
    /// refused for a `not_after` that has come.
    #[rules("META-2")]
    async fn any_time_will_do(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        must_be!(ledger.step(1, Available, Timestamp::MAX).await, Ok(()));
        must_be!(ledger.step(1, Reserved, at(-5)).await, Ok(()));
        must_be!(ledger.step(1, joining(0), row(1).not_after).await, Ok(()));
        must_be!(ledger.step(1, Spent, Timestamp::MIN).await, Ok(()));
        let stored = ledger.row(1).await;
        must_be!(stored.uploaded_at, Some(Timestamp::MAX));
        must_be!(stored.reserved_at, Some(at(-5)));
        must_be!(stored.spent_at, Some(Timestamp::MIN));
    }

    /// META-2: a batch of steps is taken as a whole.
    #[rules("META-2")]
    async fn a_batch_takes_all_its_steps(context: &Context) {
        let ledger = context.ledger().await.with(&rows(0..32)).await;
        let steps: Vec<_> = (0..32).map(|n| (n, if n % 2 == 0 { Available } else { Failed })).collect();
        must_be!(ledger.steps(&steps, at(7)).await, Ok(()));
        for (n, to) in steps {
            let uploaded_at = (to == Available).then_some(at(7));
            must_be!(ledger.row(n).await, KeyPackageMetadata { lifecycle: to, uploaded_at, ..row(n) });
        }
    }

    /// META-2: a batch with an illegal step, or with one of an unknown package, wherever it stands, takes none, and creates
    /// nothing; of several that fail, the first is named. An empty one is no step.
    #[rules("META-2")]
    async fn a_batch_with_a_step_that_is_refused_takes_none(context: &Context) {
        let given = [row(1), row(2), row_in(3, Spent), row_in(4, Expired), row(5)];
        let ledger = context.ledger().await.with(&given).await;
        must_be!(ledger.delete([5]).await, 1);
        let before = ledger.list().await;
        let illegal = |from| Err(IllegalStep { from, to: Available });
        let batches: [(&[u64], _); 8] = [
            (&[], Ok(())),
            (&[5], Err(NotFound)),
            (&[1, 2, 3], illegal(Spent)),
            (&[1, 3, 2], illegal(Spent)),
            (&[3, 1, 2], illegal(Spent)),
            (&[1, 9, 2], Err(NotFound)),
            (&[1, 4, 9, 3], illegal(Expired)),
            (&[1, 9, 4], Err(NotFound)),
        ];
        for (batch, answer) in batches {
            let steps: Vec<_> = batch.iter().map(|n| (*n, Available)).collect();
            must_be!(ledger.steps(&steps, at(1)).await, answer, "{batch:?}");
            must_be!(ledger.list().await, before, "{batch:?}");
        }
    }

    /// META-2: steps are taken in order: one sees the ones before.
    #[rules("META-2")]
    async fn a_step_sees_the_ones_before_in_its_batch(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        let illegal = Err(IllegalStep { from: Spent, to: Available });
        must_be!(ledger.steps(&[(1, Spent), (1, Available)], at(1)).await, illegal);
        must_be!(ledger.row(1).await, row(1));
        must_be!(ledger.steps(&[(1, Available), (1, Reserved), (1, Spent)], at(2)).await, Ok(()));
        let lived = KeyPackageMetadata {
            lifecycle: Spent,
            uploaded_at: Some(at(2)),
            reserved_at: Some(at(2)),
            spent_at: Some(at(2)),
            ..row(1)
        };
        must_be!(ledger.row(1).await, lived);
    }
}
