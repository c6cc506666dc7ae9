use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kp_core::OpenError;
use kp_core::rules::Limits;
use tokio_postgres::Config;

use crate::link::connection::{Connection, Texts};
use crate::link::connector::Connector;
use crate::link::error::Failure;
use crate::link::migrations::{Tables, quoted};
use crate::link::server::Server;

/// Connects a [`PostgresStore`](crate::PostgresStore) or a [`PostgresMetadata`](crate::PostgresMetadata).
#[derive(Clone)]
#[must_use = "nothing happens before `connect`"]
pub struct PostgresBuilder {
    address: Address,
    pub(crate) schema: String,
    timeout: Duration,
    pub(crate) writers: usize,
    pub(crate) readers: usize,
    pub(crate) limits: Limits,
    may_lose: bool,
    create: bool,
    #[cfg(feature = "tls")]
    roots: Option<Vec<u8>>,
}

/// Where the server is, and as whom to enter.
#[derive(Clone)]
enum Address {
    Url(String),
    Config(Box<Config>),
}

impl PostgresBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self::of(Address::Url(url))
    }

    fn of(address: Address) -> Self {
        Self {
            address,
            schema: "public".to_owned(),
            timeout: Duration::from_secs(5),
            writers: 2,
            readers: 2,
            limits: Limits::default(),
            may_lose: false,
            create: true,
            #[cfg(feature = "tls")]
            roots: None,
        }
    }

    /// Takes the address, the user and the password of a pool of sqlx, as [`PgPool::connect_options`](sqlx::Pool::connect_options) has
    /// them. The store makes connections of its own: it sends many statements at once, which sqlx does not. Certificates that
    /// the options name are not taken: set `root_certificates`.
    #[cfg(feature = "sqlx")]
    pub fn of_sqlx(options: &sqlx::postgres::PgConnectOptions) -> Self {
        Self::new(crate::link::sqlx::address(options))
    }

    /// Sets the schema of the tables, by a name of 63 bytes at most. Default: `public`. The schema is made if it is not there.
    ///
    /// The tables begin with `keypackage_pool`, so the schema may hold others. Stores of different schemas share nothing.
    pub fn schema(self, schema: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            ..self
        }
    }

    /// Sets how long a call may wait, its time in the queue of the store included. Default: 5 s. What is less than 10 ms
    /// counts as 10 ms, and what is more than 1 day as 1 day.
    ///
    /// After the time-out, the call fails: not applied, and [transient](kp_core::BackendError::is_transient). Only the
    /// reply to a commit is waited for anew, as long again; then the outcome is unknown. A server that hangs is left after
    /// the time-out.
    pub fn timeout(self, timeout: Duration) -> Self {
        let timeout = timeout.clamp(Duration::from_millis(10), Duration::from_secs(86_400));
        Self { timeout, ..self }
    }

    /// Sets the number of connections that write. Default: 2. Minimum: 1. Maximum: 16.
    ///
    /// The calls that wait for a writer share a transaction. So few writers cost the server less, and 2 to 4 are enough.
    pub fn writers(self, writers: usize) -> Self {
        Self {
            writers: writers.clamp(1, 16),
            ..self
        }
    }

    /// Sets the number of connections that read. Default: 2. Minimum: 1. Maximum: 64.
    pub fn readers(self, readers: usize) -> Self {
        Self {
            readers: readers.clamp(1, 64),
            ..self
        }
    }

    /// Sets how much one pool may hold. Default: [`Limits::default`].
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Accepts `synchronous_commit = off`: a crash of the server loses what was answered last, and a KeyPackage may then be
    /// handed out twice. Default: refused.
    pub fn allow_asynchronous_commit(self) -> Self {
        Self { may_lose: true, ..self }
    }

    /// Sets whether a store is made where there is none: the schema and the tables. Default: yes. Else such a place is refused as
    /// [`OpenError::Missing`].
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Trusts servers with a certificate under these, in PEM, and no others. Default: what the system trusts.
    ///
    /// Says nothing of whether TLS is used: that is the address's `sslmode`.
    #[cfg(feature = "tls")]
    pub fn root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        Self {
            roots: Some(pem.into()),
            ..self
        }
    }

    /// Connects, checks the server, and brings the tables up to date. Prepares these statements on the connection.
    pub(crate) async fn open(
        &self,
        tables: &Tables,
        texts: &Texts,
    ) -> Result<(Arc<Connector>, Server, Connection), OpenError> {
        check_schema(&self.schema)?;
        let config = match &self.address {
            Address::Config(config) => (**config).clone(),
            Address::Url(url) => url.parse().map_err(Failure::Address)?,
        };
        let connector = Connector::new(
            config,
            self.timeout,
            self.may_lose,
            #[cfg(feature = "tls")]
            self.roots.as_deref(),
        )?;
        let (mut connection, server) = connector.connect_bare().await?;
        tables
            .migrate(connection.client_mut(), &self.schema, self.create)
            .await?;
        connection.prepare(texts).await?;
        Ok((Arc::new(connector), server, connection))
    }

    /// Returns statements on the tables of the schema.
    pub(crate) fn texts(&self, text: impl Fn(&str) -> Vec<String>) -> Texts {
        text(&quoted(&self.schema)).into()
    }
}

/// PostgreSQL cuts a longer name, so that two names would be one schema.
fn check_schema(name: &str) -> Result<(), OpenError> {
    const MAX: usize = 63;
    if (1..=MAX).contains(&name.len()) && !name.contains('\0') {
        return Ok(());
    }
    let why = format!("the name of a schema has 1 to {MAX} bytes, none of them 0");
    Err(OpenError::Unreachable(why.into()))
}

impl From<Config> for PostgresBuilder {
    /// Takes the server, the user and the password of a pool of deadpool-postgres, as its `Config::get_pg_config` has them, or of
    /// anything else on tokio-postgres. The store makes connections of its own, whose time-outs are the [store's](Self::timeout).
    fn from(config: Config) -> Self {
        Self::of(Address::Config(Box::new(config)))
    }
}

impl fmt::Debug for PostgresBuilder {
    /// Omits the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBuilder")
            .field("schema", &self.schema)
            .field("timeout", &self.timeout)
            .field("writers", &self.writers)
            .field("readers", &self.readers)
            .field("limits", &self.limits)
            .field("allow_asynchronous_commit", &self.may_lose)
            .field("create", &self.create)
            .finish_non_exhaustive()
    }
}
