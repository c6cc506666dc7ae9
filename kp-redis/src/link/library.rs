//! The scripts as functions of the server: each is made once, when the library is loaded, and not at each run.

use std::fmt::Write as _;
use std::sync::OnceLock;

use redis::Cmd;

use crate::link::script::Script;

/// The function that tells that the library is there.
const LOADED: &str = "redis.register_function{function_name = NAME .. '_loaded', flags = {'no-writes'}, callback = function() return 1 end}\n";

/// Scripts that the server loads together.
///
/// The name of a library carries the release and a hash of its text. So two releases of this crate, side by side on one server,
/// have a library each.
pub(crate) struct Library {
    scripts: &'static [&'static Script],
    made: OnceLock<Made>,
}

struct Made {
    name: String,
    code: String,
}

impl Library {
    pub(crate) const fn new(scripts: &'static [&'static Script]) -> Self {
        Self {
            scripts,
            made: OnceLock::new(),
        }
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let mut functions = String::from(LOADED);
            for script in self.scripts {
                let (function, flags) = (script.function(), script.flags);
                let _ = writeln!(
                    functions,
                    "redis.register_function{{function_name = NAME .. '_{}', flags = {{{flags}}}, callback = {function}}}",
                    script.operation
                );
            }
            let release = env!("CARGO_PKG_VERSION").replace(|character: char| !character.is_ascii_alphanumeric(), "_");
            let script = redis::Script::new(&functions);
            let name = format!("kp_redis_{release}_{}", &script.get_hash()[..8]);
            let code = format!("#!lua name={name}\nlocal NAME, IS_FUNCTION = '{name}', true\n{functions}");
            Made { name, code }
        })
    }

    /// Returns the command that loads the library, also where it is loaded.
    pub(crate) fn load(&self) -> Cmd {
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(&self.made().code);
        load
    }

    /// Returns the name of a script's function.
    pub(crate) fn name_of(&self, script: &Script) -> String {
        format!("{}_{}", self.made().name, script.operation)
    }

    /// Returns the command that succeeds where the library is loaded.
    pub(crate) fn is_loaded(&self) -> Cmd {
        let mut call = redis::cmd("FCALL");
        call.arg(format!("{}_loaded", self.made().name)).arg(0);
        call
    }
}
