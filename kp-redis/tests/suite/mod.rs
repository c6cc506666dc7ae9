//! Runs the conformance suites on a server that the first check starts.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::client::PoolMetadataStore;
use kp_core::server::KeyPackageStore;
use kp_core::{OpenError, PoolId};
use kp_redis::{RedisBuilder, RedisStore};

/// A backend under test: what starts it, and where it then is.
pub(crate) trait Backend: Send + Sync + 'static {
    fn name(&self) -> &str;
    /// Where it is; started by the first who asks.
    fn url(&self) -> String;
    fn stop(&self);
}

struct Suite<B>(Arc<B>);

/// All that there is.
const FACETS: Facets = Facets::NONE.handles().reopens().processes().limits();

impl<B: Backend> Suite<B> {
    /// A space is a prefix. Another process finds the server in the file that the first one left.
    fn builder(&self, space: &Space) -> RedisBuilder {
        let file = space.dir().join("url");
        let url = match std::fs::read_to_string(&file) {
            Ok(url) => url,
            Err(_) => {
                let url = self.0.url();
                std::fs::write(&file, &url).expect("the space has a directory");
                url
            }
        };
        // Few buckets, so that pools share them; and a sweep asks them all.
        RedisStore::builder(url).prefix(format!("{}:", space.name())).buckets(2)
    }
}

#[async_trait]
impl<B: Backend> Factory for Suite<B> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn facets(&self) -> Facets {
        FACETS
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(self.builder(space).limits(space.limits()).open().await?))
    }

    /// The server goes, and all spaces with it.
    async fn destroy(&self, _space: &Space) {}
}

#[async_trait]
impl<B: Backend> Factory<dyn PoolMetadataStore> for Suite<B> {
    fn name(&self) -> &str {
        self.0.name()
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
        let mut connection = redis::Client::open(self.0.url()).ok()?.get_connection().ok()?;
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
    let code = kp_conformance::main(Suite(Arc::clone(&backend)));
    backend.stop();
    code
}

/// The suite of a client's metadata.
pub(crate) fn metadata_main(backend: impl Backend) -> ExitCode {
    let backend = Arc::new(backend);
    let code = kp_conformance::metadata_main(Suite(Arc::clone(&backend)));
    backend.stop();
    code
}
