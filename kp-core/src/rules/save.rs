use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::withdraw::recall;
use super::{Kept, LeaseRecord, PoolRecords, Recall, Record, State, settle};
use crate::server::{Admitted, Save, SaveMode, SaveOutcome};
use crate::{Ciphersuite, KeyPackageInfo, KeyPackageRef, Role, Timestamp};

/// Limits the last-resort slots of one pool ([SAVE-6](crate::contract::SAVE_6)).
pub const MAX_LAST_RESORT_SLOTS: usize = 16;

/// Limits what a store lets one pool hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// The most one-time packages that a pool may remember, spent ones included; and as many last-resort packages
    /// ([SAVE-6](crate::contract::SAVE_6)).
    pub max_records: u32,
}

impl Limits {
    /// Sets the most packages of each role that a pool may remember. Default: 10,000.
    #[must_use]
    pub fn max_records(self, records: u32) -> Self {
        Self { max_records: records }
    }
}

impl Default for Limits {
    /// Allows 10,000 packages of each role.
    fn default() -> Self {
        Self { max_records: 10_000 }
    }
}

/// Does `save_key_packages`, and returns one outcome for each package, in order ([`SAVE`](crate::contract::SAVE)).
///
/// An empty batch is no call, and settles nothing ([TIME-2](crate::contract::TIME_2)).
pub fn save<P: PoolRecords>(
    pool: &mut P,
    save: &Save,
    limits: Limits,
    now: Timestamp,
) -> Result<Vec<SaveOutcome>, P::Error> {
    if save.packages().is_empty() {
        return Ok(Vec::new());
    }
    settle(pool, now)?;
    let mut batch = Batch::new(save, limits, now);
    let mut outcomes = Vec::with_capacity(save.packages().len());
    for item in save.packages() {
        outcomes.push(batch.judge(pool, item)?);
    }
    batch.withdraw_others(pool)?;
    Ok(outcomes)
}

/// Tracks a save under way: what the items before have changed.
struct Batch<'a> {
    save: &'a Save,
    limits: Limits,
    now: Timestamp,
    /// Under `Replace`: the refs that are spared, and the unspent packages before the save.
    replace: Option<Replace<'a>>,
    /// How many packages a ciphersuite holds, once asked for.
    held: BTreeMap<Ciphersuite, u32>,
    /// How many records the pool remembers.
    memory: Memory,
    /// The ciphersuites of the one-time items accepted.
    accepted: BTreeSet<Ciphersuite>,
}

/// Counts what the pool remembers (SAVE-6), each number once asked for. One number of both roles is enough until it
/// reaches `max_records`.
#[derive(Default)]
struct Memory {
    all: Option<u32>,
    one_time: Option<u32>,
    last_resorts: Option<u32>,
}

impl Memory {
    /// Returns whether the pool remembers as many packages of this role as it may.
    fn is_full<P: PoolRecords>(
        &mut self,
        pool: &mut P,
        role: Role,
        limits: Limits,
        now: Timestamp,
    ) -> Result<bool, P::Error> {
        let all = match self.all {
            Some(all) => all,
            None => *self.all.insert(pool.count_remembered(now)?),
        };
        if all < limits.max_records {
            return Ok(false);
        }
        let known = self.of(role);
        let remembered = match *known {
            Some(remembered) => remembered,
            None => *known.insert(pool.count_remembered_of(role, now)?),
        };
        Ok(remembered >= limits.max_records)
    }

    fn of(&mut self, role: Role) -> &mut Option<u32> {
        match role {
            Role::OneTime => &mut self.one_time,
            Role::LastResort => &mut self.last_resorts,
        }
    }

    /// Counts a record that was inserted.
    fn add(&mut self, role: Role) {
        self.all = self.all.map(|count| count.saturating_add(1));
        let known = self.of(role);
        *known = known.map(|count| count.saturating_add(1));
    }
}

struct Replace<'a> {
    spared: HashSet<&'a KeyPackageRef>,
    before: Option<Vec<Record>>,
}

impl<'a> Batch<'a> {
    fn new(save: &'a Save, limits: Limits, now: Timestamp) -> Self {
        let replace = (save.mode == SaveMode::Replace).then(|| Replace {
            spared: save
                .packages()
                .iter()
                .map(|item| &item.package.info.key_package_ref)
                .collect(),
            before: None,
        });
        Self {
            save,
            limits,
            now,
            replace,
            held: BTreeMap::new(),
            memory: Memory::default(),
            accepted: BTreeSet::new(),
        }
    }

