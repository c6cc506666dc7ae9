//! A store of metadata with one flaw, and its backend.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::client::MetadataRejection::{self, Exists, Held, IllegalStep, NotFound};
use kp_core::client::{
    Fence, JoinMark, KeyPackageMetadata, LeaseHolder, LeaseName, Lifecycle, MetadataChanges, MetadataResult,
    PoolMetadataStore, PoolRecord, StorageLease,
};
use kp_core::{KeyPackageRef, OpenError, Timestamp, Ttl};

use crate::flaw::Flaw;

type Rows = BTreeMap<KeyPackageRef, KeyPackageMetadata>;

/// All that a store keeps.
#[derive(Debug, Default, Clone)]
pub(crate) struct Content {
    rows: Rows,
    leases: BTreeMap<LeaseName, StorageLease>,
    record: PoolRecord,
}

impl Flaw {
    fn apply(self, content: &mut Content, changes: &MetadataChanges) -> Result<u64, MetadataRejection> {
        if self == Self::ChangesApart {
            let fenced = |mut part: MetadataChanges| {
                part.fence = changes.fence;
                Self::Nothing.apply(content, &part)
            };
            let new = MetadataChanges::new;
            let (mut offers, mut steps, mut rest) = (new(), new(), changes.clone());
            offers.offer = std::mem::take(&mut rest.offer);
            steps.step = std::mem::take(&mut rest.step);
            let creations = new().create(std::mem::take(&mut rest.create));
            return [creations, offers, steps, rest].into_iter().map(fenced).sum();
        }
        let before = content.clone();
        let applied = self.apply_in_order(content, changes);
        if let Err(rejection) = applied {
            let left = std::mem::replace(content, before);
            match (self, rejection) {
                (Self::CreatesHalf, Exists) | (Self::StepsHalf, NotFound | IllegalStep { .. }) => {
                    content.rows = left.rows;
                }
                (Self::RecordsApart, Exists | NotFound | IllegalStep { .. }) => {
                    content.record = changes.record.clone().unwrap_or_default();
                }
                _ => {}
            }
        }
        applied
    }

    fn apply_in_order(self, content: &mut Content, changes: &MetadataChanges) -> Result<u64, MetadataRejection> {
        let admitted = self.admit(content, changes);
        if self != Self::FencesLast {
            admitted?;
        }
        self.create(&mut content.rows, &changes.create)?;
        for (named, now) in &changes.offer {
            match content.rows.get_mut(named) {
                Some(row) if self == Self::OffersAnew => row.offered_at = Some(*now),
                Some(row) => row.offered_at = row.offered_at.or(Some(*now)),
                None if self == Self::OffersUnknown => {}
                None => return Err(NotFound),
            }
        }
        self.step(&mut content.rows, &changes.step)?;
        admitted?;
        if let Some(record) = &changes.record {
            let kept = content.record.numbers().filter(|_| self == Self::MergesRecords);
            let written = record
                .numbers()
                .filter(|(key, _)| self != Self::KeepsKnownNumbers || *key < 0xFFFE_0000);
            content.record = PoolRecord::from_numbers(kept.chain(written)).expect("the numbers are a record's");
        }
        let removed = changes
            .delete
            .iter()
            .filter(|named| content.rows.remove(*named).is_some());
        let deleted = removed.count();
        match self {
            Self::CountsRefs => Ok(changes.delete.len() as u64),
            Self::MissesRows if deleted < changes.delete.len() => Err(NotFound),
            _ => Ok(deleted as u64),
        }
    }

    fn admit(self, content: &Content, changes: &MetadataChanges) -> Result<(), MetadataRejection> {
        let Some(fence) = changes.fence else {
            return Ok(());
        };
        let lease = content.leases.get(&self.name(fence.lease));
        match self {
            Self::LetsAllWrite => Ok(()),
            Self::FencesSteps if changes.step.is_empty() => Ok(()),
            Self::LetsNewerWrite if lease.is_some_and(|lease| lease.fence < fence.number) => Ok(()),
            Self::FencesReleased if lease.is_some_and(|lease| lease.since == lease.until) => {
                Err(MetadataRejection::Fenced)
            }
            _ => StorageLease::admit(lease, fence),
        }
    }

