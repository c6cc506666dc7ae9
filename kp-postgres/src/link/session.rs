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

/// Whose session a connection has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Session {
    /// The store's own: what is set and prepared stays.
    Own,
    /// A pooler's, another one for each transaction, which others have used and set up. So a transaction sets what it needs,
    /// for itself alone.
    Pooled {
        /// The `synchronous_commit` that was found when the store connected.
        synchronous_commit: String,
    },
}

impl Session {
    /// Returns what sets up a session once. `None`: nothing.
    pub(crate) fn set_up(&self) -> Option<String> {
        match self {
            Self::Own => Some(set("SET")),
            Self::Pooled { .. } => None,
        }
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
        match self {
            Self::Own => begin,
            Self::Pooled { synchronous_commit } => {
                let local = set("SET LOCAL");
                format!("{begin}; {local}; SET LOCAL synchronous_commit = {synchronous_commit}")
            }
        }
    }
}

/// Sets what all transactions need. A commit says by a warning that its wait for a standby was cancelled.
fn set(set: &str) -> String {
    let settings = SETTINGS.map(|(name, value)| format!("{set} {name} = {value}; "));
    format!("{}{set} client_min_messages = warning", settings.concat())
}
