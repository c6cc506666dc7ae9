//! Writes what the rules changed.

use kp_core::rules::{Change, LoadedPool, Record, State};
use kp_core::server::Support;
use kp_core::{CredentialHash, ReservationId, Timestamp};

use crate::link::connection::Statement;
use crate::link::param::Param;
use crate::pools::pool_row::PoolRow;
use crate::pools::rows::{LeaseRow, PackageRow, stored};
use crate::sql::Sql;

/// Each so many records that leave the queue of a pool, its head is moved up.
const HEAD_STEP: i64 = 16;

type Bytes = Vec<Option<Vec<u8>>>;
type Ints = Vec<Option<i64>>;

/// The rows that a transaction writes, column by column.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    cleared: Ints,
    gone: (Ints, Ints),
    lease_gone: (Ints, Ints),
    unbound: (Ints, Bytes),
    bound: (Ints, Ints, Bytes),
    amend: Amend,
    update: Update,
    insert: Insert,
    lease: Lease,
    pool: Pools,
    pool_gone: Ints,
    heads: (Ints, Ints),
    lapses: Ints,
    expiries: Ints,
}

#[derive(Debug, Default)]
struct Amend {
    pool: Ints,
    seq: Ints,
    support: Bytes,
    fingerprint: Bytes,
}

#[derive(Debug, Default)]
struct Update {
    pool: Ints,
    seq: Ints,
    state: Ints,
    id: Bytes,
    former_id: Bytes,
    spent_at: Ints,
    spender: Bytes,
    group: Bytes,
    keeps_bytes: Vec<Option<bool>>,
}

#[derive(Debug, Default)]
struct Insert {
    /// The state and what belongs to it, as for an update.
    row: Update,
    name: Bytes,
    suite: Ints,
    not_before: Ints,
    not_after: Ints,
    saved_at: Ints,
    credential: Bytes,
    support: Bytes,
    fingerprint: Bytes,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Lease {
    pool: Ints,
    seq: Ints,
    state: Ints,
    id: Bytes,
    ends_at: Ints,
    reserver: Bytes,
    spent_at: Ints,
    spender: Bytes,
    group: Bytes,
}

#[derive(Debug, Default)]
struct Pools {
    key: Ints,
    records: Ints,
    last_sequence: Ints,
    credential: Bytes,
    sweep_at: Ints,
    settle_at: Ints,
}

fn owned(bytes: Option<&[u8]>) -> Option<Vec<u8>> {
    bytes.map(<[u8]>::to_vec)
}

/// Returns the column of a support. A support without a type meets no more than none.
fn types(support: Option<&Support>) -> Option<Vec<u8>> {
    support
        .map(|support| support.as_bytes().to_vec())
        .filter(|types| !types.is_empty())
}

impl Writes {
    /// Adds what changed of a pool at the latest of these moments, if there is one. `sweeps`: its bounds are computed anew.
    pub(crate) fn add(&mut self, found: &PoolRow, pool: &LoadedPool, sweeps: bool, now: Option<Timestamp>) {
        let mut row = found.clone();
        if pool.is_cleared() {
            self.cleared.push(Some(row.key));
            row.records = 0;
        }
        let mut moves_head = false;
        for change in pool.changes() {
            match change {
                Change::Insert {
                    record,
                    bytes,
                    support,
                    fingerprint,
                } => {
                    row.add(record.info.credential, record.info.lifetime.not_after());
                    self.insert.bytes.push(bytes.map(|bytes| bytes.as_ref().to_vec()));
                    self.insert.support.push(types(support));
                    self.insert
                        .fingerprint
                        .push(fingerprint.map(|print| print.as_bytes().to_vec()));
                    self.insert(&row, record);
                    self.lease(&mut row, record.sequence, None, &record.state);
                    self.bind(&row, record.sequence, None, record.state.bound_id());
                }
                Change::Amend {
                    record,
                    support,
                    fingerprint,
                } => {
                    self.amend.pool.push(Some(row.key));
                    self.amend.seq.push(Some(stored(record.sequence)));
                    self.amend.support.push(types(support));
                    self.amend
                        .fingerprint
                        .push(fingerprint.map(|print| print.as_bytes().to_vec()));
                }
                Change::Update { record, state } => {
                    if self.update(&row, record, state) {
                        moves_head |= stored(record.sequence) % HEAD_STEP == 0;
                    }
                    self.lease(&mut row, record.sequence, Some(&record.state), state);
                    self.bind(&row, record.sequence, record.state.bound_id(), state.bound_id());
                }
                Change::Forget { record } => {
                    row.records = row.records.saturating_sub(1);
                    self.gone.0.push(Some(row.key));
                    self.gone.1.push(Some(stored(record.sequence)));
                    if record.state.lapses_at().is_some() {
                        self.end_lease(&row, record.sequence);
                    }
                    self.bind(&row, record.sequence, record.state.bound_id(), None);
                }
                _ => {}
            }
        }
        row.last_sequence = stored(pool.last_sequence());
        if row.records <= 0 {
            // Also a pool that the transaction made for a save that was refused.
            self.pool_gone.push(Some(row.key));
            return;
        }
        if row != *found {
            self.pool.add(&row);
        }
        if let Some(now) = now.filter(|_| moves_head) {
            self.heads.0.push(Some(row.key));
            self.heads.1.push(Some(now.get()));
        }
        if sweeps || now.is_some_and(|now| found.is_settle_at_behind(now)) {
            self.lapses.push(Some(row.key));
        }
        if sweeps {
            self.expiries.push(Some(row.key));
        }
    }

