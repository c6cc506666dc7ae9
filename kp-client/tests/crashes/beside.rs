//! A second process of the client, which lives beside the one that dies.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use kp_client::{KeyPackagePool, PoolError, RefreshReport};
use kp_core::{ManualClock, PoolId};
use kp_server::{KeyPackageDirectory, Take};
use kp_test_support::messenger::faults::{Died, Fuse, Fused};
use kp_test_support::messenger::{Alice, Bob, Invitation, Vault};

use crate::story::{PLAN, Story};

pub(crate) struct Beside {
    pool: KeyPackagePool<Fused<Vault>>,
    bob: Bob,
    pool_id: PoolId,
    directory: KeyPackageDirectory,
    clock: ManualClock,
    alice: Alice,
    /// A Welcome of its own, while it has not joined with it.
    under_way: Option<Invitation>,
    joined: Option<Invitation>,
}

impl Beside {
    pub(crate) fn new(Story { world, bob, .. }: &Story) -> Self {
        // It lets the other one come first between any two of its steps.
        let fuse = Fuse::new(None);
        let pool = KeyPackagePool::builder(
            Fused(bob.vault(), fuse.clone()),
            Arc::new(Fused(bob.metadata.clone(), fuse.clone())),
            Arc::new(Fused(bob.transport(world), fuse)),
        )
        .clock(world.clock.clone())
        .ciphersuite(PLAN)
        // The clock stands still while it waits, and a lease that it waits for does not end.
        .timeout(Duration::from_millis(20))
        .build()
        .unwrap();
        Self {
            pool,
            bob: bob.clone(),
            pool_id: bob.pool_id.clone(),
            directory: world.directory.clone(),
            clock: world.clock.clone(),
            alice: Alice::new(),
            under_way: None,
            joined: None,
        }
    }

    /// Refreshes and joins until the other one has ended.
    pub(crate) async fn live(&mut self, ended: &Cell<bool>) {
        while !ended.get() {
            self.refresh().await;
            self.join().await;
            tokio::task::yield_now().await;
        }
    }

    /// `None`: another process is at the storage.
    async fn refresh(&self) -> Option<RefreshReport> {
        match self.pool.refresh().await {
            Ok(report) => Some(report),
            Err(PoolError::Busy) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Somebody adds Bob once, and this process gets the Welcome: first one that does not decrypt.
    async fn join(&mut self) {
        if self.joined.is_some() {
            return;
        }
        if self.under_way.is_none() {
            let Ok(package) = self.directory.claim(&self.pool_id, &Take::new()).await else {
                return;
            };
            self.under_way = Some(self.alice.invite(&package));
        }
        let Some(invitation) = self.under_way.take() else {
            return;
        };
        let joined = match self.attempt(&invitation, &invitation.forged()).await {
            None => false,
            Some(true) => panic!("a forged Welcome was joined with"),
            Some(false) => match self.attempt(&invitation, &invitation.welcome).await {
                Some(false) => panic!("a genuine Welcome was not joined with"),
                joined => joined.is_some(),
            },
        };
        let place = if joined { &mut self.joined } else { &mut self.under_way };
        *place = Some(invitation);
    }

    /// `None`: another process is at the storage.
    async fn attempt(&self, invitation: &Invitation, welcome: &[u8]) -> Option<bool> {
        match self.pool.join(&invitation.refs, || self.bob.attempt(welcome)).await {
            Ok(attempt) => Some(attempt.is_ok()),
            Err(PoolError::<Died>::Busy) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The other one is gone: as soon as its leases have ended, this one does all that is due.
    pub(crate) async fn outlives(&mut self, story: &Story) {
        for _ in 0..40 {
            let whole = self.refresh().await.is_some_and(|report| report.other_round.is_none());
            story.check_at_rest().await;
            self.join().await;
            if whole && self.joined.is_some() {
                break;
            }
            self.clock.advance(5);
        }
        let invitation = self.joined.as_ref().unwrap();
        assert!(self.bob.is_in(invitation.group.group_id()));
        assert!(!self.bob.has_key(&invitation.refs[0]));
        story.check_at_rest().await;
    }
}
