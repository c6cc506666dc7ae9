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
            source: concat!($(include_str!(concat!("../../lua/", $file)), "\n"),+),
            changes: $changes,
            sha: LazyLock::new(|| redis::Script::new($name.source).get_hash().to_owned()),
        };
    };
}

script!(
    SAVE,
    "save",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/include/queue.lua",
        "pools/include/unspent.lua",
        "pools/save.lua"
    ]
);
script!(
    RESERVE,
    "reserve",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/include/queue.lua",
        "pools/include/take.lua",
        "pools/reserve.lua"
    ]
);
script!(
    CLAIM,
    "claim",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/include/queue.lua",
        "pools/include/take.lua",
        "pools/claim.lua"
    ]
);
script!(
    SPEND,
    "spend",
    true,
    ["pools/include/pool.lua", "pools/include/changes.lua", "pools/spend.lua"]
);
script!(
    RELEASE,
    "release",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/release.lua"
    ]
);
script!(
    REMOVE,
    "remove",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/include/queue.lua",
        "pools/include/unspent.lua",
        "pools/remove.lua"
    ]
);
script!(
    DELETE,
    "delete_pool",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/delete.lua"
    ]
);
script!(
    RETIRE,
    "retire_unspent",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/include/queue.lua",
        "pools/include/unspent.lua",
        "pools/retire.lua"
    ]
);
script!(
    SWEEP,
    "cleanup_expired",
    true,
    ["pools/include/pool.lua", "pools/include/changes.lua", "pools/sweep.lua"]
);
script!(
    SETTLE,
    "release_expired_reservations",
    true,
    [
        "pools/include/pool.lua",
        "pools/include/changes.lua",
        "pools/settle.lua"
    ]
);
script!(CREATE_ROWS, "create_pool_metadata", true, ["metadata/set_rows.lua"]);
script!(STEP_ROWS, "update_pool_status", true, ["metadata/set_rows.lua"]);
script!(DELETE_ROWS, "delete_pool_metadata", true, ["metadata/delete_rows.lua"]);
script!(
    GET,
    "get",
    false,
    ["pools/include/pool.lua", "pools/include/status.lua", "pools/get.lua"]
);
script!(
    COUNT,
    "count_by_status",
    false,
    ["pools/include/pool.lua", "pools/include/status.lua", "pools/count.lua"]
);
script!(
    AVAILABLE,
    "list_available",
    false,
    [
        "pools/include/pool.lua",
        "pools/include/queue.lua",
        "pools/include/status.lua",
        "pools/available.lua"
    ]
);
