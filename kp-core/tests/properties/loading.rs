//! Keeps a store as an asynchronous backend does: look-ups are answered between the steps, and a transaction of several
//! calls is written at its end.

use std::collections::BTreeMap;

use kp_core::rules::{
    Change, Extent, Interrupted, Kept, Limits, LoadedPool, LookUp, PoolRecords, Record, State, claim, release, renew,
    reserve, retire, save, settle, spend, withdraw,
};
use kp_core::server::Withdrawal;
use kp_core::{PoolId, Timestamp};

use crate::operation::{Operation, Said};

/// What is stored of one record.
pub(crate) type Row = (Record, Kept);

/// Holds the stored records of all pools.
pub(crate) struct Storage {
    pools: BTreeMap<PoolId, BTreeMap<u64, Row>>,
    limits: Limits,
    /// The most records that one look-up of a walk finds.
    page: usize,
    /// Whether the look-ups that a call needs as a rule are made before the call runs.
    ahead: bool,
    /// How many rounds of look-ups the last call needed.
    pub(crate) rounds: usize,
}

/// Holds the pools that a transaction has loaded.
#[derive(Default)]
pub(crate) struct Transaction(BTreeMap<PoolId, LoadedPool>);

impl Storage {
    pub(crate) fn new(limits: Limits, page: usize, ahead: bool) -> Self {
        Self {
            pools: BTreeMap::new(),
            limits,
            page,
            ahead,
            rounds: 0,
        }
    }

