use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use kp_core::Effect;
use rusqlite::Connection;

use crate::file::calls::{Call, Message};
use crate::file::error::Failure;
use crate::file::session::{Cache, Session};
use crate::sql::Sql;

/// One of the threads that read: does what the queue, which it shares with the others, holds for it.
pub(crate) fn run<C: Cache>(connection: Connection, messages: Arc<Mutex<Receiver<Message<C>>>>) {
    let mut session = Session::new(&connection);
    let done = loop {
        // The lock is held while there is nothing to do: the others wait for it, and so for the next message.
        let message = messages.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match message {
            Ok(Message::Call(mut call)) => match read(&mut session, call.as_mut()) {
                Ok(()) => call.answer(),
                Err(failure) => call.fail(Effect::NotApplied, Arc::new(failure)),
            },
            Ok(Message::Stop(done)) => break Some(done),
            Err(_) => break None,
        }
    };
    drop(session);
    drop(connection);
    // Whoever asks once the store is known to be closed is told so.
    drop(messages);
    if let Some(done) = done {
        let _ = done.send(Ok(()));
    }
}

/// One snapshot, begun after everything that was answered before (LIN-1).
fn read<C>(session: &mut Session<'_, C>, call: &mut dyn Call<C>) -> Result<(), Failure> {
    session.statements.execute(Sql::BeginRead, [])?;
    let done = call.run(session);
    // Nothing was written: this only ends the snapshot.
    session.statements.execute(Sql::Commit, [])?;
    done
}
