//! What a device does with its own pool.

use axum::Json;
use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use kp_core::protocol::SyncReport;
use kp_core::server::Withdrawal;
use kp_server::Upload;

use crate::server::events;
use crate::server::input::Input;
use crate::server::known::Known;
use crate::server::refusal::Refusal;
use crate::server::schema;
use crate::server::state::Shared;
use crate::wire::{Problem, StatusAnswer, SyncRequest, UploadAnswer, UploadRequest, WithdrawAnswer, WithdrawRequest};

/// Uploads KeyPackages to the caller's own pool.
///
/// An outcome for each, in order. The same upload again is stored once.
#[utoipa::path(
    post, path = "/pool/upload", operation_id = "upload", tag = "own pool", request_body = UploadRequest,
    responses(
        (status = 200, body = UploadAnswer, description = "an outcome for each KeyPackage, in order"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed"),
    ),
)]
pub(crate) async fn upload(
    State(server): State<Shared>,
    known: Known,
    Input(input): Input<UploadRequest>,
) -> Result<Json<UploadAnswer>, Refusal> {
    let packages = input.key_packages.into_iter().map(|package| package.0).collect();
    let mut upload = Upload::new(known.caller.pool.clone(), known.caller.uploader.clone(), packages);
    if input.replace {
        upload = upload.replace();
    }
    if input.all_admitted {
        upload = upload.all_admitted();
    }
    Ok(Json(UploadAnswer::new(server.directory.upload(upload).await?)))
}

/// Tells how the caller's own pool is doing.
///
/// With `Accept: text/event-stream`, a stream of server-sent events. The first, `status`, is the same answer. Each `notice`
/// after it says that the pool stands worse than before. The stream ends now and then: connect again.
#[utoipa::path(
    get, path = "/pool", operation_id = "status", tag = "own pool",
    responses(
        (status = 200, description = "how the pool is doing", content(
            (schema::StatusAnswer = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed"),
    ),
)]
pub(crate) async fn status(
    State(server): State<Shared>,
    known: Known,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepts.flat_map(|value| value.split(',')).any(events::is_event_stream) {
        return events::stream(&server.directory, server.streams.as_ref(), &known.caller.pool).await;
    }
    let status = server.directory.status(&known.caller.pool).await?;
    Ok(Json(StatusAnswer::from(status)).into_response())
}

/// Tells what became of KeyPackages that the caller knows, and which others its pool has.
#[utoipa::path(
    post, path = "/pool/sync", operation_id = "sync", tag = "own pool", request_body = SyncRequest,
    responses(
        (status = 200, body = schema::SyncReport, description = "what the server knows of the pool"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed"),
    ),
)]
pub(crate) async fn sync(
    State(server): State<Shared>,
    known: Known,
    Input(input): Input<SyncRequest>,
) -> Result<Json<SyncReport>, Refusal> {
    Ok(Json(server.directory.sync(&known.caller.pool, &input.refs).await?))
}

/// Withdraws KeyPackages of the caller's own pool: these, or all that are unspent.
#[utoipa::path(
    post, path = "/pool/withdraw", operation_id = "withdraw", tag = "own pool", request_body = WithdrawRequest,
    responses(
        (status = 200, body = WithdrawAnswer, description = "an outcome for each KeyPackage that was named, or withdrawn"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed"),
    ),
)]
pub(crate) async fn withdraw(
    State(server): State<Shared>,
    known: Known,
    Input(input): Input<WithdrawRequest>,
) -> Result<Json<WithdrawAnswer>, Refusal> {
    let what = match (input.refs, input.all) {
        (Some(refs), false) => Withdrawal::Refs(refs),
        (None, true) => Withdrawal::All,
        _ => {
            return Err(Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_body",
                "either refs, or all",
            ));
        }
    };
    let withdrawn = server.directory.withdraw(&known.caller.pool, &what).await?;
    Ok(Json(withdrawn.into_iter().collect()))
}

/// Deletes the caller's own pool: the device is gone.
#[utoipa::path(
    delete, path = "/pool", operation_id = "delete", tag = "own pool",
    responses(
        (status = 204, description = "deleted"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed"),
    ),
)]
pub(crate) async fn delete(State(server): State<Shared>, known: Known) -> Result<StatusCode, Refusal> {
    server.directory.delete_pool(&known.caller.pool).await?;
    Ok(StatusCode::NO_CONTENT)
}
