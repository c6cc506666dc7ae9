//! Converts rows into records, and records into rows.

use kp_core::Role;
use kp_core::rules::{LeaseRecord, Recall, Record, Spent, State, Window};
use kp_core::server::{OnLapse, Support};
use kp_core::{
    Ciphersuite, CredentialHash, GroupId, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Party,
    ReservationId, Timestamp,
};
use rusqlite::{OptionalExtension, Params, Row};

use crate::file::calls::Statements;
use crate::file::columns::Columns;
use crate::file::error::{Damage, Failure};
use crate::pools::pool_row::PoolRow;
use crate::sql::Sql;

/// `keypackage_pool_packages.state`, and `keypackage_pool_leases.state`.
mod state {
    pub(super) const FREE: i64 = 0;
    pub(super) const SLOT: i64 = 1;
    pub(super) const SLOT_USED: i64 = 2;
    pub(super) const RESERVED: i64 = 3;
    pub(super) const RESERVED_TO_RETIRE: i64 = 4;
    pub(super) const RECALLED_RETIRED: i64 = 5;
    pub(super) const RECALLED_WITHDRAWN: i64 = 6;
    pub(super) const USED_WINDOW: i64 = 7;
    pub(super) const CLAIMED_WINDOW: i64 = 8;
    pub(super) const USED: i64 = 9;
    pub(super) const RETIRED: i64 = 10;
    pub(super) const WITHDRAWN: i64 = 11;
    pub(super) const LAST_RESORT_WITHDRAWN: i64 = 12;
    pub(super) const LAST_RESORT_REPLACED: i64 = 13;
}

/// The columns of `keypackage_pool_packages` that an update writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PackageRow<'a> {
    pub(crate) state: i64,
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) former_id: Option<&'a [u8]>,
    pub(crate) spent_at: Option<i64>,
    pub(crate) spender: Option<&'a [u8]>,
    pub(crate) group: Option<&'a [u8]>,
    pub(crate) keeps_bytes: bool,
}

impl<'a> PackageRow<'a> {
    /// Returns the columns for a state. A leased KeyPackage whose bytes are kept has the columns of a free one.
    pub(crate) fn of(info: &KeyPackageInfo, state: &'a State) -> Self {
        let mut row = Self {
            state: state::FREE,
            id: None,
            former_id: None,
            spent_at: None,
            spender: None,
            group: None,
            keeps_bytes: state.keeps_bytes(),
        };
        match state {
            State::Free | State::Reserved(_) => {}
            State::Used(_) if row.keeps_bytes => {}
            State::Used(spent) => {
                row.state = state::USED;
                let id = Some(spent.id.as_bytes().as_slice());
                *if spent.bound { &mut row.id } else { &mut row.former_id } = id;
                row.spent_at = Some(spent.at.get());
                row.spender = spent.by.as_ref().map(Party::as_bytes);
                row.group = spent.group.as_ref().map(GroupId::as_bytes);
            }
            State::Slot { used: false } => row.state = state::SLOT,
            State::Slot { used: true } => row.state = state::SLOT_USED,
            State::Retired { at } => (row.state, row.spent_at) = (state::RETIRED, Some(at.get())),
            State::Withdrawn { at } if info.role.is_last_resort() => {
                (row.state, row.spent_at) = (state::LAST_RESORT_WITHDRAWN, Some(at.get()));
            }
            State::Withdrawn { at } => (row.state, row.spent_at) = (state::WITHDRAWN, Some(at.get())),
            State::Replaced { at } => (row.state, row.spent_at) = (state::LAST_RESORT_REPLACED, Some(at.get())),
        }
        row
    }
}

/// A row of `keypackage_pool_leases`, without its keys.
#[derive(Debug)]
pub(crate) struct LeaseRow<'a> {
    pub(crate) state: i64,
    pub(crate) id: &'a [u8],
    pub(crate) lapses_at: i64,
    pub(crate) reserver: Option<&'a [u8]>,
    pub(crate) spent_at: Option<i64>,
    pub(crate) spender: Option<&'a [u8]>,
    pub(crate) group: Option<&'a [u8]>,
}

impl<'a> LeaseRow<'a> {
    /// Returns the lease or window of a state, if the state has one.
    pub(crate) fn of(state: &'a State) -> Option<Self> {
        let lapses_at = state.lapses_at()?.get();
        let reserver = state.reserver().map(Party::as_bytes);
        match state {
            State::Reserved(lease) => Some(Self {
                // Once a lease is recalled, its `on_lapse` no longer matters (DEL-3).
                state: match (lease.recalled, lease.on_lapse) {
                    (None, OnLapse::Return) => state::RESERVED,
                    (None, OnLapse::Retire) => state::RESERVED_TO_RETIRE,
                    (Some(Recall::Retired), _) => state::RECALLED_RETIRED,
                    (Some(Recall::Withdrawn), _) => state::RECALLED_WITHDRAWN,
                },
                id: lease.id.as_bytes(),
                lapses_at,
                reserver,
                spent_at: None,
                spender: None,
                group: None,
            }),
            State::Used(spent) => Some(Self {
                state: if state.keeps_bytes() {
                    state::CLAIMED_WINDOW
                } else {
                    state::USED_WINDOW
                },
                id: spent.id.as_bytes(),
                lapses_at,
                reserver,
                spent_at: Some(spent.at.get()),
                spender: spent.by.as_ref().map(Party::as_bytes),
                group: spent.group.as_ref().map(GroupId::as_bytes),
            }),
            _ => None,
        }
    }
}

