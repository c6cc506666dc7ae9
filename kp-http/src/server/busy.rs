use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kp_core::PoolId;

/// Counts the requests that each caller has under way: a caller may hold as many bodies in memory as it may have requests.
#[derive(Debug, Default, Clone)]
pub(crate) struct Busy(Arc<Mutex<HashMap<PoolId, u32>>>);

/// One request under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    busy: Busy,
    caller: PoolId,
}

impl Busy {
    /// Counts one more request, unless the caller has `most` under way.
    pub(crate) fn begin(&self, caller: &PoolId, most: u32) -> Option<UnderWay> {
        let mut counts = self.counts();
        let count = counts.entry(caller.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(UnderWay {
            busy: self.clone(),
            caller: caller.clone(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<PoolId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut counts = self.busy.counts();
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}
