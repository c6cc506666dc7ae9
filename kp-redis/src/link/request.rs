use redis::{Cmd, Pipeline};

use crate::link::library::Library;
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

/// How a script is sent.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// As a function of a library, which the server has.
    Function(&'static Library),
    /// The same, behind the library.
    Library(&'static Library),
    /// By its hash, which the server knows.
    Hash,
    /// Whole.
    Source,
}

impl Form {
    /// Returns the form of scripts of this library, or of scripts that are in none.
    pub(crate) fn of(library: Option<&'static Library>) -> Self {
        library.map_or(Self::Hash, Self::Function)
    }

    /// Returns the form for a server that did not know the script in this one.
    pub(crate) fn longer(self) -> Self {
        match self {
            Self::Function(library) => Self::Library(library),
            // The server may take no library for now.
            Self::Library(_) | Self::Hash | Self::Source => Self::Source,
        }
    }
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

    /// Returns the commands to send, and how many come before that of the request. `asking` follows an ASK redirection.
    pub(crate) fn commands(&self, form: Form, asking: bool, proof: Proof<'_>) -> (Pipeline, usize) {
        let mut commands = redis::pipe();
        if let (Form::Library(library), Body::Script { .. }) = (form, &self.body) {
            commands.add_command(library.load());
        }
        if asking {
            commands.cmd("ASKING");
        }
        let before = commands.len();
        match &self.body {
            Body::Command(command) => commands.add_command(command.clone()),
            Body::Script {
                script,
                keys,
                arguments,
            } => {
                match form {
                    Form::Function(library) | Form::Library(library) => {
                        commands.cmd("FCALL").arg(library.name_of(script))
                    }
                    Form::Hash => commands.cmd("EVALSHA").arg(script.sha()),
                    Form::Source => commands.cmd("EVAL").arg(script.source()),
                };
                commands.arg(keys.len()).arg(*keys).arg(*arguments)
            }
        };
        proof.ask(&mut commands);
        (commands, before)
    }
}
