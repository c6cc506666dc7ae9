use redis::{Cmd, Pipeline};

use crate::link::proof::Proof;
use crate::link::script::Script;

/// A request to the server: one round trip.
pub(crate) struct Request<'a> {
    pub(crate) operation: &'static str,
    /// A key of the slot that the request goes to.
    pub(crate) key: &'a [u8],
    pub(crate) body: Body<'a>,
    /// The key to set before `WAIT`; `None` if the request never waits for replicas.
    pub(crate) heartbeat: Option<Vec<u8>>,
}

/// The command of a request.
pub(crate) enum Body<'a> {
    Script {
        script: &'static Script,
        keys: &'a [Vec<u8>],
        arguments: &'a [Vec<u8>],
    },
    /// A command that changes nothing, or that may be sent twice.
    Command(Cmd),
}

impl Request<'_> {
    /// Returns whether the request may change anything, and so must not be sent twice.
    pub(crate) fn changes(&self) -> bool {
        match &self.body {
            Body::Script { script, .. } => script.changes,
            Body::Command(_) => false,
        }
    }

    /// Returns the commands to send. `whole` sends the script's source instead of its hash, and `asking` follows an ASK
    /// redirection.
    pub(crate) fn commands(&self, whole: bool, asking: bool, proof: Proof<'_>) -> Pipeline {
        let mut commands = redis::pipe();
        if asking {
            commands.cmd("ASKING");
        }
        match &self.body {
            Body::Command(command) => commands.add_command(command.clone()),
            Body::Script {
                script,
                keys,
                arguments,
            } => {
                if whole {
                    commands.cmd("EVAL").arg(script.source)
                } else {
                    commands.cmd("EVALSHA").arg(script.sha())
                };
                commands.arg(keys.len()).arg(*keys).arg(*arguments)
            }
        };
        proof.ask(&mut commands);
        commands
    }
}
