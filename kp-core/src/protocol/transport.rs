use std::sync::Arc;

use async_trait::async_trait;

use crate::protocol::{SyncReport, UploadOutcome};
use crate::{BoxError, KeyPackageBytes, KeyPackageRef};

/// Carries a client's calls to its delivery service: the messenger's own HTTP client, for example.
///
/// A transport is bound to the client's own pool, so that there is no pool id to get wrong.
///
/// # Contract
///
/// - Every call may be repeated.
/// - A call may be applied although its answer was lost: a failure proves nothing.
/// - The transport sets its own time-outs.
/// - A client's pool names at most [`MAX_ITEMS`](crate::rules::MAX_ITEMS) refs in a call.
/// - A server that answers, but refuses the whole call (too many KeyPackages at once, for example), is
///   [`TransportError::refused`]: the client tries with less.
///
/// The trait is an async trait: the crate `async-trait` writes its implementations.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use async_trait::async_trait;
/// use kp_core::protocol::{KeyPackageTransport, PoolStatus, SyncReport, TransportError, UploadOutcome};
/// use kp_core::{KeyPackageBytes, KeyPackageRef};
///
/// /// A server that takes everything, and remembers nothing.
/// struct Nowhere;
///
/// #[async_trait]
/// impl KeyPackageTransport for Nowhere {
///     async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
///         Ok(vec![UploadOutcome::Saved; packages.len()])
///     }
///
///     async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
///         Ok(SyncReport::new(vec![None; mine.len()], Vec::new(), PoolStatus::new(BTreeMap::new(), 10_000)))
///     }
///
///     async fn withdraw(&self, _refs: &[KeyPackageRef]) -> Result<(), TransportError> {
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait KeyPackageTransport: Send + Sync + 'static {
    /// Uploads KeyPackages, appended to what the pool holds; an outcome for each, in order.
    ///
    /// # Errors
    ///
    /// [`TransportError`], if there is no answer.
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError>;

    /// Asks what became of the client's own KeyPackages.
    ///
    /// # Errors
    ///
    /// [`TransportError`], if there is no answer.
    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError>;

    /// Withdraws KeyPackages from the pool.
    ///
    /// # Errors
    ///
    /// [`TransportError`], if there is no answer.
    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: KeyPackageTransport + ?Sized> KeyPackageTransport for Arc<T> {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        (**self).upload(packages).await
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        (**self).sync(mine).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        (**self).withdraw(refs).await
    }
}

/// Says that the delivery service gave no answer, or refused the whole call.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", if *refused { "the KeyPackage server refused the call" } else { "the KeyPackage server gave no answer" })]
pub struct TransportError {
    refused: bool,
    #[source]
    source: BoxError,
}

impl TransportError {
    /// Reports that there was no answer, and why. The call may have been applied.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self {
            refused: false,
            source: source.into(),
        }
    }

    /// Reports that the server answered, did nothing, and would do nothing if the same call were made again: more
    /// KeyPackages than it takes at once, for example.
    pub fn refused(source: impl Into<BoxError>) -> Self {
        Self {
            refused: true,
            source: source.into(),
        }
    }

    /// Returns whether the server refused the whole call.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.refused
    }
}
