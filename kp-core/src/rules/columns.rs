//! Records in columns, for backends that keep a record in a row and its lease in a row of its own.

use std::fmt;

use super::{LeaseRecord, Recall, Spent, State, Window};
use crate::server::OnLapse;
use crate::{GroupId, KeyPackageInfo, Party, ReservationId, Role, Timestamp};

/// The numbers of the states, which never change.
mod code {
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

/// The columns of a record that change with its state, in the row of the record.
///
/// A lease that comes and goes does not change them: a leased KeyPackage whose bytes are kept has those of a free one. So
/// only the row of the lease is written then.
///
/// | `state` | |
/// |---|---|
/// | 0 | free, or leased |
/// | 1, 2 | last resort in its slot; the same, used |
/// | 9, 10, 11 | used, retired, withdrawn |
/// | 12, 13 | last resort, withdrawn; the same, replaced |
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordColumns<'a> {
    /// The number of the state.
    pub state: i64,
    /// The reservation that used the KeyPackage and is bound to it, 16 bytes ([RES-5](crate::contract::RES_5)).
    pub id: Option<&'a [u8]>,
    /// The reservation that used the KeyPackage and has since been bound to another, 16 bytes
    /// ([SPEND-3](crate::contract::SPEND_3)).
    pub former_id: Option<&'a [u8]>,
    /// When the KeyPackage was used, retired, withdrawn or replaced.
    pub spent_at: Option<i64>,
    /// The party that used it.
    pub spender: Option<&'a [u8]>,
    /// The group that it was used for.
    pub group: Option<&'a [u8]>,
    /// Whether the bytes and the support are kept. If not, they are dropped.
    pub keeps_bytes: bool,
}

impl<'a> RecordColumns<'a> {
    /// Returns the columns of a KeyPackage in a state.
    #[must_use]
    pub fn of(info: &KeyPackageInfo, state: &'a State) -> Self {
        let mut columns = Self {
            state: code::FREE,
            id: None,
            former_id: None,
            spent_at: None,
            spender: None,
            group: None,
            keeps_bytes: state.keeps_bytes(),
        };
        match state {
            State::Free | State::Reserved(_) => {}
            State::Used(_) if columns.keeps_bytes => {}
            State::Used(spent) => {
                columns.state = code::USED;
                let id = Some(spent.id.as_bytes().as_slice());
                *if spent.bound {
                    &mut columns.id
                } else {
                    &mut columns.former_id
                } = id;
                columns.spent_at = Some(spent.at.get());
                columns.spender = spent.by.as_ref().map(Party::as_bytes);
                columns.group = spent.group.as_ref().map(GroupId::as_bytes);
            }
            State::Slot { used: false } => columns.state = code::SLOT,
            State::Slot { used: true } => columns.state = code::SLOT_USED,
            State::Retired { at } => (columns.state, columns.spent_at) = (code::RETIRED, Some(at.get())),
            State::Withdrawn { at } if info.role.is_last_resort() => {
                (columns.state, columns.spent_at) = (code::LAST_RESORT_WITHDRAWN, Some(at.get()));
            }
            State::Withdrawn { at } => (columns.state, columns.spent_at) = (code::WITHDRAWN, Some(at.get())),
            State::Replaced { at } => (columns.state, columns.spent_at) = (code::LAST_RESORT_REPLACED, Some(at.get())),
        }
        columns
    }
}

/// The columns of a lease, or of the window after a use in which the reserver is remembered or a claim may be repeated.
///
/// | `state` | |
/// |---|---|
/// | 3, 4 | reserved; the same, and retired at its end |
/// | 5, 6 | reserved, and retired or withdrawn meanwhile |
/// | 7 | used, its reserver remembered |
/// | 8 | claimed, its bytes kept |
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseColumns<'a> {
    /// The number of the state, which overrides that of the record's own row.
    pub state: i64,
    /// The reservation that is bound to the KeyPackage, 16 bytes ([RES-5](crate::contract::RES_5)).
    pub id: &'a [u8],
    /// When the lease or window ends.
    pub ends_at: i64,
    /// The party that reserved it.
    pub reserver: Option<&'a [u8]>,
    /// When the KeyPackage was used.
    pub spent_at: Option<i64>,
    /// The party that used it.
    pub spender: Option<&'a [u8]>,
    /// The group that it was used for.
    pub group: Option<&'a [u8]>,
}

