use std::sync::Arc;
use std::time::Duration;

use kp_core::{Admission, InvalidTtl, KeyPackageStore, OnLapse, Save, Timestamp, Ttl};

use crate::directory::{Config, Inner};
use crate::{Clock, KeyPackageDirectory, SystemClock};

/// The widest [`DirectoryBuilder::skew`]: one day. Clocks further apart are broken, and nothing would ever be swept.
const MAX_SKEW: Duration = Duration::from_secs(86_400);

/// The policy of a [`KeyPackageDirectory`]; the defaults are those of `DIR-2`, checked by [`build`](Self::build).
///
/// ```
/// # use std::sync::Arc;
/// # use kp_core::*;
/// # struct Anything;
/// # impl Admission for Anything {
/// #     fn admit(&self, _: &[u8], _: &Uploader, _: Timestamp) -> Result<Admitted, Refusal> { Err(Refusal::Malformed) }
/// # }
/// use std::time::Duration;
/// use kp_service::{ConfigError, KeyPackageDirectory};
///
/// # fn with(store: Arc<dyn KeyPackageStore>, admission: impl Admission) -> Result<(), ConfigError> {
/// let directory = KeyPackageDirectory::builder(store, admission)
///     .lease_ttl(Duration::from_secs(30))
///     .cap_per_ciphersuite(200)
///     .limit_per_requester(5)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct DirectoryBuilder {
    store: Arc<dyn KeyPackageStore>,
    admission: Shared,
    clock: Arc<dyn Clock>,
    lease_ttl: Duration,
    claim_window: Duration,
    cap_per_ciphersuite: u32,
    low_below: u8,
    max_upload: usize,
    limit_per_requester: Option<u32>,
    on_lapse: OnLapse,
    expiring_soon: Duration,
    restore_point: Option<Timestamp>,
    skew: Duration,
}

/// An admission, which need not be `Debug`.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<dyn Admission>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admission")
    }
}

impl DirectoryBuilder {
    pub(crate) fn new(store: Arc<dyn KeyPackageStore>, admission: impl Admission) -> Self {
        Self {
            store,
            admission: Shared(Arc::new(admission)),
            clock: Arc::new(SystemClock),
            lease_ttl: Duration::from_secs(60),
            claim_window: Duration::from_secs(600),
            cap_per_ciphersuite: 100,
            low_below: 25,
            max_upload: 200,
            limit_per_requester: None,
            on_lapse: OnLapse::Return,
            expiring_soon: Duration::from_secs(7 * 86_400),
            restore_point: None,
            skew: Duration::from_secs(3_600),
        }
    }

    /// Sets how long a reservation lasts: 60 s by default.
    pub fn lease_ttl(self, ttl: Duration) -> Self {
        Self { lease_ttl: ttl, ..self }
    }

    /// Sets how long the same claim again gets the same package: 10 minutes by default.
    pub fn claim_window(self, window: Duration) -> Self {
        Self {
            claim_window: window,
            ..self
        }
    }

    /// Sets how many one-time packages a pool may hold of one ciphersuite: 100 by default (`SAVE-6`).
    pub fn cap_per_ciphersuite(self, cap: u32) -> Self {
        Self {
            cap_per_ciphersuite: cap,
            ..self
        }
    }

    /// Sets the low-water mark, in percent of the cap: 25 by default.
    pub fn low_below(self, percent: u8) -> Self {
        Self {
            low_below: percent,
            ..self
        }
    }

    /// Sets how many packages one upload may have: 200 by default, 1,000 at most (`SAVE-2`).
    pub fn max_upload(self, packages: usize) -> Self {
        Self {
            max_upload: packages,
            ..self
        }
    }

    /// Sets how many packages of one pool one [`Take::by`](crate::Take::by) may hold or have taken lately (`RES-7`). No
    /// limit by default: then anybody who may ask can drain a pool.
    pub fn limit_per_requester(self, packages: u32) -> Self {
        Self {
            limit_per_requester: Some(packages),
            ..self
        }
    }

