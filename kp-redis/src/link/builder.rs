use std::fmt;
use std::time::Duration;

use kp_core::OpenError;
use kp_core::rules::Limits;

use crate::keys::Keys;
use crate::link::address::Address;
use crate::link::calls::Link;
use crate::link::library::Library;
use crate::link::probe;
use crate::link::schema;
use crate::link::server::Server;

/// The most buckets: as many as a cluster has slots.
const MAX_BUCKETS: u16 = 16_384;

/// Opens a [`RedisStore`](crate::RedisStore) or a [`RedisMetadata`](crate::RedisMetadata).
#[derive(Clone)]
pub struct RedisBuilder {
    url: String,
    prefix: String,
    buckets: u16,
    timeout: Duration,
    replicas: Option<u32>,
    pub(crate) limits: Limits,
    may_evict: bool,
    create: bool,
}

impl RedisBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            prefix: "kp:".to_owned(),
            buckets: 1_024,
            timeout: Duration::from_secs(5),
            replicas: None,
            limits: Limits::default(),
            may_evict: false,
            create: true,
        }
    }

    /// Sets the prefix of every key. Default: `kp:`.
    ///
    /// Stores of different prefixes share nothing. A prefix with braces is refused, since braces mark the hash tag of a
    /// key.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    /// Sets how many replicas must acknowledge a change before a call answers (`WAIT`). Default: 0, which does not
    /// wait.
    ///
    /// If fewer acknowledge within the time-out, the call fails with
    /// [`Effect::Unknown`](kp_core::Effect::Unknown). Calls that only read never wait.
    #[must_use]
    pub fn replicas(self, replicas: u32) -> Self {
        Self {
            replicas: (replicas > 0).then_some(replicas),
            ..self
        }
    }

    /// Sets how long a call may take. Default: 5 s. Minimum: 10 ms. Maximum: 1 day.
    ///
    /// A refused connection fails the call at once. The time-out is also how long a server that hangs, or was replaced
    /// without its knowing, is used at most.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        let timeout = timeout.clamp(Duration::from_millis(10), Duration::from_secs(86_400));
        Self { timeout, ..self }
    }

    /// Sets the number of buckets, from 1 to 16,384. Default: 1,024.
    ///
    /// Pools spread over the buckets, and a cluster spreads the buckets over its nodes. A cleanup asks every bucket.
    /// The first store of a prefix sets the number for good.
    #[must_use]
    pub fn buckets(self, buckets: u16) -> Self {
        Self { buckets, ..self }
    }

    /// Sets how much one pool of a [`RedisStore`](crate::RedisStore) may hold. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Accepts a server that may evict keys: it is a cache, and a KeyPackage may be handed out twice. Default: refused.
    #[must_use]
    pub fn allow_eviction(self) -> Self {
        Self {
            may_evict: true,
            ..self
        }
    }

    /// Sets whether a store is made where there is none: the key of the layout. Default: yes. Else such a prefix is refused as
    /// [`OpenError::Missing`].
    #[must_use]
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Connects, then checks the settings, the server and the layout, and chooses how scripts are sent.
    pub(crate) async fn connect(self, library: Option<&'static Library>) -> Result<(Link, Keys, Server), OpenError> {
        if self.prefix.contains(['{', '}']) {
            return Err(OpenError::UnsafeConfiguration("a prefix has no braces".to_owned()));
        }
        if self.buckets == 0 || self.buckets > MAX_BUCKETS {
            return Err(OpenError::UnsafeConfiguration(format!(
                "there are 1 to {MAX_BUCKETS} buckets, not {}",
                self.buckets
            )));
        }
        let address = Address::parse(&self.url, self.timeout).map_err(OpenError::Unreachable)?;
        let mut link = Link::new(address, self.timeout, self.replicas);
        let mut server = Server::inspect(&link, self.may_evict).await?;
        let keys = Keys::new(self.prefix, self.buckets);
        probe::check(&link, &keys).await?;
        schema::check(&link, &keys, self.create).await?;
        if let Some(library) = library {
            server.functions = probe::takes(&link, library).await;
            link.library = Some(library).filter(|_| server.functions);
        }
        Ok((link, keys, server))
    }
}

impl fmt::Debug for RedisBuilder {
    /// Omits the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("prefix", &self.prefix)
            .field("buckets", &self.buckets)
            .field("timeout", &self.timeout)
            .field("replicas", &self.replicas)
            .field("limits", &self.limits)
            .field("may_evict", &self.may_evict)
            .field("create", &self.create)
            .finish_non_exhaustive()
    }
}
