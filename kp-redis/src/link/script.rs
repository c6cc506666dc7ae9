use std::sync::OnceLock;

/// A Lua script, and the call that it serves.
pub(crate) struct Script {
    /// The name of the trait's method.
    pub(crate) operation: &'static str,
    /// Whether the script may write.
    pub(crate) changes: bool,
    /// Whether the script takes all keys of a pool: see `pool.lua`.
    pub(crate) all_keys: bool,
    /// What the server is told of it as a function: what a function may do where the server takes no changes for now.
    pub(crate) flags: &'static str,
    /// Lua that returns the function which is run with the keys and the arguments.
    text: &'static str,
    source: OnceLock<String>,
    sha: OnceLock<String>,
}

impl Script {
    /// Makes a script that may write, and goes on while the memory is full.
    pub(crate) const fn changing(operation: &'static str, text: &'static str) -> Self {
        Self::new(operation, text, true, "'allow-oom'")
    }

    /// Makes a script that may write, and is refused while the memory is full.
    pub(crate) const fn growing(operation: &'static str, text: &'static str) -> Self {
        Self::new(operation, text, true, "")
    }

    /// Makes a script that only reads.
    pub(crate) const fn reading(operation: &'static str, text: &'static str) -> Self {
        Self::new(operation, text, false, "'no-writes'")
    }

    /// The same, on all keys of a pool.
    pub(crate) const fn on_all_keys(mut self) -> Self {
        self.all_keys = true;
        self
    }

    const fn new(operation: &'static str, text: &'static str, changes: bool, flags: &'static str) -> Self {
        Self {
            operation,
            changes,
            all_keys: false,
            flags,
            text,
            source: OnceLock::new(),
            sha: OnceLock::new(),
        }
    }

    /// Returns Lua whose value is the function that is run, without comments. Its locals are its own.
    pub(crate) fn function(&self) -> String {
        let lines = self.text.lines().map(str::trim_start);
        let code: Vec<_> = lines.filter(|line| !line.starts_with("--")).collect();
        format!("(function()\n{}\nend)()", code.join("\n"))
    }

    /// Returns what EVAL takes.
    pub(crate) fn source(&self) -> &str {
        self.source
            .get_or_init(|| format!("local IS_FUNCTION = false\nreturn {}(KEYS, ARGV)", self.function()))
    }

    /// Returns the hash that EVALSHA takes.
    pub(crate) fn sha(&self) -> &str {
        self.sha
            .get_or_init(|| redis::Script::new(self.source()).get_hash().to_owned())
    }
}
