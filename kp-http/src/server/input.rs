use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::server::refusal::Refusal;
use crate::server::state::Shared;
use crate::wire::{IDEMPOTENCY_KEY, MAX_IDEMPOTENCY_KEY};

/// A request's body, read within its time.
pub(crate) struct Input<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, server: &Shared) -> Result<Self, Refusal> {
        let read = timeout(server.limits.body_time, Json::from_request(request, server)).await;
        let too_slow = |_| {
            Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_too_slow",
                "the body did not come in time",
            )
        };
        let Json(input) = read.map_err(too_slow)?.map_err(|rejection| unreadable(&rejection))?;
        Ok(Self(input))
    }
}

fn unreadable(rejection: &JsonRejection) -> Refusal {
    let (status, code) = match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => (status, "body_too_large"),
        status @ StatusCode::UNSUPPORTED_MEDIA_TYPE => (status, "not_json"),
        status @ StatusCode::UNPROCESSABLE_ENTITY => (status, "invalid_body"),
        _ => (StatusCode::BAD_REQUEST, "malformed_json"),
    };
    Refusal::new(status, code, rejection.body_text())
}

/// Whom a path names.
pub(crate) struct Named(pub(crate) String);

impl FromRequestParts<Shared> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        // The path of the server that the routes are nested into may have parameters of its own.
        let named = Path::<Vec<(String, String)>>::from_request_parts(parts, server).await;
        let malformed = |detail| Refusal::new(StatusCode::BAD_REQUEST, "malformed_path", detail);
        let Path(parameters) = named.map_err(|error| malformed(error.body_text()))?;
        let user = parameters.into_iter().rfind(|(name, _)| name == "user");
        user.map(|(_, user)| Self(user))
            .ok_or_else(|| malformed("no user".to_owned()))
    }
}

/// The retry key of a request. It is demanded: without it a lost answer costs a KeyPackage of every device.
pub(crate) struct RetryKey(pub(crate) Vec<u8>);

impl FromRequestParts<Shared> for RetryKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Refusal> {
        let refused = |code, detail: String| Refusal::new(StatusCode::BAD_REQUEST, code, detail);
        let mut keys = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let (key, another) = (keys.next().map(|key| key.as_bytes()), keys.next());
        match key {
            None | Some([]) => Err(refused(
                "idempotency_key_missing",
                "Idempotency-Key: what only this request has, and the same when it is tried again".to_owned(),
            )),
            Some(key) if key.len() > MAX_IDEMPOTENCY_KEY || another.is_some() => Err(refused(
                "invalid_idempotency_key",
                format!("Idempotency-Key: one, of at most {MAX_IDEMPOTENCY_KEY} bytes"),
            )),
            Some(key) => Ok(Self(key.to_vec())),
        }
    }
}
