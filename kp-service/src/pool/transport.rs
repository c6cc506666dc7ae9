use std::sync::Arc;

use async_trait::async_trait;
use kp_core::{BoxError, KeyPackageBytes, KeyPackageRef, PoolId, Uploader, Withdrawal};

use crate::{KeyPackageDirectory, SyncReport, Upload, UploadOutcome};

/// How a client's pool reaches its server: the messenger's own HTTP client, already bound to the client's own pool, so
/// that there is no pool id to get wrong.
///
/// [`KeyPackageDirectory::transport`] is one without a network.
///
/// # Contract
///
/// - Every call may be repeated, and may be applied although its answer was lost: a failure proves nothing.
/// - Time-outs are the transport's own.
#[async_trait]
pub trait KeyPackageTransport: Send + Sync + 'static {
    /// [`KeyPackageDirectory::upload`], appended: a verdict for each package, in order.
    ///
    /// # Errors
    ///
    /// No answer.
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError>;

    /// [`KeyPackageDirectory::sync`].
    ///
    /// # Errors
    ///
    /// No answer.
    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError>;

    /// [`KeyPackageDirectory::remove`].
    ///
    /// # Errors
    ///
    /// No answer.
    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError>;
}

/// The server gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("the KeyPackage server gave no answer")]
pub struct TransportError(#[source] BoxError);

impl TransportError {
    /// For this reason.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}

/// A directory in the same process.
#[derive(Debug)]
struct Embedded {
    directory: KeyPackageDirectory,
    pool: PoolId,
    by: Uploader,
}

impl KeyPackageDirectory {
    /// This directory as a client of it sees it: for tests, and for client and server in one process.
    #[must_use]
    pub fn transport(&self, pool: PoolId, by: Uploader) -> Arc<dyn KeyPackageTransport> {
        Arc::new(Embedded {
            directory: self.clone(),
            pool,
            by,
        })
    }
}

#[async_trait]
impl KeyPackageTransport for Embedded {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let packages = packages.iter().map(|bytes| bytes.as_ref().to_vec()).collect();
        let upload = Upload::new(self.pool.clone(), self.by.clone(), packages);
        self.directory.upload(upload).await.map_err(TransportError::new)
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.directory.sync(&self.pool, mine).await.map_err(TransportError::new)
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        let removal = Withdrawal::Refs(refs.to_vec());
        let removed = self.directory.withdraw(&self.pool, &removal).await;
        removed.map(drop).map_err(TransportError::new)
    }
}
