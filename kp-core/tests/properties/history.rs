use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kp_core::rules::{Model, ModelPool, Record, State};
use kp_core::server::{SaveMode, TakeRequest};
use kp_core::{Counts, KeyPackageRef, PoolId, ReservationId, Role, Timestamp};

use crate::operation::{HORIZON, Operation, POOLS, Said, at, pool};

/// Limits pools to few records, so that a pool is full now and then.
pub(crate) const MAX_RECORDS: u32 = 7;

/// Keeps a store, and remembers who was answered what.
pub(crate) struct History {
    model: Model,
    /// Who was answered each one-time package last, by pool and sequence. A package saved anew has another sequence.
    holders: HashMap<(PoolId, u64), Holder>,
}

struct Holder {
    id: ReservationId,
    /// When the lease ends; `None` without a lease.
    until: Option<Timestamp>,
    /// Whether the lease was released, or ended at a settlement.
    over: bool,
}

impl History {
    pub(crate) fn new(model: Model) -> Self {
        Self {
            model,
            holders: HashMap::new(),
        }
    }

    /// Makes a call, and checks everything that has to hold afterwards.
    pub(crate) fn call(&mut self, call: &Operation, now: Timestamp) {
        let before = self.model.clone();
        let answer = call.apply(&mut self.model, now);
        self.end_leases(call, now);
        self.remember(call, &answer, now);
        for pool in (0..POOLS).map(pool) {
            let was = before.pool(&pool).cloned().unwrap_or_default();
            let is = self.model.pool(&pool).cloned().unwrap_or_default();
            holds_together(&is);
            is_counted(&self.model, &pool, &is);
            moves_on(&was, &is, call, now);
            match call.settles() {
                Some(settled) if *settled != pool => assert_eq!(was, is, "another pool stays as it is"),
                Some(_) => is_settled(&is, now),
                None if matches!(call, Operation::Retire(_) | Operation::Settle) => is_settled(&is, now),
                None => {}
            }
            if let Operation::Save(save) = call
                && save.pool == pool
            {
                keeps_the_caps(&was, &is, save.cap_per_ciphersuite, save.mode, now);
            }
        }
        if let (Operation::Reserve(take, _), Said::Reserve(Ok(_))) | (Operation::Claim(take, _), Said::Claim(Ok(_))) =
            (call, &answer)
        {
            keeps_the_limit(before.pool(&take.pool), self.model.pool(&take.pool), take);
        }
    }

    /// Ends the leases that a settlement or a release has ended.
    fn end_leases(&mut self, call: &Operation, now: Timestamp) {
        let settles_all = matches!(call, Operation::Retire(_) | Operation::Settle);
        for ((pool, _), holder) in &mut self.holders {
            if settles_all || call.settles() == Some(pool) {
                holder.over |= holder.until.is_some_and(|until| until <= now);
            }
        }
        if let Operation::Delete(deleted) = call {
            self.holders.retain(|(pool, _), _| pool != deleted);
        }
        if let Operation::Sweep = call {
            let model = &self.model;
            self.holders.retain(|(pool, sequence), _| {
                let records = model.pool(pool).map_or(&[][..], |pool| &pool.records);
                records.iter().any(|(record, _)| record.sequence == *sequence)
            });
        }
    }

    /// Checks that a one-time package is answered to another id only when the id before has lost the package, and never
    /// once the package was spent (RES-1, SPEND-1, TIME-3).
    fn remember(&mut self, call: &Operation, answer: &Said, now: Timestamp) {
        let (pool, named, id, until) = match (call, answer) {
            (Operation::Reserve(take, _), Said::Reserve(Ok(reserved))) => match &reserved.lease {
                Some(lease) => (
                    &take.pool,
                    &lease.token.key_package_ref,
                    take.id,
                    Some(lease.expires_at),
                ),
                None => return,
            },
            (Operation::Claim(take, _), Said::Claim(Ok(package))) if !package.info.role.is_last_resort() => {
                (&take.pool, &package.info.key_package_ref, take.id, None)
            }
            (Operation::Spend(token, _), Said::Spend(Ok(_))) => (&token.pool, &token.key_package_ref, token.id(), None),
            (Operation::Release(token), Said::Release(Ok(()))) => {
                let sequence = self.record(&token.pool, &token.key_package_ref).sequence;
                let holder = self.holders.get_mut(&(token.pool.clone(), sequence));
                let holder = holder.expect("only what was reserved is released");
                assert!(holder.id == token.id() && holder.until.is_some() && !holder.over);
                holder.over = true;
                return;
            }
            _ => return,
        };
        if let Some(until) = until {
            assert!(now < until, "RES-4: a lease that is answered is live");
        }
        let sequence = self.record(pool, named).sequence;
        let holder = Holder { id, until, over: false };
        let last = self.holders.insert((pool.clone(), sequence), holder);
        if let Some(last) = last {
            let spent = last.until.is_none();
            assert!(
                last.id == id && (!spent || until.is_none()) || last.over,
                "{named:?} has two holders"
            );
        }
    }

