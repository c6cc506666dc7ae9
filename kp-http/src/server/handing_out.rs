//! What those do who add somebody to a group.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kp_core::server::{Answers, LastResort, Lease, Requirements, Reservation, ReservationToken, Spend, TakeOptions};
use kp_core::{Effect, PoolId, Rejection, Result};
use kp_server::Take;
use serde::Serialize;

use crate::server::identify::Device;
use crate::server::input::{Input, Named, RetryKey};
use crate::server::known::Known;
use crate::server::refusal::{Items, Refusal, items};
use crate::server::schema;
use crate::server::state::Shared;
use crate::wire::{
    Answer, DeviceAnswer, DevicesAnswer, HandedOut, LeaseGranted, LeaseReleased, LeaseRenewed, Problem, SpendRequest,
    TakeRequest, TokensAnswer, TokensRequest,
};

/// Hands out a KeyPackage of each device of a user, for good.
///
/// 200 where at least one device can be added; else a problem, with the `devices` beside it.
#[utoipa::path(
    post, path = "/users/{user}/claim", operation_id = "claim", tag = "handing out", request_body = TakeRequest,
    params(
        ("user" = String, Path, description = "whose devices"),
        ("Idempotency-Key" = String, Header, max_length = 255, min_length = 1,
            description = "what only this request of the device has, and the same when it is tried again"),
    ),
    responses(
        (status = 200, body = schema::DevicesAnswer, description = "an answer for each device"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed; `devices` beside it where each was answered"),
    ),
)]
pub(crate) async fn claim(
    State(server): State<Shared>,
    known: Known,
    Named(user): Named,
    RetryKey(key): RetryKey,
    Input(wanted): Input<TakeRequest>,
) -> Result<Response, Refusal> {
    let (devices, pools) = devices(&server, &known, &user).await?;
    let take = take(&server, &known, "claim", &key, wanted)?;
    let answers = server.directory.claim_many(&pools, &take).await;
    by_device(devices, answers, |package| HandedOut::new(package, None))
}

/// Lends a KeyPackage of each device of a user: spend it when the Commit is accepted.
///
/// Deliver the Commit and its Welcome only after the receipt. 200 where at least one device can be added; else a problem,
/// with the `devices` beside it.
#[utoipa::path(
    post, path = "/users/{user}/reserve", operation_id = "reserve", tag = "handing out", request_body = TakeRequest,
    params(
        ("user" = String, Path, description = "whose devices"),
        ("Idempotency-Key" = String, Header, max_length = 255, min_length = 1,
            description = "what only this request of the device has, and the same when it is tried again"),
    ),
    responses(
        (status = 200, body = schema::DevicesAnswer, description = "an answer for each device"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed; `devices` beside it where each was answered"),
    ),
)]
pub(crate) async fn reserve(
    State(server): State<Shared>,
    known: Known,
    Named(user): Named,
    RetryKey(key): RetryKey,
    Input(wanted): Input<TakeRequest>,
) -> Result<Response, Refusal> {
    let (devices, pools) = devices(&server, &known, &user).await?;
    let take = take(&server, &known, "reserve", &key, wanted)?;
    let answers = server.directory.reserve_many(&pools, &take).await;
    by_device(devices, answers, |Reservation { package, lease, .. }| {
        let lease = lease.map(|Lease { token, expires_at, .. }| LeaseGranted::new(known.seal(&token), expires_at));
        HandedOut::new(package, lease)
    })
}

/// Spends leases: their KeyPackages are used.
///
/// 200 where all went well; else a problem, with the `answers` beside it: do not send the Welcome. The same spend again is
/// answered the same.
#[utoipa::path(
    post, path = "/spend", operation_id = "spend", tag = "handing out", request_body = SpendRequest,
    responses(
        (status = 200, body = schema::SpendAnswer, description = "all are spent: a receipt for each token"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed; `answers` beside it where each token was answered"),
    ),
)]
pub(crate) async fn spend(
    State(server): State<Shared>,
    known: Known,
    Input(input): Input<SpendRequest>,
) -> Result<Response, Refusal> {
    let mut spend = Spend::new().by(known.party());
    spend.group = input.group;
    let spend = async |tokens: &[_]| server.directory.spend(tokens, &spend).await;
    by_token(known.open(&input.tokens)?, spend, |receipt| receipt).await
}

