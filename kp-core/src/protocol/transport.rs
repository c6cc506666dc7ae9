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

/// Says that the delivery service gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("the KeyPackage server gave no answer")]
pub struct TransportError(#[source] BoxError);

impl TransportError {
    /// Wraps the reason.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}