    fn record(&self, pool: &PoolId, named: &KeyPackageRef) -> &Record {
        let records = self.model.pool(pool).map_or(&[][..], |pool| &pool.records);
        let named = records.iter().find(|(record, _)| record.info.key_package_ref == *named);
        &named.expect("what is answered is remembered").0
    }
}

/// Returns whether the same call again has to be answered the same.
pub(crate) fn is_bound(answer: &Said) -> bool {
    match answer {
        Said::Reserve(answer) => answer.as_ref().is_ok_and(|reserved| reserved.lease.is_some()),
        Said::Claim(answer) => answer.is_ok(),
        Said::Spend(answer) => answer.is_ok(),
        _ => false,
    }
}

/// Checks what is true of a pool at any time.
fn holds_together(pool: &ModelPool) {
    let mut bound = HashSet::new();
    let mut refs = BTreeSet::new();
    let mut slots = BTreeSet::new();
    for (record, kept) in &pool.records {
        assert!(
            refs.insert(&record.info.key_package_ref),
            "one record a ref: {record:?}"
        );
        assert_eq!(
            kept.bytes.is_some(),
            record.state.keeps_bytes(),
            "SPEND-4, LAST-1: {record:?}"
        );
        assert!(
            kept.support.is_none() || kept.bytes.is_some(),
            "RES-3: support goes with the bytes: {record:?}"
        );
        if let Some(id) = record.state.bound_id() {
            assert!(bound.insert(*id), "RES-5: an id is bound to one package: {record:?}");
        }
        if let State::Slot { .. } = record.state {
            assert!(
                slots.insert(record.info.ciphersuite),
                "LAST-1: one slot a ciphersuite: {record:?}"
            );
        }
        let last_resort = matches!(record.state, State::Slot { .. } | State::Replaced { .. });
        assert!(record.info.role.is_last_resort() || !last_resort, "LAST-3: {record:?}");
        assert!(
            record
                .state
                .lapses_at()
                .is_none_or(|end| end <= record.info.lifetime.not_after()),
            "RES-4: {record:?}"
        );
    }
    let sequences: Vec<_> = pool.records.iter().map(|(record, _)| record.sequence).collect();
    assert!(
        sequences.is_sorted_by(|one, next| one < next),
        "RES-2: places are never shared: {sequences:?}"
    );
}

/// Checks that the counts are the counts of the records, whatever the time (READ-2, READ-3).
fn is_counted(model: &Model, id: &PoolId, pool: &ModelPool) {
    for now in [0, 15, 30, 45, HORIZON].map(at) {
        let counts = model.count_by_status(id, now);
        let total: u32 = counts.ciphersuites.values().map(Counts::total).sum();
        assert_eq!(usize::try_from(total), Ok(pool.records.len()), "READ-3: they add up");
        let available: u32 = counts.ciphersuites.values().map(|counts| counts.available).sum();
        assert_eq!(
            usize::try_from(available),
            Ok(model.list_available(id, now).len()),
            "READ-2"
        );
    }
}

fn is_settled(pool: &ModelPool, now: Timestamp) {
    for (record, _) in &pool.records {
        assert!(
            record.state.lapses_at().is_none_or(|end| now < end),
            "TIME-2: {record:?} at {now:?}"
        );
    }
}

