//! One KeyPackage pool, end to end, on real MLS: Bob publishes, Alice adds him and Carol, and then everything that goes
//! wrong in production goes wrong here. Every line is checked; the exit code says whether all was as promised.
//!
//! `cargo run --example quickstart`

mod messenger;
mod story;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::protocol::{Health, UploadOutcome};
use keypackage_pool::server::TakeOptions;
use keypackage_pool::server::{KeyPackageDirectory, Take, Upload};
use keypackage_pool::server::{KeyPackageStore, LastResort, Lease, Reservation, Spend, Uploader};
use keypackage_pool::sqlite::SqliteStore;
use keypackage_pool::{Clock as _, ManualClock};
use keypackage_pool::{GroupId, KeyPackage, Party, PoolId, Rejection, ReservationId};
use messenger::Messenger;
use story::{chapter, promise, refused};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match quickstart().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n  ✗ {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "OpenMLS judges lifetimes by the system's clock"
)]
async fn quickstart() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("keypackages.db");
    println!("A KeyPackage pool in {}", path.display());
    let store = Arc::new(SqliteStore::open(&path).await?);
    // The clock stands still unless it is set, so that nobody has to wait for a lease to lapse.
    let clock = ManualClock::at(SystemTime::now().into());
    let server = Server::over(store.clone(), clock.clone())?;

    let bob = server.bob_publishes().await?;
    let mut alice = Messenger::new("alice")?;
    alice.create_group()?;
    let (mut bob, spent) = server.alice_adds_bob(&mut alice, bob).await?;
    server.alice_adds_carol(&mut alice, &mut bob).await?;
    server.leases_are_fenced(&spent).await?;
    server.hostile_uploads_are_refused(&bob).await?;
    server.the_pool_is_drained().await?;
    let before = server.directory.status(&server.bob).await?;

    chapter("The server restarts");
    drop(server);
    Arc::into_inner(store).ok_or("the store is still held")?.close().await?;
    let store = Arc::new(SqliteStore::open(&path).await?);
    let server = Server::over(store.clone(), clock)?;
    let after = server.directory.status(&server.bob).await?;
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
    /// Bob's phone, as this server names it.
    bob: PoolId,
}

impl Server {
    fn over(store: Arc<dyn KeyPackageStore>, clock: ManualClock) -> Result<Self> {
        let directory = KeyPackageDirectory::builder(store, OpenMlsAdmission::new())
            .clock(clock.clone())
            .lease_ttl(Duration::from_secs(60))
            .build()?;
        Ok(Self {
            directory,
            clock,
            bob: PoolId::try_from("bob/phone")?,
        })
    }

    async fn upload(&self, packages: Vec<Vec<u8>>) -> Result<Vec<UploadOutcome>> {
        let upload = Upload::new(self.bob.clone(), Uploader::identity("bob"), packages);
        Ok(self.directory.upload(upload).await?)
    }

    async fn reserve(&self, by: &str) -> Result<(KeyPackage, Lease)> {
        let take = Take::from(
            TakeOptions::new()
                .by(Party::try_from(by)?)
                .last_resort(LastResort::Never),
        );
        let Reservation { package, lease, .. } = self.directory.reserve(&self.bob, &take).await?;
        Ok((package, lease.ok_or("a one-time package has a lease")?))
    }

    async fn spend(&self, lease: &Lease, group: &str) -> keypackage_pool::Result<()> {
        let mut spend = Spend::new();
        spend.group = GroupId::try_from(group).ok();
        self.directory.spend_one(lease, &spend).await.map(drop)
    }

    async fn bob_publishes(&self) -> Result<Messenger> {
        chapter("Bob publishes");
        let bob = Messenger::new("bob")?;
        let mut packages = bob.key_packages(32)?;
        packages.push(bob.last_resort()?);
        let size = packages.iter().map(Vec::len).sum::<usize>();
        let outcomes = self.upload(packages.clone()).await?;
        let held = outcomes.iter().filter(|outcome| outcome.is_held()).count();
        let seen = format!("{held} saved, {size} bytes");
        promise("32 KeyPackages and a last resort are taken", held == 33, seen)?;

        let again = self.upload(packages).await?;
        let stored = again.iter().all(|outcome| outcome.code() == "already_stored");
        promise(
            "the reply was lost: uploaded again, stored once",
            stored,
            "already_stored",
        )?;
        let health = self.directory.status(&self.bob).await?.health();
        promise("the pool is well", health == Health::Good, format!("{health:?}"))?;
        Ok(bob)
    }

