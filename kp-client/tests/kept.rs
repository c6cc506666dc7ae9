//! A key is thrown away early only if nobody can have its package: POOL-9, with real Welcomes.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError, RefreshReport};
use kp_core::client::{
    KeyPackageMetadata, KeyVault as _, Lifecycle, PoolMetadataStore as _, PoolMetadataStoreExt as _,
};
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Role};
use kp_openmls::OpenMlsAdmission;
use kp_server::{DirectoryBuilder, KeyPackageDirectory, Take};
use kp_test_support::messenger::{Alice, Bob, DAY, SUITE, World};

/// Why a server that lost its packages does not take them back.
#[derive(Debug, Clone, Copy)]
enum Strict {
    RestorePoint,
    Lifetime,
    Ciphersuite,
}

const ALL: [Strict; 3] = [Strict::RestorePoint, Strict::Lifetime, Strict::Ciphersuite];

impl Strict {
    /// The server starts again, without Bob's packages.
    async fn restarted(self, world: World, bob: &Bob) -> World {
        world.directory.delete_pool(&bob.pool_id).await.unwrap();
        let admission = match self {
            Self::RestorePoint => OpenMlsAdmission::new(),
            Self::Lifetime => OpenMlsAdmission::new().policy(|it| it.max_lifetime(Duration::from_secs(30 * DAY))),
            Self::Ciphersuite => OpenMlsAdmission::new().policy(|it| it.ciphersuites([Ciphersuite(0x0003)])),
        };
        let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), admission).clock(world.clock.clone());
        let restore = |builder: DirectoryBuilder| match self {
            Self::RestorePoint => builder.restore_point(world.now()),
            Self::Lifetime | Self::Ciphersuite => builder,
        };
        let directory = restore(builder).build().unwrap();
        World { directory, ..world }
    }
}

#[tokio::test]
async fn a_package_that_was_up_keeps_its_key_when_the_server_refuses_it() {
    for strict in ALL {
        let (world, bob) = (World::new(), Bob::new());
        bob.open(&world).refresh().await.unwrap();
        let package = world.claim(&bob).await;
        let (key_package_ref, invitation) = (&package.info.key_package_ref, Alice::new().invite(&package));

        let world = strict.restarted(world, &bob).await;
        let pool = bob.open(&world);
        let report = pool.refresh().await.unwrap();
        assert_eq!(report.superseded, 33, "{strict:?}");
        let delete_at = world.now().plus(28 * DAY);
        assert_eq!(
            bob.lifecycle(key_package_ref).await,
            Some(Lifecycle::Superseded { delete_at })
        );
        pool.refresh().await.unwrap();
        assert!(bob.has_key(key_package_ref), "{strict:?}");
        pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
            .await
            .unwrap()
            .unwrap();
        assert!(bob.is_in(invitation.group.group_id()));
        assert!(!bob.has_key(key_package_ref));
    }
}

/// The key stays for a grace period, and no longer: a refusal that comes again does not begin it anew.
#[tokio::test]
async fn a_package_that_was_up_and_is_refused_goes_after_the_grace_period() {
    let (world, bob) = (World::new(), Bob::new());
    bob.open(&world).refresh().await.unwrap();
    let old = bob.rows().await;
    let world = Strict::Ciphersuite.restarted(world, &bob).await;
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    world.clock.advance(28 * DAY - 1);
    pool.refresh().await.unwrap();
    assert!(old.iter().all(|old| bob.has_key(old)));
    world.clock.advance(1);
    pool.refresh().await.unwrap();
    assert!(!old.iter().any(|old| bob.has_key(old)));
}

/// A transport whose uploads arrive, and are answered so.
struct Answers {
    inner: Arc<dyn KeyPackageTransport>,
    answer: Option<UploadOutcome>,
}

#[async_trait]
impl KeyPackageTransport for Answers {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        self.inner.upload(packages).await?;
        let answer = self
            .answer
            .ok_or_else(|| TransportError::new("the connection was reset"))?;
        Ok(vec![answer; packages.len()])
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.inner.sync(mine).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.inner.withdraw(refs).await
    }
}

