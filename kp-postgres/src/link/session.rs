//! How a session is set up: once, where it is the store's own; by each transaction, behind a pooler.

use std::time::Duration;

/// The settings under which the plan of a statement does not hang on what the planner knows of the tables.
///
/// A plan is made once, maybe while the tables are empty, and kept. So the planner is told to use the indexes.
pub(crate) const SETTINGS: [(&str, &str); 6] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
];

/// The session of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    /// Whether it is a pooler's: another one for each transaction, which others have used and set up. So a transaction sets what it
    /// needs, for itself alone. In a session of the store's own, what is set and prepared stays.
    pub(crate) is_pooled: bool,
    /// What commits wait for: as it was when the store was opened, whatever the server is told later.
    pub(crate) synchronous_commit: String,
}

impl Session {
    /// Returns what sets up a session once. `None`: nothing.
    pub(crate) fn set_up(&self) -> Option<String> {
        (!self.is_pooled).then(|| self.set("SET"))
    }

    /// Returns the beginning of a transaction, in which nothing waits longer than its caller.
    ///
    /// A standby, to which a pooler may have turned, refuses a transaction that is not read-only.
    pub(crate) fn begin(&self, left: Duration, limit: Duration) -> String {
        let (left, limit) = (left.as_millis().max(1), limit.as_millis().max(1));
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = {left}; \
             SET LOCAL statement_timeout = {left}; SET LOCAL idle_in_transaction_session_timeout = {limit}"
        );
        match self.is_pooled {
            false => begin,
            true => format!("{begin}; {}", self.set("SET LOCAL")),
        }
    }

    /// Sets what all transactions need. A commit says by a warning that its wait for a standby was cancelled.
    fn set(&self, set: &str) -> String {
        let settings = SETTINGS.map(|(name, value)| format!("{set} {name} = {value}; "));
        let commit = format!("{set} synchronous_commit = {}", self.synchronous_commit);
        format!("{}{commit}; {set} client_min_messages = warning", settings.concat())
    }
}
