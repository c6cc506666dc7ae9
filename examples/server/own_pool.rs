//! What a device does with its own pool.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kp_core::server::{Uploader, WithdrawOutcome, Withdrawal};
use kp_core::KeyPackageRef;
use kp_service::{PoolStatus, SyncReport, Upload};
use serde::{Deserialize, Serialize};

use crate::Server;
use crate::accounts::Device;
use crate::answer::ApiError;
use crate::input::{Base64, Input};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packages {
    key_packages: Vec<Base64>,
    /// In the place of what the pool holds of these ciphersuites.
    #[serde(default)]
    replace: bool,
}

#[derive(Serialize)]
pub(crate) struct Verdicts {
    verdicts: Vec<&'static str>,
}

/// A verdict for each, in order. The same upload again is stored once, so it needs no retry key.
pub(crate) async fn upload(
    State(server): State<Arc<Server>>,
    device: Device,
    Input(input): Input<Packages>,
) -> Result<Json<Verdicts>, ApiError> {
    let packages = input.key_packages.into_iter().map(|package| package.0).collect();
    // The credential in the KeyPackages must be that of the user who calls.
    let mut upload = Upload::new(device.pool, Uploader::identity(device.user), packages);
    if input.replace {
        upload = upload.replace();
    }
    let verdicts = server.directory.upload(upload).await?;
    let verdicts = verdicts.into_iter().map(|verdict| verdict.code()).collect();
    Ok(Json(Verdicts { verdicts }))
}

#[derive(Serialize)]
pub(crate) struct Health {
    health: kp_service::Health,
    ciphersuites: PoolStatus,
}

pub(crate) async fn status(State(server): State<Arc<Server>>, device: Device) -> Result<Json<Health>, ApiError> {
    let status = server.directory.status(&device.pool).await?;
    Ok(Json(Health {
        health: status.health(),
        ciphersuites: status,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mine {
    refs: Vec<KeyPackageRef>,
}

pub(crate) async fn sync(
    State(server): State<Arc<Server>>,
    device: Device,
    Input(input): Input<Mine>,
) -> Result<Json<SyncReport>, ApiError> {
    Ok(Json(server.directory.sync(&device.pool, &input.refs).await?))
}

/// `{"refs": [...]}` or `{"all": true}`: what is left out by mistake never empties a pool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdrawn {
    refs: Option<Vec<KeyPackageRef>>,
    #[serde(default)]
    all: bool,
}

#[derive(Serialize)]
pub(crate) struct Removals {
    removed: Vec<OneRemoval>,
}

#[derive(Serialize)]
struct OneRemoval {
    key_package_ref: KeyPackageRef,
    outcome: WithdrawOutcome,
}

pub(crate) async fn remove(
    State(server): State<Arc<Server>>,
    device: Device,
    Input(input): Input<Withdrawn>,
) -> Result<Json<Removals>, ApiError> {
    let what = match (input.refs, input.all) {
        (Some(refs), false) => Withdrawal::Refs(refs),
        (None, true) => Withdrawal::All,
        _ => {
            let message = "either refs, or all";
            return Err(ApiError::input(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_body",
                message,
            ));
        }
    };
    let removed = server.directory.withdraw(&device.pool, &what).await?;
    let removed = removed.into_iter().map(|(key_package_ref, outcome)| OneRemoval {
        key_package_ref,
        outcome,
    });
    Ok(Json(Removals {
        removed: removed.collect(),
    }))
}

/// The device is gone. A real server deletes its own row of it first.
pub(crate) async fn delete(State(server): State<Arc<Server>>, device: Device) -> Result<StatusCode, ApiError> {
    server.directory.delete_pool(&device.pool).await?;
    Ok(StatusCode::NO_CONTENT)
}
