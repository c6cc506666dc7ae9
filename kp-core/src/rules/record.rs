use crate::server::{Admitted, InitKeyFingerprint, OnLapse, StoredKeyPackage, Support};
use crate::{Cause, GroupId, KeyPackageBytes, KeyPackageInfo, Party, ReservationId, Status, Timestamp};

/// Remembers one package, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// The facts about the package.
    pub info: KeyPackageInfo,
    /// The package's place in the pool's queue, for good ([RES-2](crate::contract::RES_2)).
    pub sequence: u64,
    /// When the package was first saved ([DEL-2](crate::contract::DEL_2)).
    pub saved_at: Timestamp,
    /// Where the package stands.
    pub state: State,
}

/// Says where a package stands, with all that a store remembers of the state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// One-time: can be taken once the package is valid.
    Free,
    /// One-time: leased.
    Reserved(LeaseRecord),
    /// One-time: spent by its reservation, or claimed.
    Used(Spent),
    /// Spent without being used: the lease lapsed under [`OnLapse::Retire`], or a backup was restored.
    Retired {
        /// When the package was spent.
        at: Timestamp,
    },
    /// Spent without being used: the owner withdrew the package.
    Withdrawn {
        /// When the package was spent.
        at: Timestamp,
    },
    /// Last resort: another package took the slot ([LAST-1](crate::contract::LAST_1)).
    Replaced {
        /// When the package was spent.
        at: Timestamp,
    },
    /// Last resort: in its slot.
    Slot {
        /// Whether the package was handed out, or may have been ([LAST-4](crate::contract::LAST_4),
        /// [DEL-2](crate::contract::DEL_2)).
        used: bool,
    },
}

/// Remembers a lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseRecord {
    /// The id of the reservation: the retry key.
    pub id: ReservationId,
    /// The party that reserved.
    pub by: Option<Party>,
    /// The first second at which the lease no longer holds ([RES-4](crate::contract::RES_4)).
    pub expires_at: Timestamp,
    /// What becomes of the package when the lease lapses ([RES-9](crate::contract::RES_9)).
    pub on_lapse: OnLapse,
    /// Why the package was recalled, if it was: the lease holds, but the package never returns
    /// ([DEL-3](crate::contract::DEL_3)).
    pub recalled: Option<Recall>,
}

/// Says why a reserved package never returns. The later variant outranks the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recall {
    /// A backup was restored ([DEL-2](crate::contract::DEL_2)).
    Retired,
    /// The owner withdrew the package ([DEL-3](crate::contract::DEL_3)).
    Withdrawn,
}

/// Remembers how a package was used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spent {
    /// When the package was used.
    pub at: Timestamp,
    /// The id of the reservation or claim that used the package.
    pub id: ReservationId,
    /// Whether the id is still bound to this package: false once the id was bound to another package
    /// ([RES-5](crate::contract::RES_5)).
    pub bound: bool,
    /// The group that the package was used for.
    pub group: Option<GroupId>,
    /// The party that spent the package.
    pub by: Option<Party>,
    /// The window until the `expires_at` of the reservation or claim. `None` when the window has ended, or there was
    /// nothing to remember.
    pub window: Option<Window>,
}

/// Remembers, of a use, what is kept only until the `expires_at` ([SPEND-4](crate::contract::SPEND_4)).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first second after the window.
    pub expires_at: Timestamp,
    /// The party that took the package, whose limit the package counts against ([RES-7](crate::contract::RES_7)).
    pub reserver: Option<Party>,
    /// Whether the bytes are kept, to answer the same claim again ([CLAIM-1](crate::contract::CLAIM_1)).
    pub replayable: bool,
}

impl State {
    /// Returns when the lease or window ends. [`settle`](crate::rules::settle) looks for these moments.
    #[must_use]
    pub fn lapses_at(&self) -> Option<Timestamp> {
        match self {
            Self::Reserved(lease) => Some(lease.expires_at),
            Self::Used(spent) => spent.window.as_ref().map(|window| window.expires_at),
            _ => None,
        }
    }

    /// Returns the state after the pool is settled at `now`; `None` when nothing has ended
    /// ([TIME-2](crate::contract::TIME_2), [RES-9](crate::contract::RES_9), [REL-1](crate::contract::REL_1)).
    ///
    /// A lapse takes effect at the lease's `expires_at`, so that it does not matter when the lapse is noticed.
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

