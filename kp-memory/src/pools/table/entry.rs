use kp_core::KeyPackageBytes;
use kp_core::rules::{Record, State};

/// A record and its bytes.
#[derive(Debug)]
pub(crate) struct Entry {
    record: Record,
    bytes: Option<KeyPackageBytes>,
}

impl Entry {
    pub(crate) fn new(record: Record, bytes: KeyPackageBytes) -> Self {
        let bytes = Some(bytes).filter(|_| record.state.keeps_bytes());
        Self { record, bytes }
    }

    /// Takes over a state; bytes that it keeps no longer go.
    pub(crate) fn enter(&mut self, state: State) {
        if !state.keeps_bytes() {
            self.bytes = None;
        }
        self.record.state = state;
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn bytes(&self) -> Option<&KeyPackageBytes> {
        self.bytes.as_ref()
    }
}
