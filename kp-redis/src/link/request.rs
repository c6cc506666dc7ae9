use std::time::Duration;

use redis::{Cmd, Pipeline};

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

    /// Returns the commands to send. `whole` sends the script's source instead of its hash, `asking` follows an ASK
    /// redirection, and `waits` adds the heartbeat and `WAIT`.
    pub(crate) fn commands(&self, whole: bool, asking: bool, waits: Option<u32>, timeout: Duration) -> Pipeline {
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
        if let (Some(replicas), Some(heartbeat)) = (waits, &self.heartbeat) {
            let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            commands.cmd("SET").arg(heartbeat).arg("");
            commands.cmd("WAIT").arg(replicas).arg(milliseconds);
        }
        commands
    }
}
