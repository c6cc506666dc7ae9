use kp_core::KeyPackageBytes;
use kp_core::rules::{Record, State};

/// Holds a record and its bytes.
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

    /// Brings the record to another state. If the new state does not keep bytes, the bytes go.
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