    /// Returns the id that is bound to the package. The id is then bound to no other package of the pool
    /// ([RES-5](crate::contract::RES_5)).
    ///
    /// Whether the binding of a used package still holds depends on `now`. So a look-up by id finds the record whatever
    /// the time.
    #[must_use]
    pub fn bound_id(&self) -> Option<&ReservationId> {
        match self {
            Self::Reserved(lease) => Some(&lease.id),
            Self::Used(spent) if spent.bound => Some(&spent.id),
            _ => None,
        }
    }

    /// Returns the party whose limit the package counts against ([RES-7](crate::contract::RES_7)).
    #[must_use]
    pub fn reserver(&self) -> Option<&Party> {
        match self {
            Self::Reserved(lease) => lease.by.as_ref(),
            Self::Used(spent) => spent.window.as_ref()?.reserver.as_ref(),
            _ => None,
        }
    }

    /// Returns whether the record keeps the bytes ([SPEND-4](crate::contract::SPEND_4),
    /// [LAST-1](crate::contract::LAST_1)).
    #[must_use]
    pub fn keeps_bytes(&self) -> bool {
        match self {
            Self::Used(spent) => spent.window.as_ref().is_some_and(|window| window.replayable),
            _ => self.shows_bytes(),
        }
    }

    /// Returns whether a read shows the bytes: while the package is unspent ([READ-4](crate::contract::READ_4)).
    #[must_use]
    pub fn shows_bytes(&self) -> bool {
        matches!(self, Self::Free | Self::Reserved(_) | Self::Slot { .. })
    }

    /// Returns whether the package is one-time, and free or reserved, recalled or not.
    #[must_use]
    pub fn is_unspent_one_time(&self) -> bool {
        matches!(self, Self::Free | Self::Reserved(_))
    }

    /// Returns whether the package is leased and recalled: the lease holds, but the package never returns
    /// ([DEL-3](crate::contract::DEL_3)).
    #[must_use]
    pub fn is_recalled(&self) -> bool {
        matches!(self, Self::Reserved(LeaseRecord { recalled: Some(_), .. }))
    }

    /// Returns whether the package counts towards the cap of its ciphersuite, unless the package is past its
    /// `not_after` ([SAVE-6](crate::contract::SAVE_6)).
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_unspent_one_time() && !self.is_recalled()
    }
}

impl Record {
    /// Returns whether the package is past its `not_after` ([TIME-1](crate::contract::TIME_1)).
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.info.lifetime.is_expired(now)
    }

    /// Returns the record as a read sees it at `now` ([TIME-2](crate::contract::TIME_2)).
    #[must_use]
    pub fn settled(self, now: Timestamp) -> Self {
        match self.state.settled(now) {
            Some(state) => Self { state, ..self },
            None => self,
        }
    }

    /// Returns whether the package is one-time and can be taken at `now`, by its state and lifetime
    /// ([RES-3](crate::contract::RES_3)).
    #[must_use]
    pub fn is_available(&self, now: Timestamp) -> bool {
        self.state == State::Free && self.info.lifetime.contains(now)
    }

    /// Returns the status of a settled record at `now`: the first of expired, spent, last resort, reserved, not yet
    /// valid, available ([READ-3](crate::contract::READ_3)).
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

    /// Returns the answer of `get_key_package`, with the bytes that were found ([READ-4](crate::contract::READ_4)).
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

/// Holds what is kept beside a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Kept {
    /// The bytes, while the record [keeps bytes](State::keeps_bytes).
    pub bytes: Option<KeyPackageBytes>,
    /// The support, as long as the bytes ([RES-3](crate::contract::RES_3)).
    pub support: Option<Support>,
    /// The fingerprint of the init key, as long as the record ([SAVE-9](crate::contract::SAVE_9)).
    pub fingerprint: Option<InitKeyFingerprint>,
}

impl Kept {
    /// Returns what is kept beside a record that is made of this item.
    #[must_use]
    pub fn of(item: &Admitted) -> Self {
        Self {
            bytes: Some(item.package.bytes.clone()),
            support: item.support.clone(),
            fingerprint: item.fingerprint,
        }
    }
}
