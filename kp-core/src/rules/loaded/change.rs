use crate::KeyPackageBytes;
use crate::rules::{Record, State};
use crate::server::{InitKeyFingerprint, Support};

/// Describes what is to be written of one record: the difference between the record as stored and as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change<'a> {
    /// Store a new record.
    Insert {
        /// The record.
        record: &'a Record,
        /// The bytes, if the state [keeps bytes](State::keeps_bytes).
        bytes: Option<&'a KeyPackageBytes>,
        /// The support, if there is one and the state keeps bytes.
        support: Option<&'a Support>,
        /// The fingerprint of the init key, if there is one.
        fingerprint: Option<&'a InitKeyFingerprint>,
    },
    /// Add to a record what it lacked.
    Amend {
        /// The record as stored.
        record: &'a Record,
        /// The support that is kept from now on.
        support: Option<&'a Support>,
        /// The fingerprint that is kept from now on.
        fingerprint: Option<&'a InitKeyFingerprint>,
    },
    /// Bring a record to another state. If the new state does not [keep bytes](State::keeps_bytes), drop bytes and support.
    /// A [`Change::Amend`] of the same record comes before.
    Update {
        /// The record as stored.
        record: &'a Record,
        /// The new state.
        state: &'a State,
    },
    /// Remove a record, with all that was kept beside it.
    Forget {
        /// The record as stored.
        record: &'a Record,
    },
}
