use kp_core::client::{KeyPackageMetadata, Lifecycle};

use super::ledger::Context;
use super::rows::row;
use crate::must_be::must_be;
use crate::packages::at;

/// How many rows are measured: enough that whole pages make no difference.
const ROWS: u64 = 1_000;
/// What a row may take, in bytes: about 150 (`META-4`), since how full pages are varies by some.
pub(super) const MOST: u64 = 160;

/// How many bytes a row takes, all indexes included (`META-4`): what the space takes with many rows, less what it took
/// without any. `None` when the backend cannot tell.
pub(super) async fn bytes_a_row(context: &Context) -> Option<u64> {
    let ledger = context.ledger().await;
    let empty = context.bytes().await?;
    for batch in (0..ROWS).collect::<Vec<_>>().chunks(32) {
        let batch: Vec<_> = batch.iter().copied().map(uploaded).collect();
        must_be!(ledger.create(&batch).await, Ok(()));
    }
    Some((context.bytes().await? - empty) / ROWS)
}

/// As most rows of a pool are.
fn uploaded(n: u64) -> KeyPackageMetadata {
    KeyPackageMetadata {
        lifecycle: Lifecycle::Available,
        offered_at: Some(at(4)),
        uploaded_at: Some(at(5)),
        ..row(n)
    }
}
