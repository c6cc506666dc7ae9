use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use kp_core::Timestamp;

/// Where a service gets its `now` from. Nothing below a service reads a clock (`TIME-1`).
pub trait Clock: Send + Sync + Debug + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock of which `now` is the argument"
    )]
    fn now(&self) -> Timestamp {
        // A clock before 1970 stands at 1970.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::MIN.plus(since_epoch.as_secs())
    }
}

/// A clock that stands still until it is set: tests of what lapses and expires need not sleep. Clones are the same clock.
///
/// ```
/// use kp_core::Timestamp;
/// use kp_service::{Clock, ManualClock};
///
/// let clock = ManualClock::at(Timestamp::try_from(1_700_000_000)?);
/// clock.advance(60);
/// assert_eq!(clock.now().get(), 1_700_000_060);
/// # Ok::<(), kp_core::InvalidTimestamp>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Stands at this moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.get())))
    }

    /// Sets it, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.get(), Ordering::SeqCst);
    }

    /// Sets it this many seconds forward.
    pub fn advance(&self, seconds: u64) {
        self.set(self.now().plus(seconds));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // Only the seconds of a Timestamp are ever stored.
        Timestamp::new(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MIN)
    }
}
