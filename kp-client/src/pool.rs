use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use kp_core::client::{KeyVault, LeaseHolder, PoolMetadataStoreExt as _};
use kp_core::protocol::KeyPackageTransport;
use kp_core::{Ciphersuite, Clock, KeyPackageRef};
use tokio::sync::Mutex;
use tracing::warn;

use crate::error::{PoolError, Result};
use crate::ledger::Ledger;
use crate::mark;
use crate::plan::CiphersuitePlan;
use crate::policy::Policy;
use crate::report::RefreshReport;

/// Keeps a client's KeyPackages on the server, and their private keys safe.
///
/// A pool has three parts: a [`KeyVault`] for the keys, a
/// [`PoolMetadataStore`](kp_core::client::PoolMetadataStore) with a row for each KeyPackage, and a [`KeyPackageTransport`] to
/// the server. A messenger makes two calls: [`refresh`](Self::refresh) now and then and after each Welcome, and
/// [`join`](Self::join) for each Welcome. Cheap to clone. One per process; several processes of a client may share the
/// storage.
///
/// What a pool promises:
///
/// - **Never more than the cap.** The cap counts the one-time packages that the server still holds, and the pool learns them
///   by asking. A client that counted what was handed out would be stuck at its cap.
/// - **Nothing lost, nothing twice.** A pool writes the row first, then the key, then uploads. After a crash or a lost answer
///   the *same* KeyPackages go out again, and no key is without a row.
/// - **No key too early.** A Welcome that does not decrypt, or a process that dies while it joins, does not cost the key. A
///   KeyPackage that is replaced or withdrawn keeps its key for a grace period.
/// - **No key too long.** The key of a one-time package goes when a Welcome was processed with it, and at the latest when the
///   KeyPackage expires. Keys go before rows, so that a failure in between is repaired by the next run.
///
/// [`kp_core::contract`] has these rules in full, for those who write a vault or a metadata store.
///
/// # Cancellation
///
/// Every future may be dropped at any point. Dropping a future is a crash at this point, which the next refresh repairs.
pub struct KeyPackagePool<V>(pub(crate) Arc<Inner<V>>);

pub(crate) struct Inner<V> {
    pub(crate) policy: Policy,
    pub(crate) ledger: Ledger<V>,
    /// Held for a turn at the ledger.
    pub(crate) turns: Mutex<()>,
    /// Held for a join, so that two attempts of this process do not get in each other's way. Taken before a turn.
    pub(crate) joins: Mutex<()>,
    pub(crate) holder: LeaseHolder,
    pub(crate) timeout: Duration,
    pub(crate) transport: Arc<dyn KeyPackageTransport>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held for a whole round, with what the last one reported. Never taken while the ledger is held.
    pub(crate) rounds: Mutex<Option<Round>>,
    /// Whether this process has looked for keys that a backup brought back.
    pub(crate) looked: AtomicBool,
    /// How many rounds have begun.
    pub(crate) started: AtomicU64,
}

pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) report: RefreshReport,
}

impl<V: KeyVault> KeyPackagePool<V> {
    /// Runs the app's own join, with the KeyPackages that the Welcome names. Neither a failed attempt nor a killed process
    /// costs a key. After a success the key of a one-time package is gone; a last resort keeps its key.
    ///
    /// - `refs` are all refs of the Welcome. Refs of other clients are passed over.
    /// - `attempt` runs once the keys are safe. The attempt must not call the pool, and must store the group before it returns.
    /// - Another process's refresh is not waited for, and another process's join with the same one-time KeyPackage is
    ///   not attempted beside.
    ///
    /// If a process dies between the attempt and this call's end, the key of a join that had succeeded may stay, until the
    /// KeyPackage's `not_after`, or until the app calls [`mark_as_spent`](Self::mark_as_spent).
    ///
    /// # Errors
    ///
    /// [`PoolError::UnknownPackage`], [`PoolError::AlreadyUsed`], [`PoolError::ExpiredPackage`], [`PoolError::KeyGone`],
    /// [`PoolError::JoinUnderWay`], or a failure: the attempt was not made. The inner result is the attempt's own.
    pub async fn join<G, F>(
        &self,
        refs: &[KeyPackageRef],
        attempt: impl FnOnce() -> std::result::Result<G, F> + Send,
    ) -> Result<std::result::Result<G, F>, V>
    where
        G: Send,
        F: Send,
    {
        let _one = self.0.joins.lock().await;
        let rows = loop {
            let turn = self.turn().await?;
            let begun = mark::begun(self.0.holder, turn.now);
            let rows = turn.begin_join(refs, begun).await;
            let rows = turn.end(rows).await?;
            // A process that stood still here begins anew: the keys may have been used.
            if self.0.clock.now() < mark::alive_until(begun) {
                break rows;
            }
        };
        let result = attempt();
        let recorded = self.end_join(&rows, result.is_ok()).await;
        // The attempt's result must not be lost over it: the next refresh, or the next join, puts it right.
        if let Err(error) = recorded {
            warn!(
                error = &error as &dyn std::error::Error,
                "the end of a join was not recorded"
            );
        }
        Ok(result)
    }

