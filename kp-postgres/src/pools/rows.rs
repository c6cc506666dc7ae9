//! Converts rows into records, and records into rows.

use kp_core::Role;
use kp_core::rules::{Kept, LeaseRecord, Recall, Record, Spent, State, Window};
use kp_core::server::{InitKeyFingerprint, OnLapse, Support};
use kp_core::{
    Ciphersuite, CredentialHash, GroupId, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Party,
    ReservationId, Timestamp,
};
use tokio_postgres::types::FromSql;

use crate::link::error::{Damage, Failure};
use crate::link::row::Row;

/// `keypackage_pool_packages.state`, and `keypackage_pool_leases.state`.
mod state {
    pub(super) const FREE: i16 = 0;
    pub(super) const SLOT: i16 = 1;
    pub(super) const SLOT_USED: i16 = 2;
    pub(super) const RESERVED: i16 = 3;
    pub(super) const RESERVED_TO_RETIRE: i16 = 4;
    pub(super) const RECALLED_RETIRED: i16 = 5;
    pub(super) const RECALLED_WITHDRAWN: i16 = 6;
    pub(super) const USED_WINDOW: i16 = 7;
    pub(super) const CLAIMED_WINDOW: i16 = 8;
    pub(super) const USED: i16 = 9;
    pub(super) const RETIRED: i16 = 10;
    pub(super) const WITHDRAWN: i16 = 11;
    pub(super) const LAST_RESORT_WITHDRAWN: i16 = 12;
    pub(super) const LAST_RESORT_REPLACED: i16 = 13;
}

/// The columns of `keypackage_pool_packages` that an update writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PackageRow<'a> {
    pub(crate) state: i16,
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
    pub(crate) state: i16,
    pub(crate) id: &'a [u8],
    pub(crate) ends_at: i64,
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
                ends_at: lapses_at,
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
                ends_at: lapses_at,
                reserver,
                spent_at: Some(spent.at.get()),
                spender: spent.by.as_ref().map(Party::as_bytes),
                group: spent.group.as_ref().map(GroupId::as_bytes),
            }),
            _ => None,
        }
    }
}

/// The columns of a record: every statement that reads records selects these, in this order, behind the number of the
/// look-up.
mod column {
    pub(super) const POOL_CREDENTIAL: usize = 1;
    pub(super) const SEQ: usize = 2;
    pub(super) const REF: usize = 3;
    pub(super) const SUITE: usize = 4;
    pub(super) const NOT_BEFORE: usize = 5;
    pub(super) const NOT_AFTER: usize = 6;
    pub(super) const SAVED_AT: usize = 7;
    pub(super) const CREDENTIAL: usize = 8;
    pub(super) const STATE: usize = 9;
    pub(super) const ID: usize = 10;
    pub(super) const FORMER_ID: usize = 11;
    pub(super) const SPENT: Spent = Spent(12);
    /// NULL, like the other columns of the lease, if there is no lease.
    pub(super) const LEASE: usize = 15;
    pub(super) const LEASE_ID: usize = 16;
    pub(super) const ENDS_AT: usize = 17;
    pub(super) const RESERVER: usize = 18;
    pub(super) const LEASE_SPENT: Spent = Spent(19);
    pub(super) const SUPPORT: usize = 22;
    pub(super) const FINGERPRINT: usize = 23;
    pub(super) const BYTES: usize = 24;

    /// The first of three columns: when, by whom, for which group.
    #[derive(Clone, Copy)]
    pub(super) struct Spent(pub(super) usize);
}

/// Reads the number of the look-up that a row answers.
pub(crate) fn number(row: &Row) -> Result<usize, Failure> {
    let number: i64 = row.try_get(0)?;
    Ok(usize::try_from(number).unwrap_or_default().saturating_sub(1))
}

/// Reads the sequence of a record.
pub(crate) fn sequence(row: &Row) -> Result<u64, Failure> {
    let columns = Columns::of(row)?;
    u64::try_from(columns.key).map_err(|_| columns.damage("seq"))
}

