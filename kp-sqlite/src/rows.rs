//! Rows and records: each made of the other, in this file only.

use kp_core::rules::{Hold, Recall, Record, State, Use, Window};
use kp_core::{
    Ciphersuite, CredentialHash, GroupId, KeyPackageRef, Lifetime, OnLapse, PackageBytes, PackageInfo, Party,
    ReservationId, Timestamp,
};
use rusqlite::Row;

use crate::cells::Cells;
use crate::error::Failure;

/// `keypackage_pool_packages.state`.
mod state {
    pub(super) const FREE: i64 = 0;
    pub(super) const SLOT: i64 = 1;
    pub(super) const SLOT_USED: i64 = 2;
    pub(super) const RESERVED: i64 = 3;
    pub(super) const RESERVED_TO_RETIRE: i64 = 4;
    pub(super) const RECALLED_RETIRED: i64 = 5;
    pub(super) const RECALLED_WITHDRAWN: i64 = 6;
    pub(super) const USED_LATELY: i64 = 7;
    pub(super) const CLAIMED_LATELY: i64 = 8;
    pub(super) const USED: i64 = 9;
    pub(super) const RETIRED: i64 = 10;
    pub(super) const WITHDRAWN: i64 = 11;
    pub(super) const LAST_RESORT_WITHDRAWN: i64 = 12;
    pub(super) const LAST_RESORT_REPLACED: i64 = 13;
}

/// The columns of a record that change.
#[derive(Debug)]
pub(crate) struct StateRow<'a> {
    pub(crate) state: i64,
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) former_id: Option<&'a [u8]>,
    pub(crate) reserver: Option<&'a [u8]>,
    pub(crate) ends_at: Option<i64>,
    pub(crate) spent_at: Option<i64>,
    pub(crate) spender: Option<&'a [u8]>,
    pub(crate) group: Option<&'a [u8]>,
}

impl<'a> StateRow<'a> {
    pub(crate) fn of(info: &PackageInfo, state: &'a State) -> Self {
        let mut row = Self {
            state: code(info, state),
            id: state.bound_id().map(|id| id.as_bytes().as_slice()),
            former_id: None,
            reserver: state.reserver().map(Party::as_bytes),
            ends_at: state.ends_at().map(Timestamp::get),
            spent_at: None,
            spender: None,
            group: None,
        };
        match state {
            State::Used(usage) => {
                row.former_id = (!usage.bound).then_some(usage.id.as_bytes().as_slice());
                row.spent_at = Some(usage.at.get());
                row.spender = usage.by.as_ref().map(Party::as_bytes);
                row.group = usage.group.as_ref().map(GroupId::as_bytes);
            }
            State::Retired { at } | State::Withdrawn { at } | State::Replaced { at } => row.spent_at = Some(at.get()),
            State::Free | State::Reserved(_) | State::Slot { .. } => {}
        }
        row
    }
}

fn code(info: &PackageInfo, state: &State) -> i64 {
    match state {
        State::Free => state::FREE,
        State::Slot { used: false } => state::SLOT,
        State::Slot { used: true } => state::SLOT_USED,
        // What happens at its lapse no longer matters when it is recalled (DEL-3).
        State::Reserved(hold) => match (hold.recalled, hold.on_lapse) {
            (None, OnLapse::Return) => state::RESERVED,
            (None, OnLapse::Retire) => state::RESERVED_TO_RETIRE,
            (Some(Recall::Retired), _) => state::RECALLED_RETIRED,
            (Some(Recall::Withdrawn), _) => state::RECALLED_WITHDRAWN,
        },
        State::Used(usage) => match &usage.window {
            Some(window) if window.replayable => state::CLAIMED_LATELY,
            Some(_) => state::USED_LATELY,
            None => state::USED,
        },
        State::Retired { .. } => state::RETIRED,
        State::Withdrawn { .. } if info.last_resort => state::LAST_RESORT_WITHDRAWN,
        State::Withdrawn { .. } => state::WITHDRAWN,
        State::Replaced { .. } => state::LAST_RESORT_REPLACED,
    }
}

/// Which columns of a row a record is read from, after its key: all statements that read records name the same, in this
/// order.
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
    pub(super) const RESERVER: usize = 10;
    pub(super) const ENDS_AT: usize = 11;
    pub(super) const SPENT_AT: usize = 12;
    pub(super) const SPENDER: usize = 13;
    pub(super) const GROUP: usize = 14;
    pub(super) const BYTES: usize = 15;
}