    /// Sets what becomes of a package whose reservation lapses: by default it returns to its place (`RES-9`).
    pub fn on_lapse(self, on_lapse: OnLapse) -> Self {
        Self { on_lapse, ..self }
    }

    /// Sets how near its end a package counts as expiring soon: 7 days by default.
    pub fn expiring_soon(self, window: Duration) -> Self {
        Self {
            expiring_soon: window,
            ..self
        }
    }

    /// After a restore from backup: refuses packages whose lifetime began before this moment, since they may have been
    /// used in what was lost. (What is *stored* is retired by
    /// [`retire_unspent`](KeyPackageDirectory::retire_unspent).)
    ///
    /// OpenMLS dates lifetimes back by one hour, so for one hour after this moment its new packages are refused too.
    pub fn restore_point(self, at: Timestamp) -> Self {
        Self {
            restore_point: Some(at),
            ..self
        }
    }

    /// Sets how far the clocks of the server's nodes may differ: one hour by default. Expired packages are swept only
    /// when no node can still take them for valid (`DIR-4`).
    pub fn skew(self, between_nodes: Duration) -> Self {
        Self {
            skew: between_nodes,
            ..self
        }
    }

    /// Sets the clock: the system's by default.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The directory.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that makes no sense.
    pub fn build(self) -> Result<KeyPackageDirectory, ConfigError> {
        if self.cap_per_ciphersuite == 0 {
            return Err(ConfigError::CapPerSuite);
        }
        if self.low_below > 100 {
            return Err(ConfigError::LowBelow(self.low_below));
        }
        if self.max_upload == 0 || self.max_upload > Save::MAX_PACKAGES {
            return Err(ConfigError::MaxUpload(self.max_upload));
        }
        if self.limit_per_requester == Some(0) {
            return Err(ConfigError::LimitPerRequester);
        }
        if self.skew > MAX_SKEW {
            return Err(ConfigError::Skew(self.skew));
        }
        if self.restore_point.is_some_and(|at| at > self.clock.now()) {
            return Err(ConfigError::RestorePointAhead);
        }
        let config = Config {
            lease_ttl: Ttl::try_from(self.lease_ttl).map_err(ConfigError::LeaseTtl)?,
            claim_window: Ttl::try_from(self.claim_window).map_err(ConfigError::ClaimWindow)?,
            cap_per_ciphersuite: self.cap_per_ciphersuite,
            low_below: self.low_below,
            max_upload: self.max_upload,
            limit_per_requester: self.limit_per_requester,
            on_lapse: self.on_lapse,
            expiring_soon: self.expiring_soon.as_secs(),
            restore_point: self.restore_point,
            skew: self.skew.as_secs(),
        };
        Ok(KeyPackageDirectory(Arc::new(Inner {
            store: self.store,
            admission: self.admission,
            clock: self.clock,
            config,
        })))
    }
}

/// A setting of a [`DirectoryBuilder`] that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`DirectoryBuilder::lease_ttl`]
    #[error("lease_ttl: {0}")]
    LeaseTtl(#[source] InvalidTtl),
    /// [`DirectoryBuilder::claim_window`]
    #[error("claim_window: {0}")]
    ClaimWindow(#[source] InvalidTtl),
    /// [`DirectoryBuilder::cap_per_ciphersuite`]
    #[error("cap_per_ciphersuite: a pool must be able to hold a package")]
    CapPerSuite,
    /// [`DirectoryBuilder::low_below`]
    #[error("low_below: 0 to 100 percent, not {0}")]
    LowBelow(u8),
    /// [`DirectoryBuilder::max_upload`]
    #[error("max_upload: 1 to {most} packages, not {0}", most = Save::MAX_PACKAGES)]
    MaxUpload(usize),
    /// [`DirectoryBuilder::limit_per_requester`]
    #[error("limit_per_requester: at least one package; leave it out for no limit")]
    LimitPerRequester,
    /// [`DirectoryBuilder::skew`]
    #[error("skew: at most one day, not {0:?}")]
    Skew(Duration),
    /// [`DirectoryBuilder::restore_point`]
    #[error("restore_point: lies ahead, and would refuse every package until then")]
    RestorePointAhead,
}