    fn name(self, name: LeaseName) -> LeaseName {
        if self == Self::HasOneLease {
            LeaseName::ROUND
        } else {
            name
        }
    }

    fn grant(
        self,
        stored: Option<&StorageLease>,
        holder: LeaseHolder,
        ttl: Ttl,
        now: Timestamp,
    ) -> Result<StorageLease, MetadataRejection> {
        let Some(lease) = stored.copied() else {
            return StorageLease::grant(None, holder, ttl, now);
        };
        let own = lease.holder == holder;
        let held = Err(Held { until: lease.until });
        let is_open = lease.since < lease.until;
        let mut seen = lease;
        match self {
            Self::GrantsAll => seen.until = seen.since,
            Self::NeverEnds if is_open && !own && lease.since <= now => return held,
            Self::EndsLate if is_open && !own && now == lease.until => return held,
            Self::TrustsClocks if is_open && !own && now < lease.until => return held,
            Self::RefusesRenewals if lease.since <= now && now < lease.until => return held,
            _ => {}
        }
        let mut granted = StorageLease::grant(Some(&seen), holder, ttl, now)?;
        match self {
            Self::KeepsEnds if own && is_open => granted.until = lease.until,
            Self::RaisesAlways => granted.fence = lease.fence + 1,
            Self::RaisesNever => granted.fence = lease.fence,
            _ => {}
        }
        Ok(granted)
    }

    fn create(self, rows: &mut Rows, given: &[KeyPackageMetadata]) -> Result<(), MetadataRejection> {
        let before = rows.clone();
        for row in given {
            let seen = if self == Self::OverlooksTwins { &before } else { &*rows };
            if seen.contains_key(&row.key_package_ref) && self != Self::CreatesAgain {
                return Err(Exists);
            }
            let mut row = row.clone();
            if self == Self::CreatesAnew {
                row.lifecycle = Lifecycle::Created;
            }
            match self {
                Self::LosesBegins => row.not_before = None,
                Self::MakesUpBegins => row.not_before = row.not_before.or(Some(row.created_at)),
                _ => {}
            }
            row.lifecycle = self.marked(None, row.lifecycle);
            rows.insert(row.key_package_ref.clone(), row);
        }
        Ok(())
    }

    fn step(self, rows: &mut Rows, steps: &[(KeyPackageRef, Lifecycle, Timestamp)]) -> Result<(), MetadataRejection> {
        let before = rows.clone();
        for (named, to, now) in steps {
            let seen = if self == Self::StepsAside { &before } else { &*rows };
            let stepped = match seen.get(named) {
                None if self == Self::PassesOver => continue,
                None => Err(NotFound),
                Some(row) if self == Self::HasNoTable => row.clone().forced(*to, *now),
                Some(row) => row.step(*to, *now),
            };
            let mut row = stepped?;
            if self == Self::KeepsNoTimes
                && let Some(before) = rows.get(named)
            {
                row = KeyPackageMetadata {
                    lifecycle: row.lifecycle,
                    ..before.clone()
                };
            }
            if self == Self::StepsForgetOffers && row.lifecycle == Lifecycle::Created {
                row.offered_at = None;
            }
            row.lifecycle = self.marked(rows.get(named).map(|row| row.lifecycle), row.lifecycle);
            rows.insert(named.clone(), row);
        }
        Ok(())
    }

    /// What becomes of the mark of a join, in a row that stood `before` if it was there.
    fn marked(self, before: Option<Lifecycle>, to: Lifecycle) -> Lifecycle {
        let Lifecycle::Joining { mark } = to else { return to };
        let stored = before.and_then(Lifecycle::mark);
        let mark = match self {
            Self::LosesMarks => None,
            Self::KeepsMarks => stored.or(mark),
            Self::KeepsHolders => mark.map(|mark| JoinMark {
                holder: stored.unwrap_or(mark).holder,
                ..mark
            }),
            Self::MakesUpMarks => mark.or(Some(JoinMark {
                holder: LeaseHolder::from_bytes([0; 16]),
                until: Timestamp::MIN,
            })),
            _ => mark,
        };
        Lifecycle::Joining { mark }
    }
}

