use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataRejection, MetadataResult, PoolMetadataStore};
use kp_core::{BackendError, Error, KeyPackageRef, OpenError, Timestamp};

use crate::file::calls::Session;
use crate::file::connection::Connector;
use crate::file::error::Failure;
use crate::file::migrations::METADATA;
use crate::file::threads::Threads;
use crate::metadata::rows::{delete, find, insert, list, update};

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
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()> {
        let rows = rows.to_vec();
        self.write("create_pool_metadata", move |session| {
            let mut refs = BTreeSet::new();
            for row in &rows {
                if !refs.insert(&row.key_package_ref) || find(&mut session.statements, &row.key_package_ref)?.is_some()
                {
                    return Ok(Err(MetadataRejection::Exists));
                }
            }
            for row in &rows {
                insert(&mut session.statements, row)?;
            }
            Ok(Ok(()))
        })
        .await
    }

    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()> {
        let steps = steps.to_vec();
        self.write("update_pool_status", move |session| {
            let mut rows = BTreeMap::new();
            for (named, _) in &steps {
                if let Some(row) = find(&mut session.statements, named)? {
                    rows.insert(named.clone(), row);
                }
            }
            if let Err(rejection) = KeyPackageMetadata::step_all(&mut rows, &steps, now) {
                return Ok(Err(rejection));
            }
            for row in rows.values() {
                update(&mut session.statements, row)?;
            }
            Ok(Ok(()))
        })
        .await
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        let key_package_ref = key_package_ref.clone();
        self.read("get", move |session| find(&mut session.statements, &key_package_ref))
            .await
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        self.read("list", |session| list(&mut session.statements)).await
    }

    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64> {
        let refs = refs.to_vec();
        self.write("delete_pool_metadata", move |session| {
            let mut deleted = 0;
            for named in &refs {
                deleted += u64::from(delete(&mut session.statements, named)?);
            }
            Ok(Ok(deleted))
        })
        .await
    }
}