    async fn alice_adds_bob(&self, alice: &mut Messenger, mut bob: Messenger) -> Result<(Messenger, Lease)> {
        chapter("Alice adds Bob");
        let (package, lease) = self.reserve("alice").await?;
        let seen = format!("for {} s", lease.expires_at.get() - self.clock.now().get());
        promise("one KeyPackage is reserved", !package.info.role.is_last_resort(), seen)?;
        let invitation = alice.invite(package.bytes.as_ref())?;
        let seen = format!("{} and {} bytes", invitation.commit.len(), invitation.welcome.len());
        promise("Alice makes a Commit and a Welcome", true, seen)?;

        // SPEND-1: first the receipt, then the delivery.
        self.spend(&lease, "alice and bob").await?;
        promise("the server spends the reservation", true, "and only now delivers")?;
        alice.confirm()?;
        bob.join(&invitation.welcome)?;
        let heard = bob.hear(&alice.say("Hello Bob")?)?;
        promise("Bob joins, and reads", heard == "Hello Bob", format!("\"{heard}\""))?;
        let heard = alice.hear(&bob.say("Hello Alice")?)?;
        promise("Alice reads", heard == "Hello Alice", format!("\"{heard}\""))?;
        Ok((bob, lease))
    }

    async fn alice_adds_carol(&self, alice: &mut Messenger, bob: &mut Messenger) -> Result<()> {
        chapter("Alice adds Carol, with a plain claim");
        let (mut carol, pool) = (Messenger::new("carol")?, PoolId::try_from("carol/laptop")?);
        let upload = Upload::new(pool.clone(), Uploader::identity("carol"), carol.key_packages(2)?);
        let outcomes = self.directory.upload(upload).await?;
        promise("Carol publishes", outcomes.iter().all(|v| v.is_held()), "2 saved")?;

        let take = Take::new().id(ReservationId::from_bytes(*b"alice's request!"));
        let package = self.directory.claim(&pool, &take).await?;
        let again = self.directory.claim(&pool, &take).await?;
        promise(
            "the same claim again gets the same package",
            package == again,
            "the retry key",
        )?;
        let invitation = alice.invite(package.bytes.as_ref())?;
        bob.hear(&invitation.commit)?;
        alice.confirm()?;
        carol.join(&invitation.welcome)?;
        let message = alice.say("Hello both")?;
        let (to_bob, to_carol) = (bob.hear(&message)?, carol.hear(&message)?);
        let kept = to_bob == "Hello both" && to_carol == to_bob;
        promise("Bob and Carol read", kept, format!("\"{to_carol}\""))?;
        Ok(())
    }

    async fn leases_are_fenced(&self, spent: &Lease) -> Result<()> {
        chapter("Reservations are fenced");
        let again = self.spend(spent, "another group").await;
        refused("a second spend is refused", again, Rejection::AlreadySpent)?;
        self.spend(spent, "alice and bob").await?;
        promise("the same spend again gets its receipt", true, "a retry")?;

        let (first, stale) = self.reserve("mallory").await?;
        self.clock.advance(60);
        let (second, fresh) = self.reserve("dave").await?;
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

    async fn hostile_uploads_are_refused(&self, bob: &Messenger) -> Result<()> {
        chapter("Uploads are judged");
        let now = self.clock.now().get();
        let (day, year) = (86_400, 365 * 86_400);
        let mut forged = bob.valid(now, now + day)?;
        if let Some(byte) = forged.last_mut() {
            *byte ^= 1;
        }
        let cases = [
            ("a forged KeyPackage", forged, "bad_signature"),
            ("an expired one", bob.valid(now - 2 * day, now - day)?, "expired"),
            (
                "one that lives ten years",
                bob.valid(now, now + 10 * year)?,
                "lifetime_too_wide",
            ),
            (
                "one of somebody else",
                Messenger::new("mallory")?.valid(now, now + day)?,
                "credential_mismatch",
            ),
            ("noise", b"no KeyPackage at all".to_vec(), "malformed"),
        ];
        for (what, package, code) in cases {
            let outcomes = self.upload(vec![package]).await?;
            let seen = outcomes.first().ok_or("a outcome for each")?.code();
            promise(&format!("{what} is refused"), seen == code, seen)?;
        }
        Ok(())
    }

    async fn the_pool_is_drained(&self) -> Result<()> {
        chapter("The pool is drained");
        let never = Take::from(TakeOptions::new().last_resort(LastResort::Never));
        let mut claimed = std::collections::HashSet::new();
        let exhausted = loop {
            match self.directory.claim(&self.bob, &never).await {
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
        let health = self.directory.status(&self.bob).await?.health();
        promise("its owner is told", health == Health::Exhausted, format!("{health:?}"))?;

        let first = self.directory.claim(&self.bob, &Take::new()).await?;
        let second = self.directory.claim(&self.bob, &Take::new()).await?;
        let shared = first.info.role.is_last_resort() && first == second;
        promise(
            "the last resort is handed out, again and again",
            shared,
            "marked as such",
        )?;
        let health = self.directory.status(&self.bob).await?.health();
        promise(
            "its owner is told",
            health == Health::LastResortUsed,
            format!("{health:?}"),
        )?;
        Ok(())
    }
}
