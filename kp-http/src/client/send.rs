use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::error::ClientError;
use crate::client::key::IdempotencyKey;
use crate::wire::{IDEMPOTENCY_KEY, Problem};

/// The most bytes of an answer: far more than that of a full pool.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The pause before the first retry; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A call that the server wants to be made later than this is not tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Calls the routes of a delivery service, for one device.
///
/// The client is a [`KeyPackageTransport`](kp_core::protocol::KeyPackageTransport): it is what the device's own pool uploads,
/// syncs and withdraws by. Cheap to clone.
///
/// ```no_run
/// use kp_core::Ciphersuite;
/// use kp_http::client::{IdempotencyKey, KeyPackageClient};
/// use kp_http::wire::TakeRequest;
///
/// # async fn add_bob() -> Result<(), Box<dyn std::error::Error>> {
/// let client = KeyPackageClient::builder("https://example.org/mls").bearer("the session of this device").build()?;
///
/// // Kept until Bob is added, so that a retry after a crash is the same request.
/// let key = IdempotencyKey::random()?;
/// let wanted = TakeRequest::new().ciphersuites([Ciphersuite(0x0001)]);
/// let mut tokens = Vec::new();
/// for device in client.reserve("bob", &wanted, &key).await? {
///     match device.answer.into_result() {
///         Ok(handed_out) => tokens.extend(handed_out.lease.map(|lease| lease.token)),
///         Err(code) => println!("{} cannot be added: {code}", device.device),
///     }
/// }
/// // The Commit is made; before it and its Welcome are delivered:
/// for answer in client.spend(tokens, None).await? {
///     answer.into_result()?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Retries
///
/// Every call may be repeated, a claim or a reservation under the same [`IdempotencyKey`]. So a call that has no answer, or
/// whose server failed, is tried again, after a pause that grows and differs at random. A call that is refused is not.
///
/// # Cancellation
///
/// Every future may be dropped at any point; the call may then be applied.
///
/// # Runtime
///
/// The calls need a tokio runtime.
#[derive(Clone)]
pub struct KeyPackageClient(pub(crate) Arc<Inner>);

/// Says who calls, anew for each try.
pub(crate) type Authorization = Box<dyn Fn() -> String + Send + Sync>;

pub(crate) struct Inner {
    pub(crate) http: Client,
    pub(crate) address: Url,
    pub(crate) authorization: Option<Authorization>,
    pub(crate) timeout: Duration,
    pub(crate) retries: usize,
}

impl fmt::Debug for KeyPackageClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPackageClient")
            .field("address", &self.0.address.as_str())
            .finish_non_exhaustive()
    }
}

/// One call, however often it is tried.
pub(crate) struct Call<'a, B> {
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) key: Option<&'a IdempotencyKey>,
    pub(crate) body: Option<&'a B>,
    /// Whether a problem may have the answers to each item beside it.
    pub(crate) is_batch: bool,
}

impl<'a, B> Call<'a, B> {
    pub(crate) const fn post(path: &'a [&'a str], body: &'a B) -> Self {
        Self {
            method: Method::POST,
            path,
            key: None,
            body: Some(body),
            is_batch: false,
        }
    }

    pub(crate) fn batch(self) -> Self {
        Self { is_batch: true, ..self }
    }

    pub(crate) fn key(self, key: &'a IdempotencyKey) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl<'a> Call<'a, ()> {
    pub(crate) const fn bare(method: Method, path: &'a [&'a str]) -> Self {
        Self {
            method,
            path,
            key: None,
            body: None,
            is_batch: false,
        }
    }
}

impl Inner {
    /// Makes a call until it has an answer, or is not worth another try.
    pub(crate) async fn call<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        call: Call<'_, B>,
    ) -> Result<T, ClientError> {
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(self.retries);
        let tries = (|| self.try_once(&call)).retry(pauses).when(ClientError::may_pass);
        tries
            .adjust(|error, pause| {
                let pause = pause?.max(error.retry_after().unwrap_or_default());
                (pause <= LONGEST_PAUSE).then_some(pause)
            })
            .await
    }

    async fn try_once<B: Serialize + Sync, T: DeserializeOwned>(&self, call: &Call<'_, B>) -> Result<T, ClientError> {
        let mut request = self.request(call.method.clone(), call.path).timeout(self.timeout);
        if let Some(key) = call.key.and_then(IdempotencyKey::header) {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(no_answer)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = read(response).await?;
        if !status.is_success() {
            // A batch of which something is refused is answered for each item all the same.
            let answers = call.is_batch.then(|| serde_json::from_slice(&body).ok()).flatten();
            return answers.ok_or_else(|| refused(status, &body, retry_after));
        }
        let json: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(json).map_err(|error| ClientError::Unreadable(error.into()))
    }

    /// Makes a request, and says who calls.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> reqwest::RequestBuilder {
        let mut address = self.address.clone();
        // An address of HTTP has segments.
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = self.http.request(method, address);
        let header = self.authorization.as_ref().map(|authorization| authorization());
        if let Some(mut header) = header.and_then(|header| HeaderValue::try_from(header).ok()) {
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
        }
        request
    }

    /// Begins a stream of events. It may last.
    pub(crate) async fn open_events(&self, path: &[&str]) -> Result<Response, ClientError> {
        let request = self
            .request(Method::GET, path)
            .header(ACCEPT, "text/event-stream")
            .send();
        let response = tokio::time::timeout(self.timeout, request).await;
        let response = response
            .map_err(|late| ClientError::NoAnswer(late.into()))?
            .map_err(no_answer)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        if status.is_success() {
            return Ok(response);
        }
        Err(refused(status, &read(response).await?, retry_after))
    }
}

/// Without the address, which may name a user.
fn no_answer(error: reqwest::Error) -> ClientError {
    ClientError::NoAnswer(error.without_url().into())
}

async fn read(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ClientError::Unreadable("the answer is too long".into()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// In seconds; a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a proxy in front answers is no problem of ours, and only its status counts.
fn refused(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> ClientError {
    let title = status.canonical_reason().unwrap_or_default();
    let mut problem = serde_json::from_slice::<Problem>(body)
        .unwrap_or_else(|_| Problem::new(status.as_u16(), title, "unspecified", "the server does not say why"));
    problem.status = status.as_u16();
    let problem = Box::new(problem);
    if status.is_client_error() {
        ClientError::Refused { problem, retry_after }
    } else {
        ClientError::Failed { problem, retry_after }
    }
}
