use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;
use tokio::task;

use crate::flaw::Torn;

/// Arranges the race that a torn call loses, so that the check does not depend on luck.
///
/// - A torn call stands in its window, between its two steps, until enough other calls came in.
/// - Where the torn calls are few, the others wait at the door until one of the torn stood in its window.
///
/// Both waits are bounded by [`Torn::timeout`].
/// The task that opened the store prepares the race and takes no part: its calls do not wait.
#[derive(Debug)]
pub(crate) struct Gate {
    torn: Torn,
    prepares: Option<task::Id>,
    /// How many calls came in: torn ones that read, and whole ones that changed something or saw a part.
    came: watch::Sender<u32>,
    /// Whether a torn call stood in its window, or is waited for no longer.
    open: watch::Sender<bool>,
    /// How many windows were entered by enough calls.
    met: AtomicU32,
}

impl Gate {
    /// The gate of a store whose calls race when torn; to be made by the task that prepares the race.
    pub(crate) fn of(torn: Torn) -> Self {
        Self {
            torn,
            prepares: task::try_id(),
            came: watch::Sender::new(0),
            open: watch::Sender::new(false),
            met: AtomicU32::new(0),
        }
    }

    fn races(&self) -> bool {
        task::try_id() != self.prepares
    }

    /// Counts a call that came in, and returns how many came so far. To be called within the step.
    pub(crate) fn come_in(&self) -> u32 {
        self.came.send_modify(|came| *came += 1);
        *self.came.borrow()
    }

    /// Waits between the two steps of a torn call, which came in as the n-th, until enough others came in after it.
    pub(crate) async fn window(&self, came: u32) {
        task::yield_now().await;
        if !self.races() {
            return;
        }
        self.open.send_replace(true);
        if self.met.load(Ordering::Relaxed) >= self.torn.races_needed() {
            return;
        }
        let mut others = self.came.subscribe();
        let enough = others.wait_for(|now| *now >= came + self.torn.others_needed());
        if self.in_time(enough).await {
            self.met.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits before a whole call until a torn one stood in its window.
    pub(crate) async fn door(&self) {
        let mut open = self.open.subscribe();
        if self.torn.has_a_door() && self.races() && !self.in_time(open.wait_for(|open| *open)).await {
            self.open.send_replace(true);
        }
    }

    async fn in_time(&self, event: impl Future) -> bool {
        tokio::time::timeout(self.torn.timeout(), event).await.is_ok()
    }
}
