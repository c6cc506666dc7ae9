//! The conformance suite on a server that is started when the first check asks for it.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::{KeyPackageStore, OpenError};
use kp_redis::RedisStore;

/// A backend under test: what starts it, and where it then is.
pub(crate) trait Backend: Send + Sync + 'static {
    fn name(&self) -> &str;
    /// Where it is; started by the first who asks.
    fn url(&self) -> String;
    fn stop(&self);
}

struct Suite<B>(Arc<B>);

#[async_trait]
impl<B: Backend> Factory for Suite<B> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn facets(&self) -> Facets {
        Facets {
            handles: true,
            reopens: true,
            processes: true,
        }
    }

    /// Another process finds the server in the file that the first one left.
    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let file = space.dir().join("url");
        let url = match std::fs::read_to_string(&file) {
            Ok(url) => url,
            Err(_) => {
                let url = self.0.url();
                std::fs::write(&file, &url).expect("the space has a directory");
                url
            }
        };
        let store = RedisStore::builder(url).prefix(format!("{}:", space.name()));
        Ok(Arc::new(store.open().await?))
    }

    /// The server goes, and all spaces with it.
    async fn destroy(&self, _space: &Space) {}
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

pub(crate) fn main(backend: impl Backend) -> ExitCode {
    let backend = Arc::new(backend);
    let code = kp_conformance::main(Suite(Arc::clone(&backend)));
    backend.stop();
    code
}
