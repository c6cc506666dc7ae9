use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kp_core::client::{KeyVault, PoolMetadataStore};
use kp_core::protocol::KeyPackageTransport;
use kp_core::{Clock, Timestamp};
use tokio::sync::Mutex;

use crate::ledger::Ledger;
use crate::plan::{CiphersuitePlan, PoolConfigError, checked};
use crate::policy::Policy;
use crate::pool::{Inner, KeyPackagePool};

impl<V: KeyVault> KeyPackagePool<V> {
    /// Makes a pool of these parts, to be configured. An app that uses its vault elsewhere too passes an `Arc` of it.
    pub fn builder(
        vault: V,
        metadata: impl PoolMetadataStore + 'static,
        transport: impl KeyPackageTransport,
    ) -> PoolBuilder<V> {
        PoolBuilder {
            vault,
            metadata: Arc::new(metadata),
            transport: Arc::new(transport),
            clock: Arc::new(|| Timestamp::from(system_time())),
            plans: Vec::new(),
            rotate_every: Duration::from_secs(28 * 86_400),
            keep_old: Duration::from_secs(28 * 86_400),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock of which `now` is the argument"
)]
fn system_time() -> SystemTime {
    SystemTime::now()
}

/// The policy of a [`KeyPackagePool`]. [`build`](Self::build) checks every setting.
#[must_use]
pub struct PoolBuilder<V> {
    vault: V,
    metadata: Arc<dyn PoolMetadataStore>,
    transport: Arc<dyn KeyPackageTransport>,
    clock: Arc<dyn Clock>,
    plans: Vec<CiphersuitePlan>,
    rotate_every: Duration,
    keep_old: Duration,
}

impl<V: KeyVault> PoolBuilder<V> {
    /// Adds a ciphersuite. At least one is required.
    pub fn ciphersuite(mut self, plan: CiphersuitePlan) -> Self {
        self.plans.push(plan);
        self
    }

    /// Sets how long a last-resort package that nobody used stays. Default: 28 days. Least: 1 s. The next refresh replaces a
    /// last resort that was used.
    pub fn rotate_last_resort(self, every: Duration) -> Self {
        Self {
            rotate_every: every,
            ..self
        }
    }

    /// Sets how long the key of a KeyPackage that was replaced or withdrawn is kept, never past its `not_after`. Default: 28
    /// days. Choose the time for which the server holds a Welcome for a client that is offline.
    pub fn keep_old(self, grace: Duration) -> Self {
        Self {
            keep_old: grace,
            ..self
        }
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Makes the pool.
    ///
    /// # Errors
    ///
    /// [`PoolConfigError`] names the setting that makes no sense.
    pub fn build(self) -> Result<KeyPackagePool<V>, PoolConfigError> {
        let rotate_every = self.rotate_every.as_secs();
        if rotate_every == 0 {
            return Err(PoolConfigError::RotateEvery);
        }
        Ok(KeyPackagePool(Arc::new(Inner {
            policy: Policy {
                plans: checked(self.plans)?,
                rotate_every,
                keep_old: self.keep_old.as_secs(),
            },
            ledger: Mutex::new(Ledger {
                vault: self.vault,
                metadata: self.metadata,
            }),
            transport: self.transport,
            clock: self.clock,
            rounds: Mutex::default(),
            started: 0.into(),
        })))
    }
}

impl<V> std::fmt::Debug for PoolBuilder<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("plans", &self.plans)
            .finish_non_exhaustive()
    }
}