    fn insert(&mut self, pool: &PoolRow, record: &Record) {
        let Record { info, .. } = record;
        let insert = &mut self.insert;
        insert.row.add(pool, record, &record.state);
        insert.name.push(Some(info.key_package_ref.as_bytes().to_vec()));
        insert.suite.push(Some(info.ciphersuite.0.into()));
        insert.not_before.push(Some(info.lifetime.not_before().get()));
        insert.not_after.push(Some(info.lifetime.not_after().get()));
        insert.saved_at.push(Some(record.saved_at.get()));
        let CredentialHash(credential) = info.credential;
        insert
            .credential
            .push(Some(credential.to_vec()).filter(|own| *own != pool.credential));
    }

    /// Updates the row of a record, unless only its lease changed. Returns whether the record left state 0.
    fn update(&mut self, pool: &PoolRow, record: &Record, state: &State) -> bool {
        let (before, after) = (
            PackageRow::of(&record.info, &record.state),
            PackageRow::of(&record.info, state),
        );
        if before == after {
            return false;
        }
        self.update.add(pool, record, state);
        before.state == 0
    }

    fn lease(&mut self, pool: &mut PoolRow, sequence: u64, before: Option<&State>, state: &State) {
        if let Some(row) = LeaseRow::of(state) {
            pool.lease(row.ends_at);
            self.lease.add(pool.key, sequence, &row);
        } else if before.is_some_and(|before| before.lapses_at().is_some()) {
            self.end_lease(pool, sequence);
        }
    }

    fn bind(&mut self, pool: &PoolRow, sequence: u64, before: Option<&ReservationId>, after: Option<&ReservationId>) {
        if before == after {
            return;
        }
        if before.is_some() {
            self.unbound.0.push(Some(pool.key));
            self.unbound.1.push(before.map(|id| id.as_bytes().to_vec()));
        }
        if after.is_some() {
            self.bound.0.push(Some(pool.key));
            self.bound.1.push(Some(stored(sequence)));
            self.bound.2.push(after.map(|id| id.as_bytes().to_vec()));
        }
    }

    fn end_lease(&mut self, pool: &PoolRow, sequence: u64) {
        self.lease_gone.0.push(Some(pool.key));
        self.lease_gone.1.push(Some(stored(sequence)));
    }