/// Makes leases longer, for an add that takes its time: they end one lease from now.
///
/// 200 where all went well; else a problem, with the `answers` beside it.
#[utoipa::path(
    post, path = "/renew", operation_id = "renew", tag = "handing out", request_body = TokensRequest,
    responses(
        (status = 200, body = schema::RenewAnswer, description = "all leases are longer"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed; `answers` beside it where each token was answered"),
    ),
)]
pub(crate) async fn renew(
    State(server): State<Shared>,
    known: Known,
    Input(input): Input<TokensRequest>,
) -> Result<Response, Refusal> {
    let renew = async |tokens: &[_]| server.directory.renew(tokens, None).await;
    by_token(known.open(&input.tokens)?, renew, |lease| {
        LeaseRenewed::new(lease.expires_at)
    })
    .await
}

/// Gives KeyPackages back that were shown to nobody.
///
/// 200 where all went well; else a problem, with the `answers` beside it.
#[utoipa::path(
    post, path = "/release", operation_id = "release", tag = "handing out", request_body = TokensRequest,
    responses(
        (status = 200, body = schema::ReleaseAnswer, description = "all were given back"),
        (status = "default", body = Problem, content_type = "application/problem+json",
            description = "refused, or failed; `answers` beside it where each token was answered"),
    ),
)]
pub(crate) async fn release(
    State(server): State<Shared>,
    known: Known,
    Input(input): Input<TokensRequest>,
) -> Result<Response, Refusal> {
    let release = async |tokens: &[_]| server.directory.release(tokens).await;
    by_token(known.open(&input.tokens)?, release, |()| LeaseReleased::default()).await
}

async fn devices(server: &Shared, known: &Known, user: &str) -> Result<(Vec<Device>, Vec<PoolId>), Refusal> {
    let devices = server.identify.devices(&known.caller, user).await?;
    if devices.is_empty() {
        let detail = "no such user, or one without devices";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_user", detail));
    }
    let pools = devices.iter().map(|device| device.pool.clone()).collect();
    Ok((devices, pools))
}

fn take(server: &Shared, known: &Known, operation: &str, key: &[u8], wanted: TakeRequest) -> Result<Take, Refusal> {
    let requirements = Requirements::try_from(&wanted.requires).map_err(|_| Rejection::TooManyItems)?;
    let mut options = TakeOptions::new()
        .by(known.party())
        .ciphersuites(wanted.ciphersuites)
        .remaining(wanted.remaining)
        .requirements(requirements);
    if wanted.one_time_only {
        options = options.last_resort(LastResort::Never);
    }
    let id = server.secret.reservation_id(operation, &known.caller.pool, key);
    let mut take = Take::new().options(options).id(id);
    take.group = wanted.group;
    Ok(take)
}

fn by_device<T>(devices: Vec<Device>, answers: Answers<T>, show: impl Fn(T) -> HandedOut) -> Result<Response, Refusal> {
    let Items { answers, refused } = items(answers, show)?;
    let some = answers.iter().any(|answer| matches!(answer, Answer::Ok(_)));
    let refused = refused.filter(|_| !some);
    let devices = devices.into_iter().zip(answers);
    let devices = devices
        .map(|(device, answer)| DeviceAnswer::new(device.name, answer))
        .collect();
    Ok(with_items(refused, DevicesAnswer::new(devices)))
}

/// Makes the call for the tokens that are the caller's. The store does not hear of the others.
async fn by_token<T, U: Serialize>(
    tokens: Vec<Result<ReservationToken, Rejection>>,
    call: impl AsyncFnOnce(&[ReservationToken]) -> Answers<T>,
    show: impl Fn(T) -> U,
) -> Result<Response, Refusal> {
    let known: Vec<_> = tokens.iter().flatten().cloned().collect();
    let mut answers = call(&known).await.into_iter();
    let merged: Answers<T> = tokens
        .into_iter()
        .map(|token| match token {
            Ok(_) => answers.next(),
            Err(refused) => Some(Err(refused.into())),
        })
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::unavailable(Effect::Unknown))?;
    let Items { answers, refused } = items(merged, show)?;
    Ok(with_items(refused, TokensAnswer::new(answers)))
}

fn with_items(refused: Option<Rejection>, items: impl Serialize) -> Response {
    match refused {
        Some(rejection) => Refusal::from(rejection).with(items),
        None => Json(items).into_response(),
    }
}
