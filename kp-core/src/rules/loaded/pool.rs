use std::collections::{BTreeMap, HashMap};

use super::entry::Entry;
use super::known::{Known, Walk};
use super::{Change, Extent, Interrupted, LookUp};
use crate::rules::{Kept, Record, State};
use crate::{KeyPackageRef, ReservationId, Timestamp};

/// Holds what was loaded of one pool, and what the rules changed since.
///
/// A backend that cannot look a record up while the rules run (the look-up is asynchronous) loads first, runs the rules
/// over what it loaded, and writes what they changed, all in one transaction:
///
/// 1. Lock the pool, and make a [`LoadedPool`]: [`new`](Self::new), or [`empty`](Self::empty) if the pool holds nothing.
/// 2. Make the look-ups that the calls need as a rule ([`LookUp::of_take`] and its siblings), and give the answers to
///    the pool: [`found`](Self::found), [`counted`](Self::counted), [`unreadable`](Self::unreadable).
/// 3. Run each call in a [`step`](Self::step). If a step is [`Interrupted`] by a missing look-up, nothing of it is left:
///    make the look-up, and run the step again.
/// 4. Write the [`changes`](Self::changes), and commit.
///
/// Many calls may run on one loaded pool, and share its look-ups and its transaction. A backend need not know which
/// look-ups a call makes: a step that begins with none loaded ends after a few rounds with all that it needs.
///
/// ```
/// use kp_core::rules::{Change, Extent, Interrupted, Kept, Limits, LoadedPool, LookUp, reserve, save};
/// use kp_core::server::{OnLapse, Save, TakeRequest};
/// use kp_core::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let now = Timestamp::try_from(1_700_000_000)?;
/// let lifetime = Lifetime::new(now, now.plus(86_400))?;
/// let info = KeyPackageInfo::new("the hash of it".try_into()?, Ciphersuite(1), lifetime, CredentialHash([0; 32]));
/// let package = KeyPackage::new(info, b"a KeyPackage".as_slice().try_into()?);
/// let name = PoolId::try_from("bob/phone")?;
///
/// // Nothing is stored: the pool knows all.
/// let mut pool = LoadedPool::empty();
/// pool.step(|pool| save(pool, &Save::one(name.clone(), package.clone()), Limits::default(), now))?;
/// let stored: Vec<_> = pool.changes().collect();
/// let [Change::Insert { record, bytes, .. }] = stored.as_slice() else { panic!("one insert") };
/// let mut kept = Kept::default();
/// kept.bytes = bytes.cloned();
///
/// // In the next transaction the pool knows nothing, and asks.
/// let take = TakeRequest::new(name, ReservationId::from_bytes([7; 16]), Ttl::try_from(60)?);
/// let mut pool = LoadedPool::new(record.sequence);
/// let missing = pool.step(|pool| reserve(pool, &take, OnLapse::Return, now));
/// assert_eq!(missing.err(), Some(Interrupted::Missing(LookUp::Lapsed(now))));
/// for look_up in LookUp::of_take(&take, now) {
///     let found = match look_up {
///         LookUp::Queue { .. } => vec![((*record).clone(), kept.clone())],
///         _ => vec![],
///     };
///     pool.found(&look_up, found, Extent::All);
/// }
/// let reserved = pool.step(|pool| reserve(pool, &take, OnLapse::Return, now))??;
/// assert_eq!(reserved.package, package);
/// assert!(matches!(pool.changes().next(), Some(Change::Update { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LoadedPool {
    pub(super) entries: BTreeMap<u64, Entry>,
    /// The sequences that a ref or id may be found at: entries are added, and never removed. The record decides.
    pub(super) refs: HashMap<KeyPackageRef, Vec<u64>>,
    pub(super) ids: HashMap<ReservationId, Vec<u64>>,
    pub(super) known: Known,
    pub(super) last_sequence: u64,
    /// Whether all that was stored is to be removed.
    cleared: bool,
    /// What the step under way changed: each entry as it was before.
    pub(super) undo: Vec<(u64, Option<Record>, Kept)>,
}

