use kp_core::KeyPackageBytes;
use kp_core::rules::{Kept, Record, State};
use kp_core::server::{InitKeyFingerprint, Requirements, Support};

/// Holds a record, and what is kept beside it.
#[derive(Debug)]
pub(crate) struct Entry {
    record: Record,
    bytes: Option<KeyPackageBytes>,
    /// As long as the bytes (`RES-3`).
    support: Option<Support>,
    fingerprint: Option<InitKeyFingerprint>,
}

impl Entry {
    /// Makes a record with what is kept beside it; `support` is that of `kept`.
    pub(crate) fn new(record: Record, kept: &Kept, support: Option<Support>) -> Self {
        Self {
            bytes: kept.bytes.clone(),
            support,
            fingerprint: kept.fingerprint,
            record,
        }
    }

    /// Brings the record to another state. If the new state does not keep bytes, bytes and support go.
    pub(crate) fn enter(&mut self, state: State) {
        if !state.keeps_bytes() {
            (self.bytes, self.support) = (None, None);
        }
        self.record.state = state;
    }

    /// Adds support and fingerprint, where the entry has none (`SAVE-5`).
    pub(crate) fn amend(&mut self, fingerprint: Option<InitKeyFingerprint>, support: Option<Support>) {
        self.fingerprint = self.fingerprint.or(fingerprint);
        self.support = self.support.take().or(support);
    }

    /// Returns what is kept beside the record.
    pub(crate) fn kept(&self) -> Kept {
        let mut kept = Kept::default();
        kept.bytes.clone_from(&self.bytes);
        kept.support.clone_from(&self.support);
        kept.fingerprint = self.fingerprint;
        kept
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn bytes(&self) -> Option<&KeyPackageBytes> {
        self.bytes.as_ref()
    }

    pub(crate) fn support(&self) -> Option<&Support> {
        self.support.as_ref()
    }

    pub(crate) fn fingerprint(&self) -> Option<&InitKeyFingerprint> {
        self.fingerprint.as_ref()
    }

    /// Returns whether the KeyPackage meets these requirements (`RES-3`).
    pub(crate) fn meets(&self, requirements: &Requirements) -> bool {
        requirements.are_met_by(self.support())
    }
}
