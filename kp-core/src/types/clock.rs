use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::Timestamp;

/// Gives a service its `now`. Nothing below a service reads a clock: time is an argument.
///
/// A closure is a clock. Default of directory and pool: `|| Timestamp::from(SystemTime::now())`.
pub trait Clock: Send + Sync + 'static {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Stands still until the clock is set, so that tests of what lapses and expires need not sleep. Clones are the same
/// clock.
///
/// ```
/// use kp_core::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::at(Timestamp::try_from(1_700_000_000)?);
/// clock.advance(60);
/// assert_eq!(clock.now().get(), 1_700_000_060);
/// # Ok::<(), kp_core::InvalidTimestamp>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Makes a clock that stands at this moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.get())))
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.get(), Ordering::SeqCst);
    }

    /// Sets the clock this many seconds forward.
    pub fn advance(&self, seconds: u64) {
        self.set(self.now().plus(seconds));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // The clock stores only seconds that were a Timestamp.
        Timestamp::new(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MIN)
    }
}
