use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_timer::Delay;
use kp_core::client::{
    Fence, KeyVault, LeaseHolder, LeaseName, Lifecycle, MetadataChanges, MetadataRejection, MetadataResult,
    PoolMetadataStore, PoolRecord,
};
use kp_core::{Error, KeyPackage, KeyPackageRef, Timestamp, Ttl};
use tokio::sync::MutexGuard;
use tracing::warn;

use crate::clock::Clocks;
use crate::error::{PoolError, Result};
use crate::policy::{Policy, is_used};
use crate::pool::{Inner, KeyPackagePool};
use crate::rows::Rows;
use crate::survey::Survey;

/// For how long a process that died in its turn keeps the others waiting.
const TURN: Ttl = Ttl::seconds(10).expect("10 s are a ttl");

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A turn at the ledger: alone in this process by a mutex, and among the processes of the client by a lease (`POOL-7`). All
/// that is read in a turn, decided on and written, is one step. Nothing in a turn waits for the server.
///
/// Safety does not hang on the lease: each write of rows carries its fence, and whoever stood still until another process had
/// a turn writes none any more. The vault knows no fence: keys that were written so late go again at the turn's end.
pub(crate) struct Turn<'a, V> {
    _alone: MutexGuard<'a, ()>,
    inner: &'a Inner<V>,
    fence: Fence,
    /// Of which packages this turn wrote keys, or copies.
    keyed: Mutex<BTreeSet<KeyPackageRef>>,
    pub(crate) now: Timestamp,
}

impl<V: KeyVault> KeyPackagePool<V> {
    /// Begins a turn, once the other processes have ended theirs.
    pub(crate) async fn turn(&self) -> Result<Turn<'_, V>, V> {
        let inner = &*self.0;
        let alone = inner.turns.lock().await;
        let fence = tokio::select! {
            biased;
            fence = lease(inner) => fence?,
            () = Delay::new(inner.timeout) => return Err(PoolError::Busy),
        };
        let now = inner.clock.now();
        Ok(Turn {
            _alone: alone,
            inner,
            fence,
            keyed: Mutex::default(),
            now,
        })
    }
}

