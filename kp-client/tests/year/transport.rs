//! A network that counts, and loses some of what it is given, before or after the server did it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{KeyPackageBytes, KeyPackageRef};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::plain::read;

/// What went to the server.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) calls: u32,
    /// How many packages uploads named, each time that they did.
    pub(crate) named: u32,
    /// How many uploads named something, and were lost on the way there or back.
    pub(crate) lost_uploads: u32,
    pub(crate) distinct: BTreeSet<KeyPackageRef>,
}

pub(crate) struct Network {
    pub(crate) server: Arc<dyn KeyPackageTransport>,
    pub(crate) sent: Arc<Mutex<Sent>>,
    /// Out of a hundred calls, so many are lost, and as many replies.
    pub(crate) lost: u32,
    random: Mutex<StdRng>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Request,
    Reply,
    None,
}

impl Network {
    pub(crate) fn new(server: Arc<dyn KeyPackageTransport>, sent: Arc<Mutex<Sent>>, lost: u32, seed: u64) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Self {
            server,
            sent,
            lost,
            random,
        }
    }

    fn draw(&self) -> Luck {
        self.sent.lock().unwrap().calls += 1;
        match self.random.lock().unwrap().random_range(0..100) {
            at if at < self.lost => Luck::Request,
            at if at < 2 * self.lost => Luck::Reply,
            _ => Luck::None,
        }
    }

    async fn carry<T>(
        luck: Luck,
        call: impl Future<Output = Result<T, TransportError>> + Send,
    ) -> Result<T, TransportError> {
        match luck {
            Luck::Request => Err(TransportError::new("the request was lost")),
            Luck::Reply => call.await.and(Err(TransportError::new("the reply was lost"))),
            Luck::None => call.await,
        }
    }
}

#[async_trait]
impl KeyPackageTransport for Network {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let luck = self.draw();
        {
            let mut sent = self.sent.lock().unwrap();
            let refs = packages
                .iter()
                .map(|bytes| read(bytes.as_ref()).unwrap().key_package_ref);
            sent.distinct.extend(refs);
            sent.named += u32::try_from(packages.len()).unwrap();
            sent.lost_uploads += u32::from(luck != Luck::None);
        }
        Self::carry(luck, self.server.upload(packages)).await
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        Self::carry(self.draw(), self.server.sync(mine)).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        Self::carry(self.draw(), self.server.withdraw(refs)).await
    }
}
