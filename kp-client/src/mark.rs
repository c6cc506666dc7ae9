//! How long a join that was marked lasts (`POOL-7`): decisions only.

use kp_core::Timestamp;
use kp_core::client::{JoinMark, LeaseHolder};

/// A process may stand still in its attempt, and come back: for so long the mark is kept.
const DAY: u64 = 86_400;

/// For so long, a join is left alone.
const A_MOMENT: u64 = 60;

/// Marks a join that begins now.
pub(crate) fn begun(holder: LeaseHolder, now: Timestamp) -> JoinMark {
    JoinMark {
        holder,
        until: now.plus(DAY),
    }
}

/// Returns whether the join may still end. One that seems to begin later is of a clock that was set back since.
pub(crate) fn holds(mark: JoinMark, now: Timestamp) -> bool {
    mark.until.minus(DAY) <= now && now < mark.until
}

/// Returns until when the join is left alone.
pub(crate) fn alive_until(mark: JoinMark) -> Timestamp {
    mark.until.minus(DAY).plus(A_MOMENT)
}

/// Returns whether the join began a moment ago.
pub(crate) fn is_under_way(mark: JoinMark, now: Timestamp) -> bool {
    holds(mark, now) && now < alive_until(mark)
}
