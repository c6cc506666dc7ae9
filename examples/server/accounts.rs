//! STAND-IN for the server's own accounts: a file, with its tokens in plain text. A real server has a table of devices,
//! and sessions; the rest of the example asks only the two questions that are answered here.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use keypackage_pool::{InvalidId, Party, PoolId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::Server;
use crate::answer::ApiError;
use crate::secret::Secret;

/// The devices that there are.
pub(crate) struct Accounts(Vec<Device>);

/// One device of a user.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) pool: PoolId,
    /// The user, as the store knows it: all devices of a user count as one (`RES-7`).
    pub(crate) party: Party,
    token: String,
}

#[derive(Deserialize)]
struct Row {
    user: String,
    device: String,
    /// Another one each time that the device registers anew: a pool id is never given out again (`DEL-1`).
    registration: u32,
    token: String,
}

impl Accounts {
    pub(crate) fn load(path: Option<&Path>, secret: &Secret) -> Result<Self, Box<dyn Error>> {
        let json = match path {
            Some(path) => std::fs::read_to_string(path)?,
            None => include_str!("accounts.json").to_owned(),
        };
        let rows: Vec<Row> = serde_json::from_str(&json)?;
        let devices: Result<_, InvalidId> = rows.into_iter().map(|row| Device::new(row, secret)).collect();
        Ok(Self(devices?))
    }

    /// Who calls.
    fn caller(&self, token: &str) -> Option<&Device> {
        self.0.iter().find(|device| device.token == token)
    }

    /// The devices of a user.
    pub(crate) fn of(&self, user: &str) -> Vec<&Device> {
        self.0.iter().filter(|device| device.user == user).collect()
    }
}

impl Device {
    fn new(row: Row, secret: &Secret) -> Result<Self, InvalidId> {
        Ok(Self {
            pool: pool(&row)?,
            party: secret.party(&row.user)?,
            user: row.user,
            name: row.device,
            token: row.token,
        })
    }
}

/// An id for each registration of a device, and the same one in every process. It goes out with every token, so it does not
/// say whose pool it is; a length before each part, so that no two devices share a pool. A real server makes a random one
/// when the device registers, and keeps it.
fn pool(row: &Row) -> Result<PoolId, InvalidId> {
    let mut hash = Sha256::new();
    for part in [&row.user, &row.device] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(row.registration.to_be_bytes());
    hash.finalize().as_slice().try_into()
}

/// The device that makes a request, by its `Authorization: Bearer TOKEN`.
impl FromRequestParts<Arc<Server>> for Device {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (_, token) = header
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .unzip();
        let caller = token.and_then(|token| server.accounts.caller(token));
        caller.cloned().ok_or(ApiError::Unauthorized)
    }
}
