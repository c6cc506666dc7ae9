//! Cursors: a letter for the listing, then the place.

use kp_core::{Cursor, PoolId, Rejection};

const POOLS: u8 = b'p';
const AVAILABLE: u8 = b'a';

/// A place in a walk over the pools: after this one.
pub(crate) fn after_pool(pool: &PoolId) -> Cursor {
    Cursor([&[POOLS], pool.as_bytes()].concat())
}

/// The pool id to go on after; empty for the beginning.
pub(crate) fn pool(cursor: Option<&Cursor>) -> Result<Vec<u8>, Rejection> {
    match cursor.map(|cursor| cursor.0.as_slice()) {
        None => Ok(Vec::new()),
        Some([POOLS, pool @ ..]) if PoolId::try_from(pool).is_ok() => Ok(pool.to_vec()),
        Some(_) => Err(Rejection::InvalidCursor),
    }
}

/// A place in a pool's queue: after this sequence.
pub(crate) fn after_sequence(sequence: i64) -> Cursor {
    Cursor([[AVAILABLE].as_slice(), &sequence.to_be_bytes()].concat())
}

/// The sequence to go on after; 0, which none has, for the beginning.
pub(crate) fn sequence(cursor: Option<&Cursor>) -> Result<i64, Rejection> {
    match cursor.map(|cursor| cursor.0.as_slice()) {
        None => Ok(0),
        Some([AVAILABLE, sequence @ ..]) => sequence
            .try_into()
            .ok()
            .map(i64::from_be_bytes)
            .ok_or(Rejection::InvalidCursor),
        Some(_) => Err(Rejection::InvalidCursor),
    }
}
