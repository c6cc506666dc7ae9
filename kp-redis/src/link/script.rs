use std::sync::OnceLock;

/// A Lua script, and the call that it serves.
pub(crate) struct Script {
    /// The name of the trait's method.
    pub(crate) operation: &'static str,
    pub(crate) source: &'static str,
    /// Whether the script may write.
    pub(crate) changes: bool,
    sha: OnceLock<String>,
}

impl Script {
    /// Makes a script that may write.
    pub(crate) const fn changing(operation: &'static str, source: &'static str) -> Self {
        Self {
            operation,
            source,
            changes: true,
            sha: OnceLock::new(),
        }
    }

    /// Makes a script that only reads.
    pub(crate) const fn reading(operation: &'static str, source: &'static str) -> Self {
        Self {
            operation,
            source,
            changes: false,
            sha: OnceLock::new(),
        }
    }

    /// Returns the hash that EVALSHA takes.
    pub(crate) fn sha(&self) -> &str {
        self.sha
            .get_or_init(|| redis::Script::new(self.source).get_hash().to_owned())
    }
}