    /// Judges one item: the first outcome that applies (SAVE-7).
    fn judge<P: PoolRecords>(&mut self, pool: &mut P, item: &Admitted) -> Result<SaveOutcome, P::Error> {
        let info = &item.package.info;
        if info.lifetime.is_expired(self.now) {
            return Ok(SaveOutcome::Expired);
        }
        let known = pool.by_ref(&info.key_package_ref)?;
        if let Some(record) = known.as_ref().filter(|record| !record.is_expired(self.now)) {
            let outcome = again(pool, record, item)?;
            if outcome == SaveOutcome::AlreadyStored && info.role == Role::OneTime {
                self.accepted.insert(info.ciphersuite);
            }
            return Ok(outcome);
        }
        if let Some(fingerprint) = &item.fingerprint
            && pool.has_init_key(fingerprint, self.now)?
        {
            return Ok(SaveOutcome::InitKeyReused);
        }
        if info.role.is_last_resort() && info.lifetime.is_ahead(self.now) {
            return Ok(SaveOutcome::NotYetValid);
        }
        if self.is_full(pool, info)? {
            return Ok(SaveOutcome::PoolFull);
        }
        // SAVE-7: a record past its own not_after counts as absent, so the same ref starts anew.
        if let Some(forgotten) = known {
            pool.forget(&forgotten)?;
        }
        self.insert(pool, item)?;
        Ok(SaveOutcome::Saved)
    }

    /// Returns whether a new item is refused as `PoolFull` (SAVE-6, SAVE-5).
    fn is_full<P: PoolRecords>(&mut self, pool: &mut P, info: &KeyPackageInfo) -> Result<bool, P::Error> {
        if self.save.mode == SaveMode::Amend {
            return Ok(true);
        }
        if self.memory.is_full(pool, info.role, self.limits, self.now)? {
            return Ok(true);
        }
        if info.role.is_last_resort() {
            let mut others = pool.slots()?;
            others.retain(|slot| !slot.is_expired(self.now) && slot.info.ciphersuite != info.ciphersuite);
            return Ok(others.len() >= MAX_LAST_RESORT_SLOTS);
        }
        Ok(self.count_held(pool, info.ciphersuite)? >= self.save.cap_per_ciphersuite)
    }

    /// Counts what the ciphersuite holds (SAVE-6). Under `Replace`, the other packages count as gone (SAVE-8).
    fn count_held<P: PoolRecords>(&mut self, pool: &mut P, suite: Ciphersuite) -> Result<u32, P::Error> {
        if let Some(held) = self.held.get(&suite) {
            return Ok(*held);
        }
        let held = match &mut self.replace {
            None => pool.count_held(suite, self.now)?,
            Some(replace) => {
                let before = match &mut replace.before {
                    Some(before) => before,
                    none => none.insert(pool.unspent(self.now)?),
                };
                let spared = |record: &&Record| {
                    record.info.ciphersuite == suite
                        && record.state.is_held()
                        && replace.spared.contains(&record.info.key_package_ref)
                };
                u32::try_from(before.iter().filter(spared).count()).unwrap_or(u32::MAX)
            }
        };
        self.held.insert(suite, held);
        Ok(held)
    }

    fn insert<P: PoolRecords>(&mut self, pool: &mut P, item: &Admitted) -> Result<(), P::Error> {
        let info = item.package.info.clone();
        let state = if info.role.is_last_resort() {
            // LAST-1: the old package is remembered, also when it is past its not_after.
            for slot in pool.slots()? {
                if slot.info.ciphersuite == info.ciphersuite {
                    pool.update(&slot, State::Replaced { at: self.now })?;
                }
            }
            State::Slot { used: false }
        } else {
            self.accepted.insert(info.ciphersuite);
            *self.held.entry(info.ciphersuite).or_default() += 1;
            State::Free
        };
        let record = Record {
            info,
            sequence: pool.next_sequence()?,
            saved_at: self.now,
            state,
        };
        pool.insert(&record, &Kept::of(item))?;
        self.memory.add(record.info.role);
        Ok(())
    }

    /// Withdraws, under `Replace`, the packages that were not in the batch, of each ciphersuite accepted (SAVE-8).
    fn withdraw_others<P: PoolRecords>(self, pool: &mut P) -> Result<(), P::Error> {
        let Some(replace) = self.replace else { return Ok(()) };
        if self.accepted.is_empty() {
            return Ok(());
        }
        for record in pool.unspent(self.now)? {
            if self.accepted.contains(&record.info.ciphersuite)
                && !replace.spared.contains(&record.info.key_package_ref)
            {
                recall(pool, &record, Recall::Withdrawn, self.now)?;
            }
        }
        Ok(())
    }
}

/// Judges an item whose ref has a record: SAVE-3, SAVE-5, SAVE-2, in this order.
fn again<P: PoolRecords>(pool: &mut P, record: &Record, item: &Admitted) -> Result<SaveOutcome, P::Error> {
    Ok(match &record.state {
        State::Reserved(LeaseRecord { recalled: Some(_), .. })
        | State::Used(_)
        | State::Retired { .. }
        | State::Withdrawn { .. }
        | State::Replaced { .. } => SaveOutcome::AlreadySpent,
        State::Free | State::Reserved(_) | State::Slot { .. } => {
            if record.info == item.package.info && pool.bytes(record)? == item.package.bytes {
                if item.fingerprint.is_some() || item.support.is_some() {
                    pool.amend(record, item)?;
                }
                SaveOutcome::AlreadyStored
            } else {
                SaveOutcome::RefConflict
            }
        }
    })
}