async fn lease<V>(inner: &Inner<V>) -> MetadataResult<Fence> {
    let (metadata, mut pause) = (&inner.ledger.metadata, FIRST_PAUSE);
    loop {
        let now = inner.clock.now();
        match metadata.lease(LeaseName::LEDGER, inner.holder, TURN, now).await {
            Err(Error::Rejected(MetadataRejection::Held { .. })) => Delay::new(pause).await,
            answer => return answer,
        }
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

impl<V: KeyVault> Turn<'_, V> {
    /// Ends the turn, whatever came of it.
    pub(crate) async fn end<T>(self, result: Result<T, V>) -> Result<T, V> {
        if let Err(error) = self.forget_the_late().await {
            warn!(
                error = &error as &dyn std::error::Error,
                "a key that is over may be left until the next refresh"
            );
        }
        let released = self.metadata().release_lease(LeaseName::LEDGER, self.inner.holder);
        if let Err(error) = released.await {
            warn!(
                error = &error as &dyn std::error::Error,
                "the other processes wait until a lease ends"
            );
        }
        result
    }

    /// If another process had a turn since this one began, keys that this one wrote may be of packages that were used or
    /// dropped meanwhile.
    async fn forget_the_late(&self) -> Result<(), V> {
        let keyed = self.keyed().clone();
        if keyed.is_empty() {
            return Ok(());
        }
        match self.check().await {
            Err(PoolError::Busy) => {
                for key_package_ref in &keyed {
                    let row = self.metadata().get(key_package_ref).await?;
                    if row.is_none_or(|row| is_used(&row)) {
                        self.forget(key_package_ref)?;
                    }
                }
            }
            checked => checked?,
        }
        self.keyed().clear();
        Ok(())
    }

    fn keyed(&self) -> std::sync::MutexGuard<'_, BTreeSet<KeyPackageRef>> {
        self.keyed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrote(&self, key_package_ref: &KeyPackageRef) {
        self.keyed().insert(key_package_ref.clone());
    }

    pub(crate) fn vault(&self) -> &V {
        &self.inner.ledger.vault
    }

    pub(crate) fn metadata(&self) -> &dyn PoolMetadataStore {
        &*self.inner.ledger.metadata
    }

    pub(crate) fn holder(&self) -> LeaseHolder {
        self.inner.holder
    }

    /// Returns whether this process has looked for keys of used packages.
    pub(crate) fn has_looked(&self) -> bool {
        self.inner.looked.load(Ordering::Relaxed)
    }

    pub(crate) fn look(&self) {
        self.inner.looked.store(true, Ordering::Relaxed);
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    pub(crate) fn clocks(&self, record: &PoolRecord) -> Clocks {
        Clocks {
            own: self.now,
            server: record.server_time,
        }
    }

    /// Reads all rows, those of spent packages included.
    pub(crate) async fn all_rows(&self) -> Result<Rows, V> {
        Ok(self.metadata().list().await?.into_iter().collect())
    }

    pub(crate) async fn rows(&self) -> Result<Rows, V> {
        self.inner.ledger.rows().await
    }

    pub(crate) async fn record(&self) -> Result<PoolRecord, V> {
        self.inner.ledger.record().await
    }

    pub(crate) fn survey<'a>(&'a self, rows: &'a Rows, record: &PoolRecord) -> Result<Survey<'a>, V> {
        self.inner.ledger.survey(self.policy(), rows, record, self.now)
    }

    /// Makes changes, unless another process had a turn since this one began.
    pub(crate) async fn apply(&self, changes: MetadataChanges) -> Result<u64, V> {
        if changes.is_empty() {
            return Ok(0);
        }
        match self.metadata().apply(&changes.fence(self.fence)).await {
            Err(Error::Rejected(MetadataRejection::Fenced)) => Err(PoolError::Busy),
            answer => Ok(answer?),
        }
    }

    /// Fails if another process had a turn since this one began. The vault knows no fence.
    pub(crate) async fn check(&self) -> Result<(), V> {
        let nothing = MetadataChanges::new().fence(self.fence);
        self.apply(nothing).await.map(drop)
    }

    pub(crate) async fn write(&self, steps: Vec<(KeyPackageRef, Lifecycle)>) -> Result<(), V> {
        self.apply(MetadataChanges::new().step(steps, self.now)).await.map(drop)
    }

    /// Takes steps, in `rows` too.
    pub(crate) async fn step(&self, rows: &mut Rows, steps: Vec<(KeyPackageRef, Lifecycle)>) -> Result<(), V> {
        self.write(steps.clone()).await?;
        Ok(rows.step(&steps, self.now).map_err(Error::from)?)
    }

    pub(crate) async fn delete(&self, rows: &mut Rows, refs: &[KeyPackageRef]) -> Result<u32, V> {
        let deleted = self.apply(MetadataChanges::new().delete(refs.iter().cloned())).await?;
        rows.remove(refs);
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    /// Deletes keys, and then their rows (`POOL-4`).
    pub(crate) async fn throw_away(&self, rows: &mut Rows, refs: &[KeyPackageRef]) -> Result<u32, V> {
        if refs.is_empty() {
            return Ok(0);
        }
        self.check().await?;
        for key_package_ref in refs {
            self.forget(key_package_ref)?;
        }
        self.delete(rows, refs).await
    }

    pub(crate) fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, V> {
        self.inner.ledger.package(key_package_ref)
    }

    pub(crate) fn keep(&self, key_package_ref: &KeyPackageRef, fresh: V::Fresh) -> Result<(), V> {
        self.wrote(key_package_ref);
        self.vault().keep(fresh).map_err(PoolError::Vault)
    }

    /// Returns whether there is a key, also where it was gone and has been written back.
    pub(crate) fn has_key(&self, key_package_ref: &KeyPackageRef) -> Result<bool, V> {
        Ok(self.package(key_package_ref)?.is_some() || self.protect(key_package_ref)?)
    }

    /// Puts a copy beside a key, and returns whether there is a key. What an attempt of another process deletes just then is
    /// written back.
    pub(crate) fn secure(&self, key_package_ref: &KeyPackageRef) -> Result<bool, V> {
        Ok(self.protect(key_package_ref)? && self.has_key(key_package_ref)?)
    }

    pub(crate) fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<bool, V> {
        let protected = self.vault().protect(key_package_ref);
        if !matches!(protected, Ok(false)) {
            self.wrote(key_package_ref);
        }
        protected.map_err(PoolError::Vault)
    }

    pub(crate) fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), V> {
        self.vault().forget(key_package_ref).map_err(PoolError::Vault)
    }
}

/// What a turn wrote that was dropped, or could not be ended, is looked at by the next refresh.
impl<V> Drop for Turn<'_, V> {
    fn drop(&mut self) {
        let keyed = self.keyed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !keyed.is_empty() {
            self.inner.looked.store(false, Ordering::Relaxed);
        }
    }
}
