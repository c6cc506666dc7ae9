//! Tells the server when a pool runs low (`DIR-7`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use kp_core::server::KeyPackageStore;
use kp_core::{Clock, PoolId, Timestamp};
use lru::LruCache;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::warn;

use crate::notice::Notice;
use crate::observe::{count_dropped_notice, count_notice};
use crate::outlook::{Event, MAX_POOLS, Outlook};

/// Makes a queue of notices: its one end for [`DirectoryBuilder::notify`](crate::DirectoryBuilder::notify), the other to
/// receive from. Up to `capacity` pools (at least one) wait in the queue; what overflows is dropped and counted.
///
/// ```
/// use kp_core::server::{Admission, KeyPackageStore};
/// use kp_server::{ConfigError, KeyPackageDirectory, NoticeKind, notices};
///
/// # async fn with(store: impl KeyPackageStore + 'static, admission: impl Admission) -> Result<(), ConfigError> {
/// let (subscriber, mut notices) = notices(1_000);
/// let directory = KeyPackageDirectory::builder(store, admission).notify(subscriber).build()?;
/// tokio::spawn(async move {
///     while let Some(notice) = notices.recv().await {
///         println!("wake the device of {:?}: {}", notice.pool, notice.kind.code());
///     }
/// });
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn notices(capacity: usize) -> (Subscriber, Notices) {
    let (queue, looks) = channel(capacity.max(1));
    let outlooks = Outlooks(Arc::new(Mutex::new(LruCache::new(MAX_POOLS))));
    let notices = Notices {
        looks,
        outlooks: outlooks.clone(),
        looking: None,
        found: VecDeque::new(),
    };
    (Subscriber { queue, outlooks }, notices)
}

/// What this node knows of the pools that it was asked for lately.
#[derive(Clone)]
struct Outlooks(Arc<Mutex<LruCache<PoolId, Outlook>>>);

impl Outlooks {
    fn with<T>(&self, pool: &PoolId, look: impl FnOnce(&mut Outlook) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(all.get_or_insert_mut_ref(pool, Outlook::new))
    }
}

/// The end of a queue of [`notices`] that a directory has.
pub struct Subscriber {
    queue: Sender<Look>,
    outlooks: Outlooks,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}

impl Subscriber {
    /// Queues a pool to be looked at, if it may have crossed a mark by this. Waits for nothing.
    pub(crate) fn note(&self, pool: &PoolId, event: Event, now: Timestamp, look: impl FnOnce() -> Look) {
        self.outlooks.with(pool, |outlook| {
            if !outlook.may_have_crossed(event, now) {
                return;
            }
            match self.queue.try_send(look()) {
                Ok(()) => outlook.queued(),
                Err(TrySendError::Full(_)) => {
                    outlook.look_again();
                    count_dropped_notice();
                }
                // Nobody receives any more.
                Err(TrySendError::Closed(_)) => {}
            }
        });
    }
}

/// A pool that may have crossed a mark, and what is needed to look at it.
pub(crate) struct Look {
    pub(crate) pool: PoolId,
    pub(crate) store: Arc<dyn KeyPackageStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) low_mark: u32,
}

/// Receives the notices of a directory.
///
/// A pool is looked at while a notice is awaited: no answer of the directory waits for that, and nothing is read if nobody
/// receives.
pub struct Notices {
    looks: Receiver<Look>,
    outlooks: Outlooks,
    /// Looked at again if a future of `recv` is dropped meanwhile.
    looking: Option<Look>,
    found: VecDeque<Notice>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

impl Notices {
    /// Waits for the next notice. `None`: the directory and all its clones are dropped.
    ///
    /// A failure of the store is logged, and costs the notices of one call.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped loses no notice.
    pub async fn recv(&mut self) -> Option<Notice> {
        loop {
            if let Some(notice) = self.found.pop_front() {
                count_notice(notice.kind.code());
                return Some(notice);
            }
            if self.looking.is_none() {
                self.looking = Some(self.looks.recv().await?);
            }
            if let Some(look) = &self.looking {
                let found = taken(look, &self.outlooks).await;
                self.found.extend(found);
                self.looking = None;
            }
        }
    }
}

/// Reads how the pool stands, and returns what is to be told of it.
async fn taken(look: &Look, outlooks: &Outlooks) -> Vec<Notice> {
    let now = look.clock.now();
    let counts = look.store.count_by_status(&look.pool, now).await;
    outlooks.with(&look.pool, |outlook| match counts {
        Ok(counts) => {
            let told = outlook.looked(&counts, look.low_mark, now).into_iter();
            told.map(|(kind, ciphersuite)| Notice {
                pool: look.pool.clone(),
                ciphersuite,
                kind,
            })
            .collect()
        }
        Err(error) => {
            outlook.look_again();
            warn!(error = &error as &dyn std::error::Error, "notices failed");
            Vec::new()
        }
    })
}
