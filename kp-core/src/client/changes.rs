use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Fence, KeyPackageMetadata, Lifecycle, MetadataRejection, PoolRecord};
use crate::{KeyPackageRef, Timestamp};

/// Lists changes of a client's metadata that happen as one atomic step:
/// [`PoolMetadataStore::apply`](crate::client::PoolMetadataStore::apply).
///
/// ```
/// use kp_core::client::{Lifecycle, MetadataChanges};
/// # use kp_core::{KeyPackageRef, Timestamp};
/// # let (spent, old) = (KeyPackageRef::try_from("a")?, KeyPackageRef::try_from("b")?);
/// # let now = Timestamp::MIN;
///
/// let changes = MetadataChanges::new().step([(spent, Lifecycle::Spent)], now).delete([old]);
/// assert!(!changes.is_empty());
/// # Ok::<(), kp_core::InvalidId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MetadataChanges {
    /// The rows to create, in order ([META-1](crate::contract::META_1)).
    pub create: Vec<KeyPackageMetadata>,
    /// The packages that an upload is about to name, and when ([META-1](crate::contract::META_1)).
    pub offer: Vec<(KeyPackageRef, Timestamp)>,
    /// The steps to take, in order, and when ([META-2](crate::contract::META_2)).
    pub step: Vec<(KeyPackageRef, Lifecycle, Timestamp)>,
    /// The rows to delete ([META-3](crate::contract::META_3)).
    pub delete: Vec<KeyPackageRef>,
    /// The record that replaces the pool's record ([META-6](crate::contract::META_6)).
    pub record: Option<PoolRecord>,
    /// The fence that must be current ([META-5](crate::contract::META_5)).
    pub fence: Option<Fence>,
}

impl MetadataChanges {
    /// Changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates these rows.
    #[must_use]
    pub fn create(mut self, rows: impl IntoIterator<Item = KeyPackageMetadata>) -> Self {
        self.create.extend(rows);
        self
    }

    /// Marks these packages as offered at `now`, unless they were offered before.
    #[must_use]
    pub fn offer(mut self, refs: impl IntoIterator<Item = KeyPackageRef>, now: Timestamp) -> Self {
        self.offer.extend(refs.into_iter().map(|named| (named, now)));
        self
    }

    /// Takes these steps at `now`, after those that were given before.
    #[must_use]
    pub fn step(mut self, steps: impl IntoIterator<Item = (KeyPackageRef, Lifecycle)>, now: Timestamp) -> Self {
        self.step.extend(steps.into_iter().map(|(named, to)| (named, to, now)));
        self
    }

    /// Deletes these rows.
    #[must_use]
    pub fn delete(mut self, refs: impl IntoIterator<Item = KeyPackageRef>) -> Self {
        self.delete.extend(refs);
        self
    }

    /// Replaces the record of the pool.
    #[must_use]
    pub fn record(mut self, record: PoolRecord) -> Self {
        self.record = Some(record);
        self
    }

    /// Refuses everything unless this fence is current. Default: no fence is looked at.
    #[must_use]
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Returns whether there is nothing to change and no fence to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the refs of the rows that [`decide`](Self::decide) looks at.
    #[must_use]
    pub fn named(&self) -> BTreeSet<&KeyPackageRef> {
        let created = self.create.iter().map(|row| &row.key_package_ref);
        let offered = self.offer.iter().map(|(named, _)| named);
        let stepped = self.step.iter().map(|(named, ..)| named);
        created.chain(offered).chain(stepped).collect()
    }

    /// Decides what becomes of rows: creations, then offers, then steps. A store calls this inside its atomic step,
    /// once the fence was let in, with the stored ones of the rows that are [`named`](Self::named). If nothing is
    /// refused, the store writes all of `rows`, and then deletes those of [`delete`](Self#structfield.delete).
    ///
    /// # Errors
    ///
    /// The rejection of the first change that fails. Throw the rows away then.
    pub fn decide(&self, rows: &mut BTreeMap<KeyPackageRef, KeyPackageMetadata>) -> Result<(), MetadataRejection> {
        for row in &self.create {
            if rows.insert(row.key_package_ref.clone(), row.clone()).is_some() {
                return Err(MetadataRejection::Exists);
            }
        }
        for (named, now) in &self.offer {
            let row = rows.get_mut(named).ok_or(MetadataRejection::NotFound)?;
            row.offered_at = row.offered_at.or(Some(*now));
        }
        for (named, to, now) in &self.step {
            let row = rows.get_mut(named).ok_or(MetadataRejection::NotFound)?;
            *row = row.step(*to, *now)?;
        }
        Ok(())
    }
}
