//! One client of the year: how it is used, and what it meets with.

use std::collections::BTreeSet;

use kp_client::{CiphersuitePlan, PoolError, RefreshReport};
use kp_core::protocol::Health;
use kp_core::server::TakeOptions;
use kp_core::{KeyPackageRef, PoolId, Slot, Timestamp};
use kp_server::Take;
use kp_test_support::messenger::faults::{Died, Fuse, Moment};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::device::{Backup, Device, Joined, Pool};
use crate::plain::{DAY, SUITE};
use crate::tally::{CAP, LOW, Tally};
use crate::{Scale, World};

/// In days: for so long a Welcome is on its way at most.
const LATEST: u64 = 3;

/// How a client is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Three times a day.
    Evenly,
    /// Evenly, and the app asks for as many packages as there may be, again and again.
    Asking,
    /// Once a day, and the app asks for as many packages as there may be, once in a lifetime. Most go stale at once.
    Hoarding,
    /// Sixty times in an hour, every other week.
    InBursts,
    /// A stranger claims 400 a day, and sends no Welcome.
    Drained,
    /// Evenly, and put back to where it was ten days ago, every twenty days.
    Restored,
    /// Evenly, and for half of the time there is a second device with the same backup, which wakes in the same second.
    Twins,
    /// Every day, and there are no one-time packages.
    LastResortOnly,
    /// Evenly, over a network that loses every fourth call, by processes of which every third dies.
    Restarted,
}

struct Welcome {
    named: KeyPackageRef,
    due: Timestamp,
}

pub(crate) struct Client {
    pub(crate) used: Use,
    pub(crate) name: String,
    pub(crate) pool_id: PoolId,
    plan: CiphersuitePlan,
    pub(crate) devices: Vec<Device>,
    /// The devices that are gone.
    pub(crate) gone: Vec<Device>,
    backup: Option<Backup>,
    /// Of these the keys are lost with a device, or with what was not in a backup.
    pub(crate) forgotten: BTreeSet<KeyPackageRef>,
    /// Whether the last round came to its end.
    pub(crate) has_refreshed: bool,
    /// The person says that there is one device, and the pool has not heard it.
    is_alone: bool,
    welcomes: Vec<Welcome>,
    random: StdRng,
    pub(crate) tally: Tally,
}

impl Client {
    pub(crate) fn new(used: Use, number: u64, scale: Scale) -> Self {
        let name = format!("{used:?}/{number}");
        Self {
            used,
            pool_id: PoolId::try_from(name.as_str()).unwrap(),
            name,
            plan: match used {
                Use::LastResortOnly => CiphersuitePlan::last_resort_only(SUITE),
                _ => CiphersuitePlan::pool(SUITE),
            },
            devices: vec![Device::new(scale)],
            gone: Vec::new(),
            backup: None,
            forgotten: BTreeSet::new(),
            has_refreshed: false,
            is_alone: false,
            welcomes: Vec::new(),
            random: StdRng::seed_from_u64(used as u64 * 100 + number),
            tally: Tally::default(),
        }
    }

    /// Six hours of its life, on this day.
    pub(crate) async fn live(&mut self, world: &World, day: u64, quarter: u64) {
        let faulty = self.used == Use::Restarted && (day, quarter) != (0, 0);
        let fuse = self.fuse(faulty);
        let pools = self.open(world, &fuse, if faulty { 12 } else { 0 });
        self.welcome(world, &pools, &fuse).await;
        for pool in &pools {
            self.round(world, pool, &fuse).await;
        }
        let genuine = match self.used {
            Use::InBursts if day % 14 == 6 && quarter == 2 => 60,
            Use::InBursts => 0,
            Use::Drained | Use::LastResortOnly | Use::Hoarding => u32::from(quarter == 0),
            _ => u32::from(quarter != 0),
        };
        for _ in 0..genuine {
            self.hand_out(world, true).await;
        }
        if self.used == Use::Drained {
            self.drain(world).await;
            // The server says that the pool is exhausted.
            self.round(world, &pools[0], &fuse).await;
            self.drain(world).await;
        }
        let is_restored = self.suffer(world, day, quarter).await;
        self.look(world, is_restored).await;
    }

    /// Six hours in which nothing happens.
    pub(crate) async fn rest(&mut self, world: &World) {
        let fuse = Fuse::new(None);
        let pools = self.open(world, &fuse, 0);
        self.welcome(world, &pools, &fuse).await;
        for pool in &pools {
            self.round(world, pool, &fuse).await;
        }
        self.look(world, false).await;
    }

    fn fuse(&mut self, faulty: bool) -> Fuse {
        let dies = faulty && self.random.random_range(0..3) == 0;
        let latest = self.random.random_range(1..=300);
        let at = self.random.random_range(1..=latest);
        let moment = if self.random.random() {
            Moment::Before
        } else {
            Moment::After
        };
        Fuse::new(dies.then_some((at, moment)))
    }

    /// A process on each device.
    fn open(&mut self, world: &World, fuse: &Fuse, lost: u32) -> Vec<Pool> {
        let (random, devices) = (&mut self.random, self.devices.iter());
        devices
            .map(|device| device.open(world, &self.pool_id, self.plan, fuse, (lost, random.random())))
            .collect()
    }