/// A step that the table may not have, with the times as if it had.
trait Forced: Sized {
    fn forced(self, to: Lifecycle, now: Timestamp) -> Result<Self, MetadataRejection>;
}

impl Forced for KeyPackageMetadata {
    fn forced(self, to: Lifecycle, now: Timestamp) -> Result<Self, MetadataRejection> {
        let lifecycle = if self.lifecycle.may_become(to) {
            self.lifecycle
        } else {
            Lifecycle::Created
        };
        Self { lifecycle, ..self }.step(to, now)
    }
}

/// A store of metadata with one flaw.
#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    content: Arc<Mutex<Content>>,
}

impl Flawed {
    fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl PoolMetadataStore for Flawed {
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        match self.flaw {
            Flaw::LetsOthersIn if !changes.step.is_empty() => {
                let mut read = self.content().clone();
                tokio::task::yield_now().await;
                let deleted = self.flaw.apply(&mut read, changes)?;
                *self.content() = read;
                Ok(deleted)
            }
            Flaw::FencesBefore if changes.fence.is_some() => {
                self.flaw.admit(&self.content(), changes)?;
                tokio::task::yield_now().await;
                let mut unfenced = changes.clone();
                unfenced.fence = None;
                Ok(self.flaw.apply(&mut self.content(), &unfenced)?)
            }
            _ => Ok(self.flaw.apply(&mut self.content(), changes)?),
        }
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        let key = self.flaw.name(name);
        if self.flaw == Flaw::GrantsTwice {
            let found = self.content().leases.get(&key).copied();
            tokio::task::yield_now().await;
            let granted = self.flaw.grant(found.as_ref(), holder, ttl, now)?;
            self.content().leases.insert(key, granted);
            return Ok(Fence::new(name, granted.fence));
        }
        let mut content = self.content();
        let granted = self.flaw.grant(content.leases.get(&key), holder, ttl, now)?;
        content.leases.insert(key, granted);
        Ok(Fence::new(name, granted.fence))
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        let mut content = self.content();
        let key = self.flaw.name(name);
        let Some(lease) = content.leases.get(&key).copied() else {
            return Ok(());
        };
        let holder = if self.flaw == Flaw::ReleasesAll {
            lease.holder
        } else {
            holder
        };
        match lease.release(holder) {
            Some(_) if self.flaw == Flaw::ReleasesForgetfully => content.leases.remove(&key),
            Some(released) => content.leases.insert(key, released),
            None => None,
        };
        Ok(())
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        Ok(self.content().rows.get(key_package_ref).cloned())
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        let mut rows: Vec<_> = self.content().rows.values().cloned().collect();
        if self.flaw != Flaw::ListsByRef {
            rows.sort_by_key(|row| row.created_at);
        }
        Ok(rows)
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        Ok(self.content().record.clone())
    }
}

pub(crate) struct Backend {
    flaw: Flaw,
    spaces: Mutex<HashMap<String, Arc<Mutex<Content>>>>,
}

impl Backend {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            spaces: Mutex::default(),
        }
    }
}

#[async_trait]
impl Factory<dyn PoolMetadataStore> for Backend {
    fn name(&self) -> &str {
        "flawed"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().reopens()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn PoolMetadataStore>, OpenError> {
        let mut spaces = lock(&self.spaces);
        let content = spaces.entry(space.name().to_owned()).or_default();
        let is_first = Arc::strong_count(content) == 1;
        match self.flaw {
            Flaw::Forgets if is_first => *content = Arc::default(),
            Flaw::ForgetsLeases if is_first => lock(content).leases.clear(),
            Flaw::KeepsToItself => *content = Arc::default(),
            _ => {}
        }
        Ok(Arc::new(Flawed {
            flaw: self.flaw,
            content: Arc::clone(content),
        }))
    }

    async fn destroy(&self, space: &Space) {
        lock(&self.spaces).remove(space.name());
    }
}
