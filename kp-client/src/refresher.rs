use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kp_core::Timestamp;
use kp_core::client::KeyVault;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, warn};

use crate::error::Result;
use crate::pool::KeyPackagePool;
use crate::report::RefreshReport;

impl<V: KeyVault> KeyPackagePool<V> {
    /// Refreshes now, and then at least this often, give or take a quarter, and earlier when something is due. Needs a
    /// tokio runtime.
    pub fn start_refresher(&self, every: Duration) -> Refresher {
        let (running, stopped) = watch::channel(());
        let task = tokio::spawn(run(self.clone(), every.max(Duration::from_secs(1)), stopped));
        Refresher { running, task }
    }

    /// Refreshes every so many messages, for an app without a background.
    #[must_use]
    pub fn refresh_every(&self, messages: NonZeroU32) -> RefreshEvery<V> {
        RefreshEvery {
            pool: self.clone(),
            messages,
            seen: AtomicU32::new(0),
        }
    }
}

/// A task that refreshes a pool now and then. Dropped, it stops once the refresh under way is done;
/// [`stop`](Self::stop) also waits for that.
#[derive(Debug)]
#[must_use = "a refresher that is dropped stops"]
pub struct Refresher {
    /// Dropped to stop the task.
    running: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Refresher {
    /// Stops it, and waits until the refresh that is under way is done.
    pub async fn stop(self) {
        drop(self.running);
        if let Err(error) = self.task.await {
            error!(%error, "the refresher had ended");
        }
    }
}

async fn run<V: KeyVault>(pool: KeyPackagePool<V>, every: Duration, mut stopped: watch::Receiver<()>) {
    loop {
        let due = match pool.refresh().await {
            Ok(report) => report.next_at,
            Err(error) => {
                // It is made up for by a later one.
                warn!(error = &error as &dyn std::error::Error, "a refresh failed");
                None
            }
        };
        let now = pool.0.clock.now();
        let until = |at: Timestamp| Duration::from_secs(at.get().saturating_sub(now.get()).max(1).unsigned_abs());
        let pause = due.map_or(Duration::MAX, until).min(jittered(every));
        if timeout(pause, stopped.changed()).await.is_ok() {
            return;
        }
    }
}

/// So that the clients of a server that was away do not all come at once.
fn jittered(every: Duration) -> Duration {
    // Without randomness there is no jitter, which does no harm.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    let factor = 0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX);
    Duration::try_from_secs_f64(every.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// Refreshes a pool every so many messages: for an app that has no background, and counts what it sends and receives.
pub struct RefreshEvery<V> {
    pool: KeyPackagePool<V>,
    messages: NonZeroU32,
    seen: AtomicU32,
}

impl<V: KeyVault> RefreshEvery<V> {
    /// Counts a message, and refreshes when it is the one.
    ///
    /// # Errors
    ///
    /// As in [`KeyPackagePool::refresh`].
    pub async fn message(&self) -> Result<Option<RefreshReport>, V> {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if seen % self.messages == 0 {
            self.pool.refresh().await.map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<V> fmt::Debug for RefreshEvery<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshEvery")
            .field("messages", &self.messages)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
