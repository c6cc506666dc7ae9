use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kp_core::{KeyPackageRef, PackageBytes, Refusal, SaveOutcome};
use kp_service::{KeyPackageTransport, SyncReport, TransportError, Verdict};
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
struct Verdicts {
    verdicts: Vec<String>,
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
    async fn upload(&self, packages: &[PackageBytes]) -> Result<Vec<Verdict>, TransportError> {
        let packages: Vec<_> = packages.iter().map(|bytes| STANDARD.encode(bytes)).collect();
        let answer: Verdicts = self.post("/pool/upload", json!({ "key_packages": packages })).await?;
        Ok(answer.verdicts.iter().map(|code| verdict(code)).collect())
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.post("/pool/sync", json!({ "refs": mine })).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        let removed = self.post::<IgnoredAny>("/pool/remove", json!({ "refs": refs })).await;
        removed.map(drop)
    }
}

/// The inverse of [`Verdict::code`], as far as a pool goes by it.
fn verdict(code: &str) -> Verdict {
    match code {
        "saved" => Verdict::Store(SaveOutcome::Saved),
        "already_stored" => Verdict::Store(SaveOutcome::AlreadyStored),
        "already_spent" => Verdict::Store(SaveOutcome::AlreadySpent),
        "pool_full" => Verdict::Store(SaveOutcome::PoolFull),
        "ref_conflict" => Verdict::Store(SaveOutcome::RefConflict),
        "expired" => Verdict::Refused(Refusal::Expired),
        "not_yet_valid" => Verdict::Refused(Refusal::NotYetValid),
        "not_tried" => Verdict::NotTried,
        _ => Verdict::Refused(Refusal::Other("the server refused it")),
    }
}
