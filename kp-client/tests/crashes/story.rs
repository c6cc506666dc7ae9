//! The story of a client: everything that a pool does, and what must hold wherever it breaks off.

use std::collections::BTreeSet;
use std::sync::Arc;

use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError, RefreshReport, Sizes};
use kp_core::KeyPackageRef;
use kp_core::Slot;
use kp_core::client::{KeyVault, Lifecycle, PoolMetadataStore as _};
use kp_core::server::KeyPackageStore as _;
use kp_openmls::OpenMlsAdmission;
use kp_server::KeyPackageDirectory;
use kp_test_support::messenger::faults::{Fuse, Fused};
use kp_test_support::messenger::{Alice, Bob, DAY, Invitation, SUITE, Vault, World, current};

const LOW: u32 = 2;
const CAP: u32 = 8;
pub(crate) const PLAN: CiphersuitePlan = CiphersuitePlan::pool(SUITE).one_time(Sizes::new(4, LOW, CAP));

pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) bob: Bob,
    alice: Alice,
    /// Made with the first package that was handed out.
    invitation: Option<Invitation>,
}

/// A whole round: while another process runs one, it is waited for.
async fn round<V: KeyVault>(pool: &KeyPackagePool<V>) -> Result<(), PoolError<V::Error>> {
    while pool.refresh().await?.other_round.is_some() {
        tokio::task::yield_now().await;
    }
    Ok(())
}

