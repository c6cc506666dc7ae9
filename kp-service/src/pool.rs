mod builder;
mod error;
mod join;
mod ledger;
mod plan;
mod policy;
mod refresher;
mod report;
mod round;
mod transport;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kp_core::{Ciphersuite, KeyPackageRef, KeyVault, PoolMetadataStore, PoolMetadataStoreExt as _};
use tokio::sync::Mutex;
use tracing::warn;

pub use builder::PoolBuilder;
pub use error::PoolError;
pub use plan::{CiphersuitePlan, PoolConfigError, Sizes};
pub use refresher::{RefreshEvery, Refresher};
pub use report::RefreshReport;
pub use transport::{KeyPackageTransport, TransportError};

use crate::Clock;
use ledger::{Ledger, Result};
use policy::Policy;
use round::Demand;

/// A client's own pool: it keeps KeyPackages on the server, and their keys safe.
///
/// Three parts make it: a [`KeyVault`] for the keys, a [`PoolMetadataStore`] for what is known of each package, and a
/// [`KeyPackageTransport`] to the server. [`refresh`](Self::refresh) is the one call that a messenger makes, now and then
/// and after each Welcome; [`join`](Self::join) is how it processes a Welcome. Cheap to clone; one per client and process.
///
/// - `POOL-1` There are never more one-time packages than the cap. Counted is what the server still holds, learned by
///   asking it: a client that counted what was handed out would deadlock at its cap.
/// - `POOL-2` [`should_replenish`](Self::should_replenish) below the low-water mark;
///   [`get_replenishment_needed`](Self::get_replenishment_needed) up to the target.
/// - `POOL-3` Rows first, then keys, then the upload. After a crash or a lost answer the *same* packages go out again,
///   none twice as another, none lost, and no key is without a row.
/// - `POOL-4` [`cleanup_expired`](Self::cleanup_expired) deletes the key first, then the row; a failure in between is
///   repaired by the next run.
/// - `POOL-5` [`mark_as_spent`](Self::mark_as_spent) when a Welcome was processed. What is replaced or taken back keeps
///   its key for a grace period.
/// - `POOL-6` A Welcome that does not decrypt, and a process that dies while it joins, do not cost the key.
/// - `POOL-7` [`refresh`](Self::refresh) does all of it, may be called from several places at once, and says when it is
///   due again.
///
/// # Cancellation
///
/// Every future may be dropped at any point; that is a crash at this point, which the next refresh repairs.
pub struct KeyPackagePool<V>(Arc<Inner<V>>);

struct Inner<V> {
    policy: Policy,
    ledger: Mutex<Ledger<V>>,
    transport: Arc<dyn KeyPackageTransport>,
    clock: Arc<dyn Clock>,
    /// Held for a whole round, with what the last one reported. Never taken while the ledger is held.
    rounds: Mutex<Option<Round>>,
    /// How many rounds have begun.
    started: AtomicU64,
}

struct Round {
    number: u64,
    report: RefreshReport,
}

impl<V: KeyVault> KeyPackagePool<V> {
    /// A pool of these parts, to be configured. An app that uses its vault elsewhere too passes an `Arc` of it.
    pub fn builder(
        vault: V,
        metadata: Arc<dyn PoolMetadataStore>,
        transport: Arc<dyn KeyPackageTransport>,
    ) -> PoolBuilder<V> {
        PoolBuilder::new(vault, metadata, transport)
    }

