use std::sync::LazyLock;

/// A Lua script, and the call that it serves.
pub(crate) struct Script {
    pub(crate) operation: &'static str,
    pub(crate) source: &'static str,
    /// Whether it changes anything.
    pub(crate) changes: bool,
    sha: LazyLock<String>,
}

impl Script {
    /// What EVALSHA knows it by.
    pub(crate) fn sha(&self) -> &str {
        &self.sha
    }
}

macro_rules! script {
    ($name:ident, $operation:literal, $changes:literal, [$($file:literal),+]) => {
        pub(crate) static $name: Script = Script {
            operation: $operation,
            source: concat!($(include_str!(concat!("../lua/", $file)), "\n"),+),
            changes: $changes,
            sha: LazyLock::new(|| redis::Script::new($name.source).get_hash().to_owned()),
        };
    };
}

script!(
    SAVE,
    "save",
    true,
    ["pool.lua", "changes.lua", "queue.lua", "unspent.lua", "save.lua"]
);
script!(
    RESERVE,
    "reserve",
    true,
    ["pool.lua", "changes.lua", "queue.lua", "take.lua", "reserve.lua"]
);
script!(
    CLAIM,
    "claim",
    true,
    ["pool.lua", "changes.lua", "queue.lua", "take.lua", "claim.lua"]
);
script!(SPEND, "spend", true, ["pool.lua", "changes.lua", "spend.lua"]);
script!(RELEASE, "release", true, ["pool.lua", "changes.lua", "release.lua"]);
script!(
    REMOVE,
    "remove",
    true,
    ["pool.lua", "changes.lua", "queue.lua", "unspent.lua", "remove.lua"]
);
script!(DELETE, "delete_pool", true, ["pool.lua", "changes.lua", "delete.lua"]);
script!(
    RETIRE,
    "retire_unspent",
    true,
    ["pool.lua", "changes.lua", "queue.lua", "unspent.lua", "retire.lua"]
);
script!(SWEEP, "cleanup_expired", true, ["pool.lua", "changes.lua", "sweep.lua"]);
script!(
    SETTLE,
    "release_expired_reservations",
    true,
    ["pool.lua", "changes.lua", "settle.lua"]
);
script!(CREATE_ROWS, "create_pool_metadata", true, ["set_rows.lua"]);
script!(STEP_ROWS, "update_pool_status", true, ["set_rows.lua"]);
script!(DELETE_ROWS, "delete_pool_metadata", true, ["delete_rows.lua"]);
script!(GET, "get", false, ["pool.lua", "status.lua", "get.lua"]);
script!(COUNT, "count_by_status", false, ["pool.lua", "status.lua", "count.lua"]);
script!(
    AVAILABLE,
    "list_available",
    false,
    ["pool.lua", "queue.lua", "status.lua", "available.lua"]
);
