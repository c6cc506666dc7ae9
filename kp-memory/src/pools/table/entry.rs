use std::sync::Arc;

use kp_core::rules::{Kept, Record, State};
use kp_core::server::{InitKeyFingerprint, Requirements, Support};
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, ReservationId, Role,
    Timestamp,
};

use crate::pools::table::standing::Standing;

/// Holds a record, and what is kept beside it, in 160 bytes: a record alone has 208.
#[derive(Debug)]
pub(crate) struct Entry {
    key_package_ref: KeyPackageRef,
    lifetime: Lifetime,
    sequence: u64,
    saved_at: Timestamp,
    owner: Arc<Owner>,
    bytes: Option<KeyPackageBytes>,
    standing: Standing,
    fingerprint: Option<InitKeyFingerprint>,
    ciphersuite: Ciphersuite,
    role: Role,
}

/// Holds what the KeyPackages of a client mostly share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) credential: CredentialHash,
    /// Counts as long as the entry has bytes (`RES-3`).
    pub(crate) support: Option<Support>,
}

impl Entry {
    /// Makes a record with what is kept beside it; `owner` has the credential of the record and the support that is kept.
    pub(crate) fn new(record: Record, kept: &Kept, owner: Arc<Owner>) -> Self {
        let Record {
            info,
            sequence,
            saved_at,
            state,
        } = record;
        Self {
            key_package_ref: info.key_package_ref,
            lifetime: info.lifetime,
            sequence,
            saved_at,
            owner,
            bytes: kept.bytes.clone(),
            standing: state.into(),
            fingerprint: kept.fingerprint,
            ciphersuite: info.ciphersuite,
            role: info.role,
        }
    }

    /// Brings the record to another state. If the new state does not keep bytes, bytes and support go.
    pub(crate) fn enter(&mut self, state: State) {
        if !state.keeps_bytes() {
            self.bytes = None;
        }
        self.standing = state.into();
    }

    /// Adds a fingerprint, and the support of this owner of the same credential, where the entry has none (`SAVE-5`).
    pub(crate) fn amend(&mut self, fingerprint: Option<InitKeyFingerprint>, owner: Arc<Owner>) {
        self.fingerprint = self.fingerprint.or(fingerprint);
        if self.support().is_none() {
            self.owner = owner;
        }
    }

    /// Returns the record.
    #[inline]
    pub(crate) fn record(&self) -> Record {
        Record {
            info: self.info(),
            sequence: self.sequence,
            saved_at: self.saved_at,
            state: self.state(),
        }
    }

    #[inline]
    pub(crate) fn info(&self) -> KeyPackageInfo {
        let (named, credential) = (self.key_package_ref.clone(), self.owner.credential);
        KeyPackageInfo::new(named, self.ciphersuite, self.lifetime, credential).role(self.role)
    }

    pub(crate) fn state(&self) -> State {
        self.standing.state()
    }

    /// Returns what is kept beside the record.
    pub(crate) fn kept(&self) -> Kept {
        let mut kept = Kept::default();
        kept.bytes.clone_from(&self.bytes);
        kept.support = self.support().cloned();
        kept.fingerprint = self.fingerprint;
        kept
    }

    pub(crate) fn key_package_ref(&self) -> &KeyPackageRef {
        &self.key_package_ref
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// As [`State::bound_id`].
    pub(crate) fn bound_id(&self) -> Option<&ReservationId> {
        self.standing.bound_id()
    }

    /// As [`State::lapses_at`].
    pub(crate) fn lapses_at(&self) -> Option<Timestamp> {
        self.standing.lapses_at()
    }

    pub(crate) fn bytes(&self) -> Option<&KeyPackageBytes> {
        self.bytes.as_ref()
    }

    pub(crate) fn support(&self) -> Option<&Support> {
        self.owner.support.as_ref().filter(|_| self.bytes.is_some())
    }

    pub(crate) fn fingerprint(&self) -> Option<&InitKeyFingerprint> {
        self.fingerprint.as_ref()
    }

    /// Returns whether the KeyPackage meets these requirements (`RES-3`).
    pub(crate) fn meets(&self, requirements: &Requirements) -> bool {
        requirements.are_met_by(self.support())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_for_an_entry_takes_as_little_room_as_is_said() {
        assert_eq!(size_of::<Option<Entry>>(), 160);
    }
}