impl Answers {
    async fn refresh(answer: Option<UploadOutcome>, world: &World, bob: &Bob) -> Option<RefreshReport> {
        let inner = bob.transport(world);
        let transport = Arc::new(Self { inner, answer });
        let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), transport)
            .clock(world.clock.clone())
            .ciphersuite(CiphersuitePlan::pool(SUITE))
            .build()
            .unwrap();
        match pool.refresh().await {
            Ok(report) => Some(report),
            Err(PoolError::Transport(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// The answer to the only upload was lost, so that nobody knows whether the packages were up. They were.
#[tokio::test]
async fn a_package_that_may_have_been_up_keeps_its_key() {
    for strict in ALL {
        let (world, bob) = (World::new(), Bob::new());
        assert_eq!(Answers::refresh(None, &world, &bob).await, None);
        let package = world.claim(&bob).await;
        let invitation = Alice::new().invite(&package);
        let world = strict.restarted(world, &bob).await;
        let pool = bob.open(&world);
        assert_eq!(pool.refresh().await.unwrap().superseded, 33, "{strict:?}");
        pool.refresh().await.unwrap();
        pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
            .await
            .unwrap()
            .unwrap();
    }
}

/// Whatever the refusal is, and also an outcome that the client does not know.
#[tokio::test]
async fn any_refusal_leaves_the_key_of_what_was_up() {
    for outcome in [
        UploadOutcome::RefConflict,
        UploadOutcome::AlreadySpent,
        UploadOutcome::Unknown,
    ] {
        let (world, bob) = (World::new(), Bob::new());
        bob.open(&world).refresh().await.unwrap();
        let old = bob.rows().await;
        world.directory.delete_pool(&bob.pool_id).await.unwrap();
        Answers::refresh(Some(outcome), &world, &bob).await.unwrap();
        bob.open(&world).refresh().await.unwrap();
        assert!(old.iter().all(|old| bob.has_key(old)), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_was_never_up_is_thrown_away() {
    // Where the server says that there is a restore point, nothing is made that it would refuse.
    for strict in [Strict::Lifetime, Strict::Ciphersuite] {
        let (world, bob) = (World::new(), Bob::new());
        let world = strict.restarted(world, &bob).await;
        let pool = bob.open(&world);
        let report = pool.refresh().await.unwrap();
        assert_eq!((report.refused.len(), report.superseded), (33, 0), "{strict:?}");
        let refused = bob.rows().await;
        assert_eq!(pool.refresh().await.unwrap().deleted, 33);
        assert!(!refused.iter().any(|refused| bob.has_key(refused)));
    }
}

/// A process died before the upload, and then the credential changed.
#[tokio::test]
async fn what_was_never_offered_is_thrown_away() {
    let (world, bob) = (World::new(), Bob::new());
    let (info, fresh) = bob.vault().generate(SUITE, Role::OneTime, world.now()).unwrap();
    let row = KeyPackageMetadata::created(&info, world.now());
    bob.metadata.create_pool_metadata(&[row]).await.unwrap();
    bob.vault().keep(fresh).unwrap();
    bob.credentials.change("bob");
    let report = bob.open(&world).refresh().await.unwrap();
    assert_eq!((report.deleted, report.superseded), (1, 0));
    assert!(!bob.has_key(&info.key_package_ref));
    assert_eq!(bob.lifecycle(&info.key_package_ref).await, None);
}

/// The server said that the package is handed out, took it back, and lost it.
#[tokio::test]
async fn what_was_handed_out_never_goes_up_again() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let reserved = world.directory.reserve(&bob.pool_id, &Take::new()).await.unwrap();
    let key_package_ref = &reserved.package.info.key_package_ref;
    pool.refresh().await.unwrap();
    world.clock.advance(60);
    pool.refresh().await.unwrap();
    assert_eq!(bob.lifecycle(key_package_ref).await, Some(Lifecycle::Available));
    world.directory.delete_pool(&bob.pool_id).await.unwrap();
    for _ in 0..2 {
        pool.refresh().await.unwrap();
        assert_eq!(world.status(&bob, key_package_ref).await, None);
        assert_eq!(bob.lifecycle(key_package_ref).await, Some(Lifecycle::Reserved));
        assert!(bob.has_key(key_package_ref));
    }
}

/// As the answer says, an earlier upload had arrived, and somebody has the package, whose Welcome is under way. Of a last
/// resort it says that another one took the slot since.
#[tokio::test]
async fn what_was_spent_before_its_upload_was_answered_keeps_its_key() {
    let (world, bob) = (World::new(), Bob::new());
    let answer = Some(UploadOutcome::AlreadySpent);
    Answers::refresh(answer, &world, &bob).await.unwrap();
    let delete_at = world.now().plus(28 * DAY);
    let rows = bob.metadata.list().await.unwrap();
    assert_eq!(rows.len(), 33);
    for row in rows {
        let stands = match row.role {
            Role::OneTime => Lifecycle::Reserved,
            Role::LastResort => Lifecycle::Superseded { delete_at },
        };
        assert_eq!(row.lifecycle, stands);
        assert!(bob.has_key(&row.key_package_ref));
    }
}

/// What was not tried is no refusal: no making waits, and the same packages go up at the next refresh.
#[tokio::test]
async fn what_was_not_tried_goes_up_later() {
    let (world, bob) = (World::new(), Bob::new());
    let answer = Some(UploadOutcome::NotTried);
    let report = Answers::refresh(answer, &world, &bob).await.unwrap();
    assert_eq!((report.uploaded, report.making_waits_until), (0, None));
    let made = bob.rows().await;
    world.directory.delete_pool(&bob.pool_id).await.unwrap();
    bob.open(&world).refresh().await.unwrap();
    assert_eq!(bob.rows().await, made);
    assert_eq!(world.available(&bob).await.len(), 32);
}

/// A server that was restored from a backup retires what may have been handed out: it has no grace period to end.
#[tokio::test]
async fn what_the_server_retired_keeps_its_key_until_its_end() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let retired = world.available(&bob).await;
    world.directory.retire_unspent(world.now().plus(1)).await.unwrap();
    for _ in 0..2 {
        pool.refresh().await.unwrap();
        for retired in &retired {
            assert_eq!(bob.lifecycle(retired).await, Some(Lifecycle::Reserved));
            assert!(bob.has_key(retired));
        }
        world.clock.advance(29 * DAY);
    }
}

/// The upload was lost on its way, and the credential changed before the next.
#[tokio::test]
async fn what_has_an_old_credential_never_goes_up() {
    let (world, bob) = (World::new(), Bob::new());
    assert_eq!(Answers::refresh(None, &world, &bob).await, None);
    world.directory.delete_pool(&bob.pool_id).await.unwrap();
    let old = bob.rows().await;
    bob.credentials.change("bob");
    bob.open(&world).refresh().await.unwrap();
    assert_eq!(world.available(&bob).await.len(), 32);
    for old in &old {
        assert_eq!(world.status(&bob, old).await, None);
    }
}

/// A vault may make packages that last for years, and a server may take them.
#[tokio::test]
async fn a_key_is_kept_for_a_year_at_most() {
    let (world, bob) = (World::new(), Bob::new());
    let lenient = OpenMlsAdmission::new().policy(|it| it.max_lifetime(Duration::from_secs(600 * DAY)));
    let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), lenient);
    let directory = builder.clock(world.clock.clone()).build().unwrap();
    let world = World { directory, ..world };
    let vault = bob.vault().lifetime(Duration::from_secs(500 * DAY));
    let pool = KeyPackagePool::builder(vault, Arc::new(bob.metadata.clone()), bob.transport(&world))
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::pool(SUITE).last_resort(false))
        .build()
        .unwrap();
    pool.refresh().await.unwrap();
    let handed_out = world.claim(&bob).await.info.key_package_ref;
    world.clock.advance(365 * DAY - 1);
    pool.refresh().await.unwrap();
    assert!(bob.has_key(&handed_out));
    world.clock.advance(1);
    pool.refresh().await.unwrap();
    assert!(!bob.has_key(&handed_out), "nobody sends a Welcome so late");
}

/// POOL-11: the rows that say of a Welcome that its package was used are the newest thousand.
#[tokio::test]
async fn the_newest_rows_of_used_packages_are_kept() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let lifetime = Lifetime::new(world.now(), world.now().plus(84 * DAY)).unwrap();
    let named = |n: u32| KeyPackageRef::try_from(n.to_be_bytes().as_slice()).unwrap();
    let used = 0..1_010;
    let rows: Vec<_> = used
        .clone()
        .map(|n| {
            let info = KeyPackageInfo::new(named(n), SUITE, lifetime, CredentialHash([0; 32]));
            KeyPackageMetadata::created(&info, world.now())
        })
        .collect();
    for rows in rows.chunks(505) {
        bob.metadata.create_pool_metadata(rows).await.unwrap();
    }
    for n in used {
        // Neither in the order of the refs nor in its reverse.
        let at = world.now().plus(u64::from((n + 500) % 1_010));
        let spent = (named(n), Lifecycle::Spent);
        bob.metadata.update_pool_status(&[spent], at).await.unwrap();
    }
    world.clock.advance(2_000);
    pool.refresh().await.unwrap();
    let kept = bob.rows().await;
    let oldest = 510..520;
    for n in 0..1_010 {
        assert_eq!(kept.contains(&named(n)), !oldest.contains(&n), "{n}");
    }
}
