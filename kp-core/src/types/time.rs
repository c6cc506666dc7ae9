use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Says that a number of seconds is no [`Timestamp`] ([TIME-1](crate::contract::TIME_1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a timestamp is 0 to 2^53 - 1 Unix seconds, not {0}")]
pub struct InvalidTimestamp(pub i64);

/// Says that a number of seconds is no [`Ttl`] ([TIME-1](crate::contract::TIME_1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ttl is 1 to 2^31 - 1 seconds, not {0}")]
pub struct InvalidTtl(pub u64);

/// Says that a [`Lifetime`] would end before it begins ([TIME-1](crate::contract::TIME_1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lifetime must begin before it ends: not_before {not_before}, not_after {not_after}")]
#[non_exhaustive]
pub struct InvalidLifetime {
    /// The first second asked for.
    pub not_before: i64,
    /// The first second after the end asked for.
    pub not_after: i64,
}

/// Names a moment in Unix seconds: 0 to 2^53 - 1, which a Lua number holds exactly ([TIME-1](crate::contract::TIME_1)).
///
/// Time is an argument: every call that depends on time carries a `now`, and no store reads a clock.
///
/// ```
/// use kp_core::{Timestamp, Ttl};
///
/// let now = Timestamp::try_from(1_700_000_000)?;
/// let minute = Ttl::seconds(60).ok_or("a ttl is at least one second")?;
/// assert_eq!(now.after(minute).get(), 1_700_000_060);
/// assert!(Timestamp::try_from(-1).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "i64", into = "i64")
)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment: 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// The latest moment: 2^53 - 1 seconds later.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Returns the moment of these Unix seconds; `None` out of bounds.
    #[must_use]
    pub const fn new(seconds: i64) -> Option<Self> {
        if seconds >= Self::MIN.0 && seconds <= Self::MAX.0 {
            Some(Self(seconds))
        } else {
            None
        }
    }

    /// Returns the Unix seconds.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Returns the moment `ttl` later, [`Timestamp::MAX`] at most.
    #[must_use]
    pub fn after(self, ttl: Ttl) -> Self {
        self.plus(u64::from(ttl.get()))
    }

    /// Returns the moment this many seconds later, [`Timestamp::MAX`] at most.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add_unsigned(seconds).min(Self::MAX.0))
    }

    /// Returns the moment this many seconds earlier, [`Timestamp::MIN`] at least.
    #[must_use]
    pub fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(seconds).max(Self::MIN.0))
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(seconds: i64) -> Result<Self, InvalidTimestamp> {
        Self::new(seconds).ok_or(InvalidTimestamp(seconds))
    }
}

/// Cuts off fractions of a second. A time before 1970 becomes [`Timestamp::MIN`], a time after the bounds
/// [`Timestamp::MAX`].
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::MIN.plus(since_epoch.as_secs())
    }
}

impl From<Timestamp> for i64 {
    fn from(timestamp: Timestamp) -> i64 {
        timestamp.0
    }
}

/// Sets how long a lease or a claim's replay window lasts: 1 to 2^31 - 1 seconds ([TIME-1](crate::contract::TIME_1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u32", into = "u32")
)]
pub struct Ttl(NonZeroU32);

impl Ttl {
    /// Returns a ttl of this many seconds; `None` out of bounds.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Option<Self> {
        match NonZeroU32::new(seconds) {
            Some(nonzero) if seconds <= i32::MAX as u32 => Some(Self(nonzero)),
            _ => None,
        }
    }

    /// Returns the seconds.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for Ttl {
    type Error = InvalidTtl;

    fn try_from(seconds: u32) -> Result<Self, InvalidTtl> {
        Self::seconds(seconds).ok_or(InvalidTtl(seconds.into()))
    }
}

impl TryFrom<Duration> for Ttl {
    type Error = InvalidTtl;

    /// Cuts off fractions of a second.
    fn try_from(duration: Duration) -> Result<Self, InvalidTtl> {
        let seconds = duration.as_secs();
        u32::try_from(seconds)
            .ok()
            .and_then(Self::seconds)
            .ok_or(InvalidTtl(seconds))
    }
}

impl From<Ttl> for u32 {
    fn from(ttl: Ttl) -> u32 {
        ttl.get()
    }
}

/// Bounds the time in which a KeyPackage may be used (RFC 9420 §7.2): `not_before <= now < not_after`
/// ([TIME-1](crate::contract::TIME_1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifetime {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Lifetime {
    /// Returns the lifetime from `not_before`, up to and without `not_after`.
    ///
    /// # Errors
    ///
    /// [`InvalidLifetime`] unless `not_before < not_after`.
    pub const fn new(not_before: Timestamp, not_after: Timestamp) -> Result<Self, InvalidLifetime> {
        if not_before.0 < not_after.0 {
            Ok(Self { not_before, not_after })
        } else {
            Err(InvalidLifetime {
                not_before: not_before.0,
                not_after: not_after.0,
            })
        }
    }

    /// Returns the first second of the lifetime.
    #[must_use]
    pub const fn not_before(self) -> Timestamp {
        self.not_before
    }

    /// Returns the first second after the lifetime.
    #[must_use]
    pub const fn not_after(self) -> Timestamp {
        self.not_after
    }

    /// Returns whether `now` has reached `not_after`.
    #[must_use]
    pub fn is_expired(self, now: Timestamp) -> bool {
        self.not_after <= now
    }

    /// Returns whether `now` has not reached `not_before`.
    #[must_use]
    pub fn is_ahead(self, now: Timestamp) -> bool {
        now < self.not_before
    }

    /// Returns whether `now` lies within the lifetime.
    #[must_use]
    pub fn contains(self, now: Timestamp) -> bool {
        !self.is_ahead(now) && !self.is_expired(now)
    }
}
