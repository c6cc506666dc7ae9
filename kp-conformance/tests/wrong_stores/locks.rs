use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kp_core::{BackendError, Effect, PoolId, Result};
use tokio::task::yield_now;

use crate::gate::turns_until;

/// The locks of pools, in a store that takes them item by item and gives them back when the batch is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locks {
    table: Arc<Mutex<Table>>,
    batches: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Table {
    /// Which batch holds a pool.
    held: HashMap<PoolId, u64>,
    /// Which batch waits for which.
    waits: HashMap<u64, u64>,
}

impl Table {
    /// Whether a batch that waits for this one waits for itself.
    fn closes_a_circle(&self, batch: u64, mut holder: u64) -> bool {
        while let Some(next) = self.waits.get(&holder) {
            holder = *next;
        }
        holder == batch
    }
}

impl Locks {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch that holds nothing yet.
    pub(crate) fn batch(&self) -> Batch {
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        Batch {
            locks: self.clone(),
            number,
        }
    }
}

/// A batch that is under way: what it holds is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Batch {
    locks: Locks,
    number: u64,
}

impl Batch {
    /// Takes the lock of a pool. The batch that would wait for itself fails, as databases have it.
    pub(crate) async fn lock(&self, pool: &PoolId) -> Result<()> {
        let (locks, number) = (&self.locks, self.number);
        let begins = !locks.table().held.values().any(|holder| *holder == number);
        loop {
            {
                let mut table = locks.table();
                let holder = *table.held.entry(pool.clone()).or_insert(number);
                table.waits.remove(&number);
                if holder == number {
                    break;
                }
                if table.closes_a_circle(number, holder) {
                    let deadlock = "a deadlock was detected";
                    return Err(BackendError::transient("flawed", "claim", Effect::NotApplied, deadlock).into());
                }
                table.waits.insert(number, holder);
            }
            yield_now().await;
        }
        if begins {
            // Another batch is let begin with another pool.
            turns_until(|| locks.table().held.values().any(|holder| *holder != number)).await;
        }
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut table = self.locks.table();
        table.held.retain(|_, holder| *holder != self.number);
        table.waits.remove(&self.number);
    }
}
