//! A delivery service with three devices: Alice's phone, Bob's phone and Bob's laptop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::Router;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use kp_core::protocol::Refusal;
use kp_core::server::{Admission, Admitted, KeyPackageStore, Uploader};
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId, Role,
    Timestamp,
};
use kp_http::client::{ClientBuilder, IdempotencyKey, KeyPackageClient};
use kp_http::server::{Caller, Device, Identify, IdentifyError, KeyPackageRoutes, Secret};
use kp_http::wire::UploadRequest;
use kp_memory::MemoryStore;
use kp_server::{DirectoryBuilder, KeyPackageDirectory, Notices};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const ALICE: &str = "alice/phone";
pub(crate) const BOB: &str = "bob/phone";
pub(crate) const LAPTOP: &str = "bob/laptop";

/// Everybody's token is who they are: USER/DEVICE. Only these three exist.
pub(crate) struct Accounts;

fn pool(token: &str) -> PoolId {
    PoolId::try_from(token).unwrap()
}

#[async_trait]
impl Identify for Accounts {
    async fn caller(&self, request: &Parts) -> Result<Caller, IdentifyError> {
        let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match header.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token @ (ALICE | BOB | LAPTOP)) => {
                let (user, _) = token.split_once('/').unwrap();
                Ok(Caller::new(user, pool(token)))
            }
            Some("banned") => Err(IdentifyError::Forbidden),
            Some("hasty") => Err(IdentifyError::TooManyRequests {
                retry_after: Duration::from_millis(1_500),
            }),
            Some("lost") => Err(IdentifyError::failed("the table of accounts is away")),
            _ => Err(IdentifyError::Unauthorized { challenge: "Bearer" }),
        }
    }

    async fn devices(&self, _caller: &Caller, user: &str) -> Result<Vec<Device>, IdentifyError> {
        let devices = [ALICE, BOB, LAPTOP].into_iter().filter_map(|token| {
            let (owner, device) = token.split_once('/').unwrap();
            (owner == user).then(|| Device::new(device, pool(token)))
        });
        Ok(devices.collect())
    }
}

/// Takes `OWNER:ANYTHING` for a KeyPackage of that owner, and `OWNER:last...` for a last resort.
pub(crate) struct Words;

impl Admission for Words {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        let text = std::str::from_utf8(uploaded).map_err(|_| Refusal::Malformed)?;
        let (owner, rest) = text.split_once(':').ok_or(Refusal::Malformed)?;
        if *by != Uploader::identity(owner) {
            return Err(Refusal::CredentialMismatch);
        }
        let key_package_ref = KeyPackageRef::try_from(Sha256::digest(uploaded).as_slice()).unwrap();
        let lifetime = Lifetime::new(now.minus(3_600), now.plus(30 * 86_400)).unwrap();
        let mut info = KeyPackageInfo::new(key_package_ref, Ciphersuite(1), lifetime, CredentialHash([7; 32]));
        if rest.starts_with("last") {
            info.role = Role::LastResort;
        }
        let bytes = KeyPackageBytes::try_from(uploaded.to_vec()).unwrap();
        Ok(Admitted::new(KeyPackage::new(info, bytes)))
    }
}

/// The n-th to m-th KeyPackage of an owner.
pub(crate) fn packages(owner: &str, numbers: std::ops::Range<usize>) -> UploadRequest {
    UploadRequest::new(numbers.map(|n| format!("{owner}:{n}")))
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::try_from(text).unwrap()
}

/// A server under way.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) directory: KeyPackageDirectory,
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
}

pub(crate) async fn stopped(mut stop: watch::Receiver<()>) {
    // An error: the sender is dropped.
    let _ = stop.changed().await;
}

impl World {
    /// A server in memory, without limits on what one user takes.
    pub(crate) async fn start() -> Self {
        Self::over(MemoryStore::new()).await
    }

    pub(crate) async fn over(store: impl KeyPackageStore + 'static) -> Self {
        Self::with(KeyPackageDirectory::builder(store, Words), None, |routes| routes).await
    }

    pub(crate) async fn with(
        directory: DirectoryBuilder,
        notices: Option<Notices>,
        settings: impl FnOnce(KeyPackageRoutes) -> KeyPackageRoutes,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let directory = directory.build().unwrap();
        let (stop, stopping) = watch::channel(());
        let secret = Secret::new("as long as sixteen bytes").unwrap();
        let mut routes = settings(KeyPackageRoutes::new(directory.clone(), Arc::new(Accounts), secret));
        if let Some(notices) = notices {
            routes = routes.notices(notices, stopped(stopping.clone()));
        }
        let app = Router::new().nest("/mls", routes.router());
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, app).with_graceful_shutdown(stopped(stopping));
            serving.await.unwrap();
        });
        Self {
            address,
            directory,
            stop,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mls", self.address)
    }

    pub(crate) fn builder(&self, token: &str) -> ClientBuilder {
        KeyPackageClient::builder(self.url()).bearer(token).retries(0)
    }

    pub(crate) fn client(&self, token: &str) -> KeyPackageClient {
        self.builder(token).build().unwrap()
    }

    /// Begins to stop.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        drop(self.stop);
        self.serving
    }
}

/// The present.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
