//! Writes what the rules changed.

use kp_core::rules::{Change, LeaseColumns, LoadedPool, Record, RecordColumns, State};
use kp_core::server::{InitKeyFingerprint, Support};
use kp_core::{CredentialHash, KeyPackageBytes, ReservationId, Timestamp};

use crate::link::connection::Statement;
use crate::link::param::Param;
use crate::pools::pool_row::PoolRow;
use crate::pools::rows::stored;
use crate::sql::Sql;

/// Each so many records that leave the queue of a pool, its head is moved up.
const HEAD_STEP: i64 = 16;

/// The most records that one statement inserts: 65 MB of the largest KeyPackages. PostgreSQL takes no message of 1 GiB.
const INSERTS: usize = 1_000;

/// The place of a record: the key of its pool, and its sequence.
type Place = (i64, i64);

/// What is computed anew of a pool, whatever changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Its bounds.
    pub(crate) bounds: bool,
    /// The head of its queue, if records have expired: what is left before it has not.
    pub(crate) head: bool,
}

/// The rows that a transaction writes, of the pools that it has loaded.
#[derive(Debug, Default)]
pub(crate) struct Writes<'a> {
    cleared: Vec<i64>,
    gone: Vec<Place>,
    lease_gone: Vec<Place>,
    unbound: Vec<(i64, &'a ReservationId)>,
    bound: Vec<(Place, &'a ReservationId)>,
    amend: Vec<(Place, Beside<'a>)>,
    update: Vec<(Place, RecordColumns<'a>)>,
    insert: Vec<Insert<'a>>,
    lease: Vec<(Place, LeaseColumns<'a>)>,
    pool: Vec<PoolRow>,
    pool_gone: Vec<i64>,
    heads: Vec<(i64, Timestamp)>,
    lapses: Vec<i64>,
    expiries: Vec<i64>,
}

/// What is kept beside a record.
#[derive(Debug, Clone, Copy)]
struct Beside<'a> {
    support: Option<&'a Support>,
    fingerprint: Option<&'a InitKeyFingerprint>,
}

#[derive(Debug)]
struct Insert<'a> {
    pool: i64,
    record: &'a Record,
    columns: RecordColumns<'a>,
    /// The credential hash, if it is not the pool's.
    credential: Option<&'a [u8]>,
    beside: Beside<'a>,
    bytes: Option<&'a KeyPackageBytes>,
}

impl<'a> Beside<'a> {
    /// Returns the column. A support without a type meets no more than none.
    fn support(&self) -> Option<&'a [u8]> {
        self.support.map(Support::as_bytes).filter(|types| !types.is_empty())
    }

    fn fingerprint(&self) -> Option<&'a [u8]> {
        self.fingerprint.map(|print| print.as_bytes().as_slice())
    }
}

