use kp_core::rules::{Record, State};
use kp_core::{Lifetime, PackageBytes, PackageInfo, Timestamp};

/// A record and its bytes, as small as may be: most packages are free, and need no room for a state.
#[derive(Debug)]
pub(crate) struct Entry {
    info: PackageInfo,
    sequence: u64,
    saved_at: Timestamp,
    /// `None` is [`State::Free`].
    state: Option<Box<State>>,
    bytes: Option<PackageBytes>,
}

impl Entry {
    pub(crate) fn new(record: &Record, bytes: PackageBytes) -> Self {
        let mut entry = Self {
            info: record.info.clone(),
            sequence: record.sequence,
            saved_at: record.saved_at,
            state: None,
            bytes: Some(bytes),
        };
        entry.become_like(record);
        entry
    }

    /// Takes over the state of `after`; bytes that it keeps no longer go.
    pub(crate) fn become_like(&mut self, after: &Record) {
        match (&mut self.state, &after.state) {
            (state, State::Free) => *state = None,
            (Some(state), after) => **state = after.clone(),
            (state, after) => *state = Some(Box::new(after.clone())),
        }
        if !after.keeps_bytes() {
            self.bytes = None;
        }
    }

    pub(crate) fn record(&self) -> Record {
        Record {
            info: self.info.clone(),
            sequence: self.sequence,
            saved_at: self.saved_at,
            state: self.state().clone(),
        }
    }

    pub(crate) fn info(&self) -> &PackageInfo {
        &self.info
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.info.lifetime
    }

    pub(crate) fn state(&self) -> &State {
        self.state.as_deref().unwrap_or(&State::Free)
    }

    pub(crate) fn bytes(&self) -> Option<&PackageBytes> {
        self.bytes.as_ref()
    }
}
