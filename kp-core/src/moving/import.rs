use super::PoolExport;
use crate::Timestamp;
use crate::rules::{Answer, PoolRecords, Record, State};

/// Says why a pool was not imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ImportRejection {
    /// The pool holds a record, even one past its `not_after` ([MOVE-2](crate::contract::MOVE_2)). Nothing changed. Compare the
    /// pool's own export: an earlier import may have had an unknown outcome.
    #[error("the pool is not empty")]
    PoolNotEmpty,
}

/// Stores a whole pool. Nothing is written unless the pool is empty ([MOVE-2](crate::contract::MOVE_2)).
///
/// The step settles nothing, and asks for no limit: all that one store holds, another takes over.
///
/// # Errors
///
/// The outer error is the backend's: the step failed. The inner error is the refusal.
pub fn import<P: PoolRecords>(pool: &mut P, export: &PoolExport) -> Result<Answer<(), ImportRejection>, P::Error> {
    // Every `not_after` is later, so that every record counts.
    if pool.count_remembered(Timestamp::MIN)? > 0 {
        return Ok(Err(ImportRejection::PoolNotEmpty));
    }
    for (record, kept) in export.records() {
        let fresh = Record {
            info: record.info.clone(),
            sequence: pool.next_sequence()?,
            saved_at: record.saved_at,
            state: if record.info.role.is_last_resort() {
                State::Slot { used: false }
            } else {
                State::Free
            },
        };
        pool.insert(&fresh, kept)?;
        if record.state != fresh.state {
            pool.update(&fresh, record.state.clone())?;
        }
    }
    Ok(Ok(()))
}
