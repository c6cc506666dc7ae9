use super::Answer;
use crate::Rejection;
use crate::server::{TakeRequest, Withdrawal};

/// The most items of any list in a call ([COST-1](crate::contract::COST_1)).
pub const MAX_ITEMS: usize = 1_000;

/// The most ciphersuites that a request may accept ([COST-1](crate::contract::COST_1)): several times as many as are
/// registered.
pub const MAX_CIPHERSUITES: usize = 64;

/// Refuses a list of more than [`MAX_ITEMS`] items. A store asks before it does anything for a call that names tokens or
/// refs.
///
/// # Errors
///
/// [`Rejection::TooManyItems`].
pub fn bounded<T>(items: &[T]) -> Answer<()> {
    if items.len() > MAX_ITEMS {
        return Err(Rejection::TooManyItems);
    }
    Ok(())
}

/// Refuses a call with too many requests, or with too many ciphersuites in one of them. A store asks before it does
/// anything for a reserve or a claim.
///
/// # Errors
///
/// [`Rejection::TooManyItems`].
pub fn bounded_takes(takes: &[TakeRequest]) -> Answer<()> {
    bounded(takes)?;
    let suites = takes.iter().map(|take| take.options.ciphersuites.len()).max();
    if suites > Some(MAX_CIPHERSUITES) {
        return Err(Rejection::TooManyItems);
    }
    Ok(())
}

/// Refuses a withdrawal that names too many refs. A store asks before it does anything for a withdrawal.
///
/// # Errors
///
/// [`Rejection::TooManyItems`].
pub fn bounded_withdrawal(withdrawal: &Withdrawal) -> Answer<()> {
    match withdrawal {
        Withdrawal::Refs(refs) => bounded(refs),
        Withdrawal::All => Ok(()),
    }
}
