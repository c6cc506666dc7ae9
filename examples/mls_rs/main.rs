//! The story of the quickstart on AWS's mls-rs, with both halves of a pool: `MlsRsAdmission` on the server, `MlsRsVault` on the
//! client. Every line is checked; the exit code says whether all was as promised.
//!
//! `cargo run --example mls_rs`

mod messenger;
#[path = "../quickstart/story.rs"]
mod story;

use std::collections::HashSet;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use keypackage_pool::mls_rs::MlsRsAdmission;
use keypackage_pool::protocol::Health;
use keypackage_pool::server::{
    KeyPackageDirectory, KeyPackageStore, LastResort, Lease, Spend, Take, TakeOptions, Upload, Uploader,
};
use keypackage_pool::sqlite::SqliteStore;
use keypackage_pool::{Clock as _, GroupId, KeyPackage, ManualClock, Party, PoolId, Rejection, ReservationId};
use messenger::{Messenger, SUITE, messenger};
use mls_rs::client_builder::MlsConfig;
use story::{chapter, promise, refused};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match story().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n  ✗ {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "mls-rs judges lifetimes by the system's clock")]
async fn story() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("keypackages.db");
    println!("A KeyPackage pool on mls-rs in {}", path.display());
    let store = Arc::new(SqliteStore::open(&path).await?);
    // The clock stands still unless it is set, so that nobody has to wait for a lease to lapse.
    let clock = ManualClock::at(SystemTime::now().into());
    let server = Server::over(store.clone(), clock.clone())?;
    let mut bob = messenger("bob", &server.directory, clock.clone())?;
    let mut alice = messenger("alice", &server.directory, clock.clone())?;
    alice.create_group()?;

    server.bob_publishes(&bob).await?;
    let spent = server.alice_adds_bob(&mut alice, &mut bob).await?;
    server.alice_adds_carol(&mut alice, &mut bob).await?;
    server.leases_are_fenced(&bob.pool_id, &spent).await?;
    server.hostile_uploads_are_refused(&bob, &alice).await?;
    server.the_pool_is_drained_and_filled(&bob).await?;

    chapter("The server restarts");
    let before = server.directory.status(&bob.pool_id).await?;
    let pool_id = bob.pool_id.clone();
    // Their transports hold the directory.
    drop((alice, bob, server));
    Arc::into_inner(store).ok_or("the store is still held")?.close().await?;
    let store = Arc::new(SqliteStore::open(&path).await?);
    let server = Server::over(store.clone(), clock)?;
    let after = server.directory.status(&pool_id).await?;
    let counts: u32 = after.ciphersuites.values().map(|suite| suite.counts.total()).sum();
    promise("what was stored is there", after == before, format!("{counts} records"))?;
    let again = server.spend(&spent, "a group").await;
    refused("what was spent stays spent", again, Rejection::AlreadySpent)?;
    drop(server);
    Arc::into_inner(store).ok_or("the store is still held")?.close().await?;
    println!("\nAll as promised.");
    Ok(())
}

/// A delivery service.
struct Server {
    directory: KeyPackageDirectory,
    clock: ManualClock,
}

impl Server {
    fn over(store: Arc<dyn KeyPackageStore>, clock: ManualClock) -> Result<Self> {
        let directory = KeyPackageDirectory::builder(store, MlsRsAdmission::new())
            .clock(clock.clone())
            .build()?;
        Ok(Self { directory, clock })
    }

    async fn reserve(&self, pool: &PoolId, by: &str) -> Result<(KeyPackage, Lease)> {
        let options = TakeOptions::new()
            .by(Party::try_from(by)?)
            .ciphersuites([SUITE])
            .last_resort(LastResort::Never);
        let reservation = self.directory.reserve(pool, &Take::from(options)).await?;
        let lease = reservation.lease.ok_or("a one-time package has a lease")?;
        Ok((reservation.package, lease))
    }

    async fn spend(&self, lease: &Lease, group: &str) -> keypackage_pool::Result<()> {
        let mut spend = Spend::new();
        spend.group = GroupId::try_from(group).ok();
        self.directory.spend_one(lease, &spend).await.map(drop)
    }

    async fn bob_publishes<C: MlsConfig>(&self, bob: &Messenger<C>) -> Result<()> {
        chapter("Bob's pool is filled");
        let report = bob.pool.refresh().await?;
        let kept = report.uploaded == 33;
        promise("32 KeyPackages and a last resort are published", kept, report.uploaded)?;
        let keys = bob.storage.key_packages().len();
        promise("their private keys are in mls-rs's own storage", keys == 33, keys)?;
        let health = self.directory.status(&bob.pool_id).await?.health();
        promise("the pool is well", health == Health::Good, format!("{health:?}"))?;
        Ok(())
    }

    async fn alice_adds_bob<A: MlsConfig, B: MlsConfig>(
        &self,
        alice: &mut Messenger<A>,
        bob: &mut Messenger<B>,
    ) -> Result<Lease> {
        chapter("Alice adds Bob");
        let (package, lease) = self.reserve(&bob.pool_id, "alice").await?;
        let seen = format!("for {} s", lease.expires_at.get() - self.clock.now().get());
        promise("one KeyPackage is reserved", !package.info.role.is_last_resort(), seen)?;
        let invitation = alice.invite(&package)?;
        let seen = format!("{} bytes", invitation.welcome.len());
        promise("Alice makes a Commit and a Welcome", true, seen)?;

        // SPEND-1: first the receipt, then the delivery.
        self.spend(&lease, "alice and bob").await?;
        promise("the server spends the reservation", true, "and only now delivers")?;
        alice.confirm()?;

        let mut forged = invitation.welcome.clone();
        if let Some(byte) = forged.last_mut() {
            *byte ^= 1;
        }
        let failed = bob.join(&forged).await.is_err();
        promise(
            "a forged Welcome comes first, and costs no key",
            failed,
            "does not decrypt",
        )?;
        bob.join(&invitation.welcome).await?;
        let heard = bob.hear(&alice.say("Hello Bob")?)?;
        promise("Bob joins, and reads", heard == "Hello Bob", format!("\"{heard}\""))?;
        let heard = alice.hear(&bob.say("Hello Alice")?)?;
        promise("Alice reads", heard == "Hello Alice", format!("\"{heard}\""))?;
        let keys = bob.storage.key_packages().len();
        promise("the key is gone", keys == 32, format!("{keys} are left"))?;
        Ok(lease)
    }

