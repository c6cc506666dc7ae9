use super::Change;
use crate::rules::{Kept, Record};

/// One record.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The record as stored, and what was kept beside it; `None`: it is new.
    pub(super) stored: Option<(Record, Kept)>,
    /// The record as it is now; `None`: it is forgotten.
    pub(super) now: Option<Record>,
    /// What is kept beside it now. The bytes are there once they were loaded.
    pub(super) kept: Kept,
}

impl Entry {
    /// Lists what is to be written. `cleared`: what was stored is gone.
    pub(super) fn changes(&self, cleared: bool) -> impl Iterator<Item = Change<'_>> {
        let Kept {
            bytes,
            support,
            fingerprint,
        } = &self.kept;
        let (amended, change) = match (&self.stored, &self.now) {
            (None, Some(record)) => {
                let keeps_bytes = record.state.keeps_bytes();
                let insert = Change::Insert {
                    record,
                    bytes: bytes.as_ref().filter(|_| keeps_bytes),
                    support: support.as_ref().filter(|_| keeps_bytes),
                    fingerprint: fingerprint.as_ref(),
                };
                (None, Some(insert))
            }
            (Some((record, kept)), Some(now)) => {
                let is_amended = kept.support != *support || kept.fingerprint != *fingerprint;
                let amend = Change::Amend {
                    record,
                    support: support.as_ref(),
                    fingerprint: fingerprint.as_ref(),
                };
                let update = Change::Update {
                    record,
                    state: &now.state,
                };
                let is_updated = record.state != now.state;
                (Some(amend).filter(|_| is_amended), Some(update).filter(|_| is_updated))
            }
            (Some((record, _)), None) if !cleared => (None, Some(Change::Forget { record })),
            _ => (None, None),
        };
        amended.into_iter().chain(change)
    }
}
