//! What those do who add somebody to a group.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use keypackage_pool::server::Take;
use keypackage_pool::server::TakeOptions;
use keypackage_pool::server::{Answers, Lease, Receipt, Reservation, ReservationToken, Spend};
use keypackage_pool::{Ciphersuite, GroupId, KeyPackage, KeyPackageRef, PoolId, Rejection, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Server;
use crate::accounts::Device;
use crate::answer::{self, ApiError, Item};
use crate::input::{Base64, Input, Named};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// None given: any.
    #[serde(default)]
    ciphersuites: Vec<Ciphersuite>,
}

/// One answer for each device. The HTTP status is 200 where at least one device can be added.
#[derive(Serialize)]
pub(crate) struct Devices<T> {
    devices: Vec<OfDevice<T>>,
}

#[derive(Serialize)]
struct OfDevice<T> {
    device: String,
    #[serde(flatten)]
    answer: Item<T>,
}

#[derive(Serialize)]
pub(crate) struct HandedOut {
    key_package: Base64,
    key_package_ref: KeyPackageRef,
    ciphersuite: Ciphersuite,
    last_resort: bool,
    #[serde(flatten)]
    lease: Option<OnLoan>,
}

/// A last-resort package has none: nothing to spend, nothing to release.
#[derive(Serialize)]
struct OnLoan {
    token: ReservationToken,
    expires_at: Timestamp,
}

/// For good: what most delivery services do.
pub(crate) async fn claim(
    State(server): State<Arc<Server>>,
    caller: Device,
    Named(user): Named,
    headers: HeaderMap,
    Input(wanted): Input<Wanted>,
) -> Result<(StatusCode, Json<Devices<HandedOut>>), ApiError> {
    let (devices, pools) = devices_of(&server, &user)?;
    let ask = take(&server, &caller, &headers, wanted)?;
    let answers = server.directory.claim_many(&pools, &ask).await;
    by_device(devices, answers, |package| handed_out(package, None))
}

/// On loan: spend when the Commit is accepted, and deliver it and the Welcome only after the receipt (`SPEND-1`).
pub(crate) async fn reserve(
    State(server): State<Arc<Server>>,
    caller: Device,
    Named(user): Named,
    headers: HeaderMap,
    Input(wanted): Input<Wanted>,
) -> Result<(StatusCode, Json<Devices<HandedOut>>), ApiError> {
    let (devices, pools) = devices_of(&server, &user)?;
    let ask = take(&server, &caller, &headers, wanted)?;
    let answers = server.directory.reserve_many(&pools, &ask).await;
    by_device(devices, answers, |reserved: Reservation| {
        handed_out(reserved.package, reserved.lease)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spending {
    tokens: Vec<ReservationToken>,
    #[serde(default)]
    group: Option<GroupId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    tokens: Vec<ReservationToken>,
}

/// One answer for each token. The HTTP status is 200 where all went well, else that of the first rejection: do not send
/// the Welcome.
#[derive(Serialize)]
pub(crate) struct Tokens<T> {
    tokens: Vec<Item<T>>,
}

#[derive(Serialize)]
pub(crate) struct Released {
    released: bool,
}

pub(crate) async fn spend(
    State(server): State<Arc<Server>>,
    caller: Device,
    Input(input): Input<Spending>,
) -> Result<(StatusCode, Json<Tokens<Receipt>>), ApiError> {
    let mut spend = Spend::new().by(caller.party);
    spend.group = input.group;
    by_token(server.directory.spend(&input.tokens, &spend).await, |receipt| receipt)
}

/// For packages that were shown to nobody.
pub(crate) async fn release(
    State(server): State<Arc<Server>>,
    _caller: Device,
    Input(input): Input<Held>,
) -> Result<(StatusCode, Json<Tokens<Released>>), ApiError> {
    by_token(server.directory.release(&input.tokens).await, |()| Released {
        released: true,
    })
}

#[derive(Serialize)]
pub(crate) struct Renewed {
    expires_at: Timestamp,
}

/// For an add that takes longer than its leases: they end one lease from now. Callers do not choose how long.
pub(crate) async fn renew(
    State(server): State<Arc<Server>>,
    _caller: Device,
    Input(input): Input<Held>,
) -> Result<(StatusCode, Json<Tokens<Renewed>>), ApiError> {
    by_token(server.directory.renew(&input.tokens, None).await, |lease| Renewed {
        expires_at: lease.expires_at,
    })
}

fn devices_of<'a>(server: &'a Server, user: &str) -> Result<(Vec<&'a Device>, Vec<PoolId>), ApiError> {
    let devices = server.accounts.of(user);
    if devices.is_empty() {
        let message = "no such user, or one without devices";
        return Err(ApiError::input(StatusCode::NOT_FOUND, "unknown_user", message));
    }
    let pools = devices.iter().map(|device| device.pool.clone()).collect();
    Ok((devices, pools))
}

/// The retry key is demanded: without it a lost reply costs a KeyPackage of every device.
fn take(server: &Server, caller: &Device, headers: &HeaderMap, wanted: Wanted) -> Result<Take, ApiError> {
    let key = headers.get("idempotency-key").map(|value| value.as_bytes());
    let Some(key @ [_, ..]) = key else {
        let message = "Idempotency-Key: what only this request has, and the same when it is tried again";
        return Err(ApiError::input(
            StatusCode::BAD_REQUEST,
            "idempotency_key_missing",
            message,
        ));
    };
    Ok(Take::new()
        .options(
            TakeOptions::new()
                .by(caller.party.clone())
                .ciphersuites(wanted.ciphersuites),
        )
        .id(server.secret.reservation_id(&caller.pool, key)))
}

fn handed_out(package: KeyPackage, lease: Option<Lease>) -> HandedOut {
    HandedOut {
        key_package: Base64(package.bytes.as_ref().to_vec()),
        key_package_ref: package.info.key_package_ref,
        ciphersuite: package.info.ciphersuite,
        last_resort: package.info.role.is_last_resort(),
        lease: lease.map(|Lease { token, expires_at, .. }| OnLoan { token, expires_at }),
    }
}

fn by_device<T, U>(
    devices: Vec<&Device>,
    answers: Answers<T>,
    show: impl Fn(T) -> U,
) -> Result<(StatusCode, Json<Devices<U>>), ApiError> {
    let (items, refused) = answer::items(answers, show)?;
    let some = items.iter().any(|item| matches!(item, Item::Done(_)));
    let status = code(refused.filter(|_| !some));
    let devices = devices.into_iter().zip(items).map(|(device, answer)| OfDevice {
        device: device.name.clone(),
        answer,
    });
    Ok((
        status,
        Json(Devices {
            devices: devices.collect(),
        }),
    ))
}

fn by_token<T, U>(answers: Answers<T>, show: impl Fn(T) -> U) -> Result<(StatusCode, Json<Tokens<U>>), ApiError> {
    let (tokens, refused) = answer::items(answers, show)?;
    Ok((code(refused), Json(Tokens { tokens })))
}

fn code(refused: Option<Rejection>) -> StatusCode {
    refused.map_or(StatusCode::OK, answer::status)
}