    /// Records that a Welcome was processed with these KeyPackages, other than by [`join`](Self::join). Deletes the keys of
    /// one-time packages. The next refresh replaces a last resort. If the process dies before the call returns, call it again:
    /// where a [`join`](Self::join) with the KeyPackage had failed before, a second copy would bring the key back.
    ///
    /// # Errors
    ///
    /// [`PoolError::UnknownPackage`] when a KeyPackage is not this pool's, and nothing is done;
    /// [`MetadataRejection::IllegalStep`](kp_core::client::MetadataRejection::IllegalStep) when a KeyPackage cannot become
    /// spent any more; or a failure.
    pub async fn mark_as_spent(&self, refs: &[KeyPackageRef]) -> Result<(), V> {
        let turn = self.turn().await?;
        let marked = turn.mark_as_spent(refs).await;
        turn.end(marked).await
    }

    /// Deletes what is expired, refused, or past its grace period, keys first, and returns how many KeyPackages. The rows of
    /// the last 1,000 that were used stay until their `not_after`, without keys. Needs no server.
    ///
    /// # Errors
    ///
    /// Only failures. The next run does the rest.
    pub async fn cleanup_expired(&self) -> Result<u32, V> {
        let turn = self.turn().await?;
        let deleted = turn.clean_up().await;
        turn.end(deleted).await
    }

    /// Counts the one-time packages of a ciphersuite that the server can hand out, as far as the last refresh told.
    ///
    /// # Errors
    ///
    /// [`PoolError::NotPlanned`], or a failure.
    pub async fn get_available_count(&self, suite: Ciphersuite) -> Result<u32, V> {
        self.plan(suite)?;
        let metadata = &self.0.ledger.metadata;
        Ok(metadata.get_available_count(suite, self.0.clock.now()).await?)
    }

    /// Returns whether a refresh would make KeyPackages: some ciphersuite has fewer than its low-water mark, or a last resort
    /// is due. KeyPackages in the last tenth of their lifetime, or of an old credential, do not count.
    ///
    /// # Errors
    ///
    /// Only failures.
    pub async fn should_replenish(&self) -> Result<bool, V> {
        let ledger = &self.0.ledger;
        let (rows, record) = (ledger.rows().await?, ledger.record().await?);
        let survey = ledger.survey(&self.0.policy, &rows, &record, self.0.clock.now())?;
        let mut plans = self.0.policy.plans.values();
        Ok(plans.any(|plan| survey.is_low(plan) || survey.lacks_last_resort(plan)))
    }

    /// Counts the one-time packages of a ciphersuite that are missing up to the target, as far as the cap allows.
    ///
    /// # Errors
    ///
    /// [`PoolError::NotPlanned`], or a failure.
    pub async fn get_replenishment_needed(&self, suite: Ciphersuite) -> Result<u32, V> {
        let plan = self.plan(suite)?;
        let ledger = &self.0.ledger;
        let (rows, record) = (ledger.rows().await?, ledger.record().await?);
        let survey = ledger.survey(&self.0.policy, &rows, &record, self.0.clock.now())?;
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
