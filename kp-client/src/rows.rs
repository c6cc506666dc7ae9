use std::collections::BTreeMap;

use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataChanges, MetadataRejection};
use kp_core::{KeyPackageRef, Timestamp};

/// The rows of a client: read once while the ledger is held, and kept in step with what is written to the store.
#[derive(Default)]
pub(crate) struct Rows(BTreeMap<KeyPackageRef, KeyPackageMetadata>);

impl Rows {
    pub(crate) fn get(&self, key_package_ref: &KeyPackageRef) -> Option<&KeyPackageMetadata> {
        self.0.get(key_package_ref)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeyPackageMetadata> {
        self.0.values()
    }

    pub(crate) fn refs(&self) -> Vec<KeyPackageRef> {
        self.0.keys().cloned().collect()
    }

    pub(crate) fn insert(&mut self, rows: impl IntoIterator<Item = KeyPackageMetadata>) {
        let named = rows.into_iter().map(|row| (row.key_package_ref.clone(), row));
        self.0.extend(named);
    }

    pub(crate) fn step(
        &mut self,
        steps: &[(KeyPackageRef, Lifecycle)],
        now: Timestamp,
    ) -> Result<(), MetadataRejection> {
        MetadataChanges::new()
            .step(steps.iter().cloned(), now)
            .decide(&mut self.0)
    }

    pub(crate) fn remove(&mut self, refs: &[KeyPackageRef]) {
        for key_package_ref in refs {
            self.0.remove(key_package_ref);
        }
    }
}

impl FromIterator<KeyPackageMetadata> for Rows {
    fn from_iter<I: IntoIterator<Item = KeyPackageMetadata>>(rows: I) -> Self {
        let mut all = Self::default();
        all.insert(rows);
        all
    }
}
