use futures::FutureExt;
use kp_core::client::Lifecycle::{Available, Created, Expired, Failed, Reserved, Spent};
use kp_core::client::MetadataRejection::{Exists, IllegalStep, NotFound};
use kp_core::client::{KeyPackageMetadata, Lifecycle};

use super::ledger::Context;
use super::rows::{row, row_in, rows};
use crate::at_once::at_once;
use crate::check::checks;
use crate::must_be::{must_be, must_number};
use crate::packages::at;

checks! {
    /// META-1: of concurrent creations of one row, one wins.
    #[rules("META-1")]
    async fn one_creation_wins(context: &Context) {
        let ledgers = context.ledgers(4).await;
        let answers = at_once(&ledgers, 16, |ledger, n| async move {
            let theirs = KeyPackageMetadata { created_at: at(n as i64), ..row(1) };
            (theirs.clone(), ledger.create(&[row(100 + n), theirs]).await)
        });
        let (won, lost): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(|(_, answer)| answer.is_ok());
        must_be!(won.len(), 1, "one creates it");
        must_number(&lost, lost.len(), "of those that lost are told that it exists", |(_, answer)| *answer == Err(Exists));
        must_be!(ledgers[0].row(1).await, won[0].0, "what was answered is what is stored");
        must_be!(ledgers[0].list().await.len(), 2, "the batches that lost left nothing");
    }

    /// META-2: of concurrent steps that exclude each other, one wins, once.
    #[rules("META-2")]
    async fn one_final_step_wins(context: &Context) {
        let ledgers = context.ledgers(4).await;
        must_be!(ledgers[0].create(&rows(0..8)).await, Ok(()));
        for n in 0..8 {
            let answers = at_once(&ledgers, 12, |ledger, task| async move {
                let to = [Spent, Expired, Failed][task as usize % 3];
                (to, ledger.step(n, to, at(task as i64)).await)
            });
            let answers = answers.await;
            let stored = ledgers[0].row(n).await;
            let from = stored.lifecycle;
            assert!(from.is_final(), "{from:?} leads to another state, and the table wants none");
            for (to, answer) in answers {
                let expected = if to == from { Ok(()) } else { Err(IllegalStep { from, to }) };
                must_be!(answer, expected, "{} was first", from.name());
            }
            must_be!(stored.spent_at.is_some(), from == Spent);
            must_be!(ledgers[1].row(n).await, stored);
        }
    }

    /// META-2: concurrent steps of different packages are all taken: none overwrites another's.
    #[rules("META-2")]
    async fn no_step_is_lost(context: &Context) {
        let ledgers = context.ledgers(4).await;
        must_be!(ledgers[0].create(&rows(0..40)).await, Ok(()));
        let answers = at_once(&ledgers, 40, |ledger, task| async move {
            let steps = [(task, Available), ((task + 1) % 40, Available)];
            ledger.steps(&steps, at(task as i64)).await
        });
        let answers = answers.await;
        must_number(&answers, answers.len(), "are done", Result::is_ok);
        must_be!(ledgers[0].counts().await.get("available"), Some(&40));
    }

    /// META-2, META-3: nobody sees a half of a batch.
    #[rules("META-2", "META-3")]
    async fn nobody_sees_half_a_batch(context: &Context) {
        let ledgers = context.ledgers(4).await;
        must_be!(ledgers[0].create(&rows([1, 2])).await, Ok(()));
        let seen = at_once(&ledgers, 40, |ledger, task| async move {
            let to = match task % 4 {
                0 => Available,
                1 => Created,
                _ => {
                    let rows = ledger.list().await;
                    return rows.iter().map(|row| (row.lifecycle, row.uploaded_at)).collect::<Vec<_>>();
                }
            };
            must_be!(ledger.steps(&[(1, to), (2, to)], at(task as i64)).await, Ok(()));
            Vec::new()
        });
        for pair in seen.await.into_iter().filter(|seen| !seen.is_empty()) {
            must_be!(pair.len(), 2);
            must_be!(pair[0], pair[1], "both took the step, or neither");
        }
    }

    /// META-2, META-3: a step against a deletion: the row is gone in the end, and nothing brings it back.
    #[rules("META-3", "META-2")]
    async fn a_deleted_row_stays_deleted(context: &Context) {
        let ledgers = context.ledgers(4).await;
        must_be!(ledgers[0].create(&rows(0..10)).await, Ok(()));
        for n in 0..10 {
            let answers = at_once(&ledgers, 8, |ledger, task| async move {
                if task == 4 {
                    must_be!(ledger.delete([n]).await, 1);
                    return Ok(());
                }
                ledger.step(n, if task % 2 == 0 { Available } else { Reserved }, at(task as i64)).await
            });
            let answers = answers.await;
            must_number(&answers, answers.len(), "are done, or find nothing", |answer| matches!(answer, Ok(()) | Err(NotFound)));
            must_be!(ledgers[0].get(n).await, None);
        }
        must_be!(ledgers[0].list().await, []);
    }

    /// META-3: of concurrent deletions of one row, one counts it.
    #[rules("META-3")]
    async fn a_row_is_deleted_once(context: &Context) {
        let ledgers = context.ledgers(4).await;
        must_be!(ledgers[0].create(&rows(0..20)).await, Ok(()));
        let deleted = at_once(&ledgers, 8, |ledger, _| async move { ledger.delete(0..20).await });
        must_be!(deleted.await.iter().sum::<u64>(), 20);
    }

    /// META-2, ERR-2: a call whose future is dropped is taken whole or not at all, and the store stays usable.
    #[rules("META-2", "META-1", "ERR-2")]
    async fn a_dropped_call_leaves_no_half(context: &Context) {
        let ledger = context.ledger().await.with(&[row_in(1, Created), row_in(2, Created)]).await;
        for round in 0..20 {
            let to: Lifecycle = [Available, Created][round % 2];
            // Polled once, so that it is under way, and dropped.
            let _ = ledger.steps(&[(1, to), (2, to)], at(9)).now_or_never();
            let _ = ledger.create(&rows([3, 4])).now_or_never();
            let lifecycles = |rows: Vec<KeyPackageMetadata>| rows.into_iter().map(|row| row.lifecycle).collect::<Vec<_>>();
            let (pair, new): (Vec<_>, Vec<_>) = ledger.list().await.into_iter().partition(|row| row.spent_at.is_some());
            let pair = lifecycles(pair);
            must_be!(pair[0], pair[1], "both took the step, or neither");
            assert!(matches!(new.len(), 0 | 2), "both are created, or neither");
        }
        // Whatever became of the others, this one is answered.
        must_be!(ledger.steps(&[(1, Spent), (2, Spent)], at(10)).await, Ok(()));
        must_be!(ledger.row(1).await.lifecycle, Spent);
    }
}
