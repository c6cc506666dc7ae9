use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::client::{
    Fence, KeyPackageMetadata, LeaseHolder, LeaseName, MetadataChanges, MetadataRejection, MetadataResult,
    PoolMetadataStore, PoolRecord, StorageLease,
};
use kp_core::{BackendError, Error, KeyPackageRef, OpenError, Timestamp, Ttl};

use crate::file::calls::Session;
use crate::file::connection::Connector;
use crate::file::error::Failure;
use crate::file::migrations::METADATA;
use crate::file::threads::Threads;
use crate::metadata::{lease, record, rows};

/// Stores the metadata of a client's KeyPackages in an SQLite file.
///
/// The file may hold other tables, for example the storage of the MLS library. Then a backup of the file holds the keys
/// and their metadata together. A batch is one transaction with one sync of the disk. An answered call survives a power
/// cut.
///
/// A clone is cheap and shares the connections. Any number of handles, in any number of processes, may open the same file.
/// The store needs no async runtime. When the last clone is dropped, the store finishes the calls that are under way and
/// closes. [`close`](Self::close) waits for the end.
///
/// ```
/// use kp_core::client::*;
/// use kp_core::*;
/// use kp_sqlite::SqliteMetadata;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("client.db");
/// # let now = Timestamp::try_from(1_700_000_000)?;
/// # let lifetime = Lifetime::new(now, now.plus(86_400))?;
/// # let info = KeyPackageInfo::new("the hash of it".try_into()?, Ciphersuite(1), lifetime, CredentialHash([0; 32]));
/// let metadata = SqliteMetadata::open(path).await?;
/// metadata.create_pool_metadata(&[KeyPackageMetadata::created(&info, now)]).await?;
/// metadata.update_pool_status(&[(info.key_package_ref, Lifecycle::Available)], now).await?;
/// assert_eq!(metadata.get_available_count(info.ciphersuite, now).await?, 1);
/// metadata.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteMetadata(Arc<Threads<()>>);

impl fmt::Debug for SqliteMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteMetadata").finish_non_exhaustive()
    }
}

impl SqliteMetadata {
    /// Opens the metadata of a file. Creates the file if there is none.
    ///
    /// The journal of the file becomes a write-ahead log.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] that names the reason. A refused file is not changed.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let threads = Threads::start(Connector::new(path.into(), &METADATA), 1, |_| {}).await?;
        Ok(Self(Arc::new(threads)))
    }

    /// Closes the store after the calls that are under way: moves the write-ahead log into the file, and ends the
    /// threads. Later calls to clones of the store fail.
    ///
    /// # Errors
    ///
    /// SQLite could not move the log or close the file. Nothing is lost: the next store that opens the file reads the
    /// log.
    pub async fn close(self) -> Result<(), BackendError> {
        self.0.stop().await
    }

    /// Runs a change in one transaction. The rules decide before the first row is written, so a refusal changes nothing.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnMut(&mut Session<'_, ()>) -> Result<Result<T, MetadataRejection>, Failure> + Send + 'static,
    ) -> MetadataResult<T> {
        self.0
            .writer
            .submit(operation, run)
            .wait()
            .await?
            .map_err(Error::Rejected)
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnMut(&mut Session<'_, ()>) -> Result<T, Failure> + Send + 'static,
    ) -> MetadataResult<T> {
        Ok(self.0.readers.submit(operation, run).wait().await?)
    }
}

#[async_trait]
impl PoolMetadataStore for SqliteMetadata {
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        let changes = changes.clone();
        self.write("apply", move |session| {
            let statements = &mut session.statements;
            if let Some(fence) = changes.fence
                && let Err(fenced) = StorageLease::admit(lease::find(statements, fence.lease)?.as_ref(), fence)
            {
                return Ok(Err(fenced));
            }
            let mut changed = BTreeMap::new();
            for named in changes.named() {
                if let Some(row) = rows::find(statements, named)? {
                    changed.insert(named.clone(), row);
                }
            }
            if let Err(rejection) = changes.decide(&mut changed) {
                return Ok(Err(rejection));
            }
            for row in changed.values() {
                rows::store(statements, row)?;
            }
            if let Some(record) = &changes.record {
                record::store(statements, record)?;
            }
            let mut deleted = 0;
            for named in &changes.delete {
                deleted += u64::from(rows::delete(statements, named)?);
            }
            Ok(Ok(deleted))
        })
        .await
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        self.write("lease", move |session| {
            let statements = &mut session.statements;
            let found = lease::find(statements, name)?;
            match StorageLease::grant(found.as_ref(), holder, ttl, now) {
                Err(held) => Ok(Err(held)),
                Ok(granted) => {
                    lease::store(statements, name, &granted)?;
                    Ok(Ok(Fence::new(name, granted.fence)))
                }
            }
        })
        .await
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        self.write("release_lease", move |session| {
            let statements = &mut session.statements;
            let found = lease::find(statements, name)?;
            if let Some(released) = found.and_then(|lease| lease.release(holder)) {
                lease::store(statements, name, &released)?;
            }
            Ok(Ok(()))
        })
        .await
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        let key_package_ref = key_package_ref.clone();
        self.read("get", move |session| {
            rows::find(&mut session.statements, &key_package_ref)
        })
        .await
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        self.read("list", |session| rows::list(&mut session.statements)).await
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        self.read("record", |session| record::read(&mut session.statements))
            .await
    }
}
