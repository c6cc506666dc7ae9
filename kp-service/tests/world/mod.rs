//! What the tests stand on: a plain package format, a directory over the memory store, and a store that fails.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use kp_core::{
    Admission, Admitted, BackendError, Ciphersuite, Counts, CredentialHash, Cursor, GroupId, KeyPackageRef,
    KeyPackageStore, Lifetime, OnLapse, Outcome, Package, PackageBytes, PackageInfo, Page, Party, PoolId, Receipt,
    Refusal, Removal, Removed, ReservationId, ReservationToken, Reserved, Result, Save, SaveOutcome, Status, Stored,
    Take, Timestamp, Uploader, Usage,
};
use kp_memory::MemoryStore;
use kp_service::{DirectoryBuilder, KeyPackageDirectory, ManualClock, Upload, Verdict};

pub(crate) const SUITE: Ciphersuite = Ciphersuite(1);
pub(crate) const OTHER_SUITE: Ciphersuite = Ciphersuite(2);
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn start() -> Timestamp {
    Timestamp::try_from(1_700_000_000).unwrap()
}

pub(crate) fn bob() -> PoolId {
    PoolId::try_from("bob/phone").unwrap()
}

pub(crate) fn party(name: &str) -> Party {
    Party::try_from(name).unwrap()
}

pub(crate) fn group(name: &str) -> GroupId {
    GroupId::try_from(name).unwrap()
}

pub(crate) fn retry_key(n: u8) -> ReservationId {
    ReservationId::from_bytes([n; 16])
}

pub(crate) fn key_package_ref(name: &str) -> KeyPackageRef {
    KeyPackageRef::try_from(name).unwrap()
}

/// A package in the tests' own format: its facts as words.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) suite: Ciphersuite,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) last_resort: bool,
    pub(crate) init_key: String,
}

impl Made {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            suite: SUITE,
            not_before: start(),
            not_after: start().plus(30 * DAY),
            last_resort: false,
            init_key: format!("key-of-{name}"),
            name,
        }
    }

    pub(crate) fn last_resort(self) -> Self {
        Self {
            last_resort: true,
            ..self
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        format!(
            "{} {} {} {} {} {}",
            self.name,
            self.suite.0,
            self.not_before.get(),
            self.not_after.get(),
            self.last_resort,
            self.init_key
        )
        .into_bytes()
    }
}

/// `n` one-time packages.
pub(crate) fn made(n: u32) -> Vec<Vec<u8>> {
    (0..n).map(|i| Made::new(format!("package-{i}")).bytes()).collect()
}

/// Reads the tests' own format. The word `panic` makes it panic.
pub(crate) struct PlainAdmission;

impl Admission for PlainAdmission {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        assert_ne!(uploaded, b"panic", "an admission that panics");
        if *by == Uploader::identity("mallory") {
            return Err(Refusal::CredentialMismatch);
        }
        let text = std::str::from_utf8(uploaded).map_err(|_| Refusal::Malformed)?;
        let [name, suite, not_before, not_after, last_resort, init_key] = text
            .split(' ')
            .collect::<Vec<_>>()
            .try_into()
            .map_err(|_| Refusal::Malformed)?;
        let moment = |text: &str| Timestamp::new(text.parse().ok()?);
        let lifetime = moment(not_before).zip(moment(not_after));
        let lifetime = lifetime.and_then(|(not_before, not_after)| Lifetime::new(not_before, not_after).ok());
        let info = PackageInfo {
            key_package_ref: key_package_ref(name),
            ciphersuite: Ciphersuite(suite.parse().map_err(|_| Refusal::Malformed)?),
            lifetime: lifetime.ok_or(Refusal::Malformed)?,
            last_resort: last_resort == "true",
            credential: CredentialHash([0; 32]),
        };
        if info.lifetime.is_over(now) {
            return Err(Refusal::Expired);
        }
        let bytes = PackageBytes::try_from(uploaded).map_err(|_| Refusal::TooLarge)?;
        Ok(Admitted::new(Package { info, bytes }, init_key.into()))
    }
}

