use kp_core::protocol::{PoolStatus, SyncReport, UploadOutcome};
use kp_core::server::Receipt;
use kp_core::{GroupId, KeyPackageRef};
use reqwest::Method;

use crate::client::error::ClientError;
use crate::client::key::IdempotencyKey;
use crate::client::send::{Call, KeyPackageClient};
use crate::wire::{
    Answer, DeviceAnswer, DevicesAnswer, LeaseReleased, LeaseRenewed, SpendRequest, StatusAnswer, SyncRequest,
    TakeRequest, TokensAnswer, TokensRequest, UploadAnswer, UploadRequest, WithdrawAnswer, WithdrawRequest,
    WithdrawnKeyPackage,
};

/// What a device does with its own pool.
impl KeyPackageClient {
    /// Uploads KeyPackages; an outcome for each, in order.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; what is wrong with a KeyPackage is its outcome.
    pub async fn upload(&self, upload: &UploadRequest) -> Result<Vec<UploadOutcome>, ClientError> {
        let answer: UploadAnswer = self.0.call(Call::post(&["pool", "upload"], upload)).await?;
        one_each(&upload.key_packages, answer.outcomes)
    }

    /// Asks how the pool is doing.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn status(&self) -> Result<PoolStatus, ClientError> {
        let answer: StatusAnswer = self.0.call(Call::bare(Method::GET, &["pool"])).await?;
        Ok(answer.into())
    }

    /// Asks what became of these KeyPackages, and which others the pool has.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, ClientError> {
        let report: SyncReport = self
            .0
            .call(Call::post(&["pool", "sync"], &SyncRequest::new(mine)))
            .await?;
        if report.yours.len() == mine.len() {
            return Ok(report);
        }
        Err(not_one_each())
    }

    /// Withdraws KeyPackages; an outcome for each. Tried again after a lost answer, it says `AlreadySpent` of those that it
    /// had withdrawn.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn withdraw(&self, what: &WithdrawRequest) -> Result<Vec<WithdrawnKeyPackage>, ClientError> {
        let answer: WithdrawAnswer = self.0.call(Call::post(&["pool", "withdraw"], what)).await?;
        Ok(answer.withdrawn)
    }

    /// Deletes the pool: the device is gone.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn delete(&self) -> Result<(), ClientError> {
        self.0.call(Call::bare(Method::DELETE, &["pool"])).await
    }
}

/// What those do who add somebody to a group.
impl KeyPackageClient {
    /// Gets a KeyPackage of each device of a user, for good. The same key again gets the same KeyPackages.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; why a device cannot be added is its answer.
    pub async fn claim(
        &self,
        user: &str,
        wanted: &TakeRequest,
        key: &IdempotencyKey,
    ) -> Result<Vec<DeviceAnswer>, ClientError> {
        self.take(&["users", user, "claim"], wanted, key).await
    }

    /// Borrows a KeyPackage of each device of a user, until it is spent or released, or its lease lapses. The same key again
    /// gets the same KeyPackages.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; why a device cannot be added is its answer.
    pub async fn reserve(
        &self,
        user: &str,
        wanted: &TakeRequest,
        key: &IdempotencyKey,
    ) -> Result<Vec<DeviceAnswer>, ClientError> {
        self.take(&["users", user, "reserve"], wanted, key).await
    }

    async fn take(
        &self,
        path: &[&str],
        wanted: &TakeRequest,
        key: &IdempotencyKey,
    ) -> Result<Vec<DeviceAnswer>, ClientError> {
        let call = Call::post(path, wanted).key(key).batch();
        let answer: DevicesAnswer = self.0.call(call).await?;
        Ok(answer.devices)
    }

    /// Spends leases, by their tokens; an answer for each, in order. Deliver the Commit and its Welcome only after the
    /// receipts. The same spend again gets the same receipts.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; why a lease does not hold is its answer.
    pub async fn spend(
        &self,
        tokens: impl IntoIterator<Item = impl Into<String>>,
        group: Option<GroupId>,
    ) -> Result<Vec<Answer<Receipt>>, ClientError> {
        let mut spend = SpendRequest::new(tokens);
        spend.group = group;
        let answer: TokensAnswer<Receipt> = self.0.call(Call::post(&["spend"], &spend).batch()).await?;
        one_each(&spend.tokens, answer.answers)
    }

    /// Makes leases longer, by their tokens: they end one lease from now. An answer for each, in order.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; why a lease does not hold is its answer.
    pub async fn renew(
        &self,
        tokens: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<Answer<LeaseRenewed>>, ClientError> {
        let tokens = TokensRequest::new(tokens);
        let answer: TokensAnswer<LeaseRenewed> = self.0.call(Call::post(&["renew"], &tokens).batch()).await?;
        one_each(&tokens.tokens, answer.answers)
    }

    /// Gives KeyPackages back that were shown to nobody, by the tokens of their leases; an answer for each, in order. Tried
    /// again after a lost answer, it says `no_live_reservation` of those that it had given back.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; why a lease does not hold is its answer.
    pub async fn release(
        &self,
        tokens: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<Answer<LeaseReleased>>, ClientError> {
        let tokens = TokensRequest::new(tokens);
        let answer: TokensAnswer<LeaseReleased> = self.0.call(Call::post(&["release"], &tokens).batch()).await?;
        one_each(&tokens.tokens, answer.answers)
    }
}

/// A server that answers with more or less than was asked is broken.
fn one_each<I, A>(items: &[I], answers: Vec<A>) -> Result<Vec<A>, ClientError> {
    if items.len() == answers.len() {
        return Ok(answers);
    }
    Err(not_one_each())
}

fn not_one_each() -> ClientError {
    ClientError::Unreadable("not one answer for each item".into())
}
