use std::collections::HashSet;

use crate::rules::{Kept, Record, State};
use crate::{Ciphersuite, KeyPackageRef, ReservationId};

/// Says how the records of a pool contradict the rules: the store is damaged, or the export was not made by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// Two records have one ref ([SAVE-2](crate::contract::SAVE_2)).
    #[error("two records have one ref")]
    RefTwice,
    /// Two records are bound to one reservation ([RES-5](crate::contract::RES_5)).
    #[error("two records are bound to one reservation")]
    IdBoundTwice,
    /// Two last-resort packages are in one slot ([LAST-1](crate::contract::LAST_1)).
    #[error("two last-resort KeyPackages are in one slot")]
    SlotTwice,
    /// A last-resort package is in a state of one-time packages, or the reverse ([LAST-3](crate::contract::LAST_3)).
    #[error("a record is in a state that its role does not have")]
    RoleMismatch,
    /// A record whose state keeps bytes has none.
    #[error("the bytes of an unspent KeyPackage are missing")]
    BytesMissing,
    /// A record whose state keeps no bytes has some, or says still what its owner supports
    /// ([SPEND-4](crate::contract::SPEND_4), [RES-3](crate::contract::RES_3)).
    #[error("the bytes of a spent KeyPackage, or what its owner supports, are still there")]
    BytesLeft,
}

/// Takes the records of one pool, and holds each against the rules and those before.
#[derive(Default)]
pub(crate) struct Consistency {
    refs: HashSet<KeyPackageRef>,
    ids: HashSet<ReservationId>,
    slots: HashSet<Ciphersuite>,
}

impl Consistency {
    pub(crate) fn take(&mut self, record: &Record, kept: &Kept) -> Result<(), Contradiction> {
        let info = &record.info;
        if !self.refs.insert(info.key_package_ref.clone()) {
            return Err(Contradiction::RefTwice);
        }
        if record.state.bound_id().is_some_and(|id| !self.ids.insert(*id)) {
            return Err(Contradiction::IdBoundTwice);
        }
        if matches!(record.state, State::Slot { .. }) && !self.slots.insert(info.ciphersuite) {
            return Err(Contradiction::SlotTwice);
        }
        let fits = match record.state {
            State::Withdrawn { .. } => true,
            State::Slot { .. } | State::Replaced { .. } => info.role.is_last_resort(),
            _ => !info.role.is_last_resort(),
        };
        if !fits {
            return Err(Contradiction::RoleMismatch);
        }
        let has_support = kept
            .support
            .as_ref()
            .is_some_and(|support| !support.as_bytes().is_empty());
        match record.state.keeps_bytes() {
            true if kept.bytes.is_none() => Err(Contradiction::BytesMissing),
            false if kept.bytes.is_some() || has_support => Err(Contradiction::BytesLeft),
            _ => Ok(()),
        }
    }
}
