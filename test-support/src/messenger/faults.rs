//! A process that dies at its n-th step: the same parts, each call of which is a step.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kp_core::Role;
use kp_core::client::{
    Fence, KeyPackageMetadata, KeyVault, LeaseHolder, LeaseName, MetadataChanges, MetadataResult, PoolMetadataStore,
    PoolRecord,
};
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{
    BackendError, Ciphersuite, CredentialHash, Effect, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef,
    Timestamp, Ttl,
};

/// Whether the step at which it dies takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    After,
}

#[derive(Debug)]
pub struct Died;

impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process is dead")
    }
}

impl std::error::Error for Died {}

/// Burns down step by step. Clones are the same fuse.
#[derive(Debug, Clone)]
pub struct Fuse(Arc<Mutex<Burning>>);

#[derive(Debug)]
struct Burning {
    steps: u32,
    dies_at: Option<(u32, Moment)>,
    dead: bool,
}

impl Fuse {
    pub fn new(dies_at: Option<(u32, Moment)>) -> Self {
        Self(Arc::new(Mutex::new(Burning {
            steps: 0,
            dies_at,
            dead: false,
        })))
    }

    pub fn steps(&self) -> u32 {
        self.0.lock().unwrap().steps
    }

    pub fn alive(&self) -> Result<(), Died> {
        if self.0.lock().unwrap().dead { Err(Died) } else { Ok(()) }
    }

    /// Before a step.
    fn begin(&self) -> Result<(), Died> {
        self.alive()?;
        self.0.lock().unwrap().steps += 1;
        self.reach(Moment::Before)
    }

    /// After it.
    fn end(&self) -> Result<(), Died> {
        self.reach(Moment::After)
    }

    fn reach(&self, moment: Moment) -> Result<(), Died> {
        let mut burning = self.0.lock().unwrap();
        burning.dead |= burning.dies_at == Some((burning.steps, moment));
        if burning.dead { Err(Died) } else { Ok(()) }
    }

    /// A step that does not wait.
    pub fn step<T>(&self, act: impl FnOnce() -> T) -> Result<T, Died> {
        self.begin()?;
        let done = act();
        self.end()?;
        Ok(done)
    }

    /// A step that may wait. Other tasks of the thread come first.
    async fn step_async<T>(&self, act: impl Future<Output = T> + Send) -> Result<T, Died> {
        tokio::task::yield_now().await;
        self.begin()?;
        let done = act.await;
        self.end()?;
        Ok(done)
    }
}

/// A part whose calls burn the fuse.
#[derive(Debug)]
pub struct Fused<T>(pub T, pub Fuse);

impl<V: KeyVault> KeyVault for Fused<V> {
    type Fresh = V::Fresh;
    type Error = Died;

    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, Died> {
        self.1.step(|| self.0.credential(suite).unwrap())
    }

    fn generate(&self, suite: Ciphersuite, role: Role, now: Timestamp) -> Result<(KeyPackageInfo, V::Fresh), Died> {
        self.1.step(|| self.0.generate(suite, role, now).unwrap())
    }

    fn keep(&self, fresh: V::Fresh) -> Result<(), Died> {
        self.1.step(|| self.0.keep(fresh).unwrap())
    }

    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, Died> {
        self.1.step(|| self.0.package(key_package_ref).unwrap())
    }

    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<bool, Died> {
        self.1.step(|| self.0.protect(key_package_ref).unwrap())
    }

    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), Died> {
        self.1.step(|| self.0.forget(key_package_ref).unwrap())
    }
}

fn lost(died: Died) -> kp_core::Error<kp_core::client::MetadataRejection> {
    BackendError::new("fused", "call", Effect::Unknown, died).into()
}

#[async_trait]
impl<M: PoolMetadataStore> PoolMetadataStore for Fused<M> {
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        self.1.step_async(self.0.apply(changes)).await.map_err(lost)?
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        let leased = self.0.lease(name, holder, ttl, now);
        self.1.step_async(leased).await.map_err(lost)?
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        let released = self.0.release_lease(name, holder);
        self.1.step_async(released).await.map_err(lost)?
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        self.1.step_async(self.0.get(key_package_ref)).await.map_err(lost)?
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        self.1.step_async(self.0.list()).await.map_err(lost)?
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        self.1.step_async(self.0.record()).await.map_err(lost)?
    }
}

#[async_trait]
impl KeyPackageTransport for Fused<Arc<dyn KeyPackageTransport>> {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let answer = self.1.step_async(self.0.upload(packages)).await;
        answer.map_err(TransportError::new)?
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.1
            .step_async(self.0.sync(mine))
            .await
            .map_err(TransportError::new)?
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.1
            .step_async(self.0.withdraw(refs))
            .await
            .map_err(TransportError::new)?
    }
}