impl<'a> Writes<'a> {
    /// Adds what changed of a pool at the latest of these moments, if there is one.
    pub(crate) fn add(&mut self, found: &PoolRow, pool: &'a LoadedPool, needs: Needs, now: Option<Timestamp>) {
        let mut row = found.clone();
        if pool.is_cleared() {
            self.cleared.push(row.key);
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
                    let CredentialHash(own) = &record.info.credential;
                    self.insert.push(Insert {
                        pool: row.key,
                        record,
                        columns: RecordColumns::of(&record.info, &record.state),
                        credential: Some(own.as_slice()).filter(|own| *own != row.credential),
                        beside: Beside { support, fingerprint },
                        bytes,
                    });
                    self.lease(&mut row, record.sequence, None, &record.state);
                    self.bind(&row, record.sequence, None, record.state.bound_id());
                }
                Change::Amend {
                    record,
                    support,
                    fingerprint,
                } => {
                    let beside = Beside { support, fingerprint };
                    self.amend.push((place(&row, record.sequence), beside));
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
                    self.gone.push(place(&row, record.sequence));
                    if record.state.lapses_at().is_some() {
                        self.lease_gone.push(place(&row, record.sequence));
                    }
                    self.bind(&row, record.sequence, record.state.bound_id(), None);
                }
                _ => {}
            }
        }
        row.last_sequence = stored(pool.last_sequence());
        if row.records <= 0 {
            // Also a pool that the transaction made for a save that was refused.
            self.pool_gone.push(row.key);
            return;
        }
        if let Some(now) = now.filter(|now| moves_head || (needs.head && !found.has_no_expired(*now))) {
            self.heads.push((row.key, now));
        }
        if needs.bounds || now.is_some_and(|now| found.is_settle_at_behind(now)) {
            self.lapses.push(row.key);
        }
        if needs.bounds {
            self.expiries.push(row.key);
        }
        if row != *found {
            self.pool.push(row);
        }
    }

    /// Updates the row of a record, unless only its lease changed. Returns whether the record left state 0.
    fn update(&mut self, pool: &PoolRow, record: &'a Record, state: &'a State) -> bool {
        let before = RecordColumns::of(&record.info, &record.state);
        let after = RecordColumns::of(&record.info, state);
        if before == after {
            return false;
        }
        self.update.push((place(pool, record.sequence), after));
        before.state == 0
    }

    fn lease(&mut self, pool: &mut PoolRow, sequence: u64, before: Option<&State>, state: &'a State) {
        if let Some(lease) = LeaseColumns::of(state) {
            pool.lease(lease.ends_at);
            self.lease.push((place(pool, sequence), lease));
        } else if before.is_some_and(|before| before.lapses_at().is_some()) {
            self.lease_gone.push(place(pool, sequence));
        }
    }

    fn bind(
        &mut self,
        pool: &PoolRow,
        sequence: u64,
        before: Option<&'a ReservationId>,
        after: Option<&'a ReservationId>,
    ) {
        if before == after {
            return;
        }
        self.unbound.extend(before.map(|id| (pool.key, id)));
        self.bound.extend(after.map(|id| (place(pool, sequence), id)));
    }

    /// Returns the statements: one a table and kind. What is deleted goes first, since its ref or id may come anew.
    pub(crate) fn statements(self) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut add = |sql: Sql, rows: usize, params: Vec<Param>| {
            if rows > 0 {
                statements.push(sql.with(params));
            }
        };
        let keys = |keys: &[i64]| Param::all_ints(keys.iter().copied());
        let cleared = &self.cleared;
        for sql in [Sql::PoolDeleteLeases, Sql::PoolDeleteIds, Sql::PoolDeletePackages] {
            add(sql, cleared.len(), vec![keys(cleared)]);
        }
        let unbound = &self.unbound;
        let params = vec![
            ints(unbound, |(pool, _)| *pool),
            Param::all_bytes(unbound.iter().map(|(_, id)| id.as_bytes())),
        ];
        add(Sql::IdDelete, unbound.len(), params);
        add(
            Sql::LeaseDelete,
            self.lease_gone.len(),
            places(&self.lease_gone, |place| *place),
        );
        add(Sql::PackageDelete, self.gone.len(), places(&self.gone, |place| *place));
        add(Sql::PackageAmend, self.amend.len(), amend(&self.amend));
        add(Sql::PackageUpdate, self.update.len(), update(&self.update));
        for rows in self.insert.chunks(INSERTS) {
            add(Sql::PackageInsert, rows.len(), insert(rows));
        }
        add(Sql::LeaseStore, self.lease.len(), lease(&self.lease));
        let mut params = places(&self.bound, |(place, _)| *place);
        params.push(Param::all_bytes(self.bound.iter().map(|(_, id)| id.as_bytes())));
        add(Sql::IdInsert, self.bound.len(), params);
        add(Sql::PoolUpdate, self.pool.len(), pool(&self.pool));
        for sql in [Sql::PoolDeleteHeads, Sql::PoolDelete] {
            add(sql, self.pool_gone.len(), vec![keys(&self.pool_gone)]);
        }
        let params = vec![
            ints(&self.heads, |(pool, _)| *pool),
            ints(&self.heads, |(_, now)| now.get()),
        ];
        add(Sql::PoolHead, self.heads.len(), params);
        add(Sql::PoolLapse, self.lapses.len(), vec![keys(&self.lapses)]);
        add(Sql::PoolExpiry, self.expiries.len(), vec![keys(&self.expiries)]);
        statements
    }
}

