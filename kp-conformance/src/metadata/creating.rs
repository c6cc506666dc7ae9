use kp_core::Role;
use kp_core::client::{JoinMark, KeyPackageMetadata, LeaseHolder, Lifecycle, MetadataRejection::Exists};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef, Timestamp};

use super::ledger::Context;
use super::rows::{in_every_state, joining, row, row_in, rows, superseded};
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{DAY, at};

checks! {
    /// META-1: a row is stored wherever its package stands, with its times, and read back as it was given. A second creation
    /// is refused, of the same row, of a new one, and of another under its ref; what is stored stays.
    #[rules("META-1")]
    async fn a_row_is_created_once_in_every_state(context: &Context) {
        let given = in_every_state();
        let ledger = context.ledger().await.with(&given).await;
        for (n, stored) in (1..).zip(&given) {
            for again in [stored.clone(), row(n), row_in(n, superseded(9))] {
                must_be!(ledger.create(&[again]).await, Err(Exists));
            }
            must_be!(ledger.row(n).await, *stored);
        }
        must_be!(ledger.list().await.len(), given.len());
    }

    /// META-1: the bounds of every field.
    #[rules("META-1")]
    async fn the_bounds_of_every_field_are_kept(context: &Context) {
        let least = KeyPackageMetadata {
            key_package_ref: KeyPackageRef::try_from([0].as_slice()).expect("one byte is a ref"),
            ciphersuite: Ciphersuite(0),
            role: Role::OneTime,
            credential: CredentialHash([0; 32]),
            created_at: Timestamp::MIN,
            not_before: Some(Timestamp::MIN),
            not_after: Timestamp::MIN,
            lifecycle: Lifecycle::Superseded { delete_at: Timestamp::MIN },
            offered_at: Some(Timestamp::MIN),
            uploaded_at: Some(Timestamp::MIN),
            reserved_at: Some(Timestamp::MIN),
            spent_at: Some(Timestamp::MIN),
        };
        let most = KeyPackageMetadata {
            key_package_ref: KeyPackageRef::try_from([0xFF; 64].as_slice()).expect("64 bytes are a ref"),
            ciphersuite: Ciphersuite(u16::MAX),
            role: Role::LastResort,
            credential: CredentialHash([0xFF; 32]),
            created_at: Timestamp::MAX,
            not_before: Some(Timestamp::MAX),
            not_after: Timestamp::MAX,
            lifecycle: Lifecycle::Superseded { delete_at: Timestamp::MAX },
            offered_at: Some(Timestamp::MAX),
            uploaded_at: Some(Timestamp::MAX),
            reserved_at: Some(Timestamp::MAX),
            spent_at: Some(Timestamp::MAX),
        };
        let [first, last] = [(0, Timestamp::MIN), (0xFF, Timestamp::MAX)].map(|(byte, until)| JoinMark {
            holder: LeaseHolder::from_bytes([byte; 16]),
            until,
        });
        let joining = |row: &KeyPackageMetadata, name: &str, mark| KeyPackageMetadata {
            key_package_ref: KeyPackageRef::try_from(name).expect("a short name is a ref"),
            lifecycle: Lifecycle::Joining { mark: Some(mark) },
            ..row.clone()
        };
        let given = [least.clone(), joining(&least, "a", first), joining(&most, "b", last), most];
        let ledger = context.ledger().await.with(&given).await;
        for row in &given {
            must_be!(ledger.get_ref(&row.key_package_ref).await.as_ref(), Some(row));
        }
        must_be!(ledger.list().await, given);
    }

    /// META-1: what a row of an older table does not say is not made up: a `not_before`, and the mark of a join.
    #[rules("META-1")]
    async fn what_a_row_does_not_say_is_not_made_up(context: &Context) {
        let unmarked = Lifecycle::Joining { mark: None };
        let given = [
            KeyPackageMetadata { not_before: None, ..row_in(1, unmarked) },
            KeyPackageMetadata { not_before: None, ..row_in(2, joining(0)) },
            row_in(3, unmarked),
        ];
        let ledger = context.ledger().await.with(&given).await;
        must_be!(ledger.step(1, joining(0), at(5)).await, Ok(()));
        must_be!(ledger.step(2, unmarked, at(5)).await, Ok(()));
        let stepped = [(joining(0), &given[0]), (unmarked, &given[1]), (unmarked, &given[2])];
        for (n, (lifecycle, given)) in (1..).zip(stepped) {
            must_be!(ledger.row(n).await, KeyPackageMetadata { lifecycle, ..given.clone() });
        }
    }

    /// META-1: refs are opaque bytes, compared bytewise and whole.
    #[rules("META-1")]
    async fn refs_are_opaque_bytes(context: &Context) {
        let names: [&[u8]; 8] = [b"\0", b"\0\0", b" ", b"'; --", b"A", b"a", b"a\0", b"\xFF\xFE"];
        let given = names.map(|name| KeyPackageMetadata {
            key_package_ref: KeyPackageRef::try_from(name).expect("a short name is a ref"),
            ..row(1)
        });
        let ledger = context.ledger().await.with(&given).await;
        must_be!(ledger.list().await, given, "created at the same time, so by ref");
        for row in &given {
            must_be!(ledger.get_ref(&row.key_package_ref).await.as_ref(), Some(row));
        }
    }

    /// META-1, META-2: a batch with a row that exists already, or with a ref twice, creates none of its rows, nor does an
    /// empty one.
    #[rules("META-1", "META-2")]
    async fn a_batch_creates_all_its_rows_or_none(context: &Context) {
        let ledger = context.ledger().await.with(&[row(2)]).await;
        for refused in [rows([1, 2, 3]), rows([1, 3, 1])] {
            must_be!(ledger.create(&refused).await, Err(Exists));
            must_be!(ledger.list().await, [row(2)]);
        }
        must_be!(ledger.create(&[]).await, Ok(()));
        must_be!(ledger.list().await, [row(2)]);
        must_be!(ledger.create(&rows([1, 3])).await, Ok(()));
    }

    /// META-1: a batch of 1,000 rows, far more than a pool has.
    #[rules("META-1")]
    async fn a_thousand_rows_are_created_at_once(context: &Context) {
        let given: Vec<_> = (0..1_000)
            .map(|n| KeyPackageMetadata {
                created_at: at(i64::try_from(n).expect("a small number")),
                ..row(n)
            })
            .collect();
        let ledger = context.ledger().await.with(&given).await;
        must_be!(ledger.list().await, given);
    }

    /// META-1: a deleted row leaves nothing behind, and may be created again.
    #[rules("META-1", "META-3")]
    async fn a_deleted_row_may_be_created_again(context: &Context) {
        let ledger = context.ledger().await.with(&[row_in(1, Lifecycle::Spent)]).await;
        must_be!(ledger.delete([1]).await, 1);
        let anew = KeyPackageMetadata { created_at: at(DAY), ..row(1) };
        must_be!(ledger.create(std::slice::from_ref(&anew)).await, Ok(()));
        must_be!(ledger.list().await, [anew]);
    }
}
