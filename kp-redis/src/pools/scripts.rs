//! The scripts of the pools, each put together from the files that it needs.

use crate::link::library::Library;
use crate::link::script::Script;

/// All of them.
pub(crate) static LIBRARY: Library = Library::new(&[
    &SAVE,
    &RESERVE,
    &CLAIM,
    &SPEND,
    &RELEASE,
    &RENEW,
    &WITHDRAW,
    &DELETE,
    &RETIRE,
    &CLEANUP,
    &SETTLE,
    &IMPORT,
    &EXPORT,
    &AUDIT,
    &REPAIR,
    &GET_KEY_PACKAGE,
    &GET_STATUSES,
    &COUNT,
    &AVAILABLE,
    &READY,
]);

/// Joins files of `lua/pools/`: those of `include/` first, in the order given, then the script itself.
macro_rules! lua {
    ($($include:literal)* => $script:literal) => {
        concat!(
            $(include_str!(concat!("../../lua/pools/include/", $include)), "\n",)*
            include_str!(concat!("../../lua/pools/", $script)), "\n"
        )
    };
}

pub(crate) static SAVE: Script = Script::growing(
    "save_key_packages",
    lua!("pool.lua" "changes.lua" "init_keys.lua" "queue.lua" "unspent.lua" => "save.lua"),
)
.on_all_keys();
pub(crate) static RESERVE: Script = Script::changing(
    "reserve_key_packages",
    lua!("pool.lua" "changes.lua" "full.lua" "queue.lua" "take.lua" => "reserve.lua"),
);
pub(crate) static CLAIM: Script = Script::changing(
    "claim_key_packages",
    lua!("pool.lua" "changes.lua" "full.lua" "queue.lua" "take.lua" => "claim.lua"),
);
pub(crate) static SPEND: Script = Script::changing(
    "spend_key_packages",
    lua!("pool.lua" "changes.lua" "full.lua" "tokens.lua" => "spend.lua"),
);
pub(crate) static RELEASE: Script = Script::changing(
    "release_key_packages",
    lua!("pool.lua" "changes.lua" "full.lua" "tokens.lua" => "release.lua"),
);
pub(crate) static RENEW: Script = Script::changing(
    "renew_key_packages",
    lua!("pool.lua" "changes.lua" "full.lua" "tokens.lua" => "renew.lua"),
);
pub(crate) static WITHDRAW: Script = Script::changing(
    "withdraw_key_packages",
    lua!("pool.lua" "changes.lua" "full.lua" "queue.lua" "unspent.lua" => "withdraw.lua"),
);
pub(crate) static DELETE: Script =
    Script::changing("delete_pool", lua!("pool.lua" "changes.lua" => "delete.lua")).on_all_keys();
pub(crate) static RETIRE: Script = Script::changing(
    "retire_unspent",
    lua!("pool.lua" "changes.lua" "full.lua" "queue.lua" "unspent.lua" => "retire.lua"),
);
pub(crate) static CLEANUP: Script = Script::changing(
    "cleanup_expired",
    lua!("pool.lua" "changes.lua" "full.lua" "init_keys.lua" => "cleanup.lua"),
)
.on_all_keys();
pub(crate) static SETTLE: Script = Script::changing(
    "release_expired_reservations",
    lua!("pool.lua" "changes.lua" "full.lua" => "settle.lua"),
);
pub(crate) static IMPORT: Script = Script::growing(
    "import_pool",
    lua!("pool.lua" "changes.lua" "init_keys.lua" => "import.lua"),
)
.on_all_keys();
pub(crate) static EXPORT: Script = Script::reading("export_pool", lua!("pool.lua" "status.lua" => "export.lua"));
pub(crate) static AUDIT: Script = Script::reading(
    "audit_pool",
    lua!("pool.lua" "changes.lua" "init_keys.lua" "whole.lua" => "audit.lua"),
)
.on_all_keys();
pub(crate) static REPAIR: Script = Script::changing(
    "repair_pool",
    lua!("pool.lua" "changes.lua" "init_keys.lua" "whole.lua" => "repair.lua"),
)
.on_all_keys();
const GET: &str = lua!("pool.lua" "status.lua" => "get.lua");
pub(crate) static GET_KEY_PACKAGE: Script = Script::reading("get_key_package", GET);
pub(crate) static GET_STATUSES: Script = Script::reading("get_statuses", GET);
pub(crate) static COUNT: Script = Script::reading("count_by_status", lua!("pool.lua" "status.lua" => "count.lua"));
pub(crate) static AVAILABLE: Script = Script::reading(
    "list_available",
    lua!("pool.lua" "queue.lua" "status.lua" => "available.lua"),
);
pub(crate) static READY: Script =
    Script::reading("list_ready", lua!("pool.lua" "queue.lua" "status.lua" => "ready.lua"));
