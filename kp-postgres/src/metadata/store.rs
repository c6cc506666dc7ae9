use std::sync::Arc;

use async_trait::async_trait;
use kp_core::client::{
    Fence, KeyPackageMetadata, LeaseHolder, LeaseName, MetadataChanges, MetadataResult, PoolMetadataStore, PoolRecord,
};
use kp_core::{BackendError, Effect, Error, KeyPackageRef, OpenError, PoolId, Timestamp, Ttl};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::link::builder::PostgresBuilder;
use crate::link::error::{Failure, backend_error};
use crate::link::line::Line;
use crate::link::migrations::METADATA;
use crate::link::param::Param;
use crate::link::readers::Readers;
use crate::link::row::Row;
use crate::link::server::Server;
use crate::metadata::rows;
use crate::metadata::writer::{Change, Decided, Waiting, Writer};
use crate::sql::MetadataSql;

/// Stores the metadata of one client's KeyPackages in a PostgreSQL database. The client is itself a service, such as a bot
/// that runs in several places. Clones are cheap, and share the connections.
///
/// A change is one transaction, and locks the client.
///
/// ```no_run
/// use kp_core::client::{KeyPackageMetadata, PoolMetadataStoreExt};
/// use kp_core::{KeyPackageInfo, PoolId, Timestamp};
/// use kp_postgres::PostgresMetadata;
///
/// # async fn create(info: KeyPackageInfo, now: Timestamp) -> Result<(), Box<dyn std::error::Error>> {
/// let bot = PoolId::try_from("bot/1")?;
/// let metadata = PostgresMetadata::connect("postgres://bots@10.0.0.1/messenger", bot).await?;
/// metadata.create_pool_metadata(&[KeyPackageMetadata::created(&info, now)]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PostgresMetadata(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    server: Server,
    client: PoolId,
    queue: mpsc::UnboundedSender<Waiting>,
    readers: Readers,
    timeout: std::time::Duration,
}

impl PostgresBuilder {
    /// Connects to the metadata of this client, which is named by the id of its pool. A server's pools may share the schema.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_metadata(self, client: PoolId) -> Result<PostgresMetadata, OpenError> {
        let texts = self.texts(MetadataSql::texts);
        let (connector, server, first) = self.open(&METADATA, &texts).await?;
        let readers = Readers::start(&connector, &texts, first, 1);
        let timeout = connector.timeout();
        let (queue, changes) = mpsc::unbounded_channel();
        let writer = Writer {
            line: Line::new(connector, texts),
            client: client.clone(),
        };
        tokio::spawn(writer.run(changes));
        Ok(PostgresMetadata(Arc::new(Shared {
            server,
            client,
            queue,
            readers,
            timeout,
        })))
    }
}

impl PostgresMetadata {
    /// Connects to the metadata of this client in the database of this URL, with the defaults of [`PostgresBuilder`]. The
    /// client is named by the id of its pool.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] that names the reason.
    pub async fn connect(url: impl Into<String>, client: PoolId) -> Result<Self, OpenError> {
        PostgresBuilder::new(url.into()).connect_metadata(client).await
    }

    /// Returns what the server is set to do, as it was when the metadata was opened.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    async fn change(&self, operation: &'static str, change: Change) -> Result<Decided, BackendError> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + self.0.timeout;
        let closed = |effect| backend_error(operation, effect, Arc::new(Failure::Closed));
        if self
            .0
            .queue
            .send(Waiting {
                change,
                deadline,
                reply,
            })
            .is_err()
        {
            return Err(closed(Effect::NotApplied));
        }
        answer.await.unwrap_or_else(|_| Err(closed(Effect::Unknown)))
    }

    /// Reads rows. `more`: the parameters behind the client.
    async fn read<T>(
        &self,
        operation: &'static str,
        sql: MetadataSql,
        more: impl Fn() -> Vec<Param>,
        decode: impl FnOnce(&[Row]) -> Result<T, Failure>,
    ) -> MetadataResult<T> {
        let statement = || {
            let mut params = vec![Param::Bytes(self.0.client.as_bytes().to_vec())];
            params.extend(more());
            sql.with(params)
        };
        let rows = self.0.readers.read(operation, statement).await?;
        let unreadable = |failure| backend_error(operation, Effect::NotApplied, Arc::new(failure));
        Ok(decode(&rows).map_err(unreadable)?)
    }
}

#[async_trait]
impl PoolMetadataStore for PostgresMetadata {
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        let change = Change::Apply(Box::new(changes.clone()));
        self.change("apply", change).await?.map_err(Error::Rejected)
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        let granted = self.change("lease", Change::Lease(name, holder, ttl, now)).await?;
        Ok(Fence::new(name, granted.map_err(Error::Rejected)?))
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        let released = self.change("release_lease", Change::Release(name, holder)).await?;
        released.map(drop).map_err(Error::Rejected)
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        let refs = || vec![Param::all_bytes([key_package_ref])];
        let found = self.read("get", MetadataSql::MetadataGet, refs, rows::read_all).await?;
        Ok(found.into_iter().next())
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        self.read("list", MetadataSql::MetadataList, Vec::new, rows::read_all)
            .await
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        self.read("record", MetadataSql::ClientRecord, Vec::new, rows::read_record)
            .await
    }
}