impl<'a> LeaseColumns<'a> {
    /// Returns the lease or window of a state, if the state has one.
    #[must_use]
    pub fn of(state: &'a State) -> Option<Self> {
        let ends_at = state.lapses_at()?.get();
        let reserver = state.reserver().map(Party::as_bytes);
        match state {
            State::Reserved(lease) => Some(Self {
                // Once a lease is recalled, its `on_lapse` no longer matters (DEL-3).
                state: match (lease.recalled, lease.on_lapse) {
                    (None, OnLapse::Return) => code::RESERVED,
                    (None, OnLapse::Retire) => code::RESERVED_TO_RETIRE,
                    (Some(Recall::Retired), _) => code::RECALLED_RETIRED,
                    (Some(Recall::Withdrawn), _) => code::RECALLED_WITHDRAWN,
                },
                id: lease.id.as_bytes(),
                ends_at,
                reserver,
                spent_at: None,
                spender: None,
                group: None,
            }),
            State::Used(spent) => Some(Self {
                state: if state.keeps_bytes() {
                    code::CLAIMED_WINDOW
                } else {
                    code::USED_WINDOW
                },
                id: spent.id.as_bytes(),
                ends_at,
                reserver,
                spent_at: Some(spent.at.get()),
                spender: spent.by.as_ref().map(Party::as_bytes),
                group: spent.group.as_ref().map(GroupId::as_bytes),
            }),
            _ => None,
        }
    }
}

