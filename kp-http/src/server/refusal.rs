use std::time::Duration;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kp_core::server::Answers;
use kp_core::{BackendError, Effect, Error, Rejection, Result};
use kp_server::UploadError;
use serde::Serialize;
use tracing::warn;

use crate::server::identify::IdentifyError;
use crate::wire::{Answer, PROBLEM_JSON, Problem};

/// When a caller that has taken too many KeyPackages of a pool may try again: the default lease. A claim counts for longer.
const TOO_MANY_FOR: Duration = Duration::from_secs(60);

/// When a failed request may be tried again.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Box<Problem>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
}

impl Refusal {
    /// The request itself is wrong.
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        Self {
            problem: Box::new(Problem::new(status.as_u16(), title, code, detail)),
            retry_after: None,
            challenge: None,
        }
    }

    /// Something failed; the directory has logged why, and the caller learns only what it can act on
    /// ([ERR-1](kp_core::contract::ERR_1)).
    pub(crate) fn unavailable(effect: Effect) -> Self {
        let (effect, detail) = match effect {
            Effect::NotApplied => ("not_applied", "nothing was done; ask again"),
            Effect::Unknown => ("unknown", "it may have been done; the same request again finds out"),
        };
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Self {
            problem: Box::new(refusal.problem.effect(effect)),
            ..refusal
        }
        .retry_after(FAILED_FOR)
    }

    pub(crate) fn retry_after(self, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..self
        }
    }

    /// The caller has as many requests, or streams, under way as it may.
    pub(crate) fn too_busy(detail: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).retry_after(FAILED_FOR)
    }

    /// Answers with the problem, and beside it the answers to each item.
    pub(crate) fn with(self, items: impl Serialize) -> Response {
        #[derive(Serialize)]
        struct Both<T> {
            #[serde(flatten)]
            problem: Box<Problem>,
            #[serde(flatten)]
            items: T,
        }
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = self.problem;
        let mut response = (status, Json(Both { problem, items })).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(after) = self.retry_after {
            // Whole seconds, and none too few.
            headers.insert(
                RETRY_AFTER,
                (after.as_secs() + u64::from(after.subsec_nanos() > 0)).into(),
            );
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Nothing {}
        self.with(Nothing {})
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let refusal = Self::new(status(rejection), rejection.code(), rejection.to_string());
        match rejection {
            Rejection::TooManyReservations => refusal.retry_after(TOO_MANY_FOR),
            _ => refusal,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(rejection) => rejection.into(),
            Error::Backend(failure) => failure.into(),
            _ => Self::unavailable(Effect::Unknown),
        }
    }
}

impl From<BackendError> for Refusal {
    fn from(failure: BackendError) -> Self {
        Self::unavailable(failure.effect())
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooManyKeyPackages { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_packages", error.to_string())
            }
            UploadError::Store(error) => error.into(),
            UploadError::AdmissionPanicked | UploadError::ShuttingDown => Self::unavailable(Effect::NotApplied),
            _ => Self::unavailable(Effect::Unknown),
        }
    }
}

impl From<IdentifyError> for Refusal {
    fn from(error: IdentifyError) -> Self {
        match error {
            IdentifyError::Unauthorized { challenge } => Self {
                challenge: Some(challenge),
                ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "who are you?")
            },
            IdentifyError::Forbidden => Self::new(StatusCode::FORBIDDEN, "forbidden", "this is not for you"),
            IdentifyError::TooManyRequests { retry_after } => {
                Self::too_busy("more requests than the server takes of you").retry_after(retry_after)
            }
            IdentifyError::Failed(error) => {
                warn!(
                    error = &*error as &dyn std::error::Error,
                    "the accounts cannot be asked"
                );
                Self::unavailable(Effect::NotApplied)
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

/// The answers of a batch, and the first rejection among them.
pub(crate) struct Items<T> {
    pub(crate) answers: Vec<Answer<T>>,
    pub(crate) refused: Option<Rejection>,
}

/// Shows the answers of a batch. A failure fails the request, and where another item was or may have been done, the effect of
/// the request is unknown: the same request again gets what was done already, and does the rest. A batch that is too long is
/// refused as a whole.
pub(crate) fn items<T, U>(answers: Answers<T>, show: impl Fn(T) -> U) -> Result<Items<U>, Refusal> {
    let maybe_done = |answer: &Result<T>| match answer {
        Ok(_) => true,
        Err(Error::Backend(failure)) => failure.effect() == Effect::Unknown,
        Err(_) => false,
    };
    let some_done = answers.iter().any(maybe_done);
    let mut refused = None;
    let item = |answer: Result<T>| match answer {
        Ok(done) => Ok(Answer::Ok(show(done))),
        Err(Error::Rejected(rejection)) if rejection != Rejection::TooManyItems => {
            refused = refused.or(Some(rejection));
            Ok(Answer::Refused(rejection.into()))
        }
        Err(Error::Backend(_)) if some_done => Err(Refusal::unavailable(Effect::Unknown)),
        Err(failure) => Err(failure.into()),
    };
    let answers = answers.into_iter().map(item).collect::<Result<_, Refusal>>()?;
    Ok(Items { answers, refused })
}

pub(crate) async fn no_such_route() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "no_such_route", "no such route")
}

pub(crate) async fn method_not_allowed() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the route has other methods",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(effect: Effect) -> Result<u8> {
        Err(BackendError::transient("sqlite", "spend_key_packages", effect, "the disk is full").into())
    }

    #[test]
    fn a_batch_of_which_a_part_was_done_is_not_said_to_be_undone() {
        let effect = |answers: Vec<Result<u8>>| match items(answers.into(), |done| done) {
            Err(refusal) => refusal.problem.effect,
            Ok(_) => panic!("a failure fails the request"),
        };
        let unknown = Some("unknown".to_owned());
        assert_eq!(effect(vec![Ok(1), failed(Effect::NotApplied)]), unknown);
        assert_eq!(
            effect(vec![failed(Effect::NotApplied), failed(Effect::Unknown)]),
            unknown
        );
        let undone = vec![failed(Effect::NotApplied), Err(Rejection::PoolExhausted.into())];
        assert_eq!(effect(undone), Some("not_applied".to_owned()));
    }

    #[test]
    fn an_upload_that_no_store_has_heard_of_is_not_applied() {
        for error in [UploadError::AdmissionPanicked, UploadError::ShuttingDown] {
            let refusal = Refusal::from(error);
            assert_eq!(refusal.problem.effect.as_deref(), Some("not_applied"));
        }
    }

    /// A rejection without a status of its own is a conflict: of a new one, think here.
    #[test]
    fn every_rejection_has_its_status() {
        let statuses = Rejection::ALL.iter().map(|rejection| status(*rejection).as_u16());
        let expected = [404, 404, 409, 409, 410, 404, 422, 409, 429, 409, 413, 400];
        assert_eq!(statuses.collect::<Vec<_>>(), expected);
    }
}
