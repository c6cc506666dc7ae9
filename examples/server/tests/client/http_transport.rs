use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keypackage_pool::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use keypackage_pool::{KeyPackageBytes, KeyPackageRef};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use ureq::Agent;

/// A messenger's way to the server: its token says which pool is its own.
pub(crate) struct HttpTransport {
    url: String,
    bearer: String,
    agent: Agent,
}

#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<UploadOutcome>,
}

impl HttpTransport {
    pub(crate) fn new(address: &str, token: &str) -> Self {
        let config = Agent::config_builder().proxy(None);
        Self {
            url: format!("http://{address}"),
            bearer: format!("Bearer {token}"),
            agent: config.timeout_global(Some(Duration::from_secs(30))).build().new_agent(),
        }
    }

    /// Whatever goes wrong is no answer, an HTTP status other than 2xx too.
    async fn post<T: DeserializeOwned + Send + 'static>(&self, path: &str, body: Value) -> Result<T, TransportError> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("authorization", &self.bearer);
        let exchange = move || request.send_json(body)?.body_mut().read_json();
        let answer = tokio::task::spawn_blocking(exchange).await;
        answer.map_err(TransportError::new)?.map_err(TransportError::new)
    }
}

#[async_trait]
impl KeyPackageTransport for HttpTransport {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let packages: Vec<_> = packages.iter().map(|bytes| STANDARD.encode(bytes)).collect();
        let answer: Outcomes = self.post("/pool/upload", json!({ "key_packages": packages })).await?;
        Ok(answer.outcomes)
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.post("/pool/sync", json!({ "refs": mine })).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        let withdrawn = self.post::<IgnoredAny>("/pool/withdraw", json!({ "refs": refs })).await;
        withdrawn.map(drop)
    }
}
