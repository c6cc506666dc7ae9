//! A year of twenty clients and a server, by manual clocks: what a client makes, keeps, uploads and loses is bounded, however
//! it is used, and in the end nothing is left of it (POOL-1, POOL-4, POOL-5, POOL-9 to POOL-11). The test prints its table.
//!
//! No cryptography: the vault is a plain one, since all that counts here is how many there are. `KP_YEAR_DAYS` says how
//! many days are lived; a year is 365, and the default is less than that. All is drawn from fixed seeds.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod client;
mod device;
mod plain;
mod tally;
mod transport;

use std::sync::Arc;

use kp_core::{Clock as _, ManualClock, Timestamp};
use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;

use client::{Client, Use};
use plain::{HOUR, PlainAdmission};

/// A few of the lifetimes that a short year has.
const DAYS: u64 = 40;

/// What takes turns at one server. The drained ones take the most time by far.
const CLIENTS: [&[(Use, u64)]; 2] = [
    &[(Use::Drained, 1), (Use::LastResortOnly, 1)],
    &[
        (Use::Evenly, 3),
        (Use::Asking, 1),
        (Use::Hoarding, 1),
        (Use::InBursts, 3),
        (Use::Restored, 3),
        (Use::Twins, 2),
        (Use::Restarted, 4),
        (Use::LastResortOnly, 1),
    ],
];

/// How long a year is, and all that has to do with it. In days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) days: u64,
    pub(crate) lifetime: u64,
}

impl Scale {
    fn from_env() -> Self {
        let days = std::env::var("KP_YEAR_DAYS").map_or(DAYS, |days| days.parse().unwrap());
        // OpenMLS's, in a whole year.
        let lifetime = if days < 365 { 12 } else { 84 };
        Self { days, lifetime }
    }

    /// After so long a last resort is rotated, and for so long the key of one that was is kept.
    pub(crate) const fn grace(self) -> u64 {
        self.lifetime / 3
    }
}

pub(crate) struct World {
    pub(crate) scale: Scale,
    pub(crate) clock: ManualClock,
    pub(crate) store: MemoryStore,
    pub(crate) directory: KeyPackageDirectory,
}

impl World {
    fn new(scale: Scale) -> Self {
        let clock = ManualClock::at(Timestamp::try_from(1_700_000_000).unwrap());
        let store = MemoryStore::new();
        let directory = KeyPackageDirectory::builder(Arc::new(store.clone()), PlainAdmission);
        Self {
            scale,
            directory: directory.clock(clock.clone()).build().unwrap(),
            clock,
            store,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Six hours go by.
    async fn pass(&self) {
        self.clock.advance(6 * HOUR);
        self.directory.sweep().await.unwrap();
    }
}

async fn live(clients: &[(Use, u64)]) {
    let world = World::new(Scale::from_env());
    let kinds = clients
        .iter()
        .flat_map(|(used, count)| (0..*count).map(|number| (*used, number)));
    let mut clients: Vec<_> = kinds
        .map(|(used, number)| Client::new(used, number, world.scale))
        .collect();
    for day in 0..world.scale.days {
        for quarter in 0..4 {
            for client in &mut clients {
                client.live(&world, day, quarter).await;
            }
            world.pass().await;
        }
    }
    tally::print(world.scale, &clients);
    for client in &clients {
        client.check_bounds(&world);
    }
    // Nobody adds them any more.
    for day in 0..world.scale.lifetime + 4 {
        for _ in 0..4 {
            for client in &mut clients {
                client.rest(&world).await;
            }
            world.pass().await;
        }
        for client in &clients {
            if day == 3 {
                client.is_well(&world).await;
            }
        }
    }
    for client in &clients {
        client.is_well(&world).await;
        client.has_left_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_year_of_clients_that_are_drained_is_bounded() {
    live(CLIENTS[0]).await;
}

#[tokio::test]
async fn a_year_of_all_other_clients_is_bounded() {
    live(CLIENTS[1]).await;
}
