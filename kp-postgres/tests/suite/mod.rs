//! Runs the conformance suites on a server that the first check starts. A space is a schema. To make one takes longer than most
//! checks, so the schema of a check that has ended is used again.
//!
//! `KP_POSTGRES_POOLER=transaction` or `session` puts a PgBouncer before the server. `KP_POSTGRES_WITHIN=tokio-postgres` or
//! `sqlx` makes each changing call in a transaction of the server's own.
#![allow(dead_code)] // Each test takes what it needs of it.

mod apart;
pub(crate) mod within;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use self::apart::{Apart, OUTAGES};
use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Outage, Space};
use kp_core::client::PoolMetadataStore;
use kp_core::moving::MovePools;
use kp_core::server::KeyPackageStore;
use kp_core::{OpenError, PoolId};
use kp_postgres::{PostgresBuilder, PostgresStore};
use kp_test_support::audits::assert_sound;
use kp_test_support::opening::until_reached;
use kp_test_support::pgbouncer::{PgBouncer, PoolMode};
use kp_test_support::postgres::Postgres;
use tokio::runtime::Runtime;
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

/// All that there is.
pub(crate) const FACETS: Facets = Facets::NONE.handles().reopens().processes().limits();

/// How long a call may take. Where the engine is disturbed, calls wait in vain; elsewhere a machine that is starved is no failure.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// What the checks share.
struct Shared {
    server: Postgres,
    pooler: Option<PgBouncer>,
    inspector: Inspector,
    /// The schemas of checks that have ended.
    ended: Mutex<Vec<String>>,
}

/// Starts the pooler that the environment asks for. In transaction mode, many clients share few connections.
fn pooler(server: &Postgres) -> Option<PgBouncer> {
    match std::env::var("KP_POSTGRES_POOLER").ok()?.as_str() {
        "transaction" => Some(PgBouncer::start(server, PoolMode::Transaction, 6)),
        "session" => Some(PgBouncer::start(server, PoolMode::Session, 300)),
        other => panic!("KP_POSTGRES_POOLER is transaction or session, and not {other}"),
    }
}

/// What the checks share, and the servers of spaces that are apart, by name.
pub(crate) struct Suite(Arc<OnceLock<Shared>>, Mutex<HashMap<String, Arc<AsyncMutex<Apart>>>>);

impl Suite {
    /// The servers that are apart. Not to be held while one of them is waited for: every check asks here.
    fn apart(&self) -> MutexGuard<'_, HashMap<String, Arc<AsyncMutex<Apart>>>> {
        self.1.lock().expect("no check panics with it")
    }

    fn apart_of(&self, space: &Space) -> Arc<AsyncMutex<Apart>> {
        let apart = self.apart().get(space.name()).cloned();
        apart.expect("a store is open")
    }

    fn shared(&self) -> &Shared {
        self.0.get_or_init(|| {
            let server = Postgres::start(&[]);
            let inspector = Inspector::connect(&server.url());
            let ended = Mutex::default();
            Shared {
                pooler: pooler(&server),
                server,
                inspector,
                ended,
            }
        })
    }

    /// Returns the address of the server, once a store of the space is open.
    pub(crate) fn url(&self, space: &Space) -> String {
        std::fs::read_to_string(space.dir().join("url")).expect("a store is open")
    }

    /// Another process finds the server in the file that the first one left.
    pub(crate) async fn builder(&self, space: &Space) -> PostgresBuilder {
        let file = space.dir().join("url");
        let url = match std::fs::read_to_string(&file) {
            Ok(url) => url,
            Err(_) if space.is_apart() => {
                let apart = Apart::start();
                let url = apart.url();
                std::fs::write(&file, &url).expect("the space has a directory");
                let apart = Arc::new(AsyncMutex::new(apart));
                self.apart().insert(space.name().to_owned(), apart);
                url
            }
            Err(_) => {
                let Shared {
                    server,
                    pooler,
                    inspector,
                    ended,
                } = self.shared();
                let ended = ended.lock().expect("no check panics with it").pop();
                if let Some(ended) = ended {
                    inspector.hand_over(&ended, space.name()).await;
                }
                // The connections of a pooler are nobody's: none is ended with a check.
                let named = || format!("{}&application_name={}", server.url(), space.name());
                let url = pooler.as_ref().map_or_else(named, PgBouncer::url);
                std::fs::write(&file, &url).expect("the space has a directory");
                url
            }
        };
        let builder = PostgresStore::builder(url).schema(space.name());
        builder.timeout(if space.is_apart() { SHORT } else { LONG })
    }

    async fn opened(&self, space: &Space) -> Result<PostgresStore, OpenError> {
        let builder = self.builder(space).await.limits(space.limits());
        if space.is_apart() {
            return until_reached(|| builder.clone().connect()).await;
        }
        builder.connect().await
    }
}

#[async_trait]
impl Factory for Suite {
    fn name(&self) -> &str {
        "postgres"
    }

