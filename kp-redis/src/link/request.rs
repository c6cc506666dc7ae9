use std::time::Duration;

use redis::{Cmd, Pipeline};

use crate::link::script::Script;

/// One round trip.
pub(crate) struct Request<'a> {
    pub(crate) operation: &'static str,
    /// A key of the slot that it goes to.
    pub(crate) key: &'a [u8],
    pub(crate) body: Body<'a>,
    /// What to write behind it, when it is to wait for replicas.
    pub(crate) heartbeat: Option<Vec<u8>>,
}

pub(crate) enum Body<'a> {
    Script {
        script: &'static Script,
        keys: &'a [Vec<u8>],
        arguments: &'a [Vec<u8>],
    },
    /// A command that changes nothing, or may as well be sent twice.
    Command(Cmd),
}

impl Request<'_> {
    pub(crate) fn changes(&self) -> bool {
        match &self.body {
            Body::Script { script, .. } => script.changes,
            Body::Command(_) => false,
        }
    }

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
