//! Opening a store whose calls may take a short time.

use kp_core::OpenError;

/// Opening takes more than one call, and a machine may be busy.
const ATTEMPTS: usize = 60;

/// Opens a store, outside of any outage: so the server is reached in the end.
///
/// # Errors
///
/// Any but `Unreachable` at once; that one after the last attempt.
pub async fn until_reached<T, F: Future<Output = Result<T, OpenError>>>(open: impl Fn() -> F) -> Result<T, OpenError> {
    for _ in 1..ATTEMPTS {
        match open().await {
            Err(OpenError::Unreachable(_)) => {}
            opened => return opened,
        }
    }
    open().await
}