/// The record of a row; `credential` is its pool's.
pub(crate) fn record(row: &Row<'_>, credential: CredentialHash) -> Result<Record, Failure> {
    let cells = Cells::of(row)?;
    let code: i64 = cells.get(column::STATE, "state")?;
    let lifetime = Lifetime::new(
        cells.time(column::NOT_BEFORE, "not_before")?,
        cells.time(column::NOT_AFTER, "not_after")?,
    );
    let last_resort = matches!(
        code,
        state::SLOT | state::SLOT_USED | state::LAST_RESORT_WITHDRAWN | state::LAST_RESORT_REPLACED
    );
    Ok(Record {
        info: PackageInfo {
            key_package_ref: cells.made(column::REF, "ref", |bytes: &[u8]| KeyPackageRef::try_from(bytes).ok())?,
            ciphersuite: cells.made(column::SUITE, "suite", |suite: i64| {
                u16::try_from(suite).ok().map(Ciphersuite)
            })?,
            lifetime: lifetime.map_err(|_| cells.damage("not_after"))?,
            last_resort,
            credential: cells
                .optional(column::CREDENTIAL, "credential", |bytes| {
                    bytes.try_into().ok().map(CredentialHash)
                })?
                .unwrap_or(credential),
        },
        sequence: u64::try_from(cells.key).map_err(|_| cells.damage("key"))?,
        saved_at: cells.time(column::SAVED_AT, "saved_at")?,
        state: cells.state(code)?,
    })
}

/// The bytes of a record, of a statement that reads them too.
pub(crate) fn bytes(row: &Row<'_>) -> Result<PackageBytes, Failure> {
    let cells = Cells::of(row)?;
    cells.made(column::BYTES, "bytes", |bytes: &[u8]| {
        PackageBytes::try_from(bytes).ok()
    })
}

impl Cells<'_, '_> {
    fn id(&self, index: usize, name: &'static str) -> Result<Option<ReservationId>, Failure> {
        self.optional(index, name, |bytes| {
            bytes.try_into().ok().map(ReservationId::from_bytes)
        })
    }

    fn party(&self, index: usize, name: &'static str) -> Result<Option<Party>, Failure> {
        self.optional(index, name, |bytes| Party::try_from(bytes).ok())
    }

    fn ends_at(&self) -> Result<Timestamp, Failure> {
        self.time(column::ENDS_AT, "ends_at")
    }

    fn spent_at(&self) -> Result<Timestamp, Failure> {
        self.time(column::SPENT_AT, "spent_at")
    }

    fn state(&self, code: i64) -> Result<State, Failure> {
        Ok(match code {
            state::FREE => State::Free,
            state::SLOT => State::Slot { used: false },
            state::SLOT_USED => State::Slot { used: true },
            state::RESERVED => self.reserved(OnLapse::Return, None)?,
            state::RESERVED_TO_RETIRE => self.reserved(OnLapse::Retire, None)?,
            state::RECALLED_RETIRED => self.reserved(OnLapse::Retire, Some(Recall::Retired))?,
            state::RECALLED_WITHDRAWN => self.reserved(OnLapse::Retire, Some(Recall::Withdrawn))?,
            state::USED_LATELY => self.used(Some(false))?,
            state::CLAIMED_LATELY => self.used(Some(true))?,
            state::USED => self.used(None)?,
            state::RETIRED => State::Retired { at: self.spent_at()? },
            state::WITHDRAWN | state::LAST_RESORT_WITHDRAWN => State::Withdrawn { at: self.spent_at()? },
            state::LAST_RESORT_REPLACED => State::Replaced { at: self.spent_at()? },
            _ => return Err(self.damage("state")),
        })
    }

    fn reserved(&self, on_lapse: OnLapse, recalled: Option<Recall>) -> Result<State, Failure> {
        Ok(State::Reserved(Hold {
            id: self.id(column::ID, "id")?.ok_or_else(|| self.damage("id"))?,
            by: self.party(column::RESERVER, "reserver")?,
            expires_at: self.ends_at()?,
            on_lapse,
            recalled,
        }))
    }

    fn used(&self, replayable: Option<bool>) -> Result<State, Failure> {
        let bound = self.id(column::ID, "id")?;
        let former = self.id(column::FORMER_ID, "former_id")?;
        let window = match replayable {
            None => None,
            Some(replayable) => Some(Window {
                expires_at: self.ends_at()?,
                reserver: self.party(column::RESERVER, "reserver")?,
                replayable,
            }),
        };
        Ok(State::Used(Use {
            at: self.spent_at()?,
            id: bound.or(former).ok_or_else(|| self.damage("id"))?,
            bound: bound.is_some(),
            group: self.optional(column::GROUP, "group_id", |bytes| GroupId::try_from(bytes).ok())?,
            by: self.party(column::SPENDER, "spender")?,
            window,
        }))
    }
}
