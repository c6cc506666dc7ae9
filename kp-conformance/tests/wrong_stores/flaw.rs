use std::convert::Infallible;

use kp_conformance::Method;
use kp_core::moving::{ImportRejection, PoolExport, import};
use kp_core::rules::{self, Answer, Kept, Limits, ModelPool, PoolRecords, Record, State};
use kp_core::server::{
    Admitted, InitKeyFingerprint, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken, Save,
    SaveOutcome, Spend, StoredKeyPackage, Support, TakeOptions, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    Ciphersuite, Counts, Effect, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Party,
    PoolCounts, PoolId, ReservationId, Result, Role, Status, Timestamp, Ttl,
};

use crate::engine::Mishap;

/// What a store does, piece by piece: the rules, with one piece falsified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flaw {
    // The calls, each a step on one pool.
    pub(crate) save: fn(&mut Records<'_>, &Save, Timestamp) -> Vec<SaveOutcome>,
    pub(crate) reserve: fn(&mut Records<'_>, &TakeRequest, OnLapse, Timestamp) -> Answer<Reservation>,
    pub(crate) claim: fn(&mut Records<'_>, &TakeRequest, Option<&GroupId>, Timestamp) -> Answer<KeyPackage>,
    pub(crate) spend: fn(&mut Records<'_>, &ReservationToken, &Spend, Timestamp) -> Answer<Receipt>,
    pub(crate) release: fn(&mut Records<'_>, &ReservationToken, Timestamp) -> Answer<()>,
    pub(crate) renew: fn(&mut Records<'_>, &ReservationToken, Ttl, Timestamp) -> Answer<Lease>,
    pub(crate) withdraw: fn(&mut Records<'_>, &Withdrawal, Timestamp) -> Vec<(KeyPackageRef, WithdrawOutcome)>,
    pub(crate) settle: fn(&mut Records<'_>, Timestamp) -> u64,
    pub(crate) delete: fn(&mut Records<'_>),

    // What the look-ups and changes of the rules do.
    pub(crate) by_id: fn(&mut ModelPool, &ReservationId) -> Option<Record>,
    pub(crate) lapsed: fn(&mut ModelPool, Timestamp) -> Vec<Record>,
    pub(crate) oldest: fn(&mut ModelPool, &TakeOptions, Timestamp) -> Option<(Record, KeyPackageBytes)>,
    pub(crate) count_held: fn(&mut ModelPool, Ciphersuite, Timestamp) -> u32,
    pub(crate) count_remembered_of: fn(&mut ModelPool, Role, Timestamp) -> u32,
    pub(crate) count_taken_by: fn(&mut ModelPool, &Party) -> u32,
    pub(crate) has_init_key: fn(&mut ModelPool, &InitKeyFingerprint, Timestamp) -> bool,
    pub(crate) support: fn(&mut ModelPool, &Record) -> Option<Support>,
    pub(crate) insert: fn(&mut ModelPool, Record, &Kept),
    pub(crate) amend: fn(&mut ModelPool, &Record, &Admitted),
    pub(crate) update: fn(&mut ModelPool, &Record, Record),

    /// Whether lists in a call are bounded.
    pub(crate) bounds_lists: bool,

    // What becomes of answers, of batches and of reads, on their way out.
    pub(crate) claimed: fn(&mut Vec<Result<KeyPackage>>),
    /// What a claim that was made says of itself when it fails, if it does; whether its id was bound before is given.
    pub(crate) failed: fn(bool) -> Option<Effect>,
    pub(crate) stored: fn(&mut Option<StoredKeyPackage>),
    pub(crate) statuses: fn(&mut Vec<Option<Status>>),
    pub(crate) ready: fn(&mut Vec<ReadyKeyPackage>),
    pub(crate) listed: fn(&mut Page<KeyPackageInfo>),
    /// What is listed after a cursor.
    pub(crate) next_page: fn(&mut Records<'_>, Timestamp, &mut Page<KeyPackageInfo>),
    pub(crate) counts: fn(&mut Counts),
    pub(crate) room: fn(&mut PoolCounts),
    pub(crate) pools: fn(&mut Page<PoolId>),

    // What happens beside the calls.
    /// To a pool, before it is read.
    pub(crate) read: fn(&mut Records<'_>, Timestamp),
    /// To a pool, before expired packages are swept.
    pub(crate) swept: fn(&mut Records<'_>, Timestamp),
    /// To the limit of a page.
    pub(crate) page_limit: fn(u32) -> u32,
    /// Whether a pool counts towards the limit of a settling, by how much ended there.
    pub(crate) counts_as_settled: fn(u64) -> bool,
    /// Whether a pool that was leased from stays due for a settling when it is gone, which then asks for it for ever.
    pub(crate) keeps_gone_pools_due: bool,
    /// Whether a pool that was exhausted stays noted as such, swept or not.
    pub(crate) notes_exhausted_pools: bool,
    /// To the limit of a sweep.
    pub(crate) sweep_limit: fn(u32) -> u32,
    /// To what a sweep says that it removed.
    pub(crate) cleaned: fn(u64) -> u64,
    /// To the moment before which `retire_unspent` retires.
    pub(crate) saved_before: fn(Timestamp) -> Timestamp,
    /// To a pool, when the store is opened again.
    pub(crate) reopened: fn(&mut Records<'_>),
    /// What the store prints of a pool.
    pub(crate) printed: fn(&ModelPool) -> String,
    /// To the records of a pool that is exported.
    pub(crate) exported: fn(&mut Vec<(Record, Kept)>),
    /// What an import does.
    pub(crate) imported: fn(&mut ModelPool, &PoolExport) -> std::result::Result<(), ImportRejection>,
    /// The reads that a handle answers from what it remembers since it changed something itself.
    pub(crate) remembers: &'static [Method],
    /// The calls with a token that do the same to its ref in every other pool.
    pub(crate) reaches: &'static [Method],
    /// What is not one atomic step.
    pub(crate) torn: Option<Torn>,
    /// What it makes of an outage.
    pub(crate) mishap: Option<Mishap>,
}

/// A call that is not one atomic step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Torn {
    /// It reads the pool, decides, lets others in, and writes back what it read and decided.
    Apart(Call),
    /// Each item of a save is a step of its own.
    ItemByItem,
    /// A reservation looks for a package, lets others in, then reserves it, and gives up when somebody was faster.
    LooksFirst,
    /// A reservation or claim takes a package, lets others in, and then binds its id.
    BindsLater,
    /// A claim reserves, lets others in, and then spends.
    SpendsLater,
    /// A claim takes a lock, lets others in, and gives the lock back when it is done.
    KeepsItsLock,
    /// A batch of claims locks each pool when it comes to it, and gives the locks back when it is done.
    LocksAsItGoes,
    /// A settling finds pools, lets others in, and settles those that it found.
    FindsFirst,
    /// A read of many statuses reads a half, lets others in, and reads the rest.
    ReadsInHalves,
}

impl Torn {
    /// Whether it takes others to see it; the rest is wrong when its future is dropped.
    pub(crate) fn races(self) -> bool {
        !matches!(self, Self::BindsLater | Self::SpendsLater | Self::KeepsItsLock)
    }

    /// How many calls have to come in between its two steps, for the check to notice.
    pub(crate) const fn others_needed(self) -> u32 {
        match self {
            // The same spend gets the same receipt, and it is made twice: of three, one is another.
            Self::Apart(Call::Spend) => 2,
            _ => 1,
        }
    }

    /// Whether calls that are not torn wait for one that is: where there are few of those, they could come too late.
    pub(crate) const fn has_a_door(self) -> bool {
        matches!(
            self,
            Self::ItemByItem | Self::Apart(Call::Release | Call::CleanUp | Call::Settle)
        )
    }

    /// How many races are arranged. One is enough, except where a history may explain what came of it.
    pub(crate) const fn races_needed(self) -> u32 {
        match self {
            Self::Apart(Call::Claim) => 64,
            _ => 1,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Save,
    Reserve,
    Claim,
    Spend,
    Release,
    Renew,
    CleanUp,
    Settle,
}

impl Call {
    pub(crate) const fn sweeps(self) -> bool {
        matches!(self, Self::CleanUp | Self::Settle)
    }
}

impl Flaw {
    /// The correct store.
    pub(crate) const NONE: Self = Self {
        save: |records, save, now| records.save(save, now),
        reserve: |records, take, lapse, now| records.reserve(take, lapse, now),
        claim: |records, take, group, now| records.claim(take, group, now),
        spend: |records, token, usage, now| records.spend(token, usage, now),
        release: |records, token, now| records.release(token, now),
        renew: |records, token, ttl, now| records.renew(token, ttl, now),
        withdraw: |records, what, now| records.withdraw(what, now),
        settle: |records, now| records.settle(now),
        delete: |records| records.pool.records.clear(),
        by_id: |pool, id| sure(pool.by_id(id)),
        lapsed: |pool, now| sure(pool.lapsed(now)),
        oldest: |pool, options, now| sure(pool.oldest_that_fits(options, now)),
        count_held: |pool, suite, now| sure(pool.count_held(suite, now)),
        count_remembered_of: |pool, role, now| sure(pool.count_remembered_of(role, now)),
        count_taken_by: |pool, party| sure(pool.count_taken_by(party)),
        has_init_key: |pool, fingerprint, now| sure(pool.has_init_key(fingerprint, now)),
        support: |pool, record| sure(pool.support(record)),
        insert: |pool, record, kept| sure(pool.insert(&record, kept)),
        amend: |pool, record, item| sure(pool.amend(record, item)),
        update: |pool, before, after| sure(pool.update(before, after.state)),
        bounds_lists: true,
        claimed: |_| (),
        failed: |_| None,
        stored: |_| (),
        statuses: |_| (),
        ready: |_| (),
        listed: |_| (),
        next_page: |_, _, _| (),
        counts: |_| (),
        room: |_| (),
        pools: |_| (),
        read: |_, _| (),
        swept: |_, _| (),
        page_limit: |limit| limit,
        counts_as_settled: |count| count > 0,
        keeps_gone_pools_due: false,
        notes_exhausted_pools: false,
        sweep_limit: |limit| limit,
        cleaned: |count| count,
        saved_before: |saved_before| saved_before,
        reopened: |_| (),
        printed: |_| String::new(),
        exported: |_| (),
        imported: |pool, export| sure(import(pool, export)),
        remembers: &[],
        reaches: &[],
        torn: None,
        mishap: None,
    };
}

pub(crate) fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// A pool within a step, as the flaw has it: the rules meet it through [`PoolRecords`].
#[derive(Debug)]
pub(crate) struct Records<'a> {
    pub(crate) pool: &'a mut ModelPool,
    pub(crate) flaw: &'a Flaw,
    pub(crate) limits: Limits,
}

/// The calls, by the rules.
impl Records<'_> {
    pub(crate) fn save(&mut self, save: &Save, now: Timestamp) -> Vec<SaveOutcome> {
        sure(rules::save(self, save, self.limits, now))
    }

    pub(crate) fn reserve(&mut self, take: &TakeRequest, lapse: OnLapse, now: Timestamp) -> Answer<Reservation> {
        sure(rules::reserve(self, take, lapse, now))
    }

    pub(crate) fn claim(&mut self, take: &TakeRequest, group: Option<&GroupId>, now: Timestamp) -> Answer<KeyPackage> {
        sure(rules::claim(self, take, group, now))
    }

    pub(crate) fn spend(&mut self, token: &ReservationToken, usage: &Spend, now: Timestamp) -> Answer<Receipt> {
        sure(rules::spend(self, token, usage, now))
    }

    pub(crate) fn release(&mut self, token: &ReservationToken, now: Timestamp) -> Answer<()> {
        sure(rules::release(self, token, now))
    }

    pub(crate) fn renew(&mut self, token: &ReservationToken, ttl: Ttl, now: Timestamp) -> Answer<Lease> {
        sure(rules::renew(self, token, ttl, now))
    }

    pub(crate) fn withdraw(&mut self, what: &Withdrawal, now: Timestamp) -> Vec<(KeyPackageRef, WithdrawOutcome)> {
        sure(rules::withdraw(self, what, now))
    }

    pub(crate) fn settle(&mut self, now: Timestamp) -> u64 {
        sure(rules::settle(self, now))
    }

    /// The record of a ref.
    pub(crate) fn find(&mut self, key_package_ref: &KeyPackageRef) -> Option<Record> {
        sure(self.pool.by_ref(key_package_ref))
    }

    /// Changes the states of records behind the rules' back.
    pub(crate) fn alter(&mut self, alter: impl Fn(&mut Record)) {
        for (record, _) in &mut self.pool.records {
            alter(record);
        }
    }

    /// Forgets records behind the rules' back.
    pub(crate) fn forget(&mut self, which: impl Fn(&Record) -> bool) {
        self.pool.records.retain(|(record, _)| !which(record));
    }
}

impl PoolRecords for Records<'_> {
    type Error = Infallible;

    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, Infallible> {
        self.pool.by_ref(key_package_ref)
    }

    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Infallible> {
        Ok((self.flaw.by_id)(self.pool, id))
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, Infallible> {
        Ok((self.flaw.lapsed)(self.pool, now))
    }

    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, Infallible> {
        Ok((self.flaw.oldest)(self.pool, options, now))
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, Infallible> {
        self.pool.has_available(now)
    }

    fn slots(&mut self) -> Result<Vec<Record>, Infallible> {
        self.pool.slots()
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Infallible> {
        self.pool.unspent(now)
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Infallible> {
        Ok((self.flaw.count_held)(self.pool, suite, now))
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Infallible> {
        self.pool.count_remembered(now)
    }

    fn count_remembered_of(&mut self, role: Role, now: Timestamp) -> Result<u32, Infallible> {
        Ok((self.flaw.count_remembered_of)(self.pool, role, now))
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Infallible> {
        Ok((self.flaw.count_taken_by)(self.pool, party))
    }

    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, Infallible> {
        self.pool.bytes(record)
    }

    fn support(&mut self, record: &Record) -> Result<Option<Support>, Infallible> {
        Ok((self.flaw.support)(self.pool, record))
    }

    fn has_init_key(&mut self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> Result<bool, Infallible> {
        Ok((self.flaw.has_init_key)(self.pool, fingerprint, now))
    }

    fn next_sequence(&mut self) -> Result<u64, Infallible> {
        self.pool.next_sequence()
    }

    fn insert(&mut self, record: &Record, kept: &Kept) -> Result<(), Infallible> {
        (self.flaw.insert)(self.pool, record.clone(), kept);
        Ok(())
    }

    fn amend(&mut self, record: &Record, item: &Admitted) -> Result<(), Infallible> {
        (self.flaw.amend)(self.pool, record, item);
        Ok(())
    }

    fn update(&mut self, record: &Record, state: State) -> Result<(), Infallible> {
        let after = Record {
            state,
            ..record.clone()
        };
        (self.flaw.update)(self.pool, record, after);
        Ok(())
    }

    fn forget(&mut self, record: &Record) -> Result<(), Infallible> {
        self.pool.forget(record)
    }
}
