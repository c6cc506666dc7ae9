//! The delivery service: the pools at `/mls`, and beside them what a chat needs.
//!
//! | route | |
//! |---|---|
//! | `POST /users/{name}` | registers somebody: their session |
//! | `POST /groups/{name}` | takes this name for a group |
//! | `POST /inbox/{name}` | leaves a message for somebody |
//! | `GET /inbox` | collects what was left for the caller |
//!
//! STAND-IN: everything but the pools is kept in memory, a registration needs no proof, and who dies while they collect loses it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{self, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use keypackage_pool::http::server::{Caller, Device, Identify, IdentifyError, KeyPackageRoutes, Secret};
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::KeyPackageDirectory;
use keypackage_pool::sqlite::SqliteStore;
use keypackage_pool::{InvalidId, PoolId};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Result;
use crate::user::SIZES;

/// Fewer KeyPackages than this are low.
const LOW: u32 = 3;

struct Account {
    session: String,
    pool: PoolId,
    inbox: Vec<Vec<u8>>,
}

/// Who there is, and which groups.
#[derive(Default)]
struct Accounts {
    users: Mutex<BTreeMap<String, Account>>,
    groups: Mutex<BTreeSet<String>>,
}

impl Accounts {
    /// The name of the user whose session this is.
    fn whose(&self, headers: &HeaderMap) -> Option<String> {
        let session = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let users = self.users.lock();
        let found = users.iter().find(|(_, account)| account.session == session);
        found.map(|(name, _)| name.clone())
    }

    fn pool(&self, user: &str) -> Option<PoolId> {
        self.users.lock().get(user).map(|account| account.pool.clone())
    }
}

#[async_trait]
impl Identify for Accounts {
    async fn caller(&self, request: &Parts) -> std::result::Result<Caller, IdentifyError> {
        let found = self.whose(&request.headers).and_then(|name| {
            let pool = self.pool(&name)?;
            Some(Caller::new(name, pool))
        });
        found.ok_or(IdentifyError::Unauthorized { challenge: "Bearer" })
    }

    /// Everybody has one device, and may be added by everybody.
    async fn devices(&self, _caller: &Caller, user: &str) -> std::result::Result<Vec<Device>, IdentifyError> {
        Ok(self
            .pool(user)
            .map(|pool| Device::new("phone", pool))
            .into_iter()
            .collect())
    }
}

type Shared = State<Arc<Accounts>>;

async fn register(State(accounts): Shared, extract::Path(name): extract::Path<String>) -> (StatusCode, String) {
    let made = random().and_then(|session| {
        let inbox = Vec::new();
        Ok(Account {
            session,
            pool: random_pool()?,
            inbox,
        })
    });
    let Ok(account) = made else {
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    };
    let mut users = accounts.users.lock();
    if users.contains_key(&name) {
        return (StatusCode::CONFLICT, String::new());
    }
    let session = account.session.clone();
    users.insert(name, account);
    (StatusCode::CREATED, session)
}

async fn found(State(accounts): Shared, extract::Path(group): extract::Path<String>) -> StatusCode {
    if accounts.groups.lock().insert(group) {
        StatusCode::CREATED
    } else {
        StatusCode::CONFLICT
    }
}

async fn leave(
    State(accounts): Shared,
    extract::Path(name): extract::Path<String>,
    headers: HeaderMap,
    message: Bytes,
) -> StatusCode {
    if accounts.whose(&headers).is_none() {
        return StatusCode::UNAUTHORIZED;
    }
    match accounts.users.lock().get_mut(&name) {
        Some(account) => account.inbox.push(message.into()),
        None => return StatusCode::NOT_FOUND,
    }
    StatusCode::ACCEPTED
}

async fn collect(State(accounts): Shared, headers: HeaderMap) -> (StatusCode, Json<Vec<Vec<u8>>>) {
    let name = accounts.whose(&headers);
    let mut users = accounts.users.lock();
    match name.and_then(|name| users.get_mut(&name)) {
        Some(account) => (StatusCode::OK, Json(std::mem::take(&mut account.inbox))),
        None => (StatusCode::UNAUTHORIZED, Json::default()),
    }
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// Another one for each registration (DEL-1).
fn random_pool() -> Result<PoolId> {
    let id: std::result::Result<_, InvalidId> = random()?.as_str().try_into();
    Ok(id?)
}

/// A delivery service under way.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    store: SqliteStore,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts on this address, with the pools in a file of this directory.
    pub(crate) async fn start(listen: SocketAddr, dir: &Path) -> Result<Self> {
        let store = SqliteStore::open(dir.join("keypackages.db")).await?;
        let directory = KeyPackageDirectory::builder(store.clone(), OpenMlsAdmission::new())
            .cap_per_ciphersuite(SIZES.cap)
            .low_below(LOW)
            .build()?;
        let accounts = Arc::new(Accounts::default());
        // The accounts are gone when this process ends, and so may be what is sealed for them.
        let pools = KeyPackageRoutes::new(directory, accounts.clone(), Secret::random()?).router();
        let app = Router::new()
            .route("/users/{name}", post(register))
            .route("/groups/{name}", post(found))
            .route("/inbox", get(collect))
            .route("/inbox/{name}", post(leave))
            .with_state(accounts)
            .nest("/mls", pools);
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // An error: dropped.
            let _ = stopped.await;
        };
        let serving = tokio::spawn(async { axum::serve(listener, app).with_graceful_shutdown(stopped).await });
        Ok(Self {
            address,
            store,
            stop,
            serving,
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.serving.await??;
        Ok(self.store.close().await?)
    }
}
