//! What a device does with its own pool.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use keypackage_pool::KeyPackageRef;
use keypackage_pool::protocol::{PoolStatus, SyncReport, UploadOutcome};
use keypackage_pool::server::{Upload, Uploader, WithdrawOutcome, Withdrawal};
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
pub(crate) struct Outcomes {
    outcomes: Vec<UploadOutcome>,
}

/// An outcome for each, in order. The same upload again is stored once, so it needs no retry key.
pub(crate) async fn upload(
    State(server): State<Arc<Server>>,
    device: Device,
    Input(input): Input<Packages>,
) -> Result<Json<Outcomes>, ApiError> {
    let packages = input.key_packages.into_iter().map(|package| package.0).collect();
    // The credential in the KeyPackages must be that of the user who calls.
    let mut upload = Upload::new(device.pool, Uploader::identity(device.user), packages);
    if input.replace {
        upload = upload.replace();
    }
    let outcomes = server.directory.upload(upload).await?;
    Ok(Json(Outcomes { outcomes }))
}

#[derive(Serialize)]
pub(crate) struct Health {
    health: keypackage_pool::protocol::Health,
    memory_full: bool,
    #[serde(flatten)]
    status: PoolStatus,
}

pub(crate) async fn status(State(server): State<Arc<Server>>, device: Device) -> Result<Json<Health>, ApiError> {
    let status = server.directory.status(&device.pool).await?;
    Ok(Json(Health {
        health: status.health(),
        memory_full: status.is_memory_full(),
        status,
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
pub(crate) struct Withdraw {
    refs: Option<Vec<KeyPackageRef>>,
    #[serde(default)]
    all: bool,
}

#[derive(Serialize)]
pub(crate) struct Withdrawals {
    withdrawn: Vec<OneWithdrawal>,
}

#[derive(Serialize)]
struct OneWithdrawal {
    key_package_ref: KeyPackageRef,
    outcome: WithdrawOutcome,
}

pub(crate) async fn withdraw(
    State(server): State<Arc<Server>>,
    device: Device,
    Input(input): Input<Withdraw>,
) -> Result<Json<Withdrawals>, ApiError> {
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
    let withdrawn = server.directory.withdraw(&device.pool, &what).await?;
    let withdrawn = withdrawn.into_iter().map(|(key_package_ref, outcome)| OneWithdrawal {
        key_package_ref,
        outcome,
    });
    Ok(Json(Withdrawals {
        withdrawn: withdrawn.collect(),
    }))
}

/// The device is gone. A real server deletes its own row of it first.
pub(crate) async fn delete(State(server): State<Arc<Server>>, device: Device) -> Result<StatusCode, ApiError> {
    server.directory.delete_pool(&device.pool).await?;
    Ok(StatusCode::NO_CONTENT)
}
