use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use keypackage_pool::server::Answers;
use keypackage_pool::server::UploadError;
use keypackage_pool::{BackendError, Effect, Error, Rejection, Result};
use serde::Serialize;
use serde_json::json;

/// Why a request is not answered as asked. The text is for people; `error` is what programs go by.
pub(crate) enum ApiError {
    /// Nobody known.
    Unauthorized,
    /// The request itself is wrong.
    Input(StatusCode, &'static str, String),
    /// The rules said no.
    Rejected(Rejection),
    /// The store failed; the directory has logged why, and the caller learns only what it can act on (`ERR-1`).
    Unavailable(Effect),
}

impl ApiError {
    pub(crate) fn input(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::Input(status, code, message.into())
    }
}

pub(crate) async fn no_such_route() -> ApiError {
    ApiError::input(StatusCode::NOT_FOUND, "no_such_route", "no such route")
}

pub(crate) async fn method_not_allowed() -> ApiError {
    let message = "the route has other methods";
    ApiError::input(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(rejection) => Self::Rejected(rejection),
            Error::Backend(failure) => failure.into(),
            _ => Self::Unavailable(Effect::Unknown),
        }
    }
}

impl From<BackendError> for ApiError {
    fn from(failure: BackendError) -> Self {
        Self::Unavailable(failure.effect())
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooManyKeyPackages { .. } => {
                Self::input(StatusCode::PAYLOAD_TOO_LARGE, "too_many_packages", error.to_string())
            }
            UploadError::Store(error) => error.into(),
            UploadError::AdmissionPanicked | UploadError::ShuttingDown => Self::Unavailable(Effect::NotApplied),
            _ => Self::Unavailable(Effect::Unknown),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthorized => {
                let body = json!({ "error": "unauthorized", "message": "who are you? Authorization: Bearer TOKEN" });
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], Json(body)).into_response()
            }
            Self::Input(status, code, message) => {
                (status, Json(json!({ "error": code, "message": message }))).into_response()
            }
            Self::Rejected(rejection) => {
                let body = json!({ "error": rejection.code(), "message": rejection.to_string() });
                (status(rejection), Json(body)).into_response()
            }
            Self::Unavailable(outcome) => {
                let (outcome, message) = match outcome {
                    Effect::NotApplied => ("not_applied", "nothing was done; ask again"),
                    Effect::Unknown => ("unknown", "it may have been done; the same request again finds out"),
                };
                let body = json!({ "error": "unavailable", "outcome": outcome, "message": message });
                (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(body)).into_response()
            }
        }
    }
}

/// The HTTP status of a rejection.
pub(crate) fn status(rejection: Rejection) -> StatusCode {
    match rejection {
        Rejection::PoolExhausted | Rejection::NothingFits | Rejection::NotFound => StatusCode::NOT_FOUND,
        Rejection::Expired => StatusCode::GONE,
        Rejection::Unsuitable => StatusCode::UNPROCESSABLE_ENTITY,
        Rejection::TooManyReservations => StatusCode::TOO_MANY_REQUESTS,
        Rejection::TooManyItems => StatusCode::PAYLOAD_TOO_LARGE,
        Rejection::InvalidCursor => StatusCode::BAD_REQUEST,
        // The state of the package is in the way: spent, reserved, no longer reserved.
        _ => StatusCode::CONFLICT,
    }
}

/// The answer to one item of a batch.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Item<T> {
    Done(T),
    Refused { error: &'static str },
}

/// The answers of a batch, and the first rejection among them. A failure fails the request, and where another item was or may
/// have been done, the outcome of the request is unknown: the same request again gets what was done already, and does the rest. A
/// batch that is too long is refused as a whole.
pub(crate) fn items<T, U>(
    answers: Answers<T>,
    show: impl Fn(T) -> U,
) -> Result<(Vec<Item<U>>, Option<Rejection>), ApiError> {
    let mut first = None;
    let mut items = Vec::with_capacity(answers.len());
    let maybe_done = |answer: &Result<T>| match answer {
        Ok(_) => true,
        Err(Error::Backend(failure)) => failure.effect() == Effect::Unknown,
        Err(_) => false,
    };
    let some_done = answers.iter().any(maybe_done);
    for answer in answers {
        items.push(match answer {
            Ok(done) => Item::Done(show(done)),
            Err(Error::Rejected(rejection)) if rejection != Rejection::TooManyItems => {
                first = first.or(Some(rejection));
                Item::Refused {
                    error: rejection.code(),
                }
            }
            Err(Error::Backend(_)) if some_done => return Err(ApiError::Unavailable(Effect::Unknown)),
            Err(failure) => return Err(failure.into()),
        });
    }
    Ok((items, first))
}