impl fmt::Debug for RecordColumns<'_> {
    /// Omits ids, parties and groups.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordColumns")
            .field("state", &self.state)
            .field("keeps_bytes", &self.keeps_bytes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LeaseColumns<'_> {
    /// Omits ids, parties and groups.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseColumns")
            .field("state", &self.state)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

/// Names a column of [`RecordColumns`] or [`LeaseColumns`]. Another one would be a breaking change: no backend is to miss it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented where it is written")]
pub enum Column {
    State,
    Id,
    FormerId,
    SpentAt,
    Spender,
    Group,
    LeaseState,
    LeaseId,
    LeaseEndsAt,
    LeaseReserver,
    LeaseSpentAt,
    LeaseSpender,
    LeaseGroup,
}

/// A row of a record, joined with that of its lease, as a backend has read it.
pub trait ReadColumns {
    /// The backend's error.
    type Error;

    /// Returns a number, or `None` for NULL, which the columns of a lease hold where there is none.
    ///
    /// # Errors
    ///
    /// The backend's, if the column holds something else.
    fn number(&self, column: Column) -> Result<Option<i64>, Self::Error>;

    /// Returns bytes, or `None` for NULL.
    ///
    /// # Errors
    ///
    /// As for [`number`](Self::number).
    fn bytes(&self, column: Column) -> Result<Option<&[u8]>, Self::Error>;

    /// Reports a value that no backend writes.
    fn damaged(&self, column: Column) -> Self::Error;

    /// Reads the role of the KeyPackage.
    ///
    /// # Errors
    ///
    /// The backend's.
    fn role(&self) -> Result<Role, Self::Error> {
        let last_resort = [
            code::SLOT,
            code::SLOT_USED,
            code::LAST_RESORT_WITHDRAWN,
            code::LAST_RESORT_REPLACED,
        ];
        Ok(Role::of(last_resort.contains(&needed(self, Column::State)?)))
    }

    /// Reads the state of the record: that of its lease, if it has one. Of the columns, only those that the state has are read.
    ///
    /// # Errors
    ///
    /// The backend's, also for a value that [`RecordColumns::of`] and [`LeaseColumns::of`] do not return.
    fn state(&self) -> Result<State, Self::Error> {
        match self.number(Column::LeaseState)? {
            Some(lease) => leased(self, lease),
            None => unleased(self),
        }
    }
}

fn needed<R: ReadColumns + ?Sized>(row: &R, column: Column) -> Result<i64, R::Error> {
    row.number(column)?.ok_or_else(|| row.damaged(column))
}

fn time<R: ReadColumns + ?Sized>(row: &R, column: Column) -> Result<Timestamp, R::Error> {
    Timestamp::new(needed(row, column)?).ok_or_else(|| row.damaged(column))
}

fn optional<R: ReadColumns + ?Sized, T>(
    row: &R,
    column: Column,
    make: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, R::Error> {
    let bytes = row.bytes(column)?;
    bytes
        .map(|bytes| make(bytes).ok_or_else(|| row.damaged(column)))
        .transpose()
}

fn id<R: ReadColumns + ?Sized>(row: &R, column: Column) -> Result<Option<ReservationId>, R::Error> {
    optional(row, column, |bytes| {
        bytes.try_into().ok().map(ReservationId::from_bytes)
    })
}

fn party<R: ReadColumns + ?Sized>(row: &R, column: Column) -> Result<Option<Party>, R::Error> {
    optional(row, column, |bytes| Party::try_from(bytes).ok())
}

fn unleased<R: ReadColumns + ?Sized>(row: &R) -> Result<State, R::Error> {
    let spent_at = || time(row, Column::SpentAt);
    Ok(match needed(row, Column::State)? {
        code::FREE => State::Free,
        code::SLOT => State::Slot { used: false },
        code::SLOT_USED => State::Slot { used: true },
        code::USED => {
            let (bound, former) = (id(row, Column::Id)?, id(row, Column::FormerId)?);
            State::Used(Spent {
                at: spent_at()?,
                id: bound.or(former).ok_or_else(|| row.damaged(Column::Id))?,
                bound: bound.is_some(),
                group: optional(row, Column::Group, |bytes| GroupId::try_from(bytes).ok())?,
                by: party(row, Column::Spender)?,
                window: None,
            })
        }
        code::RETIRED => State::Retired { at: spent_at()? },
        code::WITHDRAWN | code::LAST_RESORT_WITHDRAWN => State::Withdrawn { at: spent_at()? },
        code::LAST_RESORT_REPLACED => State::Replaced { at: spent_at()? },
        _ => return Err(row.damaged(Column::State)),
    })
}

fn leased<R: ReadColumns + ?Sized>(row: &R, state: i64) -> Result<State, R::Error> {
    let bound = || id(row, Column::LeaseId)?.ok_or_else(|| row.damaged(Column::LeaseId));
    let reserver = || party(row, Column::LeaseReserver);
    let ends_at = || time(row, Column::LeaseEndsAt);
    let (on_lapse, recalled) = match state {
        code::RESERVED => (OnLapse::Return, None),
        code::RESERVED_TO_RETIRE => (OnLapse::Retire, None),
        code::RECALLED_RETIRED => (OnLapse::Retire, Some(Recall::Retired)),
        code::RECALLED_WITHDRAWN => (OnLapse::Retire, Some(Recall::Withdrawn)),
        code::USED_WINDOW | code::CLAIMED_WINDOW => {
            return Ok(State::Used(Spent {
                at: time(row, Column::LeaseSpentAt)?,
                id: bound()?,
                bound: true,
                group: optional(row, Column::LeaseGroup, |bytes| GroupId::try_from(bytes).ok())?,
                by: party(row, Column::LeaseSpender)?,
                window: Some(Window {
                    expires_at: ends_at()?,
                    reserver: reserver()?,
                    replayable: state == code::CLAIMED_WINDOW,
                }),
            }));
        }
        _ => return Err(row.damaged(Column::LeaseState)),
    };
    Ok(State::Reserved(LeaseRecord {
        id: bound()?,
        by: reserver()?,
        expires_at: ends_at()?,
        on_lapse,
        recalled,
    }))
}
