//! Turns cursors into parameters of statements.

use kp_core::Rejection;
use kp_core::server::Cursor;

/// Returns the pool id after which to continue: empty for the beginning.
pub(crate) fn pool(cursor: Option<&Cursor>) -> Result<Vec<u8>, Rejection> {
    let pool = cursor.map(Cursor::pool).transpose()?;
    Ok(pool.map(|pool| pool.as_bytes().to_vec()).unwrap_or_default())
}

/// Returns the sequence after which to continue: 0 for the beginning.
pub(crate) fn sequence(cursor: Option<&Cursor>) -> Result<i64, Rejection> {
    let sequence = cursor.map(Cursor::sequence).transpose()?.unwrap_or(0);
    i64::try_from(sequence).map_err(|_| Rejection::InvalidCursor)
}
