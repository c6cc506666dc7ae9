use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use kp_core::client::{KeyVault, PoolMetadataStoreExt as _};
use kp_core::protocol::KeyPackageTransport;
use kp_core::{Ciphersuite, Clock, KeyPackageRef};
use tokio::sync::Mutex;
use tracing::warn;

use crate::error::{PoolError, Result};
use crate::ledger::Ledger;
use crate::plan::CiphersuitePlan;
use crate::policy::Policy;
use crate::report::RefreshReport;

/// A client's own pool: it keeps KeyPackages on the server, and their keys safe.
///
/// Three parts make it: a [`KeyVault`] for the keys, a [`PoolMetadataStore`](kp_core::client::PoolMetadataStore) for what is known of each package, and a
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
pub struct KeyPackagePool<V>(pub(crate) Arc<Inner<V>>);

pub(crate) struct Inner<V> {
    pub(crate) policy: Policy,
    pub(crate) ledger: Mutex<Ledger<V>>,
    pub(crate) transport: Arc<dyn KeyPackageTransport>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held for a whole round, with what the last one reported. Never taken while the ledger is held.
    pub(crate) rounds: Mutex<Option<Round>>,
    /// How many rounds have begun.
    pub(crate) started: AtomicU64,
}

pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) report: RefreshReport,
}

impl<V: KeyVault> KeyPackagePool<V> {
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
        let mut rows = ledger.rows().await?;
        ledger.clean_up(&mut rows, self.0.clock.now()).await
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
        let rows = ledger.rows().await?;
        let survey = ledger.survey(&self.0.policy, &rows, self.0.clock.now())?;
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
        let rows = ledger.rows().await?;
        let survey = ledger.survey(&self.0.policy, &rows, self.0.clock.now())?;
        Ok(survey.shortage(plan))
    }

    pub(crate) fn plan(&self, suite: Ciphersuite) -> Result<&CiphersuitePlan, V> {
        self.0.policy.plans.get(&suite).ok_or(PoolError::NotPlanned(suite))
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
