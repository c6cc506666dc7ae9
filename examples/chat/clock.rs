use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use keypackage_pool::{Clock, Timestamp};

const DAY: u64 = 86_400;

/// The clock of a device, which may be wrong by some days. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceClock(Arc<AtomicI64>);

impl DeviceClock {
    /// Sets the clock so many days ahead, or behind if negative.
    pub(crate) fn set(&self, days: i64) {
        self.0.store(days, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock of which `now` is the argument"
)]
impl Clock for DeviceClock {
    fn now(&self) -> Timestamp {
        let (now, days) = (Timestamp::from(SystemTime::now()), self.0.load(Ordering::Relaxed));
        let off = days.unsigned_abs().saturating_mul(DAY);
        if days < 0 { now.minus(off) } else { now.plus(off) }
    }
}
