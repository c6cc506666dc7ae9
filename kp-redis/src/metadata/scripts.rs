//! The scripts of the metadata. They make no functions, so nothing is gained by making them functions of the server's.

use crate::link::script::Script;

const SET_LEASE: &str = include_str!("../../lua/metadata/set_lease.lua");

pub(crate) static APPLY: Script = Script::changing("apply", include_str!("../../lua/metadata/apply.lua"));
pub(crate) static LEASE: Script = Script::changing("lease", SET_LEASE);
pub(crate) static RELEASE_LEASE: Script = Script::changing("release_lease", SET_LEASE);