/// The columns of a record, after its key: every statement that reads records selects these, in this order.
mod column {
    pub(super) const REF: usize = 1;
    pub(super) const SUITE: usize = 2;
    pub(super) const NOT_BEFORE: usize = 3;
    pub(super) const NOT_AFTER: usize = 4;
    pub(super) const SAVED_AT: usize = 5;
    pub(super) const CREDENTIAL: usize = 6;
    pub(super) const STATE: usize = 7;
    pub(super) const ID: usize = 8;
    pub(super) const FORMER_ID: usize = 9;
    pub(super) const SPENT: Spent = Spent(10);
    /// NULL, like the other columns of the lease, if there is no lease.
    pub(super) const LEASE: usize = 13;
    pub(super) const LEASE_ID: usize = 14;
    pub(super) const LAPSES_AT: usize = 15;
    pub(super) const RESERVER: usize = 16;
    pub(super) const LEASE_SPENT: Spent = Spent(17);
    pub(super) const BYTES: usize = 20;
    pub(super) const SUPPORT: usize = 21;

    /// The first of three columns: when, by whom, for which group.
    #[derive(Clone, Copy)]
    pub(super) struct Spent(pub(super) usize);
}

/// Reads a record. `credential` is the credential hash of its pool.
pub(crate) fn record(row: &Row<'_>, credential: CredentialHash) -> Result<Record, Failure> {
    let columns = Columns::of(row)?;
    let code: i64 = columns.get(column::STATE, "state")?;
    let lifetime = Lifetime::new(
        columns.time(column::NOT_BEFORE, "not_before")?,
        columns.time(column::NOT_AFTER, "not_after")?,
    );
    let last_resort = matches!(
        code,
        state::SLOT | state::SLOT_USED | state::LAST_RESORT_WITHDRAWN | state::LAST_RESORT_REPLACED
    );
    Ok(Record {
        info: KeyPackageInfo::new(
            columns.made(column::REF, "ref", |bytes: &[u8]| KeyPackageRef::try_from(bytes).ok())?,
            columns.made(column::SUITE, "suite", |suite: i64| {
                u16::try_from(suite).ok().map(Ciphersuite)
            })?,
            lifetime.map_err(|_| columns.damage("not_after"))?,
            columns
                .optional(column::CREDENTIAL, "credential", |bytes| {
                    bytes.try_into().ok().map(CredentialHash)
                })?
                .unwrap_or(credential),
        )
        .role(Role::of(last_resort)),
        sequence: u64::try_from(columns.key).map_err(|_| columns.damage("key"))?,
        saved_at: columns.time(column::SAVED_AT, "saved_at")?,
        state: match columns.get::<Option<i64>>(column::LEASE, "state of the lease")? {
            Some(lease) => columns.leased_state(lease)?,
            None => columns.state(code)?,
        },
    })
}

/// Reads the bytes of a record from a row that has them.
pub(crate) fn bytes(row: &Row<'_>) -> Result<KeyPackageBytes, Failure> {
    let columns = Columns::of(row)?;
    columns.made(column::BYTES, "bytes", |bytes: &[u8]| {
        KeyPackageBytes::try_from(bytes).ok()
    })
}

/// Reads the bytes of a record by its key.
pub(crate) fn bytes_of(statements: &mut Statements<'_>, key: i64) -> Result<KeyPackageBytes, Failure> {
    let bytes = statements
        .one(Sql::Bytes, [key], |row| {
            Ok(row.get_ref(0)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok()))
        })
        .optional()?
        .flatten();
    bytes.ok_or_else(|| Damage { key, column: "bytes" }.into())
}

/// Reads the support of a record from a row that has it (RES-3).
pub(crate) fn support(row: &Row<'_>) -> Result<Option<Support>, Failure> {
    Columns::of(row)?.optional(column::SUPPORT, "support", Support::from_bytes)
}

/// Reads the support of a record by its key.
pub(crate) fn support_of(statements: &mut Statements<'_>, key: i64) -> Result<Option<Support>, Failure> {
    let mut rows = statements.get(Sql::Support)?.query([key])?;
    match rows.next()? {
        Some(row) => Columns::of(row)?.optional(1, "support", Support::from_bytes),
        None => Err(Damage { key, column: "support" }.into()),
    }
}