fn place(pool: &PoolRow, sequence: u64) -> Place {
    (pool.key, stored(sequence))
}

fn ints<R>(rows: &[R], of: impl Fn(&R) -> i64) -> Param {
    Param::all_ints(rows.iter().map(of))
}

fn times<R>(rows: &[R], of: impl Fn(&R) -> Option<i64>) -> Param {
    Param::ManyInts(rows.iter().map(of).collect())
}

fn bytes<'r, R>(rows: &'r [R], of: impl Fn(&'r R) -> Option<&'r [u8]>) -> Param {
    Param::ManyBytes(rows.iter().map(|row| of(row).map(<[u8]>::to_vec)).collect())
}

fn places<R>(rows: &[R], of: impl Fn(&R) -> Place) -> Vec<Param> {
    vec![ints(rows, |row| of(row).0), ints(rows, |row| of(row).1)]
}

fn amend(rows: &[(Place, Beside<'_>)]) -> Vec<Param> {
    let mut params = places(rows, |(place, _)| *place);
    params.push(bytes(rows, |(_, beside)| beside.support()));
    params.push(bytes(rows, |(_, beside)| beside.fingerprint()));
    params
}

fn update(rows: &[(Place, RecordColumns<'_>)]) -> Vec<Param> {
    let mut params = places(rows, |(place, _)| *place);
    params.extend(changing(rows, |(_, columns)| columns));
    params.push(Param::ManyBools(
        rows.iter().map(|(_, columns)| Some(columns.keeps_bytes)).collect(),
    ));
    params
}

/// The columns that change with the state of a record.
fn changing<'r, R>(rows: &'r [R], of: impl Fn(&'r R) -> &'r RecordColumns<'r>) -> [Param; 6] {
    [
        Param::all_ints(rows.iter().map(|row| of(row).state)),
        bytes(rows, |row| of(row).id),
        bytes(rows, |row| of(row).former_id),
        Param::ManyInts(rows.iter().map(|row| of(row).spent_at).collect()),
        bytes(rows, |row| of(row).spender),
        bytes(rows, |row| of(row).group),
    ]
}

fn insert(rows: &[Insert<'_>]) -> Vec<Param> {
    let mut params = places(rows, |row| (row.pool, stored(row.record.sequence)));
    params.extend([
        bytes(rows, |row| Some(row.record.info.key_package_ref.as_bytes())),
        ints(rows, |row| row.record.info.ciphersuite.0.into()),
        ints(rows, |row| row.record.info.lifetime.not_before().get()),
        ints(rows, |row| row.record.info.lifetime.not_after().get()),
        ints(rows, |row| row.record.saved_at.get()),
        bytes(rows, |row| row.credential),
    ]);
    params.extend(changing(rows, |row| &row.columns));
    params.extend([
        bytes(rows, |row| row.beside.support()),
        bytes(rows, |row| row.beside.fingerprint()),
        bytes(rows, |row| row.bytes.map(AsRef::as_ref)),
    ]);
    params
}

fn lease(rows: &[(Place, LeaseColumns<'_>)]) -> Vec<Param> {
    let mut params = places(rows, |(place, _)| *place);
    params.extend([
        ints(rows, |(_, lease)| lease.state),
        bytes(rows, |(_, lease)| Some(lease.id)),
        ints(rows, |(_, lease)| lease.ends_at),
        bytes(rows, |(_, lease)| lease.reserver),
        times(rows, |(_, lease)| lease.spent_at),
        bytes(rows, |(_, lease)| lease.spender),
        bytes(rows, |(_, lease)| lease.group),
    ]);
    params
}

fn pool(rows: &[PoolRow]) -> Vec<Param> {
    vec![
        ints(rows, |row| row.key),
        ints(rows, |row| row.records),
        ints(rows, |row| row.last_sequence),
        bytes(rows, |row| Some(&row.credential)),
        ints(rows, |row| row.sweep_at),
        ints(rows, |row| row.settle_at),
    ]
}
