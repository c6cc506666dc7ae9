use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kp_core::client::{KeyPackageMetadata, KeyVault, Lifecycle, PoolMetadataStore, PoolRecord};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageRef, Role, Timestamp};

use crate::error::{PoolError, Result};
use crate::pace;
use crate::policy::{Policy, is_held};
use crate::rows::Rows;
use crate::survey::Survey;

/// A row without a key is left alone for so long after it was made: another process may be about to store the key.
const YOUNG: u64 = 3_600;

/// The keys and their rows, which only change together and in this order: the row, then the key; and away with the key,
/// then the row (`POOL-3`, `POOL-4`). So no key is ever without a row, wherever a process dies. The row of a package that was
/// used stays, and says `Spent` once the key is gone (`POOL-11`).
pub(crate) struct Ledger<V> {
    pub(crate) vault: V,
    pub(crate) metadata: Arc<dyn PoolMetadataStore>,
}

/// Returns whether a row may wait for its key: it was made a moment ago.
pub(crate) fn is_young(row: &KeyPackageMetadata, now: Timestamp) -> bool {
    row.created_at.minus(YOUNG) <= now && now < row.created_at.plus(YOUNG)
}

impl<V: KeyVault> Ledger<V> {
    /// Reads the rows that can still change: all but those of spent packages.
    pub(crate) async fn rows(&self) -> Result<Rows, V> {
        let rows = self.metadata.list().await?.into_iter();
        Ok(rows.filter(|row| row.lifecycle != Lifecycle::Spent).collect())
    }

    pub(crate) async fn record(&self) -> Result<PoolRecord, V> {
        Ok(self.metadata.record().await?)
    }

    pub(crate) fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, V> {
        self.vault.package(key_package_ref).map_err(PoolError::Vault)
    }

    pub(crate) fn survey<'a>(
        &self,
        policy: &'a Policy,
        rows: &'a Rows,
        record: &PoolRecord,
        now: Timestamp,
    ) -> Result<Survey<'a>, V> {
        let credential = |suite: &Ciphersuite| Ok((*suite, self.vault.credential(*suite)?));
        let credentials: std::result::Result<BTreeMap<_, _>, _> = policy.plans.keys().map(credential).collect();
        let mut keyless = BTreeSet::new();
        let may_be_up = rows.iter().filter(|row| is_held(row) || row.role.is_last_resort());
        // An older row without a key was dropped.
        for row in may_be_up.filter(|row| is_young(row, now)) {
            if self.package(&row.key_package_ref)?.is_none() {
                keyless.insert(&row.key_package_ref);
            }
        }
        let waits = |row: &&KeyPackageMetadata| {
            row.role == Role::OneTime && is_held(row) && row.not_before.is_some_and(|at| now < at)
        };
        let waiting = rows.iter().filter(waits).map(|row| row.ciphersuite);
        Ok(Survey {
            policy,
            rows,
            credentials: credentials.map_err(PoolError::Vault)?,
            keyless,
            waiting: waiting.collect(),
            server: record.server_time,
            has_strangers: record.strangers >= pace::STRANGERS,
            now,
        })
    }
}
