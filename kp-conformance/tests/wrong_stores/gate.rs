use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::task;

use crate::flaw::Torn;

/// In how many turns a call waits for others: far more than they need, where they come.
pub(crate) const TURNS: u32 = 200;

/// Lets the others have their turns, until something has happened. Says whether it has, within [`TURNS`].
///
/// The checks run in turns on one thread, so that this waits for no clock, however busy the machine is.
pub(crate) async fn turns_until(happened: impl Fn() -> bool) -> bool {
    for _ in 0..TURNS {
        if happened() {
            return true;
        }
        task::yield_now().await;
    }
    happened()
}

/// Arranges the race that a torn call loses, so that the check does not depend on luck.
///
/// - A torn call stands in its window, between its two steps, until enough other calls came in.
/// - Where the torn calls are few, the others wait at the door until one of the torn stood in its window.
///
/// The task that opened the store prepares the race and takes no part: its calls do not wait.
#[derive(Debug)]
pub(crate) struct Gate {
    torn: Torn,
    prepares: Option<task::Id>,
    /// How many calls came in: torn ones that read, and whole ones that changed something or saw a part.
    came: AtomicU32,
    /// Whether a torn call stood in its window, or is waited for no longer.
    open: AtomicBool,
    /// How many windows were entered by enough calls.
    met: AtomicU32,
}

impl Gate {
    /// The gate of a store whose calls race when torn; to be made by the task that prepares the race.
    pub(crate) fn of(torn: Torn) -> Self {
        Self {
            torn,
            prepares: task::try_id(),
            came: AtomicU32::default(),
            open: AtomicBool::default(),
            met: AtomicU32::default(),
        }
    }

    fn races(&self) -> bool {
        task::try_id() != self.prepares
    }

    /// Counts a call that came in, and returns how many came so far. To be called within the step.
    pub(crate) fn come_in(&self) -> u32 {
        self.came.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Waits between the two steps of a torn call, which came in as the n-th, until enough others came in after it.
    pub(crate) async fn window(&self, came: u32) {
        task::yield_now().await;
        if !self.races() {
            return;
        }
        self.open.store(true, Ordering::Relaxed);
        if self.met.load(Ordering::Relaxed) >= self.torn.races_needed() {
            return;
        }
        let enough = came + self.torn.others_needed();
        if turns_until(|| self.came.load(Ordering::Relaxed) >= enough).await {
            self.met.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits before a whole call until a torn one stood in its window.
    pub(crate) async fn door(&self) {
        if self.torn.has_a_door() && self.races() {
            turns_until(|| self.open.load(Ordering::Relaxed)).await;
            self.open.store(true, Ordering::Relaxed);
        }
    }
}
