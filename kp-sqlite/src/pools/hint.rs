use kp_core::Timestamp;

/// What the writer has found out about a pool besides its row: bounds, which spare it searches. They may be too early,
/// never too late. By default, nothing is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outlook {
    /// No lease or window ends before this moment (TIME-2); `None` when nobody has looked.
    pub(crate) next_end: Option<i64>,
    /// Below this sequence, nothing is free ...
    head: i64,
    /// ... but what is past its `not_after` from this moment on (TIME-3).
    since: i64,
}

impl Outlook {
    /// With which sequence the queue begins.
    pub(crate) fn head(&self, now: Timestamp) -> i64 {
        if self.since <= now.get() { self.head } else { 0 }
    }

    /// From its [`head`](Self::head) on, the queue was looked through as far as the first record that is not past its
    /// `not_after`, if there is one; whether there were some that are.
    pub(crate) fn passed_over(&mut self, to: Option<i64>, expired: bool, now: Timestamp) {
        if self.since > now.get() {
            return;
        }
        self.head = to.unwrap_or(i64::MAX);
        if expired {
            self.since = now.get();
        }
    }

    /// A record of this sequence is free.
    pub(crate) fn freed(&mut self, sequence: i64) {
        self.head = self.head.min(sequence);
    }

    /// The record of this sequence is free no longer.
    pub(crate) fn taken(&mut self, sequence: i64) {
        if self.head == sequence {
            self.head = sequence + 1;
        }
    }

    /// A lease or window ends at this moment.
    pub(crate) fn leased(&mut self, lapses_at: i64) {
        self.next_end = self.next_end.map(|next_end| next_end.min(lapses_at));
    }
}