impl LoadedPool {
    /// Makes a pool of which nothing is loaded. `last_sequence` is the highest sequence that the pool gave out since it
    /// was last empty ([RES-2](crate::contract::RES_2)).
    #[must_use]
    pub fn new(last_sequence: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            refs: HashMap::new(),
            ids: HashMap::new(),
            known: Known::default(),
            last_sequence,
            cleared: false,
            undo: Vec::new(),
        }
    }

    /// Makes a pool that holds nothing: no look-up is ever missing.
    #[must_use]
    pub fn empty() -> Self {
        let mut pool = Self::new(0);
        pool.known.all = true;
        pool
    }

    /// Takes the records that a look-up found, each with what is kept beside it: support and fingerprint always, the bytes if
    /// they came along.
    ///
    /// A backend that passes over a damaged record says with the [`Extent`] that its place was looked at.
    pub fn found(&mut self, look_up: &LookUp, records: impl IntoIterator<Item = (Record, Kept)>, extent: Extent) {
        for (record, kept) in records {
            self.load(record, kept);
        }
        self.known.found(look_up, extent);
    }

    /// Takes what a look-up counted.
    pub fn counted(&mut self, look_up: LookUp, count: u32) {
        self.known.counts.insert(look_up, count);
    }

    /// Takes note that the record that a look-up asks for by ref, id or sequence is damaged. The steps that need it fail.
    pub fn unreadable(&mut self, look_up: LookUp) {
        self.known.unreadable.insert(look_up);
    }

    /// Returns whether the answer of a look-up is known: to make it again is of no use.
    #[must_use]
    pub fn knows(&self, look_up: &LookUp) -> bool {
        let has_bytes = |sequence| {
            self.entries
                .get(sequence)
                .is_some_and(|entry| entry.kept.bytes.is_some())
        };
        self.known.answers(look_up) || matches!(look_up, LookUp::Bytes(sequence) if has_bytes(sequence))
    }

    /// Takes one step of the rules. If the step fails, the pool is as it was before.
    ///
    /// # Errors
    ///
    /// The error of the step: [`Interrupted`], if the rules made the step.
    pub fn step<T, E>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.undo.clear();
        let (last_sequence, cleared, all) = (self.last_sequence, self.cleared, self.known.all);
        let done = step(self);
        if done.is_err() {
            for (sequence, before, kept) in std::mem::take(&mut self.undo).into_iter().rev() {
                if let Some(entry) = self.entries.get_mut(&sequence) {
                    (entry.now, entry.kept) = (before, kept);
                }
            }
            // What the step inserted is no longer there.
            self.entries
                .retain(|_, entry| entry.stored.is_some() || entry.now.is_some());
            (self.last_sequence, self.cleared, self.known.all) = (last_sequence, cleared, all);
        }
        done
    }

    /// Removes everything ([DEL-1](crate::contract::DEL_1)). For use in a [`step`](Self::step).
    pub fn clear(&mut self) {
        let sequences: Vec<_> = self.entries.keys().copied().collect();
        for sequence in sequences {
            self.set(sequence, None);
        }
        (self.cleared, self.known.all) = (true, true);
    }

    /// Returns up to `limit` records past their `not_after` ([SWEEP-1](crate::contract::SWEEP_1)). For use in a
    /// [`step`](Self::step), to [`forget`](crate::rules::PoolRecords::forget) them.
    ///
    /// # Errors
    ///
    /// [`Interrupted`].
    pub fn expired(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Record>, Interrupted> {
        let walk = self.known.walk(self.known.expired.filter(|walk| walk.now >= now));
        let reached = |record: &&Record| walk.is_some_and(|walk| walk.covers(record.sequence));
        let expired = self.current().filter(|record| record.is_expired(now));
        let expired: Vec<_> = expired.filter(reached).take(limit).cloned().collect();
        match walk {
            Some(Walk { to: Extent::All, .. }) => Ok(expired),
            Some(_) if expired.len() >= limit => Ok(expired),
            walk => Err(Interrupted::Missing(LookUp::Expired {
                after: walk.and_then(Walk::next),
                now,
            })),
        }
    }

    /// Returns whether everything that was stored is to be removed, before the [`changes`](Self::changes) are written.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.cleared
    }

    /// Returns the highest sequence that the pool gave out.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Lists what is to be written, by sequence. A backend that allows one record of a ref,
    /// or of an id, writes all [`Change::Forget`] first.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.entries.values().flat_map(|entry| entry.changes(self.cleared))
    }

    fn load(&mut self, record: Record, kept: Kept) {
        let sequence = record.sequence;
        if let Some(entry) = self.entries.get_mut(&sequence) {
            entry.kept.bytes = entry.kept.bytes.take().or(kept.bytes);
            return;
        }
        self.index(&record);
        let entry = Entry {
            now: Some(record.clone()),
            stored: Some((record, kept.clone())),
            kept,
        };
        self.entries.insert(sequence, entry);
    }

    pub(super) fn index(&mut self, record: &Record) {
        let refs = self.refs.entry(record.info.key_package_ref.clone()).or_default();
        refs.push(record.sequence);
        if let Some(id) = record.state.bound_id() {
            self.ids.entry(*id).or_default().push(record.sequence);
        }
    }

    /// Brings an entry to another record, and remembers it as it was before.
    pub(super) fn set(&mut self, sequence: u64, record: Option<Record>) {
        if let Some(entry) = self.entries.get_mut(&sequence) {
            let before = std::mem::replace(&mut entry.now, record);
            self.undo.push((sequence, before, entry.kept.clone()));
        }
    }

    /// Returns the records as they are now, by sequence.
    pub(super) fn current(&self) -> impl Iterator<Item = &Record> {
        self.entries.values().filter_map(|entry| entry.now.as_ref())
    }

    /// Returns the first of the records at these places that is the one.
    pub(super) fn one(&self, places: Option<&Vec<u64>>, is: impl Fn(&Record) -> bool) -> Option<Record> {
        let places = places.into_iter().flatten();
        let records = places.filter_map(|sequence| self.entries.get(sequence)?.now.as_ref());
        records.into_iter().find(|record| is(record)).cloned()
    }

    /// Fails if the answer of a look-up is not known.
    pub(super) fn need(&self, look_up: LookUp) -> Result<(), Interrupted> {
        if self.known.unreadable.contains(&look_up) {
            Err(Interrupted::Unreadable(look_up))
        } else if self.knows(&look_up) {
            Ok(())
        } else {
            Err(Interrupted::Missing(look_up))
        }
    }

    pub(super) fn select(&self, which: impl Fn(&Record) -> bool) -> Vec<Record> {
        self.current().filter(|record| which(record)).cloned().collect()
    }

    /// Returns what is stored by the count of the look-up, and what changed since.
    pub(super) fn count(&self, look_up: LookUp) -> Result<u32, Interrupted> {
        let counts = |record: Option<&Record>| i64::from(record.is_some_and(|record| look_up.counts(record)));
        let stored = match self.known.counts.get(&look_up) {
            _ if self.cleared => None,
            Some(count) => Some(*count),
            None if self.known.all => None,
            None => return Err(Interrupted::Missing(look_up)),
        };
        let was = |entry: &Entry| counts(entry.stored.as_ref().map(|(record, _)| record));
        let changed = |entry: &Entry| counts(entry.now.as_ref()) - stored.map_or(0, |_| was(entry));
        let sum: i64 = self.entries.values().map(changed).sum();
        Ok(u32::try_from(i64::from(stored.unwrap_or(0)) + sum).unwrap_or(0))
    }

    /// Returns the first free record that is accepted, once all before it are known. Passes over a record whose bytes
    /// cannot be read.
    pub(super) fn first_free(
        &self,
        now: Timestamp,
        accepts: impl Fn(&Record, &Kept) -> bool,
    ) -> Result<Option<&Entry>, Interrupted> {
        let walk = self.known.walk(self.known.queue.filter(|walk| walk.now <= now));
        let is_it = |entry: &&Entry| {
            let free = entry.now.as_ref().filter(|record| record.state == State::Free);
            free.is_some_and(|record| {
                accepts(record, &entry.kept) && !self.known.unreadable.contains(&LookUp::Bytes(record.sequence))
            })
        };
        let found = self.entries.iter().find(|(_, entry)| is_it(entry));
        match (walk, found) {
            (Some(walk), Some((sequence, entry))) if walk.covers(*sequence) => Ok(Some(entry)),
            (Some(Walk { to: Extent::All, .. }), None) => Ok(None),
            (walk, _) => Err(Interrupted::Missing(LookUp::Queue {
                after: walk.and_then(Walk::next),
                now,
            })),
        }
    }
}