    /// Does whatever is due (`POOL-7`): recovers joins that died, deletes what is over, learns from the server what was
    /// used, makes packages where there are fewer than the low-water mark, uploads what the server lacks, rotates the last
    /// resort, and takes back what the server should not have. New ones are up before old ones are taken back.
    ///
    /// Calls at once share their work: one that waited for a round which began after it was made has that round's report.
    ///
    /// # Errors
    ///
    /// [`PoolError`]; what was done until then stays done, and the next refresh does the rest.
    pub async fn refresh(&self) -> Result<RefreshReport, V> {
        let begun = self.0.started.load(Ordering::SeqCst);
        let mut last = self.0.rounds.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.number > begun) {
            return Ok(last.report.clone());
        }
        let number = self.0.started.fetch_add(1, Ordering::SeqCst) + 1;
        let report = self.round(Demand::Refill).await?;
        *last = Some(Round {
            number,
            report: report.clone(),
        });
        Ok(report)
    }

    /// Makes up to `count` one-time packages of a ciphersuite, as far as the cap allows (`POOL-1`), and uploads them. All
    /// else is as in [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// [`PoolError::NotPlanned`], and as in [`refresh`](Self::refresh).
    pub async fn generate_and_update_pool(&self, suite: Ciphersuite, count: u32) -> Result<RefreshReport, V> {
        self.plan(suite)?;
        let _last = self.0.rounds.lock().await;
        self.0.started.fetch_add(1, Ordering::SeqCst);
        self.round(Demand::More(suite, count)).await
    }

    /// The vault makes packages for another credential now: publishes new ones, and then takes back the old ones, whose
    /// keys are kept for the grace period (`POOL-5`).
    ///
    /// It is a [`refresh`](Self::refresh), since every refresh compares credentials: one that fails here, or a process
    /// that dies, is made up for by the next.
    ///
    /// # Errors
    ///
    /// As in [`refresh`](Self::refresh).
    pub async fn credential_changed(&self) -> Result<RefreshReport, V> {
        self.refresh().await
    }

    /// Runs the app's own join, with the packages that the Welcome names (`POOL-6`). Neither a failed attempt nor a killed
    /// process costs a key; after a success the key is gone, but for a last resort.
    ///
    /// `refs` are all refs of the Welcome; those of others are passed over. The attempt runs once the keys are safe, and
    /// must not call the pool. It must store the group before it returns.
    ///
    /// A process that dies between the attempt and this call's end may leave the key of a join that had succeeded; it is
    /// kept like that of a package handed out, until its `not_after`, or until the app calls
    /// [`mark_as_spent`](Self::mark_as_spent).
    ///
    /// # Errors
    ///
    /// [`PoolError::UnknownPackage`], [`PoolError::ExpiredPackage`] and [`PoolError::KeyGone`], or a failure: the attempt
    /// was not made then. The inner result is the attempt's own.
    pub async fn join<G, F>(
        &self,
        refs: &[KeyPackageRef],
        attempt: impl FnOnce() -> std::result::Result<G, F> + Send,
    ) -> Result<std::result::Result<G, F>, V>
    where
        G: Send,
        F: Send,
    {
        let now = self.0.clock.now();
        let ledger = self.0.ledger.lock().await;
        let rows = ledger.begin_join(refs, now).await?;
        let result = attempt();
        let recorded = match &result {
            Ok(_) => ledger.joined(&rows, now).await,
            Err(_) => ledger.not_joined(&rows, now).await,
        };
        // The attempt's result must not be lost over it: the next refresh, or the next join, puts it right.
        if let Err(error) = recorded {
            warn!(
                error = &error as &dyn std::error::Error,
                "the end of a join was not recorded"
            );
        }
        Ok(result)
    }

    /// A Welcome was processed with these packages, other than by [`join`](Self::join): the keys of one-time packages are
    /// deleted; a last resort is replaced by the next refresh (`POOL-5`).
    ///
    /// # Errors
    ///
    /// [`PoolError::UnknownPackage`], and nothing is done, if one is not this pool's; a package that cannot become spent
    /// any more; or a failure.
    pub async fn mark_as_spent(&self, refs: &[KeyPackageRef]) -> Result<(), V> {
        let ledger = self.0.ledger.lock().await;
        ledger.mark_as_spent(refs, self.0.clock.now()).await
    }

    /// Deletes what is spent, expired, refused, or past its grace period, and says how many packages: keys first
    /// (`POOL-4`). Needs no server.
    ///
    /// # Errors
    ///
    /// Failures; the next run does the rest.
    pub async fn cleanup_expired(&self) -> Result<u32, V> {
        let ledger = self.0.ledger.lock().await;
        ledger.clean_up(self.0.clock.now()).await
    }

    /// How many one-time packages of a ciphersuite the server can hand out, as far as is known.
    ///
    /// # Errors
    ///
    /// [`PoolError::NotPlanned`], or a failure.
    pub async fn get_available_count(&self, suite: Ciphersuite) -> Result<u32, V> {
        self.plan(suite)?;
        let ledger = self.0.ledger.lock().await;
        Ok(ledger.metadata.get_available_count(suite, self.0.clock.now()).await?)
    }

    /// Whether a refresh would make packages: there are fewer than the low-water mark of some ciphersuite, or a last
    /// resort is due (`POOL-2`). Packages in the last tenth of their lifetime, or of an old credential, do not count.
    ///
    /// # Errors
    ///
    /// Failures.
    pub async fn should_replenish(&self) -> Result<bool, V> {
        let ledger = self.0.ledger.lock().await;
        let survey = ledger.survey(&self.0.policy, self.0.clock.now()).await?;
        let mut plans = self.0.policy.plans.values();
        Ok(plans.any(|plan| survey.is_low(plan) || survey.lacks_last_resort(plan)))
    }

    /// How many one-time packages of a ciphersuite are missing up to the target, as far as the cap allows (`POOL-2`).
    ///
    /// # Errors
    ///
    /// [`PoolError::NotPlanned`], or a failure.
    pub async fn get_replenishment_needed(&self, suite: Ciphersuite) -> Result<u32, V> {
        let plan = self.plan(suite)?;
        let ledger = self.0.ledger.lock().await;
        let survey = ledger.survey(&self.0.policy, self.0.clock.now()).await?;
        Ok(survey.shortage(plan))
    }

    /// Refreshes now, and then at least this often, give or take a quarter, and earlier when something is due. Needs a
    /// tokio runtime.
    pub fn start_refresher(&self, every: Duration) -> Refresher {
        Refresher::start(self.clone(), every)
    }

    /// Refreshes every so many messages, for an app without a background.
    #[must_use]
    pub fn refresh_every(&self, messages: NonZeroU32) -> RefreshEvery<V> {
        RefreshEvery::new(self.clone(), messages)
    }
}

impl<V> Clone for KeyPackagePool<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for KeyPackagePool<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPackagePool").finish_non_exhaustive()
    }
}
