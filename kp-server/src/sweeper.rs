use std::time::Duration;

use kp_core::Result;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::directory::{Inner, KeyPackageDirectory, STEP};
use crate::observe::{Source, count_swept, observe};

/// The count of what a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Swept {
    /// Packages past their `not_after`.
    pub expired: u64,
    /// Leases and claim windows that had ended.
    pub lapsed: u64,
}

impl Source for Swept {}

impl KeyPackageDirectory {
    /// Removes what has expired and settles what has lapsed, in bounded steps beside live traffic, until nothing is left.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn sweep(&self) -> Result<Swept> {
        self.sweep_while(|| true).await
    }

    /// Starts a task that sweeps at once, and then every so often, a second at least. Needs a tokio runtime. The task stops
    /// when the [`Sweeper`] is dropped. A sweep that fails is logged, and the next one tries again.
    pub fn start_sweeper(&self, every: Duration) -> Sweeper {
        let (running, stopped) = watch::channel(());
        let task = tokio::spawn(run(self.clone(), every.max(Duration::from_secs(1)), stopped));
        Sweeper { running, task }
    }

    async fn sweep_while(&self, goes_on: impl Fn() -> bool) -> Result<Swept> {
        observe("sweep", async {
            let Inner { store, config, .. } = &*self.0;
            let now = self.now();
            let mut swept = Swept::default();
            // DIR-4: what is swept is forgotten, so no node's clock may still be behind.
            let behind = now.minus(config.skew.as_secs());
            while goes_on() {
                let removed = store.cleanup_expired(behind, STEP).await?;
                count_swept("expired", removed);
                swept.expired += removed;
                if removed == 0 {
                    break;
                }
            }
            while goes_on() {
                let lapsed = store.release_expired_reservations(now, STEP).await?;
                count_swept("lapsed", lapsed);
                swept.lapsed += lapsed;
                if lapsed == 0 {
                    break;
                }
            }
            Ok(swept)
        })
        .await
    }
}

/// A task that sweeps a store now and then. Dropped, it stops at the next step; [`stop`](Self::stop) also waits for that.
#[derive(Debug)]
#[must_use = "a sweeper that is dropped stops"]
pub struct Sweeper {
    /// Dropped to stop the task.
    running: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Sweeper {
    /// Stops the task, and waits until the step that is under way is done.
    pub async fn stop(self) {
        drop(self.running);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the sweeper had ended");
        }
    }
}

async fn run(directory: KeyPackageDirectory, every: Duration, mut stopped: watch::Receiver<()>) {
    let mut turns = interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            _ = turns.tick() => {
                // A failure is counted and logged by the directory; the next turn may do better.
                let _ = directory.sweep_while(|| stopped.has_changed().is_ok()).await;
            }
        }
    }
}
