use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use eventsource_stream::{Event, Eventsource as _};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use kp_core::protocol::{Health, PoolStatus};
use reqwest::Response;
use tokio::time::timeout;
use tracing::debug;

use crate::client::error::ClientError;
use crate::client::send::KeyPackageClient;
use crate::wire::{PoolNotice, StatusAnswer};

/// A stream on which nothing came for so long is dead: a server says that it is alive every 15 s.
const DEAD_AFTER: Duration = Duration::from_secs(45);

/// The pause before a stream is begun again; twice as long after each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// What a server tells the owner of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolEvent {
    /// How the pool is doing: the first that comes on every connection.
    Status(PoolStatus),
    /// The pool stands worse than before.
    Notice(PoolNotice),
}

impl PoolEvent {
    /// Returns whether a refresh of the pool may have something to do.
    #[must_use]
    pub fn wants_refresh(&self) -> bool {
        match self {
            Self::Status(status) => !matches!(status.health(), Health::Good | Health::LastResortOnly),
            Self::Notice(_) => true,
        }
    }

    /// `None`: an event of a later release.
    fn read(event: &Event) -> Option<Self> {
        match event.event.as_str() {
            "status" => serde_json::from_str(&event.data)
                .ok()
                .map(|answer: StatusAnswer| Self::Status(answer.into())),
            "notice" => serde_json::from_str(&event.data).ok().map(Self::Notice),
            _ => None,
        }
    }
}

impl KeyPackageClient {
    /// Streams what the server tells of the pool. When the connection ends, the stream connects again, after a pause that
    /// grows while that fails.
    ///
    /// # Errors
    ///
    /// The stream ends with a refusal: the device is not known any more, or the server has no events.
    pub fn events(&self) -> impl Stream<Item = Result<PoolEvent, ClientError>> + Send + use<> {
        stream::unfold(Some(Connection::new(self.clone())), |connection| async move {
            let mut connection = connection?;
            match connection.next().await {
                Ok(event) => Some((Ok(event), Some(connection))),
                Err(refused) => Some((Err(refused), None)),
            }
        })
    }
}

struct Connection {
    client: KeyPackageClient,
    /// `None`: to be begun.
    events: Option<BoxStream<'static, Event>>,
    pauses: backon::ExponentialBackoff,
    is_first: bool,
}

impl Connection {
    fn new(client: KeyPackageClient) -> Self {
        Self {
            client,
            events: None,
            pauses: pauses(),
            is_first: true,
        }
    }

    async fn next(&mut self) -> Result<PoolEvent, ClientError> {
        loop {
            if let Some(events) = &mut self.events {
                match events.next().await {
                    Some(event) => {
                        self.pauses = pauses();
                        if let Some(event) = PoolEvent::read(&event) {
                            return Ok(event);
                        }
                    }
                    None => self.events = None,
                }
                continue;
            }
            if !std::mem::take(&mut self.is_first) {
                tokio::time::sleep(self.pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
            match self.client.0.open_events(&["pool"]).await {
                Ok(response) => self.events = Some(events(response)),
                Err(error) if error.may_pass() => {
                    debug!(error = &error as &dyn std::error::Error, "no events yet");
                    tokio::time::sleep(error.retry_after().unwrap_or_default().min(LONGEST_PAUSE)).await;
                }
                Err(refused) => return Err(refused),
            }
        }
    }
}

fn pauses() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .build()
}

/// Reads events until the connection ends, in order or not.
fn events(response: Response) -> BoxStream<'static, Event> {
    // What says that a stream is alive is no event: so the bytes are waited for.
    let bytes = stream::unfold(response.bytes_stream().boxed(), |mut bytes| async move {
        let chunk = timeout(DEAD_AFTER, bytes.next()).await.ok().flatten()?.ok()?;
        Some((Ok::<_, std::convert::Infallible>(chunk), bytes))
    });
    let events = bytes.eventsource();
    events
        .take_while(|event| std::future::ready(event.is_ok()))
        .filter_map(|event| async { event.ok() })
        .boxed()
}
