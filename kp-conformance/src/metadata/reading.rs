use std::collections::BTreeMap;

use kp_core::Role;
use kp_core::client::Lifecycle::{Available, Created, Reserved, Spent};
use kp_core::client::MetadataRejection::Held;
use kp_core::client::{KeyPackageMetadata, LeaseName, MetadataChanges};

use super::ledger::Context;
use super::rows::{in_every_state, record, refs, row, row_in, rows, superseded};
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{END, OTHER_SUITE, SUITE, at, key_package_ref};

checks! {
    /// META-3: a client that has nothing.
    #[rules("META-3")]
    async fn nothing_is_there_at_first(context: &Context) {
        let ledger = context.ledger().await;
        must_be!(ledger.list().await, []);
        must_be!(ledger.get(1).await, None);
        must_be!(ledger.counts().await, BTreeMap::new());
        must_be!(ledger.available(SUITE, at(0)).await, 0);
        must_be!(ledger.expired(at(END)).await, []);
        must_be!(ledger.delete([1]).await, 0);
    }

    /// META-3: `list` goes by `created_at`, then by ref, whatever the order of creation; a step does not change a row's
    /// place.
    #[rules("META-3")]
    async fn rows_are_listed_by_age_then_by_ref(context: &Context) {
        let mut given: Vec<_> = (0..30)
            .map(|n| KeyPackageMetadata {
                created_at: at([5, 1, 3][n as usize % 3]),
                ..row(n)
            })
            .collect();
        let ledger = context.ledger().await.with(&given).await;
        given.sort_by_key(|row| (row.created_at, row.key_package_ref.clone()));
        must_be!(ledger.list().await, given);
        let steps = [(3, Available), (7, Spent), (0, superseded(0))];
        must_be!(ledger.steps(&steps, at(5)).await, Ok(()));
        let refs = |rows: Vec<KeyPackageMetadata>| rows.into_iter().map(|row| row.key_package_ref).collect::<Vec<_>>();
        must_be!(refs(ledger.list().await), refs(given));
    }

    /// META-3: a row goes from every state. What is not there is not an error; the answer is how many were.
    #[rules("META-3")]
    async fn what_is_not_there_can_be_deleted(context: &Context) {
        let ledger = context.ledger().await.with(&in_every_state()).await;
        must_be!(ledger.delete([]).await, 0);
        must_be!(ledger.delete([9]).await, 0);
        must_be!(ledger.list().await.len(), 8);
        must_be!(ledger.delete([1, 9, 3, 1]).await, 2, "each counts once");
        for n in [2, 4, 5, 6, 7, 8] {
            must_be!(ledger.delete([n, 1]).await, 1);
            must_be!(ledger.get(n).await, None);
        }
        must_be!(ledger.list().await, []);
    }

    /// META-3: available are the one-time packages of the ciphersuite that stand so and are not past their `not_after`.
    #[rules("META-3")]
    async fn the_available_are_counted_by_ciphersuite(context: &Context) {
        let mut given = in_every_state();
        given.extend((11..=13).map(|n| row_in(n, Available)));
        given.push(KeyPackageMetadata { ciphersuite: OTHER_SUITE, ..row_in(14, Available) });
        given.push(KeyPackageMetadata { role: Role::LastResort, ..row_in(15, Available) });
        given.push(KeyPackageMetadata { not_after: at(50), ..row_in(16, Available) });
        let ledger = context.ledger().await.with(&given).await;
        must_be!(ledger.available(SUITE, at(49)).await, 5);
        must_be!(ledger.available(SUITE, at(50)).await, 4, "past its not_after");
        must_be!(ledger.available(OTHER_SUITE, at(0)).await, 1);
        must_be!(ledger.available(SUITE, at(END)).await, 0);
    }

    /// META-3: every row is counted once, by the name of its state.
    #[rules("META-3")]
    async fn counts_by_status_add_up(context: &Context) {
        let mut given = in_every_state();
        given.push(row_in(11, superseded(1)));
        given.push(row_in(12, Reserved));
        given.push(KeyPackageMetadata { ciphersuite: OTHER_SUITE, role: Role::LastResort, ..row(13) });
        let ledger = context.ledger().await.with(&given).await;
        let expected = BTreeMap::from([
            ("created", 2),
            ("available", 1),
            ("reserved", 2),
            ("joining", 1),
            ("superseded", 2),
            ("spent", 1),
            ("expired", 1),
            ("failed", 1),
        ]);
        let before = ledger.list().await;
        for _ in 0..2 {
            must_be!(ledger.counts().await, expected);
            must_be!(ledger.available(SUITE, at(2 * END)).await, 0);
            must_be!(ledger.expired(at(2 * END)).await.len(), before.len());
            must_be!(ledger.get(99).await, None);
            must_be!(ledger.list().await, before, "reads change nothing");
        }
        must_be!(ledger.step(1, Spent, at(1)).await, Ok(()));
        let counts = ledger.counts().await;
        must_be!((counts["created"], counts["spent"]), (1, 2));
    }

    /// META-3: expired is what `now` has reached the `not_after` of, wherever it stands.
    #[rules("META-3")]
    async fn the_expired_are_named_from_their_end_on(context: &Context) {
        let ending = |n, seconds, lifecycle| KeyPackageMetadata { not_after: at(seconds), ..row_in(n, lifecycle) };
        let given = [ending(1, 10, Created), ending(2, 20, Spent), ending(3, 30, Available)];
        let ledger = context.ledger().await.with(&given).await;
        must_be!(ledger.expired(at(9)).await, []);
        must_be!(ledger.expired(at(10)).await, refs([1]));
        must_be!(ledger.expired(at(29)).await.len(), 2);
        let mut all = refs([1, 2, 3]);
        all.sort();
        must_be!(ledger.expired(at(30)).await, all, "created at the same time, so by ref");
    }

    /// META-3: what one handle was answered, another sees.
    #[rules("META-3", "META-6")]
    #[needs(handles)]
    async fn another_handle_sees_what_was_answered(context: &Context) {
        let (one, other) = (context.ledger().await, context.ledger().await);
        for n in 0..20 {
            must_be!(one.create(&[row(n)]).await, Ok(()));
            must_be!(other.get(n).await, Some(row(n)));
            must_be!(other.step(n, Available, at(1)).await, Ok(()));
            must_be!(one.row(n).await.lifecycle, Available);
            must_be!(one.list().await, other.list().await);
        }
        must_be!(one.delete(0..20).await, 20);
        must_be!(one.apply(&MetadataChanges::new().record(record())).await, Ok(0));
        must_be!(other.all().await, (Vec::new(), record()));
    }

    /// META-3: what was answered is there when the store is opened again: rows, record and leases.
    #[rules("META-3", "META-5", "META-6")]
    #[needs(reopens)]
    async fn what_was_answered_outlives_the_handle(context: &Context) {
        let given = in_every_state();
        let ledger = context.ledger().await.with(&given).await;
        must_be!(ledger.create(&rows(11..=20)).await, Ok(()));
        must_be!(ledger.steps(&[(11, Available), (12, Spent)], at(5)).await, Ok(()));
        must_be!(ledger.delete([13]).await, 1);
        must_be!(ledger.lease(LeaseName::ROUND, 1, 60, at(0)).await, Ok(1));
        must_be!(ledger.apply(&MetadataChanges::new().record(record())).await, Ok(0));
        let before = ledger.all().await;
        drop(ledger);

        let ledger = context.ledger().await;
        must_be!(ledger.all().await, before);
        must_be!(ledger.lease(LeaseName::ROUND, 2, 60, at(59)).await, Err(Held { until: at(60) }));
        must_be!(ledger.lease(LeaseName::ROUND, 2, 60, at(60)).await, Ok(2));
        must_be!(ledger.get(13).await, None);
        must_be!(ledger.get_ref(&key_package_ref(12)).await.map(|row| row.spent_at), Some(Some(at(5))));
    }
}