/// A directory over a memory store, at [`start`].
pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: ManualClock,
    pub(crate) directory: KeyPackageDirectory,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(policy: impl FnOnce(DirectoryBuilder) -> DirectoryBuilder) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = ManualClock::at(start());
        let builder = KeyPackageDirectory::builder(store.clone(), PlainAdmission).clock(clock.clone());
        let directory = policy(builder).build().unwrap();
        Self {
            store,
            clock,
            directory,
        }
    }

    pub(crate) async fn upload(&self, packages: Vec<Vec<u8>>) -> Vec<Verdict> {
        self.directory.upload(to_bob(packages)).await.unwrap()
    }
}

pub(crate) fn to_bob(packages: Vec<Vec<u8>>) -> Upload {
    Upload::new(bob(), Uploader::identity("bob"), packages)
}

/// A store whose server is gone until it is back: every call fails, and says that its outcome is unknown.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) store: MemoryStore,
    pub(crate) gone: AtomicBool,
}

impl Outage {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            gone: AtomicBool::new(true),
        }
    }

    fn check(&self, operation: &'static str) -> Result<()> {
        if self.gone.load(Ordering::SeqCst) {
            let lost = std::io::Error::other("connection lost");
            return Err(BackendError::transient("outage", operation, Outcome::Unknown, lost).into());
        }
        Ok(())
    }

    fn check_each<T, U>(&self, operation: &'static str, items: &[U]) -> Option<Vec<Result<T>>> {
        let failure = self.check(operation).err()?;
        Some(items.iter().map(|_| Err(failure.clone())).collect())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyPackageStore for Outage {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        self.check("save")?;
        self.store.save_key_packages(save, now).await
    }

    async fn reserve_key_packages(&self, takes: &[Take], lapse: OnLapse, now: Timestamp) -> Vec<Result<Reserved>> {
        match self.check_each("reserve", takes) {
            Some(failures) => failures,
            None => self.store.reserve_key_packages(takes, lapse, now).await,
        }
    }

    async fn claim_key_packages(
        &self,
        takes: &[Take],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Vec<Result<Package>> {
        match self.check_each("claim", takes) {
            Some(failures) => failures,
            None => self.store.claim_key_packages(takes, group, now).await,
        }
    }

    async fn spend_key_packages(
        &self,
        tokens: &[ReservationToken],
        usage: &Usage,
        now: Timestamp,
    ) -> Vec<Result<Receipt>> {
        match self.check_each("spend", tokens) {
            Some(failures) => failures,
            None => self.store.spend_key_packages(tokens, usage, now).await,
        }
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Vec<Result<()>> {
        match self.check_each("release", tokens) {
            Some(failures) => failures,
            None => self.store.release_key_packages(tokens, now).await,
        }
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<Stored>> {
        self.check("get")?;
        self.store.get_key_package(pool, key_package_ref, now).await
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        self.check("get_statuses")?;
        self.store.get_statuses(pool, refs, now).await
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<PackageInfo>> {
        self.check("list_available")?;
        self.store.list_available(pool, after, limit, now).await
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<BTreeMap<Ciphersuite, Counts>> {
        self.check("count_by_status")?;
        self.store.count_by_status(pool, now).await
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        self.check("list_pools")?;
        self.store.list_pools(after, limit).await
    }

    async fn remove_key_packages(
        &self,
        pool: &PoolId,
        what: &Removal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, Removed)>> {
        self.check("remove")?;
        self.store.remove_key_packages(pool, what, now).await
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.check("delete_pool")?;
        self.store.delete_pool(pool).await
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        self.check("retire_unspent")?;
        self.store.retire_unspent(saved_before, now, after, limit).await
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.check("cleanup_expired")?;
        self.store.cleanup_expired(now, limit).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.check("release_expired_reservations")?;
        self.store.release_expired_reservations(now, limit).await
    }
}