/// Reads a record.
pub(crate) fn record(row: &Row) -> Result<Record, Failure> {
    let columns = Columns::of(row)?;
    let code: i16 = columns.get(column::STATE, "state")?;
    let lifetime = Lifetime::new(
        columns.time(column::NOT_BEFORE, "not_before")?,
        columns.time(column::NOT_AFTER, "not_after")?,
    );
    let last_resort = matches!(
        code,
        state::SLOT | state::SLOT_USED | state::LAST_RESORT_WITHDRAWN | state::LAST_RESORT_REPLACED
    );
    let hash = |bytes: &[u8]| bytes.try_into().ok().map(CredentialHash);
    let credential = match columns.optional(column::CREDENTIAL, "credential", hash)? {
        Some(credential) => credential,
        None => columns.made(column::POOL_CREDENTIAL, "credential of the pool", hash)?,
    };
    Ok(Record {
        info: KeyPackageInfo::new(
            columns.made(column::REF, "ref", |bytes: &[u8]| KeyPackageRef::try_from(bytes).ok())?,
            columns.made(column::SUITE, "suite", |suite: i32| {
                u16::try_from(suite).ok().map(Ciphersuite)
            })?,
            lifetime.map_err(|_| columns.damage("not_after"))?,
            credential,
        )
        .role(Role::of(last_resort)),
        sequence: sequence(row)?,
        saved_at: columns.time(column::SAVED_AT, "saved_at")?,
        state: match columns.get::<Option<i16>>(column::LEASE, "state of the lease")? {
            Some(lease) => columns.leased_state(lease)?,
            None => columns.state(code)?,
        },
    })
}

/// Reads the bytes of a record, if they were asked for and are kept.
pub(crate) fn bytes(row: &Row) -> Result<Option<KeyPackageBytes>, Failure> {
    let columns = Columns::of(row)?;
    columns.optional(column::BYTES, "bytes", |bytes| KeyPackageBytes::try_from(bytes).ok())
}

/// Reads what is kept beside a record, without the bytes (RES-3, SAVE-9).
pub(crate) fn kept(row: &Row) -> Result<Kept, Failure> {
    let columns = Columns::of(row)?;
    let fingerprint = |bytes: &[u8]| bytes.try_into().ok().map(InitKeyFingerprint::from_bytes);
    let mut kept = Kept::default();
    kept.support = columns.optional(column::SUPPORT, "support", Support::from_bytes)?;
    kept.fingerprint = columns.optional(column::FINGERPRINT, "fingerprint", fingerprint)?;
    Ok(kept)
}

/// Reads records. A damaged record is passed over, with a warning in the log: one damaged row must not block its pool.
pub(crate) fn many(rows: &[Row]) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        records.extend(skip_damaged(record(row))?);
    }
    Ok(records)
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

/// Returns a number of ours as the database keeps it.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads the columns of a row, and reports every value that this crate would not write.
struct Columns<'a> {
    row: &'a Row,
    key: i64,
}

impl<'a> Columns<'a> {
    fn of(row: &'a Row) -> Result<Self, Failure> {
        Ok(Self {
            row,
            key: row.try_get(column::SEQ)?,
        })
    }

    fn damage(&self, column: &'static str) -> Failure {
        Damage { key: self.key, column }.into()
    }

    fn get<T: FromSql<'a>>(&self, index: usize, name: &'static str) -> Result<T, Failure> {
        self.row.try_get(index).map_err(|_| self.damage(name))
    }

    fn made<V: FromSql<'a>, T>(
        &self,
        index: usize,
        name: &'static str,
        make: impl FnOnce(V) -> Option<T>,
    ) -> Result<T, Failure> {
        make(self.get(index, name)?).ok_or_else(|| self.damage(name))
    }

    fn optional<T>(
        &self,
        index: usize,
        name: &'static str,
        make: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let bytes: Option<&[u8]> = self.get(index, name)?;
        bytes
            .map(|bytes| make(bytes).ok_or_else(|| self.damage(name)))
            .transpose()
    }

    fn time(&self, index: usize, name: &'static str) -> Result<Timestamp, Failure> {
        self.made(index, name, Timestamp::new)
    }

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

    fn state(&self, code: i16) -> Result<State, Failure> {
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

    fn leased_state(&self, code: i16) -> Result<State, Failure> {
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
            expires_at: self.ends_at()?,
            on_lapse,
            recalled,
        }))
    }

    fn used_in_window(&self, replayable: bool) -> Result<State, Failure> {
        let window = Window {
            expires_at: self.ends_at()?,
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

    fn ends_at(&self) -> Result<Timestamp, Failure> {
        self.time(column::ENDS_AT, "ends_at")
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
