//! The shortest server that mounts the routes: `cargo run -p keypackage-pool-server --example mount`.

use std::error::Error;

use async_trait::async_trait;
use axum::Router;
use axum::http::request::Parts;
use keypackage_pool::PoolId;
use keypackage_pool::http::server::{Caller, Device, Identify, IdentifyError, KeyPackageRoutes, Secret};
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::KeyPackageDirectory;
use keypackage_pool::sqlite::SqliteStore;

/// A row of the server's table of devices: the user, the device, its pool's id (random, made when it registered), its session.
type Row = (&'static str, &'static str, &'static str, &'static str);

struct Accounts(Vec<Row>);

#[async_trait]
impl Identify for Accounts {
    async fn caller(&self, request: &Parts) -> Result<Caller, IdentifyError> {
        let header = request
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let session = header.and_then(|value| value.strip_prefix("Bearer "));
        let row = self.0.iter().find(|(.., of)| session == Some(*of));
        let (user, _, pool, _) = row.ok_or(IdentifyError::Unauthorized { challenge: "Bearer" })?;
        Ok(Caller::new(
            *user,
            PoolId::try_from(*pool).map_err(IdentifyError::failed)?,
        ))
    }

    async fn devices(&self, _caller: &Caller, user: &str) -> Result<Vec<Device>, IdentifyError> {
        let rows = self.0.iter().filter(|(of, ..)| *of == user);
        let device = |(_, device, pool, _): &Row| Ok(Device::new(*device, PoolId::try_from(*pool)?));
        let devices: Result<_, keypackage_pool::InvalidId> = rows.map(device).collect();
        devices.map_err(IdentifyError::failed)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let accounts = Accounts(vec![
        ("alice", "phone", "5f0c2a", "alice-phone"),
        ("bob", "phone", "77ab01", "bob-phone"),
    ]);
    let store = SqliteStore::open("pools.db").await?;
    let directory = KeyPackageDirectory::builder(store, OpenMlsAdmission::new())
        .limit_per_requester(10)
        .build()?;
    let secret = Secret::new(std::env::var("KP_SECRET")?)?;
    let app = Router::new().nest("/mls", KeyPackageRoutes::new(directory, accounts, secret).router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
