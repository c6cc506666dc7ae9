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
        entry.enter(record.state.clone());
        entry
    }

    /// Takes over a state; bytes that it keeps no longer go.
    pub(crate) fn enter(&mut self, state: State) {
        if !state.keeps_bytes() {
            self.bytes = None;
        }
        match (&mut self.state, state) {
            (was, State::Free) => *was = None,
            (Some(was), state) => **was = state,
            (was, state) => *was = Some(Box::new(state)),
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
