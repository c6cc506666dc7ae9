use async_trait::async_trait;
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::server::{Uploader, Withdrawal};
use kp_core::{KeyPackageBytes, KeyPackageRef, PoolId};

use crate::directory::KeyPackageDirectory;
use crate::upload::{Upload, UploadError};

/// A directory in the same process.
#[derive(Debug)]
struct Embedded {
    directory: KeyPackageDirectory,
    pool: PoolId,
    by: Uploader,
}

impl KeyPackageDirectory {
    /// Returns this directory as a client of it sees it: for tests, and for client and server in one process.
    pub fn transport(&self, pool: PoolId, by: Uploader) -> impl KeyPackageTransport + use<> {
        Embedded {
            directory: self.clone(),
            pool,
            by,
        }
    }
}

#[async_trait]
impl KeyPackageTransport for Embedded {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let packages = packages.iter().map(|bytes| bytes.as_ref().to_vec()).collect();
        let upload = Upload::new(self.pool.clone(), self.by.clone(), packages);
        self.directory.upload(upload).await.map_err(|error| match error {
            UploadError::TooManyKeyPackages { .. } => TransportError::refused(error),
            error => TransportError::new(error),
        })
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.directory.sync(&self.pool, mine).await.map_err(TransportError::new)
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        let withdrawal = Withdrawal::Refs(refs.to_vec());
        let outcomes = self.directory.withdraw(&self.pool, &withdrawal).await;
        outcomes.map(drop).map_err(TransportError::new)
    }
}