/// Checks that a spent package stays spent until it is forgotten, and that what has ended does not come back (TIME-3,
/// SAVE-3).
fn moves_on(was: &ModelPool, is: &ModelPool, call: &Operation, now: Timestamp) {
    let after: BTreeMap<_, _> = is.records.iter().map(|item| (item.0.sequence, item)).collect();
    for (before, kept) in &was.records {
        let Some((after, still)) = after.get(&before.sequence) else {
            let may_go = before.is_expired(now) && matches!(call, Operation::Sweep | Operation::Save(_));
            assert!(may_go || matches!(call, Operation::Delete(_)), "forgotten: {before:?}");
            continue;
        };
        assert_eq!(
            (&before.info, before.saved_at),
            (&after.info, after.saved_at),
            "facts stay"
        );
        assert!(
            kept.fingerprint.is_none() || kept.fingerprint == still.fingerprint,
            "SAVE-9: a fingerprint stays: {before:?}"
        );
        assert!(
            kept.support.is_none() || still.support.is_none() || kept.support == still.support,
            "SAVE-5: support stays: {before:?}"
        );
        match (&before.state, &after.state) {
            (same, still) if same == still => {}
            (State::Free, State::Reserved(_) | State::Used(_) | State::Retired { .. } | State::Withdrawn { .. }) => {}
            (State::Reserved(hold), State::Reserved(still)) if hold.expires_at > now => {
                assert_eq!(
                    (hold.id, &hold.by, hold.on_lapse),
                    (still.id, &still.by, still.on_lapse)
                );
                let renewed = matches!(call, Operation::Renew(..)) && hold.recalled.is_none();
                assert!(
                    hold.expires_at == still.expires_at || renewed && hold.expires_at < still.expires_at,
                    "REN-1: {before:?} became {after:?}"
                );
                assert!(
                    hold.recalled <= still.recalled,
                    "DEL-3: a withdrawal outranks a retirement"
                );
            }
            (State::Reserved(hold), State::Used(usage)) if hold.expires_at > now => assert_eq!(hold.id, usage.id),
            (State::Reserved(hold), State::Free) => {
                let released = matches!(call, Operation::Release(_));
                assert!(
                    hold.recalled.is_none() && (released || hold.expires_at <= now),
                    "{before:?}"
                );
            }
            (State::Reserved(hold), State::Retired { .. } | State::Withdrawn { .. }) => {
                let released = matches!(call, Operation::Release(_));
                assert!(
                    released || hold.expires_at <= now,
                    "DEL-3: a live lease is only recalled: {before:?}"
                );
            }
            (State::Reserved(hold), State::Reserved(_) | State::Used(_)) => {
                assert!(
                    hold.recalled.is_none() && hold.expires_at <= now,
                    "it lapsed, and was taken again: {before:?}"
                );
            }
            (State::Used(usage), State::Used(still)) => {
                assert_eq!(
                    (usage.at, usage.id, &usage.group, &usage.by),
                    (still.at, still.id, &still.group, &still.by)
                );
                assert!(usage.bound || !still.bound, "RES-5: a binding ends for good");
                assert!(
                    still.window.is_none() || still.window == usage.window,
                    "TIME-3: a window ends for good"
                );
            }
            (State::Slot { used: false }, State::Slot { used: true }) => {}
            (State::Slot { .. }, State::Replaced { .. } | State::Withdrawn { .. }) => {}
            _ => panic!("{before:?} became {after:?}"),
        }
    }
}

/// Checks that a save takes no pool above a cap, and that a lower cap removes nothing (SAVE-6). Each role has a memory of
/// its own.
fn keeps_the_caps(was: &ModelPool, is: &ModelPool, cap: u32, mode: SaveMode, now: Timestamp) {
    let remembered = |pool: &ModelPool, role: Role| {
        let of_role = |(record, _): &&(Record, _)| record.info.role == role && !record.is_expired(now);
        pool.records.iter().filter(of_role).count()
    };
    let limit = usize::try_from(MAX_RECORDS).expect("a small number");
    for role in [Role::OneTime, Role::LastResort] {
        assert!(
            remembered(is, role) <= remembered(was, role).max(limit),
            "SAVE-6: max_records of {role:?}"
        );
    }
    let held = |pool: &ModelPool| {
        let mut held = BTreeMap::<_, u32>::new();
        for (record, _) in &pool.records {
            if !record.is_expired(now) && record.clone().settled(now).state.is_held() {
                *held.entry(record.info.ciphersuite).or_default() += 1;
            }
        }
        held
    };
    let before = held(was);
    for (suite, now_held) in held(is) {
        let had = before.get(&suite).copied().unwrap_or_default();
        assert!(now_held <= had.max(cap), "SAVE-6: {suite:?} in {mode:?}");
    }
}

/// Checks that a party at its limit gets no more packages (RES-7).
fn keeps_the_limit(was: Option<&ModelPool>, is: Option<&ModelPool>, take: &TakeRequest) {
    let (Some(_), Some(limit)) = (&take.options.by, take.limit) else {
        return;
    };
    let taken = |pool: Option<&ModelPool>| {
        let records = pool.map_or(&[][..], |pool| &pool.records);
        records
            .iter()
            .filter(|(record, _)| record.state.reserver() == take.options.by.as_ref())
            .count()
    };
    let limit = usize::try_from(limit).expect("a small number");
    assert!(taken(is) <= taken(was).max(limit), "RES-7");
}
