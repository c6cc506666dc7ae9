use crate::rules::Record;
use crate::server::{Admitted, InitKeyFingerprint, ReservationToken, Save, SaveMode, TakeRequest, Withdrawal};
use crate::{Ciphersuite, KeyPackageRef, Party, ReservationId, Role, Timestamp};

/// Names what a [`LoadedPool`](super::LoadedPool) has to know of the records that are stored.
///
/// A look-up asks for records as they are stored: no look-up knows of the changes in memory. A record that is found comes with
/// what is [kept](crate::rules::Kept) beside it, the bytes excepted: they come where that is said, and may come elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LookUp {
    /// The record of this ref.
    Ref(KeyPackageRef),
    /// The record whose [`bound_id`](crate::rules::State::bound_id) is this id.
    Id(ReservationId),
    /// The records whose [`lapses_at`](crate::rules::State::lapses_at) has come.
    Lapsed(Timestamp),
    /// The free records that are not past their `not_after`, by sequence: as many as the backend likes, at least one if
    /// there is one. The record that is taken needs its bytes, so they had better come with the first.
    Queue {
        /// The sequence behind which the records are; `None` for the first of the pool.
        after: Option<u64>,
        /// The moment at which the records are not past their `not_after`.
        now: Timestamp,
    },
    /// The last-resort packages in their slots.
    Slots,
    /// The one-time packages that are free or reserved, and not past their `not_after`.
    Unspent(Timestamp),
    /// The records past their `not_after`, by sequence: as many as the backend likes, at least one if there is one.
    Expired {
        /// The sequence behind which the records are; `None` for the first of the pool.
        after: Option<u64>,
        /// The moment at which the records are past their `not_after`.
        now: Timestamp,
    },
    /// The number of records of this ciphersuite that [are held](crate::rules::State::is_held) and not past their
    /// `not_after`.
    Held(Ciphersuite, Timestamp),
    /// The number of records that are not past their `not_after`.
    Remembered(Timestamp),
    /// The number of records of this role that are not past their `not_after`.
    RememberedOf(Role, Timestamp),
    /// The number of records that have this [`reserver`](crate::rules::State::reserver).
    TakenBy(Party),
    /// The record with this sequence, with its bytes.
    Bytes(u64),
    /// A record that has this fingerprint and is not past its `not_after`. One is enough.
    InitKey(InitKeyFingerprint, Timestamp),
}

/// Says how far the answer of a [`LookUp`] reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Nothing else is stored that was asked for.
    All,
    /// [`LookUp::Queue`] and [`LookUp::Expired`]: nothing else up to this sequence; behind it there may be more.
    UpTo(u64),
}

/// Says why the rules stopped: a [`LoadedPool`](super::LoadedPool) cannot answer a look-up from memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// The pool does not know the answer yet. Look up what is missing, give it to the pool, and run the step again.
    #[error("{0:?} is not loaded")]
    Missing(LookUp),
    /// The record cannot be read: [`LoadedPool::unreadable`](super::LoadedPool::unreadable) said so. The call fails.
    #[error("{0:?} cannot be read")]
    Unreadable(LookUp),
}

/// Lists the look-ups that a call needs as a rule. Made at once, they spare most calls a second round: an asynchronous
/// backend asks for them before it runs the rules, and for more only when the rules are [`Interrupted`].
impl LookUp {
    /// Lists the look-ups of a reserve or a claim.
    #[must_use]
    pub fn of_take(take: &TakeRequest, now: Timestamp) -> Vec<Self> {
        let mut look_ups = vec![Self::Lapsed(now), Self::Id(take.id)];
        if let (Some(party), Some(_)) = (&take.options.by, take.limit) {
            look_ups.push(Self::TakenBy(party.clone()));
        }
        look_ups.push(match &take.options.only {
            Some(named) => Self::Ref(named.clone()),
            None => Self::Queue { after: None, now },
        });
        look_ups
    }

    /// Lists the look-ups of a spend, a release or a renewal.
    #[must_use]
    pub fn of_token(token: &ReservationToken, now: Timestamp) -> Vec<Self> {
        vec![Self::Lapsed(now), Self::Ref(token.key_package_ref.clone())]
    }

    /// Lists the look-ups of a save.
    #[must_use]
    pub fn of_save(save: &Save, now: Timestamp) -> Vec<Self> {
        let mut look_ups = vec![Self::Lapsed(now), Self::Remembered(now)];
        let mut add = |look_up: Self| {
            if !look_ups.contains(&look_up) {
                look_ups.push(look_up);
            }
        };
        if save.mode == SaveMode::Replace {
            add(Self::Unspent(now));
        }
        for Admitted {
            package, fingerprint, ..
        } in save.packages()
        {
            if let Some(fingerprint) = fingerprint {
                add(Self::InitKey(*fingerprint, now));
            }
            match package.info.role {
                Role::LastResort => add(Self::Slots),
                Role::OneTime if save.mode == SaveMode::Replace => {}
                Role::OneTime => add(Self::Held(package.info.ciphersuite, now)),
            }
        }
        let refs = save.packages().iter().map(|item| &item.package.info.key_package_ref);
        look_ups.extend(refs.cloned().map(Self::Ref));
        look_ups
    }

    /// Lists the look-ups of a withdrawal.
    #[must_use]
    pub fn of_withdrawal(withdrawal: &Withdrawal, now: Timestamp) -> Vec<Self> {
        let mut look_ups = vec![Self::Lapsed(now)];
        match withdrawal {
            Withdrawal::All => look_ups.extend([Self::Slots, Self::Unspent(now)]),
            Withdrawal::Refs(refs) => look_ups.extend(refs.iter().cloned().map(Self::Ref)),
        }
        look_ups
    }

    /// Lists the look-ups of a retirement.
    #[must_use]
    pub fn of_retirement(now: Timestamp) -> Vec<Self> {
        vec![Self::Lapsed(now), Self::Slots, Self::Unspent(now)]
    }

    /// Returns whether a look-up that counts counts this record.
    pub(super) fn counts(&self, record: &Record) -> bool {
        match self {
            Self::Held(suite, now) => {
                record.info.ciphersuite == *suite && record.state.is_held() && !record.is_expired(*now)
            }
            Self::Remembered(now) => !record.is_expired(*now),
            Self::RememberedOf(role, now) => record.info.role == *role && !record.is_expired(*now),
            Self::TakenBy(party) => record.state.reserver() == Some(party),
            _ => false,
        }
    }
}
