//! Tells the owners of pools what the directory's notices say, by server-sent events
//! ([DIR-7](kp_core::contract::DIR_7)).

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream::{self, Stream, StreamExt as _};
use kp_core::PoolId;
use kp_server::{KeyPackageDirectory, Notices};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::{Instant, timeout_at};

use crate::server::refusal::Refusal;
use crate::wire::{PoolNotice, StatusAnswer};

/// How many streams one pool may have: those of a device that changed its network, and did not say so.
const MAX_STREAMS: usize = 4;

/// How many notices wait for a slow reader. What overflows is dropped: the reader refreshes anyway.
const WAITING: usize = 16;

/// How long a stream lasts. The next one is identified anew, and begins with the status, whichever node took from the pool.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// How often a quiet stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// Whether a part of an `Accept` header asks for events.
pub(crate) fn is_event_stream(accepted: &str) -> bool {
    accepted
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The streams that are open, by their pools. `None`: the server stops.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Mutex<Option<Open>>>);

type Open = HashMap<PoolId, Sender<PoolNotice>>;

impl Streams {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(HashMap::new()))))
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes notices on to the streams of their pools. Ends when the directory is dropped.
    pub(crate) async fn relay(&self, mut notices: Notices) {
        while let Some(notice) = notices.recv().await {
            if let Some(streams) = &*self.open()
                && let Some(stream) = streams.get(&notice.pool)
            {
                // Nobody may be listening any more.
                let _ = stream.send(PoolNotice::new(notice.kind.code().to_owned(), notice.ciphersuite));
            }
        }
    }

    /// Ends all streams.
    pub(crate) fn close(&self) {
        *self.open() = None;
    }

    /// Begins a stream. `None`: the pool has as many as it may.
    fn listen(&self, pool: &PoolId) -> Option<Listener> {
        let mut streams = self.open();
        let notices = match &mut *streams {
            Some(streams) => {
                let sender = streams
                    .entry(pool.clone())
                    .or_insert_with(|| broadcast::channel(WAITING).0);
                if sender.receiver_count() >= MAX_STREAMS {
                    return None;
                }
                sender.subscribe()
            }
            // Of a sender that is gone: the stream ends after the status.
            None => broadcast::channel(1).1,
        };
        Some(Listener {
            notices: Some(notices),
            pool: pool.clone(),
            streams: self.clone(),
        })
    }
}

/// One end of a stream.
struct Listener {
    notices: Option<Receiver<PoolNotice>>,
    pool: PoolId,
    streams: Streams,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut streams = self.streams.open();
        self.notices = None;
        if let Some(streams) = &mut *streams
            && streams
                .get(&self.pool)
                .is_some_and(|sender| sender.receiver_count() == 0)
        {
            streams.remove(&self.pool);
        }
    }
}

impl Listener {
    async fn next(&mut self) -> Option<PoolNotice> {
        let notices = self.notices.as_mut()?;
        loop {
            match notices.recv().await {
                Ok(notice) => return Some(notice),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Begins with the pool's status, so that nothing is missed between two streams.
pub(crate) async fn stream(
    directory: &KeyPackageDirectory,
    streams: Option<&Streams>,
    pool: &PoolId,
) -> Result<Response, Refusal> {
    let streams = streams.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "no_events",
            "this server has no events; ask for application/json",
        )
    })?;
    let listener = streams.listen(pool);
    let listener = listener.ok_or_else(|| Refusal::too_busy("more streams of events than a pool may have"))?;
    let status = StatusAnswer::from(directory.status(pool).await?);
    let events = events(status, listener);
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response())
}

fn events(status: StatusAnswer, listener: Listener) -> impl Stream<Item = Result<Event, Infallible>> {
    let until = Instant::now() + LASTS;
    let event = |name, json| Event::default().event(name).data(json);
    // No type of ours fails to be written as JSON.
    let first = serde_json::to_string(&status).map(|json| Ok(event("status", json)));
    let notices = stream::unfold(listener, move |mut listener| async move {
        let notice = timeout_at(until, listener.next()).await.ok().flatten()?;
        let json = serde_json::to_string(&notice).ok()?;
        Some((Ok(event("notice", json)), listener))
    });
    stream::iter(first.ok()).chain(notices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_whose_streams_have_ended_is_forgotten() {
        let (streams, pool) = (Streams::new(), PoolId::try_from("bob/phone").unwrap());
        let pools = || streams.open().as_ref().map(HashMap::len);
        let both = [streams.listen(&pool), streams.listen(&pool)];
        let [Some(first), Some(second)] = both else {
            panic!("a pool may have two")
        };
        drop(first);
        assert_eq!(pools(), Some(1), "the other one goes on");
        drop(second);
        assert_eq!(pools(), Some(0));
    }
}
