use crate::server::{OnLapse, StoredKeyPackage};
use crate::{Cause, GroupId, KeyPackageInfo, Party, ReservationId, Status, Timestamp};

/// What a store remembers of one package, but for its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// The facts about the package.
    pub info: KeyPackageInfo,
    /// Its place in the pool's queue, which it never loses (`RES-2`).
    pub sequence: u64,
    /// When it was first saved (`DEL-2`).
    pub saved_at: Timestamp,
    /// Where it stands.
    pub state: State,
}

/// Where a package stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// One-time: can be taken once it is valid.
    Free,
    /// One-time: leased.
    Reserved(LeaseRecord),
    /// One-time: spent by its reservation, or claimed.
    Used(Spent),
    /// Spent without being used: its lease lapsed under [`OnLapse::Retire`], or a backup was restored.
    Retired {
        /// Since when.
        at: Timestamp,
    },
    /// Spent without being used: the owner took it back.
    Withdrawn {
        /// Since when.
        at: Timestamp,
    },
    /// A last-resort package whose slot another took (`LAST-1`).
    Replaced {
        /// Since when.
        at: Timestamp,
    },
    /// A last-resort package in its slot.
    Slot {
        /// Whether it was handed out, or may have been (`LAST-4`, `DEL-2`).
        used: bool,
    },
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseRecord {
    /// Whose lease: the retry key.
    pub id: ReservationId,
    /// Who reserved.
    pub by: Option<Party>,
    /// The first second at which it no longer holds (`RES-4`).
    pub expires_at: Timestamp,
    /// What becomes of the package then (`RES-9`).
    pub on_lapse: OnLapse,
    /// Whether the package was taken back meanwhile: the lease holds, but the package never returns (`DEL-3`).
    pub recalled: Option<Recall>,
}

/// Why a reserved package will not return. The later is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recall {
    /// A backup was restored (`DEL-2`).
    Retired,
    /// Its owner took it back (`DEL-3`).
    Withdrawn,
}

/// How a package was used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spent {
    /// When.
    pub at: Timestamp,
    /// By which reservation or claim.
    pub id: ReservationId,
    /// Whether the id is still bound to this package: false once it was bound to another (`RES-5`).
    pub bound: bool,
    /// For which group.
    pub group: Option<GroupId>,
    /// By whom.
    pub by: Option<Party>,
    /// What ends at the `expires_at` of the reservation or claim; `None` when it has ended, or there was nothing to end.
    pub window: Option<Window>,
}

/// What is remembered of a use only until its `expires_at` (`SPEND-4`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first second after it.
    pub expires_at: Timestamp,
    /// Who took the package: it counts against this party's limit (`RES-7`).
    pub reserver: Option<Party>,
    /// Whether the bytes are kept, to answer the same claim again (`CLAIM-1`).
    pub replayable: bool,
}

impl State {
    /// When the lease or window ends: what [`settle`](crate::rules::settle) looks for.
    #[must_use]
    pub fn lapses_at(&self) -> Option<Timestamp> {
        match self {
            Self::Reserved(lease) => Some(lease.expires_at),
            Self::Used(spent) => spent.window.as_ref().map(|window| window.expires_at),
            _ => None,
        }
    }

    /// What it becomes when its pool is settled at `now`; `None` when nothing of it has ended (`TIME-2`, `RES-9`,
    /// `REL-1`). A lapse takes effect at the lease's `expires_at`, so that it does not matter when it is noticed.
    #[must_use]
    pub fn settled(&self, now: Timestamp) -> Option<Self> {
        let at = self.lapses_at().filter(|lapses_at| *lapses_at <= now)?;
        Some(match self {
            Self::Reserved(LeaseRecord {
                recalled: Some(Recall::Withdrawn),
                ..
            }) => Self::Withdrawn { at },
            Self::Reserved(
                LeaseRecord {
                    recalled: Some(Recall::Retired),
                    ..
                }
                | LeaseRecord {
                    on_lapse: OnLapse::Retire,
                    ..
                },
            ) => Self::Retired { at },
            Self::Reserved(_) => Self::Free,
            Self::Used(spent) => Self::Used(Spent {
                window: None,
                ..spent.clone()
            }),
            other => other.clone(),
        })
    }

