use std::time::Duration;

use redis::{Pipeline, RedisError, Value};

use crate::link::error::TooFewReplicas;

/// What follows a command in its pipeline, and proves that its answer may leave.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// A script that changes proves by itself that it runs on a master: it writes, or tries to (`finish` in
    /// changes.lua).
    Itself,
    /// `WAIT 0 0`: a master answers it at once, and a replica refuses it, whatever state either is in. So a read comes
    /// from a master.
    Role,
    /// So many replicas have the answer, and everything that it rests on (`ERR-5`).
    ///
    /// `WAIT` covers only writes of its own connection. A script that writes nothing (a replay, a refusal) would pass at
    /// once, before the replicas have the change that the answer rests on. So a heartbeat key is set between the two.
    Replicas {
        asked: u32,
        within: Duration,
        heartbeat: &'a [u8],
    },
}

/// Why an answer may not leave.
pub(crate) enum Unproven {
    /// The server is no master, or cannot tell.
    NoMaster(RedisError),
    TooFewReplicas(TooFewReplicas),
}

impl Proof<'_> {
    /// Adds the commands.
    pub(crate) fn ask(self, commands: &mut Pipeline) {
        match self {
            Self::Itself => {}
            Self::Role => {
                commands.cmd("WAIT").arg(0).arg(0);
            }
            Self::Replicas {
                asked,
                within,
                heartbeat,
            } => {
                // 0 would wait for ever.
                let milliseconds = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
                commands.cmd("SET").arg(heartbeat).arg("");
                commands.cmd("WAIT").arg(asked).arg(milliseconds);
            }
        }
    }

    /// Checks the replies to them.
    pub(crate) fn check(self, mut replies: impl Iterator<Item = Value>) -> Result<(), Unproven> {
        match self {
            Self::Itself => Ok(()),
            Self::Role => match replies.next().unwrap_or(Value::Nil).extract_error() {
                Ok(_) => Ok(()),
                Err(error) => Err(Unproven::NoMaster(error)),
            },
            Self::Replicas { asked, .. } => {
                let heartbeat = replies.next().map(Value::extract_error);
                let found = match (heartbeat, replies.next()) {
                    (Some(Ok(_)), Some(Value::Int(found))) => found,
                    _ => 0,
                };
                if found >= i64::from(asked) {
                    Ok(())
                } else {
                    Err(Unproven::TooFewReplicas(TooFewReplicas { found, asked }))
                }
            }
        }
    }
}
