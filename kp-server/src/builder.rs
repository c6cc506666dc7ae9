use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kp_core::server::{Admission, KeyPackageStore, OnLapse};
use kp_core::{Clock, InvalidTtl, Timestamp, Ttl};

use crate::config::{Config, ConfigError};
use crate::directory::{Inner, KeyPackageDirectory};
use crate::notices::Subscriber;

impl KeyPackageDirectory {
    /// Makes a directory over this store, with the defaults of [`DirectoryBuilder`].
    ///
    /// A store that is also used elsewhere is passed as an `Arc`.
    pub fn new(store: impl KeyPackageStore + 'static, admission: impl Admission) -> Self {
        Self::builder(store, admission).directory()
    }

    /// Makes a directory whose policy is to be set.
    pub fn builder(store: impl KeyPackageStore + 'static, admission: impl Admission) -> DirectoryBuilder {
        let config = Config::default();
        DirectoryBuilder {
            store: Arc::new(store),
            admission: Arc::new(admission),
            clock: Arc::new(|| Timestamp::from(system_time())),
            lease_ttl: Ok(config.lease_ttl),
            claim_window: Ok(config.claim_window),
            config,
            subscriber: None,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock of which `now` is the argument"
)]
fn system_time() -> SystemTime {
    SystemTime::now()
}

/// The policy of a [`KeyPackageDirectory`]. [`build`](Self::build) checks every setting.
///
/// ```
/// use std::time::Duration;
///
/// use kp_core::server::{Admission, KeyPackageStore};
/// use kp_server::{ConfigError, KeyPackageDirectory};
///
/// # fn with(store: impl KeyPackageStore + 'static, admission: impl Admission) -> Result<(), ConfigError> {
/// let directory = KeyPackageDirectory::builder(store, admission)
///     .lease_ttl(Duration::from_secs(30))
///     .cap_per_ciphersuite(200)
///     .limit_per_requester(5)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct DirectoryBuilder {
    store: Arc<dyn KeyPackageStore>,
    admission: Arc<dyn Admission>,
    clock: Arc<dyn Clock>,
    config: Config,
    subscriber: Option<Subscriber>,
    lease_ttl: Result<Ttl, InvalidTtl>,
    claim_window: Result<Ttl, InvalidTtl>,
}

impl fmt::Debug for DirectoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryBuilder")
            .field("store", &self.store)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl DirectoryBuilder {
    /// Sets how long a reservation lasts. Default: 60 s.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = Ttl::try_from(ttl);
        self
    }

    /// Sets how long the same claim again gets the same KeyPackage. Default: 10 minutes.
    pub fn claim_window(mut self, window: Duration) -> Self {
        self.claim_window = Ttl::try_from(window);
        self
    }

    /// Sets how many one-time packages a pool may hold of one ciphersuite. Default: 100.
    pub fn cap_per_ciphersuite(mut self, cap: u32) -> Self {
        self.config.cap_per_ciphersuite = cap;
        self
    }

    /// Sets the low-water mark: a ciphersuite with fewer one-time packages available is low. Default: 8, as in the default
    /// plan of a client, or the cap where that is lower. Most: the cap. 0: never low.
    pub fn low_below(mut self, packages: u32) -> Self {
        self.config.low_below = Some(packages);
        self
    }

    /// Sets how many KeyPackages one upload may have. Default: 200. Most: 1,000.
    pub fn max_upload(mut self, packages: usize) -> Self {
        self.config.max_upload = packages;
        self
    }

    /// Sets how many items any other list of a call may have: pools, tokens, refs. Default and most: 1,000. The ciphersuites
    /// of a [`Take`](crate::Take) are 64 at most.
    ///
    /// A longer list is refused before anything is done ([`TooManyItems`](kp_core::Rejection::TooManyItems)), and a page of
    /// a listing has no more items. A client's pool of `kp-client` names up to 1,000 refs in a call, so set less only for
    /// other clients.
    pub fn max_items(mut self, items: usize) -> Self {
        self.config.max_items = items;
        self
    }

    /// Sets how many KeyPackages of one pool one [`TakeOptions::by`](kp_core::server::TakeOptions::by) may hold or have
    /// taken lately. Default: no limit, so that anybody who may ask can drain a pool. A request without `by` has no limit
    /// either: set `by` for every caller.
    pub fn limit_per_requester(mut self, packages: u32) -> Self {
        self.config.limit_per_requester = Some(packages);
        self
    }

    /// Sets what becomes of a KeyPackage whose reservation lapses. Default: the KeyPackage returns to its place.
    pub fn on_lapse(mut self, on_lapse: OnLapse) -> Self {
        self.config.on_lapse = on_lapse;
        self
    }

    /// Sets how near its end a KeyPackage counts as expiring soon. Default: 7 days.
    pub fn expiring_soon(mut self, window: Duration) -> Self {
        self.config.expiring_soon = window.as_secs();
        self
    }

    /// Refuses KeyPackages whose lifetime began before this moment: for use after a restore from backup, since such
    /// KeyPackages may have been used in what was lost.
    ///
    /// [`retire_unspent`](KeyPackageDirectory::retire_unspent) retires what is already *stored*. OpenMLS dates lifetimes
    /// back by one hour, so for one hour after this moment its new KeyPackages are refused too.
    pub fn restore_point(mut self, at: Timestamp) -> Self {
        self.config.restore_point = Some(at);
        self
    }

    /// Sets how far the clocks of the server's nodes may differ. Default: one hour. Most: one day.
    ///
    /// Expired KeyPackages are swept only when no node can still take them for valid: so much later than `not_after`, and
    /// so long after a sweeper's start at the earliest. A clock that moves by more than the skew between two turns of a
    /// sweeper leapt: see [`start_sweeper`](KeyPackageDirectory::start_sweeper).
    pub fn skew(mut self, between_nodes: Duration) -> Self {
        self.config.skew = between_nodes;
        self
    }

    /// Sets who is told when a pool runs low: one end of a queue of [`notices`](crate::notices). Default: nobody.
    pub fn notify(mut self, subscriber: Subscriber) -> Self {
        self.subscriber = Some(subscriber);
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that makes no sense.
    pub fn build(mut self) -> Result<KeyPackageDirectory, ConfigError> {
        self.config.check(self.clock.now())?;
        self.config.lease_ttl = self.lease_ttl.map_err(ConfigError::LeaseTtl)?;
        self.config.claim_window = self.claim_window.map_err(ConfigError::ClaimWindow)?;
        Ok(self.directory())
    }

    fn directory(self) -> KeyPackageDirectory {
        KeyPackageDirectory(Arc::new(Inner {
            store: self.store,
            admission: self.admission,
            clock: self.clock,
            config: self.config,
            subscriber: self.subscriber,
        }))
    }
}
