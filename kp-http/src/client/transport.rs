use async_trait::async_trait;
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{KeyPackageBytes, KeyPackageRef};

use crate::client::error::ClientError;
use crate::client::send::KeyPackageClient;
use crate::wire::{UploadRequest, WithdrawRequest};

#[async_trait]
impl KeyPackageTransport for KeyPackageClient {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let packages = packages.iter().map(|bytes| bytes.as_ref().to_vec());
        Ok(Self::upload(self, &UploadRequest::new(packages)).await?)
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        Ok(Self::sync(self, mine).await?)
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        Self::withdraw(self, &WithdrawRequest::refs(refs)).await?;
        Ok(())
    }
}

/// A call that is refused for what it holds is [refused](TransportError::refused): less may be taken. One that is refused for
/// who makes it, or when, has no answer.
impl From<ClientError> for TransportError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused { problem, .. } if matches!(problem.status, 400 | 413 | 422) => Self::refused(error),
            _ => Self::new(error),
        }
    }
}
