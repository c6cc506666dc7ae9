use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::KeyPackageDirectory;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Packages past their `not_after`.
    pub expired: u64,
    /// Leases and claim windows that had ended.
    pub lapsed: u64,
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
    pub(crate) fn start(directory: KeyPackageDirectory, every: Duration) -> Self {
        let (running, stopped) = watch::channel(());
        let task = tokio::spawn(run(directory, every.max(Duration::from_secs(1)), stopped));
        Self { running, task }
    }

    /// Stops it, and waits until the step that is under way is done.
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