    /// Returns the stored records of a pool, by sequence.
    pub(crate) fn rows(&self, pool: &PoolId) -> Vec<Row> {
        self.pools
            .get(pool)
            .into_iter()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    /// Makes a call inside a transaction.
    pub(crate) fn call(&mut self, transaction: &mut Transaction, call: &Operation, now: Timestamp) -> Said {
        self.rounds = 0;
        let limits = self.limits;
        match call {
            Operation::Save(request) => Said::Save(self.step(
                transaction,
                &request.pool,
                LookUp::of_save(request, now),
                |pool| save(pool, request, limits, now),
            )),
            Operation::Reserve(take, lapse) => {
                Said::Reserve(self.step(transaction, &take.pool, LookUp::of_take(take, now), |pool| {
                    reserve(pool, take, *lapse, now)
                }))
            }
            Operation::Claim(take, group) => {
                Said::Claim(self.step(transaction, &take.pool, LookUp::of_take(take, now), |pool| {
                    claim(pool, take, group.as_ref(), now)
                }))
            }
            Operation::Spend(token, usage) => Said::Spend(self.step(
                transaction,
                &token.pool,
                LookUp::of_token(token, now),
                |pool| spend(pool, token, usage, now),
            )),
            Operation::Release(token) => Said::Release(self.step(
                transaction,
                &token.pool,
                LookUp::of_token(token, now),
                |pool| release(pool, token, now),
            )),
            Operation::Renew(token, ttl) => Said::Renew(self.step(
                transaction,
                &token.pool,
                LookUp::of_token(token, now),
                |pool| renew(pool, token, *ttl, now),
            )),
            Operation::Remove(_, Withdrawal::Refs(refs)) if refs.is_empty() => Said::Remove(BTreeMap::new()),
            Operation::Remove(pool, what) => {
                let removed = self.step(transaction, pool, LookUp::of_withdrawal(what, now), |pool| {
                    withdraw(pool, what, now)
                });
                Said::Remove(removed.into_iter().collect())
            }
            Operation::Delete(pool) => {
                self.step(transaction, pool, Vec::new(), |pool| {
                    pool.clear();
                    Ok(())
                });
                Said::Nothing
            }
            Operation::Retire(saved_before) => self.everywhere(transaction, |storage, transaction, pool| {
                storage.step(transaction, pool, LookUp::of_retirement(now), |pool| {
                    retire(pool, *saved_before, now)
                });
            }),
            Operation::Settle => self.everywhere(transaction, |storage, transaction, pool| {
                storage.step(transaction, pool, vec![LookUp::Lapsed(now)], |pool| settle(pool, now));
            }),
            Operation::Sweep => self.everywhere(transaction, |storage, transaction, pool| {
                // As a sweep with a limit does: again and again, until nothing is left.
                let limit = storage.page;
                while storage.step(transaction, pool, Vec::new(), |pool| cleanup(pool, now, limit)) > 0 {}
            }),
        }
    }

    fn everywhere(
        &mut self,
        transaction: &mut Transaction,
        mut each: impl FnMut(&mut Self, &mut Transaction, &PoolId),
    ) -> Said {
        let pools: Vec<_> = self.pools.keys().chain(transaction.0.keys()).cloned().collect();
        for pool in pools {
            each(self, transaction, &pool);
        }
        Said::Nothing
    }

    /// Runs a step on one pool, as often as look-ups are missing.
    fn step<T>(
        &mut self,
        transaction: &mut Transaction,
        pool: &PoolId,
        ahead: Vec<LookUp>,
        mut step: impl FnMut(&mut LoadedPool) -> Result<T, Interrupted>,
    ) -> T {
        let rows = self.pools.get(pool);
        let loaded =
            transaction
                .0
                .entry(pool.clone())
                .or_insert_with(|| match rows.and_then(BTreeMap::last_key_value) {
                    Some((last, _)) => LoadedPool::new(*last),
                    None => LoadedPool::empty(),
                });
        let none = BTreeMap::new();
        let rows = rows.unwrap_or(&none);
        if self.ahead {
            for look_up in ahead {
                if !loaded.knows(&look_up) {
                    answer(rows, self.page, loaded, look_up);
                }
            }
        }
        loop {
            match loaded.step(&mut step) {
                Ok(answer) => return answer,
                Err(Interrupted::Missing(look_up)) => {
                    self.rounds += 1;
                    answer(rows, self.page, loaded, look_up);
                }
                Err(interrupted) => panic!("{interrupted}"),
            }
        }
    }

    /// Writes what a transaction changed.
    pub(crate) fn commit(&mut self, transaction: Transaction) {
        for (name, pool) in transaction.0 {
            let rows = self.pools.entry(name.clone()).or_default();
            if pool.is_cleared() {
                rows.clear();
            }
            for change in pool.changes() {
                match change {
                    Change::Insert {
                        record,
                        bytes,
                        support,
                        fingerprint,
                    } => {
                        let mut kept = Kept::default();
                        (kept.bytes, kept.support) = (bytes.cloned(), support.cloned());
                        kept.fingerprint = fingerprint.copied();
                        let row = (record.clone(), kept);
                        assert!(rows.insert(record.sequence, row).is_none(), "a sequence is new");
                    }
                    Change::Amend {
                        record,
                        support,
                        fingerprint,
                    } => {
                        let row = rows.get_mut(&record.sequence).expect("what is amended is stored");
                        assert_eq!(row.0, *record, "a change says what was stored");
                        (row.1.support, row.1.fingerprint) = (support.cloned(), fingerprint.copied());
                    }
                    Change::Update { record, state } => {
                        let row = rows.get_mut(&record.sequence).expect("what is updated is stored");
                        assert_eq!(row.0, *record, "a change says what was stored");
                        row.0.state = state.clone();
                        if !state.keeps_bytes() {
                            (row.1.bytes, row.1.support) = (None, None);
                        }
                    }
                    Change::Forget { record } => {
                        let forgotten = rows.remove(&record.sequence).expect("what is forgotten is stored");
                        assert_eq!(forgotten.0, *record, "a change says what was stored");
                    }
                    _ => panic!("an unknown change"),
                }
            }
            if rows.is_empty() {
                self.pools.remove(&name);
            }
        }
    }
}

/// Forgets up to `limit` expired records, and returns how many.
fn cleanup(pool: &mut LoadedPool, now: Timestamp, limit: usize) -> Result<usize, Interrupted> {
    let expired = pool.expired(now, limit)?;
    for record in &expired {
        pool.forget(record)?;
    }
    Ok(expired.len())
}

/// Answers a look-up from the stored records.
fn answer(rows: &BTreeMap<u64, Row>, page: usize, pool: &mut LoadedPool, look_up: LookUp) {
    let count = |which: &dyn Fn(&Record) -> bool| {
        let count = rows.values().filter(|(record, _)| which(record)).count();
        u32::try_from(count).expect("a few records")
    };
    let counted = match &look_up {
        LookUp::Held(suite, now) => {
            count(&|record| record.info.ciphersuite == *suite && record.state.is_held() && !record.is_expired(*now))
        }
        LookUp::Remembered(now) => count(&|record| !record.is_expired(*now)),
        LookUp::RememberedOf(role, now) => count(&|record| record.info.role == *role && !record.is_expired(*now)),
        LookUp::TakenBy(party) => count(&|record| record.state.reserver() == Some(party)),
        _ => return find(rows, page, pool, &look_up),
    };
    pool.counted(look_up, counted);
}

fn find(rows: &BTreeMap<u64, Row>, page: usize, pool: &mut LoadedPool, look_up: &LookUp) {
    let find = |which: &dyn Fn(&Record) -> bool| -> Vec<Record> {
        let records = rows.values().map(|(record, _)| record);
        records.filter(|record| which(record)).cloned().collect()
    };
    let mut extent = Extent::All;
    let mut walk = |mut found: Vec<Record>| {
        if found.len() > page {
            found.truncate(page);
            extent = Extent::UpTo(found[page - 1].sequence);
        }
        found
    };
    let found = match look_up {
        LookUp::Ref(named) => find(&|record| record.info.key_package_ref == *named),
        LookUp::Id(id) => find(&|record| record.state.bound_id() == Some(id)),
        LookUp::Lapsed(now) => find(&|record| record.state.lapses_at().is_some_and(|at| at <= *now)),
        LookUp::Queue { after, now } => walk(find(&|record| {
            Some(record.sequence) > *after && record.state == State::Free && !record.is_expired(*now)
        })),
        LookUp::Expired { after, now } => walk(find(&|record| {
            Some(record.sequence) > *after && record.is_expired(*now)
        })),
        LookUp::Slots => find(&|record| matches!(record.state, State::Slot { .. })),
        LookUp::Unspent(now) => find(&|record| record.state.is_unspent_one_time() && !record.is_expired(*now)),
        LookUp::InitKey(fingerprint, now) => {
            find(&|record| rows[&record.sequence].1.fingerprint == Some(*fingerprint) && !record.is_expired(*now))
        }
        LookUp::Bytes(sequence) => find(&|record| record.sequence == *sequence),
        other => panic!("{other:?} finds no records"),
    };
    // Bytes come where they are needed as a rule, and where they are asked for.
    let with_bytes = matches!(look_up, LookUp::Queue { after: None, .. } | LookUp::Bytes(_));
    let found = found.into_iter().map(|record| {
        let mut kept = rows[&record.sequence].1.clone();
        kept.bytes = kept.bytes.filter(|_| with_bytes);
        (record, kept)
    });
    pool.found(look_up, found, extent);
}
