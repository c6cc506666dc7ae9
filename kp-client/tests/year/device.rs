//! A device of a client: its storage, and its processes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError};
use kp_core::client::{KeyPackageMetadata, MetadataChanges, PoolMetadataStore as _, PoolRecord};
use kp_core::server::Uploader;
use kp_core::{KeyPackageRef, PoolId};
use kp_memory::MemoryMetadata;
use kp_test_support::messenger::faults::{Died, Fuse, Fused};

use crate::plain::{DAY, PlainVault, Refused, Stored};
use crate::transport::{Network, Sent};
use crate::{Scale, World};

pub(crate) type Pool = KeyPackagePool<Fused<PlainVault>>;

pub(crate) struct Device {
    pub(crate) vault: PlainVault,
    pub(crate) sent: Arc<Mutex<Sent>>,
    metadata: MemoryMetadata,
}

/// What of a device lies in a backup.
pub(crate) struct Backup {
    pub(crate) stored: Stored,
    rows: Vec<KeyPackageMetadata>,
    record: PoolRecord,
}

/// How a Welcome went.
pub(crate) enum Joined {
    Yes,
    /// It did not decrypt, or the process died: it comes again.
    Later,
    /// There is no key.
    No,
}

impl Device {
    pub(crate) fn new(scale: Scale) -> Self {
        Self {
            vault: PlainVault::new(scale.lifetime),
            sent: Arc::default(),
            metadata: MemoryMetadata::new(),
        }
    }

    /// A process, which dies when its fuse has burnt down. `lost`: of a hundred requests, and of as many replies.
    pub(crate) fn open(
        &self,
        world: &World,
        pool_id: &PoolId,
        plan: CiphersuitePlan,
        fuse: &Fuse,
        (lost, seed): (u32, u64),
    ) -> Pool {
        let server = Arc::new(world.directory.transport(pool_id.clone(), Uploader::unchecked()));
        let network = Network::new(server, Arc::clone(&self.sent), lost, seed);
        let grace = Duration::from_secs(world.scale.grace() * DAY);
        KeyPackagePool::builder(
            Fused(self.vault.clone(), fuse.clone()),
            Fused(self.metadata.clone(), fuse.clone()),
            network,
        )
        .clock(world.clock.clone())
        .ciphersuite(plan)
        .rotate_last_resort(grace)
        .keep_old(grace)
        .build()
        .unwrap()
    }

    pub(crate) async fn rows(&self) -> Vec<KeyPackageMetadata> {
        self.metadata.list().await.unwrap()
    }

    pub(crate) async fn back_up(&self) -> Backup {
        let stored = self.vault.stored().clone();
        Backup {
            stored,
            rows: self.rows().await,
            record: self.metadata.record().await.unwrap(),
        }
    }

    pub(crate) async fn restore(&mut self, Backup { stored, rows, record }: Backup) {
        self.vault.put_back(stored);
        self.metadata = MemoryMetadata::new();
        let restored = MetadataChanges::new().create(rows).record(record);
        self.metadata.apply(&restored).await.unwrap();
    }

    /// Processes a Welcome. The vault knows whether an attempt succeeded of which the process could not tell.
    pub(crate) async fn join(&self, pool: &Pool, fuse: &Fuse, named: &KeyPackageRef, decrypts: bool) -> Joined {
        let attempt = || match fuse.step(|| self.vault.welcome(named, decrypts)) {
            Ok(joined) => joined,
            Err(Died) => Err(Refused::Died),
        };
        match pool.join(std::slice::from_ref(named), attempt).await {
            Ok(Ok(())) => Joined::Yes,
            Ok(Err(Refused::NoKey)) => panic!("an attempt without a key"),
            Ok(Err(Refused::Forged | Refused::Died)) => Joined::Later,
            Err(_) if fuse.alive().is_err() => Joined::Later,
            Err(PoolError::AlreadyUsed { .. } | PoolError::KeyGone) if self.vault.has_joined(named) => Joined::Yes,
            Err(PoolError::UnknownPackage | PoolError::AlreadyUsed { .. } | PoolError::KeyGone) => Joined::No,
            Err(error) => panic!("{error:?}"),
        }
    }
}
