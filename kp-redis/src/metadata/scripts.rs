//! The scripts of the metadata.

use crate::link::script::Script;

const SET_ROWS: &str = include_str!("../../lua/metadata/set_rows.lua");
const DELETE_ROWS: &str = include_str!("../../lua/metadata/delete_rows.lua");

pub(crate) static CREATE: Script = Script::changing("create_pool_metadata", SET_ROWS);
pub(crate) static UPDATE: Script = Script::changing("update_pool_status", SET_ROWS);
pub(crate) static DELETE: Script = Script::changing("delete_pool_metadata", DELETE_ROWS);
