use std::time::Duration;

use kp_core::rules::{MAX_CIPHERSUITES, MAX_ITEMS};
use kp_core::server::{OnLapse, Save, TakeOptions};
use kp_core::{InvalidTtl, Rejection, Timestamp, Ttl};

/// The widest skew between nodes: one day. Clocks further apart are broken, and nothing would ever be swept.
const MAX_SKEW: Duration = Duration::from_secs(86_400);

const LEASE_TTL: Ttl = Ttl::seconds(60).expect("60 s are a ttl");
const CLAIM_WINDOW: Ttl = Ttl::seconds(600).expect("600 s are a ttl");

/// The low-water mark, in packages: that of a client's default plan, so that both sides see a pool alike (`DIR-5`).
const LOW_BELOW: u32 = 8;

/// The policy of a directory.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) lease_ttl: Ttl,
    pub(crate) claim_window: Ttl,
    pub(crate) cap_per_ciphersuite: u32,
    pub(crate) low_below: Option<u32>,
    pub(crate) max_upload: usize,
    pub(crate) max_items: usize,
    pub(crate) limit_per_requester: Option<u32>,
    pub(crate) on_lapse: OnLapse,
    pub(crate) expiring_soon: u64,
    pub(crate) restore_point: Option<Timestamp>,
    pub(crate) skew: Duration,
}

/// The defaults of a directory (`DIR-2`).
impl Default for Config {
    fn default() -> Self {
        Self {
            lease_ttl: LEASE_TTL,
            claim_window: CLAIM_WINDOW,
            cap_per_ciphersuite: 100,
            low_below: None,
            max_upload: 200,
            max_items: MAX_ITEMS,
            limit_per_requester: None,
            on_lapse: OnLapse::Return,
            expiring_soon: 7 * 86_400,
            restore_point: None,
            skew: Duration::from_secs(3_600),
        }
    }
}

impl Config {
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), ConfigError> {
        if self.cap_per_ciphersuite == 0 {
            return Err(ConfigError::CapPerCiphersuite);
        }
        if let Some(mark) = self.low_below
            && mark > self.cap_per_ciphersuite
        {
            return Err(ConfigError::LowBelow(mark));
        }
        if self.max_upload == 0 || self.max_upload > Save::MAX_PACKAGES {
            return Err(ConfigError::MaxUpload(self.max_upload));
        }
        if self.max_items == 0 || self.max_items > MAX_ITEMS {
            return Err(ConfigError::MaxItems(self.max_items));
        }
        if self.limit_per_requester == Some(0) {
            return Err(ConfigError::LimitPerRequester);
        }
        if self.skew > MAX_SKEW {
            return Err(ConfigError::Skew(self.skew));
        }
        if self.restore_point.is_some_and(|at| at > now) {
            return Err(ConfigError::RestorePointAhead);
        }
        Ok(())
    }

    /// Refuses a list that is too long for one call (`DIR-8`).
    pub(crate) fn bounded<T>(&self, items: &[T]) -> Result<(), Rejection> {
        if items.len() > self.max_items {
            return Err(Rejection::TooManyItems);
        }
        Ok(())
    }

    /// Refuses a request that accepts too many ciphersuites (`DIR-8`).
    pub(crate) fn bounded_ciphersuites(&self, options: &TakeOptions) -> Result<(), Rejection> {
        if options.ciphersuites.len() > self.max_items.min(MAX_CIPHERSUITES) {
            return Err(Rejection::TooManyItems);
        }
        Ok(())
    }

    /// Cuts the limit of a page to what a page may have.
    pub(crate) fn page(&self, limit: u32) -> u32 {
        u32::try_from(self.max_items).map_or(limit, |most| limit.min(most))
    }

    /// Fewer available one-time packages than this are low.
    pub(crate) fn low_mark(&self) -> u32 {
        self.low_below.unwrap_or(LOW_BELOW.min(self.cap_per_ciphersuite))
    }
}

/// A setting of a [`DirectoryBuilder`](crate::DirectoryBuilder) that makes no sense. Each variant names its setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `lease_ttl` is out of bounds.
    #[error("lease_ttl: {0}")]
    LeaseTtl(#[source] InvalidTtl),
    /// `claim_window` is out of bounds.
    #[error("claim_window: {0}")]
    ClaimWindow(#[source] InvalidTtl),
    /// `cap_per_ciphersuite` is 0.
    #[error("cap_per_ciphersuite: a pool must be able to hold a KeyPackage")]
    CapPerCiphersuite,
    /// `low_below` is more than `cap_per_ciphersuite`.
    #[error("low_below: a full pool would be low at {0} KeyPackages, which is more than cap_per_ciphersuite")]
    LowBelow(u32),
    /// `max_upload` is out of bounds.
    #[error("max_upload: 1 to {most} KeyPackages, not {0}", most = Save::MAX_PACKAGES)]
    MaxUpload(usize),
    /// `max_items` is out of bounds.
    #[error("max_items: 1 to {MAX_ITEMS} items, not {0}")]
    MaxItems(usize),
    /// `limit_per_requester` is 0.
    #[error("limit_per_requester: at least one KeyPackage; leave it out for no limit")]
    LimitPerRequester,
    /// `skew` is more than one day.
    #[error("skew: at most one day, not {0:?}")]
    Skew(Duration),
    /// `restore_point` lies ahead.
    #[error("restore_point: lies ahead, and would refuse every KeyPackage until then")]
    RestorePointAhead,
}