    fn facets(&self) -> Facets {
        match std::env::var_os("KP_POSTGRES_POOLER") {
            None => FACETS.moves().outages(OUTAGES),
            Some(_) => FACETS.moves(),
        }
    }

    async fn disturb(&self, space: &Space, outage: Outage) {
        let apart = self.apart_of(space);
        apart.lock().await.disturb(space.name(), outage).await;
    }

    async fn mend(&self, space: &Space, outage: Outage) {
        let apart = self.apart_of(space);
        apart.lock().await.mend(space.name(), outage).await;
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(self.opened(space).await?))
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(Arc::new(self.opened(space).await?))
    }

    async fn destroy(&self, space: &Space) {
        let apart = self.apart().remove(space.name());
        if let Some(apart) = apart {
            let apart = apart.lock().await;
            let inspector = Inspector {
                _runtime: None,
                client: apart.connect().await,
            };
            inspector.inspect(&apart.url(), space.name()).await;
            return;
        }
        let Shared {
            server,
            inspector,
            ended,
            ..
        } = self.shared();
        if inspector.inspect(&server.url(), space.name()).await {
            ended
                .lock()
                .expect("no check panics with it")
                .push(space.name().to_owned());
        }
    }
}

#[async_trait]
impl Factory<dyn PoolMetadataStore> for Suite {
    fn name(&self) -> &str {
        "postgres"
    }

    fn facets(&self) -> Facets {
        FACETS
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn PoolMetadataStore>, OpenError> {
        let client = PoolId::try_from("bob/phone").expect("a short name is an id");
        Ok(Arc::new(self.builder(space).await.connect_metadata(client).await?))
    }

    /// The server goes, and all spaces with it.
    async fn destroy(&self, _space: &Space) {}
}

const TABLES: [&str; 5] = [
    "keypackage_pools",
    "keypackage_pool_heads",
    "keypackage_pool_packages",
    "keypackage_pool_leases",
    "keypackage_pool_ids",
];

/// Of a table with more bytes, no row is deleted by itself.
const LARGE: u64 = 1_000_000;

/// Looks at the tables of a schema, on a connection of its own.
struct Inspector {
    _runtime: Option<Runtime>,
    client: Client,
}

impl Inspector {
    /// Connects. The connection outlives the runtimes of the checks.
    fn connect(url: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be had");
        let (reply, connected) = std::sync::mpsc::channel();
        let url = url.to_owned();
        runtime.spawn(async move {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("the server is there");
            reply.send(client).expect("it is waited for");
            connection.await
        });
        let client = connected.recv().expect("it connects");
        Self {
            _runtime: Some(runtime),
            client,
        }
    }

    /// Asserts that nothing is wrong with what the store of a schema keeps. Returns whether there is such a schema.
    async fn inspect(&self, url: &str, schema: &str) -> bool {
        let exists = format!("SELECT to_regclass('\"{schema}\".keypackage_pools')");
        if self.first(&exists).await.get(0).is_none() {
            return false; // The check opened no store.
        }
        let store = PostgresStore::builder(url)
            .schema(schema)
            .connect()
            .await
            .expect("it is there");
        assert_sound(&store).await;
        true
    }

    /// Empties the schema of a check that has ended, for another. Calls of the old check may still be under way: their
    /// connections are ended, and new ones, and statements that are not prepared, do not find the schema by its old name.
    async fn hand_over(&self, old: &str, new: &str) {
        let rename = format!("ALTER SCHEMA \"{old}\" RENAME TO \"{new}\"");
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{old}'");
        self.run(&rename).await;
        self.run(&end).await;
        let size = format!("SELECT pg_relation_size('\"{new}\".keypackage_pool_packages')");
        let size = self.first(&size).await.get(0).map(str::parse::<u64>);
        let tables = TABLES.map(|table| format!("\"{new}\".{table}"));
        let clear = match size {
            // Makes files anew, which takes longer than to delete the few rows that most checks leave.
            Some(Ok(LARGE..)) => format!("TRUNCATE {}", tables.join(", ")),
            // The lock waits for calls that are on their way to their end.
            _ => {
                let lock = format!("BEGIN; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", "));
                let delete = tables.map(|table| format!("DELETE FROM {table}")).join("; ");
                format!("{lock}; {delete}; COMMIT")
            }
        };
        self.run(&clear).await;
    }

    async fn run(&self, statements: &str) {
        let done = self.client.simple_query(statements).await;
        done.expect("the schema is handed over");
    }

    async fn first(&self, query: &str) -> SimpleQueryRow {
        let answer = self.client.simple_query(query).await.expect("the rows can be read");
        let row = answer.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        row.expect("a row")
    }
}

/// Runs a suite on a server of its own.
pub(crate) fn run(suite: impl FnOnce(Suite) -> ExitCode) -> ExitCode {
    let shared = Arc::new(OnceLock::new());
    let code = suite(Suite(Arc::clone(&shared), Mutex::default()));
    // The process exits without dropping what the suite holds.
    if let Some(Shared { server, pooler, .. }) = shared.get() {
        pooler.iter().for_each(PgBouncer::stop);
        server.stop();
    }
    code
}