/// Reads several records, and skips damaged ones: one damaged row must not block its pool.
pub(crate) fn many(
    statements: &mut Statements<'_>,
    pool: &PoolRow,
    sql: Sql,
    params: impl Params,
) -> Result<Vec<Record>, Failure> {
    let mut rows = statements.get(sql)?.query(params)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(skip_damaged(record(row, pool.credential))?);
    }
    Ok(records)
}

/// Returns the key of a row that was read by sequence: below `i64::MAX`, which no record reaches. Fails if the key is not
/// behind the last one: then an index is out of order, and a search that continues behind each key could go in circles.
pub(crate) fn next_key(row: &Row<'_>, last: i64) -> Result<i64, Failure> {
    let key = row.get(0)?;
    if (last < key || last == i64::MIN) && key < i64::MAX {
        Ok(key)
    } else {
        Err(Damage { key, column: "key" }.into())
    }
}

/// Turns a damaged row into `None`, with a warning in the log.
pub(crate) fn skip_damaged<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Damaged(damage)) => {
            tracing::warn!(key = damage.key, column = damage.column, "skipped a damaged row");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Returns the key of a record's row: its sequence.
pub(crate) fn key(record: &Record) -> Result<i64, Failure> {
    i64::try_from(record.sequence).map_err(|_| Damage { key: -1, column: "key" }.into())
}

impl Columns<'_, '_> {
    fn id(&self, index: usize, name: &'static str) -> Result<Option<ReservationId>, Failure> {
        self.optional(index, name, |bytes| {
            bytes.try_into().ok().map(ReservationId::from_bytes)
        })
    }

    fn party(&self, index: usize, name: &'static str) -> Result<Option<Party>, Failure> {
        self.optional(index, name, |bytes| Party::try_from(bytes).ok())
    }

    fn spent_at(&self) -> Result<Timestamp, Failure> {
        self.time(column::SPENT.0, "spent_at")
    }

    fn state(&self, code: i64) -> Result<State, Failure> {
        Ok(match code {
            state::FREE => State::Free,
            state::SLOT => State::Slot { used: false },
            state::SLOT_USED => State::Slot { used: true },
            state::USED => {
                let bound = self.id(column::ID, "id")?;
                let former = self.id(column::FORMER_ID, "former_id")?;
                let id = bound.or(former).ok_or_else(|| self.damage("id"))?;
                State::Used(self.spent(column::SPENT, id, bound.is_some(), None)?)
            }
            state::RETIRED => State::Retired { at: self.spent_at()? },
            state::WITHDRAWN | state::LAST_RESORT_WITHDRAWN => State::Withdrawn { at: self.spent_at()? },
            state::LAST_RESORT_REPLACED => State::Replaced { at: self.spent_at()? },
            _ => return Err(self.damage("state")),
        })
    }

    fn leased_state(&self, code: i64) -> Result<State, Failure> {
        let (on_lapse, recalled) = match code {
            state::RESERVED => (OnLapse::Return, None),
            state::RESERVED_TO_RETIRE => (OnLapse::Retire, None),
            state::RECALLED_RETIRED => (OnLapse::Retire, Some(Recall::Retired)),
            state::RECALLED_WITHDRAWN => (OnLapse::Retire, Some(Recall::Withdrawn)),
            state::USED_WINDOW | state::CLAIMED_WINDOW => return self.used_in_window(code == state::CLAIMED_WINDOW),
            _ => return Err(self.damage("state of the lease")),
        };
        Ok(State::Reserved(LeaseRecord {
            id: self.lease_id()?,
            by: self.party(column::RESERVER, "reserver")?,
            expires_at: self.lapses_at()?,
            on_lapse,
            recalled,
        }))
    }

    fn used_in_window(&self, replayable: bool) -> Result<State, Failure> {
        let window = Window {
            expires_at: self.lapses_at()?,
            reserver: self.party(column::RESERVER, "reserver")?,
            replayable,
        };
        let spent = self.spent(column::LEASE_SPENT, self.lease_id()?, true, Some(window))?;
        Ok(State::Used(spent))
    }

    fn lease_id(&self) -> Result<ReservationId, Failure> {
        self.id(column::LEASE_ID, "id of the lease")?
            .ok_or_else(|| self.damage("id of the lease"))
    }

    fn lapses_at(&self) -> Result<Timestamp, Failure> {
        self.time(column::LAPSES_AT, "lapses_at")
    }

    fn spent(
        &self,
        column::Spent(at): column::Spent,
        id: ReservationId,
        bound: bool,
        window: Option<Window>,
    ) -> Result<Spent, Failure> {
        Ok(Spent {
            at: self.time(at, "spent_at")?,
            id,
            bound,
            group: self.optional(at + 2, "group_id", |bytes| GroupId::try_from(bytes).ok())?,
            by: self.party(at + 1, "spender")?,
            window,
        })
    }
}
