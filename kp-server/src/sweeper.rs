use std::time::Duration;

use kp_core::{Result, Timestamp};
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::clock_check::{ClockCheck, PROBATION, Verdict};
use crate::directory::{Inner, KeyPackageDirectory, STEP};
use crate::observe::{Source, count_leap, count_swept, note_swept_until, observe};

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
    /// A call of `sweep` is the operator's word that the clock is right: what is removed is forgotten, and the same
    /// KeyPackage could be uploaded and handed out again if the clock was ahead. A [`Sweeper`] checks its clock first.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn sweep(&self) -> Result<Swept> {
        self.sweep_at(self.now(), true).await
    }

    /// Starts a task that sweeps at once, and then every so often, a second at least. The task stops when the [`Sweeper`] is
    /// dropped. A sweep that fails is logged, and the next one tries again.
    ///
    /// The task settles what has lapsed at every turn. It removes what has expired only by a clock that it trusts:
    ///
    /// - The first time is one [`skew`](crate::DirectoryBuilder::skew) after the start.
    /// - Between two turns, and since the start, the directory's clock and a monotonic clock must have moved alike within the
    ///   skew (a minute at least). Otherwise the clock leapt, and nothing is removed until both have moved alike for 24 hours. A leap is
    ///   logged as a warning and counted.
    ///
    /// A machine that slept looks like a clock that leapt, since a monotonic clock may stand still meanwhile.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime; the task ends if the runtime has no timers (`enable_time`).
    pub fn start_sweeper(&self, every: Duration) -> Sweeper {
        let (running, stopped) = watch::channel(());
        let check = ClockCheck::new(self.0.config.skew, self.now(), Instant::now());
        let task = tokio::spawn(run(self.clone(), every.max(Duration::from_secs(1)), check, stopped));
        Sweeper { running, task }
    }

    /// Settles what has lapsed at `now`, and removes what had expired one skew before, if asked to.
    async fn sweep_at(&self, now: Timestamp, expire: bool) -> Result<Swept> {
        observe("sweep", async {
            let Inner { store, config, .. } = &*self.0;
            // One pool that cannot be settled keeps nothing else from being removed.
            let lapsed = until_nothing_is_left("lapsed", || store.release_expired_reservations(now, STEP)).await;
            if lapsed.is_ok() {
                note_swept_until("lapsed", now);
            }
            let expired = if expire {
                // DIR-4: what is swept is forgotten, so no node's clock may still be behind.
                let behind = now.minus(config.skew.as_secs());
                let expired = until_nothing_is_left("expired", || store.cleanup_expired(behind, STEP)).await?;
                note_swept_until("expired", behind);
                expired
            } else {
                0
            };
            Ok(Swept {
                expired,
                lapsed: lapsed?,
            })
        })
        .await
    }

    /// One turn of a sweeper.
    async fn turn(&self, check: &mut ClockCheck) {
        let now = self.now();
        let verdict = check.turn(now, Instant::now());
        let hours = PROBATION.as_secs() / 3_600;
        match verdict {
            Verdict::Leapt(seconds) => {
                count_leap();
                warn!(
                    seconds,
                    "the clock leapt: for {hours} h, what has expired is not removed"
                );
            }
            Verdict::SoundAgain => info!("the clock kept time for {hours} h: what has expired is removed again"),
            Verdict::Sound | Verdict::Wait => {}
        }
        let expire = matches!(verdict, Verdict::Sound | Verdict::SoundAgain);
        // A failure is counted and logged by the directory; the next turn may do better.
        let _ = self.sweep_at(now, expire).await;
    }
}

/// Repeats a step of a sweep until it finds nothing, and returns how much all steps found.
async fn until_nothing_is_left<F>(what: &'static str, step: impl Fn() -> F) -> Result<u64>
where
    F: Future<Output = Result<u64>>,
{
    let mut all = 0_u64;
    loop {
        let found = step().await?;
        count_swept(what, found);
        if found == 0 {
            return Ok(all);
        }
        all = all.saturating_add(found);
        // A store in memory is always ready: others have their turn, and a sweeper hears that it is stopped.
        yield_now().await;
    }
}

/// A task that sweeps a store now and then. Dropped, it stops at once, like [`stop`](Self::stop).
#[derive(Debug)]
#[must_use = "a sweeper that is dropped stops"]
pub struct Sweeper {
    /// Dropped to stop the task.
    running: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Sweeper {
    /// Stops the task, and waits until it is gone. The step under way is dropped, whatever the store does: a sweep is a
    /// series of steps, and the next sweep goes on where this one was.
    pub async fn stop(self) {
        drop(self.running);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the sweeper had ended");
        }
    }
}

async fn run(directory: KeyPackageDirectory, every: Duration, mut check: ClockCheck, mut stopped: watch::Receiver<()>) {
    let mut turns = interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let turn = async {
            turns.tick().await;
            directory.turn(&mut check).await;
        };
        tokio::select! {
            biased;
            _ = stopped.changed() => return,
            () = turn => {}
        }
    }
}
