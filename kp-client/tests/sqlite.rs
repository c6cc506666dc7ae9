//! OpenMLS's SQLite storage, a pool's metadata and a directory's store in one file: POOL-3, POOL-4 and POOL-6 across
//! processes.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::path::Path;
use std::sync::Arc;

use kp_client::{CiphersuitePlan, KeyPackagePool};
use kp_core::server::Uploader;
use kp_core::{ManualClock, PoolId};
use kp_openmls::{Identity, LockedProvider, OpenMlsAdmission, OpenMlsVault};
use kp_server::{KeyPackageDirectory, Take};
use kp_sqlite::{SqliteMetadata, SqliteStore};
use kp_test_support::messenger::{Alice, Invitation, SUITE, World, identity, parse};
use kp_test_support::sqlite_provider::{Json, SqliteProvider};
use openmls::prelude::{MlsGroup, MlsGroupJoinConfig, StagedWelcome};
use openmls_sqlite_storage::Connection;
use openmls_traits::OpenMlsProvider;

/// One process: everything is opened anew, from one file.
struct Process {
    store: SqliteStore,
    directory: KeyPackageDirectory,
    metadata: SqliteMetadata,
    provider: LockedProvider<SqliteProvider<Json>>,
    pool: KeyPackagePool<OpenMlsVault<LockedProvider<SqliteProvider<Json>>>>,
}

impl Process {
    async fn open(path: &Path, bob: &Identity, clock: &ManualClock) -> Self {
        let store = SqliteStore::open(path).await.unwrap();
        let directory = KeyPackageDirectory::builder(Arc::new(store.clone()), OpenMlsAdmission::new());
        let directory = directory.build().unwrap();
        let metadata = SqliteMetadata::open(path).await.unwrap();

        let provider = LockedProvider::new(SqliteProvider::open(path));
        let bob = bob.clone();
        let vault = OpenMlsVault::new(provider.clone(), move |_| Some(bob.clone()));
        let transport = directory.transport(pool_id(), Uploader::identity("bob"));
        let pool = KeyPackagePool::builder(vault, Arc::new(metadata.clone()), transport);
        let pool = pool.ciphersuite(CiphersuitePlan::pool(SUITE)).clock(clock.clone());
        let pool = pool.build().unwrap();
        Self {
            store,
            directory,
            metadata,
            provider,
            pool,
        }
    }

    async fn close(self) {
        drop((self.pool, self.directory, self.provider));
        self.metadata.close().await.unwrap();
        self.store.close().await.unwrap();
    }

    async fn join(&self, invitation: &Invitation, welcome: &[u8]) -> bool {
        let attempt = || {
            let provider = self.provider.lock();
            let config = MlsGroupJoinConfig::default();
            StagedWelcome::new_from_welcome(&*provider, &config, parse(welcome), None)?.into_group(&*provider)
        };
        self.pool.join(&invitation.refs, attempt).await.unwrap().is_ok()
    }

    fn stored_keys(&self, path: &Path) -> u32 {
        let connection = Connection::open(path).unwrap();
        let count = "SELECT count(*) FROM openmls_key_packages";
        connection.query_row(count, [], |row| row.get(0)).unwrap()
    }
}

fn pool_id() -> PoolId {
    PoolId::try_from("bob/phone").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_metadata_and_server_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("messenger.db");
    let (alice, bob) = (Alice::new(), identity("bob"));
    let clock = ManualClock::at(World::new().now());

    let process = Process::open(&path, &bob, &clock).await;
    assert_eq!(process.pool.refresh().await.unwrap().uploaded, 33);
    assert_eq!(process.stored_keys(&path), 33);
    let package = process.directory.claim(&pool_id(), &Take::new()).await.unwrap();
    let invitation = alice.invite(&package);
    process.close().await;

    // The process that gets a forged Welcome dies while it joins.
    let process = Process::open(&path, &bob, &clock).await;
    let died = tokio::spawn({
        let (pool, provider) = (process.pool.clone(), process.provider.clone());
        let (refs, forged) = (invitation.refs.clone(), invitation.forged());
        async move {
            let attempt = || -> Result<(), ()> {
                let provider = provider.lock();
                let config = MlsGroupJoinConfig::default();
                assert!(StagedWelcome::new_from_welcome(&*provider, &config, parse(&forged), None).is_err());
                panic!("the process dies here");
            };
            pool.join(&refs, attempt).await
        }
    });
    assert!(died.await.unwrap_err().is_panic());
    process.close().await;
    // For a minute it might be alive (POOL-7).
    clock.advance(60);

    let process = Process::open(&path, &bob, &clock).await;
    assert_eq!(
        process.stored_keys(&path),
        33,
        "the copy, for the key that OpenMLS deleted"
    );
    assert!(!process.join(&invitation, &invitation.forged()).await);
    assert!(process.join(&invitation, &invitation.welcome).await);
    assert_eq!(process.stored_keys(&path), 32);
    process.close().await;

    let process = Process::open(&path, &bob, &clock).await;
    let report = process.pool.refresh().await.unwrap();
    assert_eq!(
        (report.generated, report.deleted, report.lost, report.withdrawn),
        (0, 0, 0, 0)
    );
    assert_eq!(process.pool.get_available_count(SUITE).await.unwrap(), 31);
    let group = MlsGroup::load(process.provider.lock().storage(), invitation.group.group_id()).unwrap();
    assert!(group.is_some());
    process.close().await;
}