impl Story {
    pub(crate) fn new() -> Self {
        let world = World::new();
        // The marks of client and server fit, so that the client goes by its own.
        let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), OpenMlsAdmission::new());
        let directory = builder.clock(world.clock.clone()).low_below(LOW).build().unwrap();
        Self {
            world: World { directory, ..world },
            bob: Bob::new(),
            alice: Alice::new(),
            invitation: None,
        }
    }

    /// Everything that a pool does, until the fuse has burnt down.
    pub(crate) async fn live(&mut self, fuse: &Fuse) -> Result<(), Box<dyn std::error::Error>> {
        let pool = self.fused(fuse);
        round(&pool).await?;
        let package = self.world.claim(&self.bob).await;
        let invitation = self.invitation.insert(self.alice.invite(&package));
        for (welcome, genuine) in [(invitation.forged(), false), (invitation.welcome.clone(), true)] {
            let attempt = || match fuse.step(|| self.bob.attempt(&welcome)) {
                Ok(joined) => joined.map(drop).map_err(|refused| refused.to_string()),
                Err(died) => Err(died.to_string()),
            };
            let joined = pool.join(&invitation.refs, attempt).await?;
            fuse.alive()?;
            assert_eq!(joined.is_ok(), genuine);
        }
        pool.generate_and_update_pool(SUITE, 2).await?;

        // The last resort is rotated.
        self.world.clock.advance(28 * DAY);
        round(&pool).await?;
        self.bob.credentials.change("bob");
        round(&pool).await?;
        // The grace period of what was taken back is over; then all expires.
        self.world.clock.advance(28 * DAY);
        round(&pool).await?;
        self.world.clock.advance(84 * DAY);
        pool.cleanup_expired().await?;
        round(&pool).await?;
        Ok(())
    }

    /// A process that dies when the fuse has burnt down.
    pub(crate) fn fused(&self, fuse: &Fuse) -> KeyPackagePool<Fused<Vault>> {
        KeyPackagePool::builder(
            Fused(self.bob.vault(), fuse.clone()),
            Arc::new(Fused(self.bob.metadata.clone(), fuse.clone())),
            Arc::new(Fused(self.bob.transport(&self.world), fuse.clone())),
        )
        .clock(self.world.clock.clone())
        .ciphersuite(PLAN)
        .build()
        .unwrap()
    }

    pub(crate) fn reopened(&self) -> KeyPackagePool<Vault> {
        self.bob.builder(&self.world).ciphersuite(PLAN).build().unwrap()
    }

    /// Somebody adds Bob, whose pool was filled before.
    pub(crate) async fn invited(&self) -> Invitation {
        self.reopened().refresh().await.unwrap();
        self.alice.invite(&self.world.claim(&self.bob).await)
    }

    /// What holds at every moment, also while no process runs.
    pub(crate) async fn check_at_rest(&self) {
        let (world, bob) = (&self.world, &self.bob);
        // No key is without a row, and no copy without its key but of a join that died.
        for stored in bob.stored_keys() {
            let named = KeyPackageRef::try_from(&stored[stored.len() - 32..]).unwrap();
            let lifecycle = bob.lifecycle(&named).await;
            assert!(lifecycle.is_some(), "a key without a row");
            assert!(
                bob.has_key(&named) || matches!(lifecycle, Some(Lifecycle::Joining { .. })),
                "a copy alone"
            );
        }
        // Whatever the server hands out can be joined with.
        let available = world.available(bob).await;
        assert!(available.len() <= CAP as usize);
        let counts = world.store.count_by_status(&bob.pool_id, world.now()).await.unwrap();
        let slot = world.last_resort(bob).await.map(|(slot, _)| slot);
        let has_slot = counts.of(SUITE).last_resort != Slot::Empty;
        assert_eq!(slot.is_some(), has_slot, "a last resort without a row");
        for held in available.iter().chain(&slot) {
            assert!(bob.has_key(held), "the server hands out what has no key");
        }
        // What was handed out can be joined with, unless it was.
        if let Some(invitation) = &self.invitation
            && !bob.is_in(invitation.group.group_id())
            && let Some(row) = bob.metadata.get(&invitation.refs[0]).await.unwrap()
        {
            let stored = bob.stored_keys();
            let kept = stored
                .iter()
                .any(|stored| stored.ends_with(row.key_package_ref.as_bytes()));
            assert!(kept, "the key of a Welcome under way is lost");
        }
    }

    /// The one-time packages that are as good as new: they must not be lost, nor replaced by others.
    async fn usable(&self) -> BTreeSet<KeyPackageRef> {
        let invited = self.invitation.as_ref().map(|invitation| &invitation.refs[0]);
        let rows = self.bob.metadata.list().await.unwrap().into_iter();
        let usable = rows.filter(|row| {
            matches!(row.lifecycle, Lifecycle::Created | Lifecycle::Available)
                && !row.role.is_last_resort()
                && row.credential == current(&self.bob)
                && self.world.now() < row.not_after
                && self.bob.has_key(&row.key_package_ref)
                && Some(&row.key_package_ref) != invited
        });
        usable.map(|row| row.key_package_ref).collect()
    }

    /// Another process takes over, once the dead one's leases have ended: one refresh puts all right that serves others. A day
    /// later another one drops what a process that only stood still might have come back to, and the next has nothing to
    /// do.
    pub(crate) async fn check_recovery(&self) {
        self.check_at_rest().await;
        let (world, bob, pool) = (&self.world, &self.bob, self.reopened());
        world.clock.advance(120);
        let usable = self.usable().await;
        let report = pool.refresh().await.unwrap();
        let last_resort = 1;
        assert!(
            usable.len() < LOW as usize || report.generated <= last_resort,
            "made anew what was there"
        );
        self.check_at_rest().await;
        assert!(
            usable.is_subset(&world.available(bob).await),
            "a usable package was lost"
        );
        assert!(!pool.should_replenish().await.unwrap());
        let (_, used) = world.last_resort(bob).await.unwrap();
        assert!(!used);

        world.clock.advance(DAY);
        pool.refresh().await.unwrap();
        self.check_at_rest().await;
        assert!(bob.copies().iter().all(|copy| bob.has_key(copy)), "a copy alone");
        for row in bob.metadata.list().await.unwrap() {
            let on_server = row.lifecycle == Lifecycle::Available;
            assert!(
                !on_server || row.credential == current(bob),
                "a package of an old credential is handed out"
            );
            let is_spent = row.lifecycle == Lifecycle::Spent;
            assert_ne!(bob.has_key(&row.key_package_ref), is_spent, "a row without a key");
        }

        let mut report = pool.refresh().await.unwrap();
        assert!(report.next_at.take().is_some_and(|at| world.now() < at));
        assert_eq!(report, RefreshReport::default());

        if let Some(Invitation { welcome, refs, group }) = &self.invitation {
            let row = bob.metadata.get(&refs[0]).await.unwrap();
            if !bob.is_in(group.group_id()) && row.is_some() {
                pool.join(refs, || bob.attempt(welcome)).await.unwrap().unwrap();
                assert!(!bob.has_key(&refs[0]));
            }
        }
    }
}