    async fn round(&mut self, world: &World, pool: &Pool, fuse: &Fuse) {
        if fuse.alive().is_err() {
            self.has_refreshed = false;
            return;
        }
        let hoards = self.used == Use::Hoarding && self.tally.rounds.is_multiple_of(4 * world.scale.lifetime as u32);
        let report = match self.used {
            Use::Asking if self.random.random() => pool.generate_and_update_pool(SUITE, CAP).await,
            _ if hoards => pool.generate_and_update_pool(SUITE, CAP).await,
            _ if self.is_alone => pool.take_over().await,
            _ => pool.refresh().await,
        };
        self.tally.rounds += 1;
        self.has_refreshed = false;
        match report {
            Ok(report) => self.reported(world, &report),
            Err(PoolError::Transport(_) | PoolError::Vault(Died) | PoolError::Metadata(_))
                if self.used == Use::Restarted => {}
            Err(error) => panic!("{}: {error:?}", self.name),
        }
    }

    fn reported(&mut self, world: &World, report: &RefreshReport) {
        (self.is_alone, self.has_refreshed) = (false, true);
        assert_eq!((report.clock_off, report.other_round), (None, None), "{}", self.name);
        let tally = &mut self.tally;
        tally.withdrawn.extend((0..report.withdrawn).map(|_| world.now()));
        tally.busy_rounds += u32::from(report.uploaded > 0 || report.withdrawn > 0 || !report.refused.is_empty());
        tally.refused += report.refused.len();
        tally.budget_spent += u32::from(report.budget_spent_until.is_some());
        tally.strangers += u32::from(report.other_installation > 0);
    }

    /// Somebody adds the client, and its Welcome will come or not. Somebody can always.
    async fn hand_out(&mut self, world: &World, genuine: bool) {
        let (now, lasting) = (world.now(), (LATEST + 1) * DAY);
        let mut take = Take::new();
        if genuine {
            take = take.options(TakeOptions::new().remaining(u32::try_from(lasting).unwrap()));
        }
        let claimed = world.directory.claim(&self.pool_id, &take).await;
        let info = claimed
            .unwrap_or_else(|refused| panic!("{}: {refused:?}", self.name))
            .info;
        let named = info.key_package_ref;
        assert!(
            self.has_key(&named) || self.forgotten.contains(&named),
            "{}: handed out without a key",
            self.name
        );
        if !info.role.is_last_resort() {
            self.tally.claimed.push(now);
            self.tally.unjoined.extend((!genuine).then_some(now));
        }
        if genuine {
            let due = now.plus(self.random.random_range(0..=LATEST * DAY));
            self.welcomes.push(Welcome { named, due });
        }
    }

    async fn drain(&mut self, world: &World) {
        for _ in 0..50 {
            self.hand_out(world, false).await;
        }
    }

    pub(crate) fn has_key(&self, named: &KeyPackageRef) -> bool {
        self.devices.iter().any(|device| device.vault.has_key(named))
    }

    /// Backups are copied back, and devices come and go. Returns whether one was put back.
    async fn suffer(&mut self, world: &World, day: u64, quarter: u64) -> bool {
        if quarter != 3 {
            return false;
        }
        match self.used {
            Use::Restored if day % 20 == 5 => self.backup = Some(self.devices[0].back_up().await),
            Use::Restored if day % 20 == 15 => {
                if let Some(backup) = self.backup.take() {
                    let kept = backup.stored.refs();
                    let lost = self.devices[0].vault.stored().refs();
                    self.forgotten.extend(lost.difference(&kept).cloned());
                    self.devices[0].restore(backup).await;
                    self.tally.restores += 1;
                    return true;
                }
            }
            Use::Twins if day == world.scale.days / 6 => {
                let backup = self.devices[0].back_up().await;
                let mut twin = Device::new(world.scale);
                twin.restore(backup).await;
                self.devices.push(twin);
                self.tally.restores += 1;
            }
            Use::Twins if day == world.scale.days * 2 / 3 => {
                let gone = self.devices.pop().unwrap();
                self.forgotten.extend(gone.vault.stored().refs());
                let kept = self.devices[0].vault.stored().refs();
                self.forgotten.retain(|named| !kept.contains(named));
                self.gone.push(gone);
                self.is_alone = true;
            }
            _ => {}
        }
        false
    }

    /// The Welcomes that are due arrive, at each device. Every tenth does not decrypt at first.
    async fn welcome(&mut self, world: &World, pools: &[Pool], fuse: &Fuse) {
        let now = world.now();
        let (due, later): (Vec<_>, _) = std::mem::take(&mut self.welcomes)
            .into_iter()
            .partition(|welcome| welcome.due <= now);
        self.welcomes = later;
        for welcome in due {
            let decrypts = self.random.random_range(0..10) > 0;
            let mut joined = Joined::No;
            for (device, pool) in self.devices.iter().zip(pools) {
                joined = device.join(pool, fuse, &welcome.named, decrypts).await;
                if !matches!(joined, Joined::No) {
                    break;
                }
            }
            match joined {
                Joined::Yes => self.tally.joined.push(now),
                Joined::Later => {
                    if fuse.alive().is_err() {
                        self.tally.died_joining.push(now);
                    }
                    self.welcomes.push(welcome);
                }
                Joined::No => {
                    assert!(self.forgotten.contains(&welcome.named), "{}: a key is lost", self.name);
                    self.tally.lost += 1;
                }
            }
        }
    }

    /// How many Welcomes are on their way.
    pub(crate) fn under_way(&self) -> usize {
        self.welcomes.len()
    }

    /// There is what the plan says.
    pub(crate) async fn is_well(&self, world: &World) {
        let status = world.directory.status(&self.pool_id).await.unwrap();
        let counts = self.counts(world).await;
        let (health, least) = match self.used {
            Use::LastResortOnly => (Health::LastResortOnly, 0),
            _ => (Health::Good, LOW),
        };
        assert_eq!(status.health(), health, "{}", self.name);
        assert!(
            least <= counts.available,
            "{}: {} are left",
            self.name,
            counts.available
        );
        assert_eq!(counts.last_resort, Slot::Unused, "{}", self.name);
    }
}
