//! Runs the conformance suites on a server that the first check starts.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Outage, Space};
use kp_core::client::PoolMetadataStore;
use kp_core::moving::MovePools;
use kp_core::server::KeyPackageStore;
use kp_core::{OpenError, PoolId};
use kp_redis::{RedisBuilder, RedisStore};
use kp_test_support::audits::assert_sound;
use kp_test_support::opening::until_reached;
use kp_test_support::servers::Server;

/// A backend under test: what starts it, and where it then is.
pub(crate) trait Backend: Send + Sync + 'static {
    fn name(&self) -> &str;
    /// Where it is; started by the first who asks.
    fn url(&self) -> String;
    fn stop(&self);
    /// The server to start for a check that disturbs it, if one is all that it takes.
    fn apart(&self) -> Option<PathBuf> {
        None
    }
}

struct Suite<B> {
    backend: Arc<B>,
    /// The servers of spaces that are apart, by name.
    apart: Mutex<HashMap<String, Server>>,
}

impl<B> Suite<B> {
    fn new(backend: &Arc<B>) -> Self {
        Self {
            backend: Arc::clone(backend),
            apart: Mutex::default(),
        }
    }

    fn apart(&self) -> MutexGuard<'_, HashMap<String, Server>> {
        self.apart.lock().expect("no check panics with it")
    }
}

/// How long a call may take. Where the engine is disturbed, calls wait in vain; elsewhere a machine that is starved is no failure.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// What a server that is apart is disturbed by.
const OUTAGES: &[Outage] = &[
    Outage::Cut,
    Outage::Killed,
    Outage::Hung,
    Outage::ReadOnly,
    Outage::Full,
];

/// All that there is.
const FACETS: Facets = Facets::NONE.handles().reopens().processes().limits();

impl<B: Backend> Suite<B> {
    /// A space is a prefix. Another process finds the server in the file that the first one left.
    fn builder(&self, space: &Space) -> RedisBuilder {
        let file = space.dir().join("url");
        let url = match std::fs::read_to_string(&file) {
            Ok(url) => url,
            Err(_) => {
                let url = match space.is_apart() {
                    false => self.backend.url(),
                    true => {
                        let binary = self.backend.apart().expect("it claims to be disturbed");
                        let server = Server::start_binary(binary, &["--appendonly", "yes", "--appendfsync", "always"]);
                        let url = server.url();
                        self.apart().insert(space.name().to_owned(), server);
                        url
                    }
                };
                std::fs::write(&file, &url).expect("the space has a directory");
                url
            }
        };
        // Few buckets, so that pools share them; and a sweep asks them all.
        let builder = RedisStore::builder(url).prefix(format!("{}:", space.name())).buckets(2);
        builder.timeout(if space.is_apart() { SHORT } else { LONG })
    }

    async fn opened(&self, space: &Space) -> Result<RedisStore, OpenError> {
        let builder = self.builder(space).limits(space.limits());
        if space.is_apart() {
            return until_reached(|| builder.clone().open()).await;
        }
        builder.open().await
    }
}

#[async_trait]
impl<B: Backend> Factory for Suite<B> {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn facets(&self) -> Facets {
        if self.backend.apart().is_some() {
            return FACETS.moves().outages(OUTAGES);
        }
        FACETS.moves()
    }

    async fn disturb(&self, space: &Space, outage: Outage) {
        let servers = self.apart();
        let server = &servers[space.name()];
        let done = match outage {
            Outage::Cut => server.command::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]),
            Outage::ReadOnly => server.command(&["REPLICAOF", "127.0.0.1", "1"]),
            Outage::Full => server.command(&["CONFIG", "SET", "maxmemory", "1"]),
            Outage::Hung => return server.pause(),
            _ => return server.kill(),
        };
        done.expect("the server takes the command");
    }

    async fn mend(&self, space: &Space, outage: Outage) {
        let servers = self.apart();
        let server = &servers[space.name()];
        let done = match outage {
            Outage::ReadOnly => server.command::<()>(&["REPLICAOF", "NO", "ONE"]),
            Outage::Full => server.command(&["CONFIG", "SET", "maxmemory", "0"]),
            Outage::Hung => return server.resume(),
            Outage::Killed => return server.restart(),
            _ => return,
        };
        done.expect("the server takes the command");
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(self.opened(space).await?))
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(Arc::new(self.opened(space).await?))
    }

    /// Whatever the check did, nothing is wrong with what the store keeps. The server goes, and all spaces with it.
    async fn destroy(&self, space: &Space) {
        let apart = self.apart().remove(space.name());
        if let Some(server) = apart {
            server.kill();
            return;
        }
        let store = self.builder(space).open().await.expect("the server is there");
        assert_sound(&store).await;
    }
}

#[async_trait]
impl<B: Backend> Factory<dyn PoolMetadataStore> for Suite<B> {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn facets(&self) -> Facets {
        FACETS
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn PoolMetadataStore>, OpenError> {
        let client = PoolId::try_from("bob/phone").expect("a short name is an id");
        Ok(Arc::new(self.builder(space).open_metadata(client).await?))
    }

    /// The server goes, and all spaces with it.
    async fn destroy(&self, _space: &Space) {}

    /// What the keys of the space take of the server's memory: the whole of a hash, not a sample of it.
    async fn bytes(&self, space: &Space) -> Option<u64> {
        let mut connection = redis::Client::open(self.backend.url()).ok()?.get_connection().ok()?;
        let mut keys = redis::cmd("KEYS");
        let keys: Vec<Vec<u8>> = keys.arg(format!("{}:*", space.name())).query(&mut connection).ok()?;
        keys.iter().try_fold(0, |sum, key| {
            let mut usage = redis::cmd("MEMORY");
            usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
            Some(sum + usage.query::<Option<u64>>(&mut connection).ok()??)
        })
    }
}

/// A server that is started once.
#[derive(Debug)]
pub(crate) struct Lazy<S>(OnceLock<S>, fn() -> S);

impl<S> Lazy<S> {
    pub(crate) const fn new(start: fn() -> S) -> Self {
        Self(OnceLock::new(), start)
    }

    pub(crate) fn get(&self) -> &S {
        self.0.get_or_init(self.1)
    }

    pub(crate) fn if_started(&self) -> Option<&S> {
        self.0.get()
    }
}

/// The suite of a server's pools.
pub(crate) fn main(backend: impl Backend) -> ExitCode {
    let backend = Arc::new(backend);
    let code = kp_conformance::main(Suite::new(&backend));
    backend.stop();
    code
}

/// The suite of a client's metadata.
pub(crate) fn metadata_main(backend: impl Backend) -> ExitCode {
    let backend = Arc::new(backend);
    let code = kp_conformance::metadata_main(Suite::new(&backend));
    backend.stop();
    code
}
