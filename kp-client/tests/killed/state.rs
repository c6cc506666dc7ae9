//! What several processes of one client share: files, and a clock.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kp_client::{CiphersuitePlan, KeyPackagePool, Sizes};
use kp_core::client::PoolMetadataStore;
use kp_core::server::Uploader;
use kp_core::{PoolId, Timestamp};
use kp_openmls::{Identity, LockedProvider, OpenMlsAdmission, OpenMlsVault};
use kp_redis::RedisStore;
use kp_server::KeyPackageDirectory;
use kp_sqlite::{SqliteMetadata, SqliteStore};
use kp_test_support::messenger::{DAY, SUITE, parse};
use kp_test_support::sqlite_provider::{Json, SqliteProvider};
use openmls::prelude::{BasicCredential, CredentialWithKey, GroupId, MlsGroup, MlsGroupJoinConfig, StagedWelcome};
use openmls_basic_credential::SignatureKeyPair;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::types::SignatureScheme;

pub(crate) type Provider = LockedProvider<SqliteProvider<Json>>;
pub(crate) type Vault = OpenMlsVault<Provider>;

pub(crate) const LOW: u32 = 4;
pub(crate) const CAP: u32 = 16;

/// A busy machine is no failure of a server.
const PATIENCE: Duration = Duration::from_secs(60);

/// In its file is by how many seconds the clock was set ahead.
const AHEAD: &str = "ahead";

const DIR: &str = "KP_PROCESSES_DIR";
const REDIS: &str = "KP_PROCESSES_REDIS";
const BEGUN: &str = "KP_PROCESSES_BEGUN";

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) dir: PathBuf,
    /// The URL of the server that has the metadata; `None`: SQLite has it.
    redis: Option<String>,
    begun: u64,
}

fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

pub(crate) fn pool_id() -> PoolId {
    PoolId::try_from("bob/phone").unwrap()
}

impl State {
    /// A new one. Whoever the client is, is written beside it.
    pub(crate) fn create(dir: &Path, redis: Option<String>) -> Self {
        let signer = SignatureKeyPair::new(SignatureScheme::ED25519).unwrap();
        fs::write(dir.join("signer"), serde_json::to_vec(&signer).unwrap()).unwrap();
        Self {
            dir: dir.to_owned(),
            redis,
            begun: millis(),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.begun
    }

    /// The one that this process was started for, if it was.
    pub(crate) fn from_env() -> Option<Self> {
        Some(Self {
            dir: std::env::var_os(DIR)?.into(),
            redis: std::env::var(REDIS).ok(),
            begun: std::env::var(BEGUN).ok()?.parse().ok()?,
        })
    }

    pub(crate) fn env(&self) -> impl Iterator<Item = (&'static str, String)> {
        let dir = self.dir.to_str().unwrap().to_owned();
        let redis = self.redis.clone().map(|url| (REDIS, url));
        [(DIR, dir), (BEGUN, self.begun.to_string())].into_iter().chain(redis)
    }

    /// The clock of server and client. It begins ten days ago, since OpenMLS judges by the system's clock, and takes nothing
    /// that begins later.
    pub(crate) fn now(&self) -> Timestamp {
        let begun = Timestamp::try_from(i64::try_from(self.begun / 1_000).unwrap()).unwrap();
        let elapsed = millis().saturating_sub(self.begun) / 1_000;
        begun.minus(10 * DAY).plus(elapsed + self.ahead())
    }

    fn ahead(&self) -> u64 {
        fs::read_to_string(self.dir.join(AHEAD)).map_or(0, |ahead| ahead.parse().unwrap())
    }

    /// Sets the clock ahead, for every process.
    pub(crate) fn advance(&self, seconds: u64) {
        let (path, ahead) = (self.dir.join(AHEAD), self.ahead() + seconds);
        fs::write(path.with_extension("new"), ahead.to_string()).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    pub(crate) async fn server(&self) -> (SqliteStore, KeyPackageDirectory) {
        let store = SqliteStore::builder(self.dir.join("server.db")).timeout(PATIENCE);
        let store = store.open().await.unwrap();
        let clock = self.clone();
        let builder = KeyPackageDirectory::builder(Arc::new(store.clone()), OpenMlsAdmission::new());
        let directory = builder.clock(move || clock.now()).low_below(LOW).build().unwrap();
        (store, directory)
    }

    fn identity(&self) -> Identity {
        let signer: SignatureKeyPair = serde_json::from_slice(&fs::read(self.dir.join("signer")).unwrap()).unwrap();
        let credential = CredentialWithKey {
            credential: BasicCredential::new("bob".into()).into(),
            signature_key: signer.to_public_vec().into(),
        };
        Identity::new(Arc::new(signer), credential)
    }

    pub(crate) fn vault(&self, provider: &Provider) -> Vault {
        let identity = self.identity();
        OpenMlsVault::new(provider.clone(), move |_| Some(identity.clone()))
    }

    /// A process of the client, this much later than now.
    pub(crate) async fn client(&self, later: u64) -> Client {
        let (_, directory) = self.server().await;
        let path = self.dir.join("client.db");
        let metadata: Arc<dyn PoolMetadataStore> = match &self.redis {
            Some(url) => {
                let store = RedisStore::builder(url.as_str()).timeout(PATIENCE);
                Arc::new(store.open_metadata(pool_id()).await.unwrap())
            }
            None => Arc::new(SqliteMetadata::open(&path).await.unwrap()),
        };
        let provider = LockedProvider::new(SqliteProvider::open(&path));
        let (vault, clock) = (self.vault(&provider), self.clone());
        let transport = directory.transport(pool_id(), Uploader::identity("bob"));
        let pool = KeyPackagePool::builder(vault, Arc::clone(&metadata), transport)
            .clock(move || clock.now().plus(later))
            .ciphersuite(CiphersuitePlan::pool(SUITE).one_time(Sizes::new(8, LOW, CAP)))
            .build()
            .unwrap();
        Client {
            pool,
            provider,
            metadata,
        }
    }
}

pub(crate) struct Client {
    pub(crate) pool: KeyPackagePool<Vault>,
    pub(crate) provider: Provider,
    pub(crate) metadata: Arc<dyn PoolMetadataStore>,
}

impl Client {
    /// The app's own join.
    pub(crate) fn attempt(&self, welcome: &[u8]) -> Result<(), String> {
        let (provider, config) = (self.provider.lock(), MlsGroupJoinConfig::default());
        let staged = StagedWelcome::new_from_welcome(&*provider, &config, parse(welcome), None);
        let group = staged.and_then(|staged| staged.into_group(&*provider));
        group.map(drop).map_err(|error| error.to_string())
    }

    pub(crate) fn is_in(&self, group: &[u8]) -> bool {
        let provider = self.provider.lock();
        MlsGroup::load(provider.storage(), &GroupId::from_slice(group)).is_ok_and(|group| group.is_some())
    }
}
