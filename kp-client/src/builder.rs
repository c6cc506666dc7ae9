use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kp_core::client::{KeyVault, LeaseHolder, PoolMetadataStore};
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
            skew: Duration::from_secs(3_600),
            timeout: Duration::from_secs(15),
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
    skew: Duration,
    timeout: Duration,
}

impl<V: KeyVault> PoolBuilder<V> {
    /// Adds a ciphersuite. At least one is required.
    pub fn ciphersuite(mut self, plan: CiphersuitePlan) -> Self {
        self.plans.push(plan);
        self
    }

    /// Sets how long a last-resort package that nobody used stays. Default: 28 days. Least: 1 s. A refresh replaces a last
    /// resort that was used once it is a day old.
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

    /// Sets by how much the client's clock and the server's may differ. Default: 1 h. While they differ by more, nothing is
    /// made, rotated or deleted on account of time, unless the server takes a package as a probe.
    pub fn skew(self, allowed: Duration) -> Self {
        Self { skew: allowed, ..self }
    }

    /// Sets how long a call waits for another process of the client that reads and writes the storage. Default: 15 s, which is
    /// longer than a process that died is waited for.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
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
        let mut holder = [0; 16];
        getrandom::fill(&mut holder).map_err(|_| PoolConfigError::Randomness)?;
        Ok(KeyPackagePool(Arc::new(Inner {
            policy: Policy {
                plans: checked(self.plans)?,
                rotate_every,
                keep_old: self.keep_old.as_secs(),
                skew: self.skew.as_secs(),
            },
            holder: LeaseHolder::from_bytes(holder),
            timeout: self.timeout,
            ledger: Ledger {
                vault: self.vault,
                metadata: self.metadata,
            },
            turns: Mutex::default(),
            joins: Mutex::default(),
            looked: false.into(),
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