    async fn alice_adds_carol<A: MlsConfig, B: MlsConfig>(
        &self,
        alice: &mut Messenger<A>,
        bob: &mut Messenger<B>,
    ) -> Result<()> {
        chapter("Alice adds Carol, with a plain claim");
        let mut carol = messenger("carol", &self.directory, self.clock.clone())?;
        carol.pool.refresh().await?;
        let take = Take::new().id(ReservationId::from_bytes(*b"alice's request!"));
        let package = self.directory.claim(&carol.pool_id, &take).await?;
        let again = self.directory.claim(&carol.pool_id, &take).await?;
        promise(
            "the same claim again gets the same package",
            package == again,
            "the retry key",
        )?;
        let invitation = alice.invite(&package)?;
        bob.hear(&invitation.commit)?;
        alice.confirm()?;
        carol.join(&invitation.welcome).await?;
        let message = alice.say("Hello both")?;
        let (to_bob, to_carol) = (bob.hear(&message)?, carol.hear(&message)?);
        let kept = to_bob == "Hello both" && to_carol == to_bob;
        promise("Bob and Carol read", kept, format!("\"{to_carol}\""))?;
        Ok(())
    }

    async fn leases_are_fenced(&self, bob: &PoolId, spent: &Lease) -> Result<()> {
        chapter("Reservations are fenced");
        let again = self.spend(spent, "another group").await;
        refused("a second spend is refused", again, Rejection::AlreadySpent)?;
        self.spend(spent, "alice and bob").await?;
        promise("the same spend again gets its receipt", true, "a retry")?;

        let (first, stale) = self.reserve(bob, "mallory").await?;
        self.clock.advance(60);
        let (second, fresh) = self.reserve(bob, "dave").await?;
        promise(
            "a lease lapses: the package goes to the next",
            first == second,
            "after 60 s",
        )?;
        let late = self.spend(&stale, "too late").await;
        refused("who held it before is fenced off", late, Rejection::NoLiveReservation)?;
        self.spend(&fresh, "in time").await?;
        promise("who holds it spends it", true, "once")?;
        Ok(())
    }

    async fn hostile_uploads_are_refused<B: MlsConfig, A: MlsConfig>(
        &self,
        bob: &Messenger<B>,
        alice: &Messenger<A>,
    ) -> Result<()> {
        chapter("Uploads are judged");
        let now = self.clock.now().get();
        let year = 365 * 86_400;
        let mut forged = bob.key_package(now)?;
        if let Some(byte) = forged.last_mut() {
            *byte ^= 1;
        }
        let cases = [
            ("a forged KeyPackage", forged, "bad_signature"),
            ("an expired one", bob.key_package(now - year - 1)?, "expired"),
            ("one of tomorrow", bob.key_package(now + 86_400)?, "not_yet_valid"),
            ("one of somebody else", alice.key_package(now)?, "credential_mismatch"),
            ("noise", b"no KeyPackage at all".to_vec(), "malformed"),
        ];
        for (what, package, code) in cases {
            let upload = Upload::new(bob.pool_id.clone(), Uploader::identity("bob"), vec![package]);
            let outcomes = self.directory.upload(upload).await?;
            let seen = outcomes.first().ok_or("an outcome for each")?.code();
            promise(&format!("{what} is refused"), seen == code, seen)?;
        }
        Ok(())
    }

    async fn the_pool_is_drained_and_filled<C: MlsConfig>(&self, bob: &Messenger<C>) -> Result<()> {
        chapter("The pool is drained, and filled again");
        let never = Take::from(TakeOptions::new().last_resort(LastResort::Never));
        let mut claimed = HashSet::new();
        let exhausted = loop {
            match self.directory.claim(&bob.pool_id, &never).await {
                Ok(package) => claimed.insert(package.info.key_package_ref),
                Err(error) => break error,
            };
        };
        // Of 32, Alice and Dave had one each.
        promise(
            "all others are handed out, each once",
            claimed.len() == 30,
            claimed.len(),
        )?;
        refused::<()>("then the pool is exhausted", Err(exhausted), Rejection::PoolExhausted)?;
        let shared = self.directory.claim(&bob.pool_id, &Take::new()).await?;
        let is_shared = shared.info.role.is_last_resort();
        promise("the last resort is handed out", is_shared, "marked as such")?;

        let report = bob.pool.refresh().await?;
        promise(
            "Bob's pool fills up",
            report.uploaded > 0,
            format!("{} published", report.uploaded),
        )?;
        self.clock.advance(86_400);
        bob.pool.refresh().await?;
        let health = self.directory.status(&bob.pool_id).await?.health();
        let replaced = health == Health::Good;
        promise("a day later, a new last resort", replaced, format!("{health:?}"))?;
        Ok(())
    }
}