    /// Returns the statements: one a table and kind. What is deleted goes first, since its ref or id may come anew.
    pub(crate) fn statements(self) -> Vec<Statement> {
        let ints = Param::ManyInts;
        let mut statements = Vec::new();
        let mut add = |sql: Sql, rows: usize, params: Vec<Param>| {
            if rows > 0 {
                statements.push(sql.with(params));
            }
        };
        add(
            Sql::PoolDeleteLeases,
            self.cleared.len(),
            vec![ints(self.cleared.clone())],
        );
        add(Sql::PoolDeleteIds, self.cleared.len(), vec![ints(self.cleared.clone())]);
        add(Sql::PoolDeletePackages, self.cleared.len(), vec![ints(self.cleared)]);
        let (pool, id) = self.unbound;
        add(Sql::IdDelete, pool.len(), vec![ints(pool), Param::ManyBytes(id)]);
        let (pool, seq) = self.lease_gone;
        add(Sql::LeaseDelete, pool.len(), vec![ints(pool), ints(seq)]);
        let (pool, seq) = self.gone;
        add(Sql::PackageDelete, pool.len(), vec![ints(pool), ints(seq)]);
        let Amend {
            pool,
            seq,
            support,
            fingerprint,
        } = self.amend;
        let params = vec![
            ints(pool.clone()),
            ints(seq),
            Param::ManyBytes(support),
            Param::ManyBytes(fingerprint),
        ];
        add(Sql::PackageAmend, pool.len(), params);
        add(Sql::PackageUpdate, self.update.pool.len(), self.update.params());
        add(Sql::PackageInsert, self.insert.suite.len(), self.insert.params());
        add(Sql::LeaseStore, self.lease.pool.len(), self.lease.params());
        let (pool, seq, id) = self.bound;
        let params = vec![ints(pool.clone()), ints(seq), Param::ManyBytes(id)];
        add(Sql::IdInsert, pool.len(), params);
        add(Sql::PoolUpdate, self.pool.key.len(), self.pool.params());
        add(
            Sql::PoolDeleteHeads,
            self.pool_gone.len(),
            vec![ints(self.pool_gone.clone())],
        );
        add(Sql::PoolDelete, self.pool_gone.len(), vec![ints(self.pool_gone)]);
        let (pool, now) = self.heads;
        add(Sql::PoolHead, pool.len(), vec![ints(pool), ints(now)]);
        add(Sql::PoolLapse, self.lapses.len(), vec![ints(self.lapses)]);
        add(Sql::PoolExpiry, self.expiries.len(), vec![ints(self.expiries)]);
        statements
    }
}

impl Update {
    fn add(&mut self, pool: &PoolRow, record: &Record, state: &State) {
        let row = PackageRow::of(&record.info, state);
        self.pool.push(Some(pool.key));
        self.seq.push(Some(stored(record.sequence)));
        self.state.push(Some(row.state.into()));
        self.id.push(owned(row.id));
        self.former_id.push(owned(row.former_id));
        self.spent_at.push(row.spent_at);
        self.spender.push(owned(row.spender));
        self.group.push(owned(row.group));
        self.keeps_bytes.push(Some(row.keeps_bytes));
    }

    fn params(self) -> Vec<Param> {
        vec![
            Param::ManyInts(self.pool),
            Param::ManyInts(self.seq),
            Param::ManyInts(self.state),
            Param::ManyBytes(self.id),
            Param::ManyBytes(self.former_id),
            Param::ManyInts(self.spent_at),
            Param::ManyBytes(self.spender),
            Param::ManyBytes(self.group),
            Param::ManyBools(self.keeps_bytes),
        ]
    }
}

impl Insert {
    fn params(self) -> Vec<Param> {
        let row = self.row;
        vec![
            Param::ManyInts(row.pool),
            Param::ManyInts(row.seq),
            Param::ManyBytes(self.name),
            Param::ManyInts(self.suite),
            Param::ManyInts(self.not_before),
            Param::ManyInts(self.not_after),
            Param::ManyInts(self.saved_at),
            Param::ManyBytes(self.credential),
            Param::ManyInts(row.state),
            Param::ManyBytes(row.id),
            Param::ManyBytes(row.former_id),
            Param::ManyInts(row.spent_at),
            Param::ManyBytes(row.spender),
            Param::ManyBytes(row.group),
            Param::ManyBytes(self.support),
            Param::ManyBytes(self.fingerprint),
            Param::ManyBytes(self.bytes),
        ]
    }
}

impl Lease {
    fn add(&mut self, pool: i64, sequence: u64, row: &LeaseRow<'_>) {
        self.pool.push(Some(pool));
        self.seq.push(Some(stored(sequence)));
        self.state.push(Some(row.state.into()));
        self.id.push(Some(row.id.to_vec()));
        self.ends_at.push(Some(row.ends_at));
        self.reserver.push(owned(row.reserver));
        self.spent_at.push(row.spent_at);
        self.spender.push(owned(row.spender));
        self.group.push(owned(row.group));
    }

    fn params(self) -> Vec<Param> {
        vec![
            Param::ManyInts(self.pool),
            Param::ManyInts(self.seq),
            Param::ManyInts(self.state),
            Param::ManyBytes(self.id),
            Param::ManyInts(self.ends_at),
            Param::ManyBytes(self.reserver),
            Param::ManyInts(self.spent_at),
            Param::ManyBytes(self.spender),
            Param::ManyBytes(self.group),
        ]
    }
}

impl Pools {
    fn add(&mut self, row: &PoolRow) {
        self.key.push(Some(row.key));
        self.records.push(Some(row.records));
        self.last_sequence.push(Some(row.last_sequence));
        self.credential.push(Some(row.credential.clone()));
        self.sweep_at.push(Some(row.sweep_at));
        self.settle_at.push(Some(row.settle_at));
    }

    fn params(self) -> Vec<Param> {
        vec![
            Param::ManyInts(self.key),
            Param::ManyInts(self.records),
            Param::ManyInts(self.last_sequence),
            Param::ManyBytes(self.credential),
            Param::ManyInts(self.sweep_at),
            Param::ManyInts(self.settle_at),
        ]
    }
}
