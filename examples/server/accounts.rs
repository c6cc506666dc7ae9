//! STAND-IN for the server's own accounts: a file, with its tokens in plain text. A real server has a table of devices,
//! and sessions; the routes ask only the two questions that are answered here.

use std::error::Error;
use std::path::Path;

use async_trait::async_trait;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use keypackage_pool::http::server::{Caller, Device, Identify, IdentifyError};
use keypackage_pool::{InvalidId, PoolId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The devices that there are.
pub(crate) struct Accounts(Vec<Row>);

#[derive(Deserialize)]
struct Row {
    user: String,
    device: String,
    /// Another one each time that the device registers anew: a pool id is never given out again (`DEL-1`).
    registration: u32,
    token: String,
}

impl Accounts {
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let json = match path {
            Some(path) => std::fs::read_to_string(path)?,
            None => include_str!("accounts.json").to_owned(),
        };
        Ok(Self(serde_json::from_str(&json)?))
    }
}

impl Row {
    /// An id for each registration of a device, and the same one in every process. It goes out with every token, so it does
    /// not say whose pool it is; a length before each part, so that no two devices share a pool. A real server makes a random
    /// one when the device registers, and keeps it.
    fn pool(&self) -> Result<PoolId, InvalidId> {
        let mut hash = Sha256::new();
        for part in [&self.user, &self.device] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(self.registration.to_be_bytes());
        hash.finalize().as_slice().try_into()
    }
}

#[async_trait]
impl Identify for Accounts {
    /// The device that makes a request, by its `Authorization: Bearer TOKEN`.
    async fn caller(&self, request: &Parts) -> Result<Caller, IdentifyError> {
        let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (_, token) = header
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .unzip();
        let row = token.and_then(|token| self.0.iter().find(|row| row.token == token));
        let row = row.ok_or(IdentifyError::Unauthorized { challenge: "Bearer" })?;
        Ok(Caller::new(&*row.user, row.pool().map_err(IdentifyError::failed)?))
    }

    /// Anybody known may add anybody.
    async fn devices(&self, _caller: &Caller, user: &str) -> Result<Vec<Device>, IdentifyError> {
        let rows = self.0.iter().filter(|row| row.user == user);
        let devices: Result<_, InvalidId> = rows.map(|row| Ok(Device::new(&row.device, row.pool()?))).collect();
        devices.map_err(IdentifyError::failed)
    }
}