    /// The id that is bound to the package, which is then bound to no other package of the pool (`RES-5`).
    ///
    /// Whether the binding still holds depends on `now` when the package is used, so a look-up by id finds it whatever
    /// the time.
    #[must_use]
    pub fn bound_id(&self) -> Option<&ReservationId> {
        match self {
            Self::Reserved(lease) => Some(&lease.id),
            Self::Used(spent) if spent.bound => Some(&spent.id),
            _ => None,
        }
    }

    /// Whose limit the package counts against (`RES-7`).
    #[must_use]
    pub fn reserver(&self) -> Option<&Party> {
        match self {
            Self::Reserved(lease) => lease.by.as_ref(),
            Self::Used(spent) => spent.window.as_ref()?.reserver.as_ref(),
            _ => None,
        }
    }

    /// Whether the bytes are kept (`SPEND-4`, `LAST-1`).
    #[must_use]
    pub fn keeps_bytes(&self) -> bool {
        match self {
            Self::Used(spent) => spent.window.as_ref().is_some_and(|window| window.replayable),
            _ => self.shows_bytes(),
        }
    }

    /// Whether a read shows the bytes: while the package is unspent (`READ-4`).
    #[must_use]
    pub fn shows_bytes(&self) -> bool {
        matches!(self, Self::Free | Self::Reserved(_) | Self::Slot { .. })
    }

    /// Whether it is that of a one-time package that is free or reserved, recalled or not.
    #[must_use]
    pub fn is_unspent_one_time(&self) -> bool {
        matches!(self, Self::Free | Self::Reserved(_))
    }

    /// Whether the package counts towards the cap of its ciphersuite, unless it is past its `not_after` (`SAVE-6`).
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Free | Self::Reserved(LeaseRecord { recalled: None, .. }))
    }
}

impl Record {
    /// Whether it is past its `not_after` (`TIME-1`).
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.info.lifetime.is_expired(now)
    }

    /// As a read sees it at `now` (`TIME-2`).
    #[must_use]
    pub fn settled(self, now: Timestamp) -> Self {
        match self.state.settled(now) {
            Some(state) => Self { state, ..self },
            None => self,
        }
    }

    /// Whether it is a one-time package that can be taken at `now`, by its state and lifetime (`RES-3`).
    #[must_use]
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.state == State::Free && self.info.lifetime.contains(now)
    }

    /// Where it stands at `now`, once settled: the first of expired, spent, last resort, reserved, not yet valid,
    /// available (`READ-3`).
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        if self.is_expired(now) {
            return Status::Expired;
        }
        match &self.state {
            State::Used(spent) => Status::Spent {
                at: spent.at,
                cause: Cause::Used,
            },
            State::Retired { at } => Status::Spent {
                at: *at,
                cause: Cause::Retired,
            },
            State::Withdrawn { at } => Status::Spent {
                at: *at,
                cause: Cause::Withdrawn,
            },
            State::Replaced { at } => Status::Spent {
                at: *at,
                cause: Cause::Replaced,
            },
            State::Slot { used } => Status::LastResort { used: *used },
            State::Reserved(lease) => Status::Reserved {
                until: lease.expires_at,
            },
            State::Free if self.info.lifetime.is_ahead(now) => Status::NotYetValid,
            State::Free => Status::Available,
        }
    }

    /// The answer of `get_key_package`, with the bytes that were found (`READ-4`).
    #[must_use]
    pub fn into_stored(self, bytes: Option<crate::KeyPackageBytes>, now: Timestamp) -> StoredKeyPackage {
        let settled = self.settled(now);
        let bytes = bytes.filter(|_| settled.state.shows_bytes());
        StoredKeyPackage {
            status: settled.status(now),
            info: settled.info,
            bytes,
        }
    }
}
