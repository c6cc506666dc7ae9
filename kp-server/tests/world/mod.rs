//! What the tests stand on: a plain package format, a directory over the memory store, and a server that is gone.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod probe;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use kp_conformance::{Fault, FaultyStore};
use kp_core::Role;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use kp_core::key_package::ExtensionType;
use kp_core::protocol::Refusal;
use kp_core::protocol::UploadOutcome;
use kp_core::server::{Admission, Admitted, InitKeyFingerprint, Support, Uploader};
use kp_core::{
    Ciphersuite, Clock, CredentialHash, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime,
    ManualClock, Party, PoolId, ReservationId, Timestamp,
};
use kp_memory::MemoryStore;
use kp_server::{DirectoryBuilder, KeyPackageDirectory, Upload};
use tokio::time::Instant;

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

/// What every package of the tests supports.
pub(crate) const EXTENSION: ExtensionType = ExtensionType(0xF001);

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
        let info = KeyPackageInfo::new(
            key_package_ref(name),
            Ciphersuite(suite.parse().map_err(|_| Refusal::Malformed)?),
            lifetime.ok_or(Refusal::Malformed)?,
            CredentialHash([0; 32]),
        )
        .role(Role::of(last_resort == "true"));
        if info.lifetime.is_expired(now) {
            return Err(Refusal::Expired);
        }
        let bytes = KeyPackageBytes::try_from(uploaded).map_err(|_| Refusal::TooLarge)?;
        let admitted = Admitted::new(KeyPackage::new(info, bytes)).support(Support::new([EXTENSION], [], []));
        let mut hasher = DefaultHasher::new();
        init_key.hash(&mut hasher);
        let fingerprint = hasher.finish().to_be_bytes();
        Ok(admitted.fingerprint(InitKeyFingerprint::from_bytes(fingerprint)))
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

    pub(crate) async fn upload(&self, packages: Vec<Vec<u8>>) -> Vec<UploadOutcome> {
        self.directory.upload(to_bob(packages)).await.unwrap()
    }
}

pub(crate) fn to_bob(packages: Vec<Vec<u8>>) -> Upload {
    Upload::new(bob(), Uploader::identity("bob"), packages)
}

/// A wall clock that goes with tokio's clock, from [`start`] on, and leaps when it is told to. Clones are the same clock.
#[derive(Clone)]
pub(crate) struct WallClock {
    begun: Instant,
    ahead: Arc<AtomicI64>,
}

impl WallClock {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            ahead: Arc::default(),
        }
    }

    /// Moves the clock by this many seconds, while no time passes.
    pub(crate) fn leap(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.begun.elapsed().as_secs()).unwrap();
        Timestamp::try_from(start().get() + elapsed + self.ahead.load(Ordering::SeqCst)).unwrap()
    }
}

/// A server that is gone until it is back: no call is made, and nobody can tell.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) store: MemoryStore,
    pub(crate) gone: Arc<AtomicBool>,
}

impl Outage {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            gone: Arc::new(AtomicBool::new(true)),
        }
    }

    /// The store, as who depends on the server has it.
    pub(crate) fn faulty(&self) -> Arc<FaultyStore> {
        let gone = Arc::clone(&self.gone);
        let faults = std::iter::repeat_with(move || match gone.load(Ordering::SeqCst) {
            true => Fault::Dropped { at_await: 0 },
            false => Fault::None,
        });
        Arc::new(FaultyStore::new(Arc::new(self.store.clone()), faults))
    }
}

/// Stores an end that moves with `now`, as a policy does that clamps lifetimes.
pub(crate) struct Clamped;

impl Admission for Clamped {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        let mut admitted = PlainAdmission.admit(uploaded, by, now)?;
        let lifetime = &mut admitted.package.info.lifetime;
        *lifetime = Lifetime::new(lifetime.not_before(), now.plus(600)).unwrap();
        Ok(admitted)
    }
}
