//! A clock that was wrong, the client's or the server's, and is right again: POOL-8 and POOL-9. Every offset, however long it
//! lasted, from wherever the client stood, with real keys and real Welcomes. Each test prints its table.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError, RefreshReport, Sizes};
use kp_core::client::{Lifecycle, PoolMetadataStore as _};
use kp_core::protocol::{Health, KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::server::{KeyPackageStore as _, LastResort, TakeOptions};
use kp_core::{KeyPackageBytes, KeyPackageRef, ManualClock, Status, Timestamp};
use kp_openmls::OpenMlsAdmission;
use kp_server::{KeyPackageDirectory, Take};
use kp_test_support::messenger::{Alice, Bob, DAY, Invitation, SUITE, Vault, World};

const HOUR: u64 = 3_600;
const H: i64 = HOUR as i64;
const D: i64 = DAY as i64;
/// A lifetime is 84 days, a grace period 28, and a clock may differ by an hour: one of each kind lies between.
const OFFSETS: [i64; 9] = [-400 * D, -85 * D, -29 * D, -2 * H, 0, 2 * H, 29 * D, 85 * D, 400 * D];
const LOW: u32 = 2;
const TARGET: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Client,
    Server,
    /// The server forgets what has expired by its wrong clock.
    SweepingServer,
}

/// Where the client stands when a clock goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    New,
    Running,
    /// One-time packages are handed out, before and while it is wrong, and the last resort. The successor of that went up, and
    /// the client does not know.
    HandedOut,
    LastResortOnly,
}

/// For how long the clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Once,
    /// Once, and the answer to an upload is lost.
    Unheard,
    TenRounds,
    /// By a tenth of the offset more in each of ten rounds.
    Drifting,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    whose: Whose,
    before: Before,
    wrong: Wrong,
    /// In seconds; ahead, if positive.
    offset: i64,
}

/// Loses the answer to an upload, if it is told so.
struct Lossy(Arc<dyn KeyPackageTransport>, Arc<AtomicBool>);

#[async_trait]
impl KeyPackageTransport for Lossy {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let outcomes = self.0.upload(packages).await;
        if self.1.swap(false, Ordering::Relaxed) {
            return Err(TransportError::new("the reply was lost"));
        }
        outcomes
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.0.sync(mine).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.0.withdraw(refs).await
    }
}

struct Story {
    cell: Cell,
    world: World,
    bob: Bob,
    alice: Alice,
    /// As it is in truth.
    now: Timestamp,
    /// The client's; the server's is the world's.
    clock: ManualClock,
    pool: KeyPackagePool<Vault>,
    loses: Arc<AtomicBool>,
    /// With all that was handed out, and until when.
    invitations: Vec<(Invitation, Timestamp)>,
}

/// What is told of a story.
struct Line {
    made_while_wrong: u32,
    made_when_right: u32,
    out: usize,
    keys: usize,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            made_while_wrong,
            made_when_right,
            out,
            keys,
        } = self;
        write!(f, "{made_while_wrong:>16} {made_when_right:>15} {out:>10} {keys:>5}")
    }
}

impl Story {
    fn new(cell: Cell) -> Self {
        let (world, bob) = (World::new(), Bob::new());
        // The marks of client and server fit.
        let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), OpenMlsAdmission::new());
        let directory = builder.clock(world.clock.clone()).low_below(LOW).build().unwrap();
        let world = World { directory, ..world };
        // OpenMLS judges by the system's clock, and takes nothing that begins later: all is handed out within three days.
        world.clock.set(world.now().minus(3 * DAY));
        let (now, loses) = (world.now(), Arc::new(AtomicBool::new(false)));
        let clock = ManualClock::at(now);
        let plan = match cell.before {
            Before::LastResortOnly => CiphersuitePlan::last_resort_only(SUITE),
            _ => CiphersuitePlan::pool(SUITE).one_time(Sizes::new(TARGET, LOW, 8)),
        };
        let transport = Lossy(bob.transport(&world), Arc::clone(&loses));
        let builder = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), transport);
        Self {
            cell,
            pool: builder.clock(clock.clone()).ciphersuite(plan).build().unwrap(),
            world,
            bob,
            alice: Alice::new(),
            now,
            clock,
            loses,
            invitations: Vec::new(),
        }
    }

    /// Somebody adds Bob, if the server has something to hand out.
    async fn hand_out(&mut self, last_resort: LastResort) {
        let take = Take::new().options(TakeOptions::new().last_resort(last_resort));
        let Ok(package) = self.world.directory.claim(&self.bob.pool_id, &take).await else {
            return;
        };
        let has_key = self.bob.has_key(&package.info.key_package_ref);
        assert!(has_key, "{:?}: handed out without a key", self.cell);
        let until = package.info.lifetime.not_after();
        self.invitations.push((self.alice.invite(&package), until));
    }

    /// Time passes, and one of the clocks is wrong by so many seconds.
    fn pass(&mut self, seconds: u64, off: i64) {
        self.now = self.now.plus(seconds);
        let wrong = match off < 0 {
            true => self.now.minus(off.unsigned_abs()),
            false => self.now.plus(off.unsigned_abs()),
        };
        let (own, server) = match self.cell.whose {
            Whose::Client => (wrong, self.now),
            Whose::Server | Whose::SweepingServer => (self.now, wrong),
        };
        self.clock.set(own);
        self.world.clock.set(server);
    }

    async fn refresh(&self) -> RefreshReport {
        let report = self.pool.refresh().await.unwrap();
        self.is_sound().await;
        report
    }

    /// What is out, or can be handed out, has its key.
    async fn is_sound(&self) {
        let (world, bob, cell) = (&self.world, &self.bob, &self.cell);
        let keys = bob.stored_keys();
        let has_key = |named: &KeyPackageRef| keys.contains(named.as_bytes());
        for row in bob.metadata.list().await.unwrap() {
            let up = world.status(bob, &row.key_package_ref).await;
            let is_up = matches!(
                up,
                Some(Status::Available | Status::NotYetValid | Status::LastResort { .. })
            );
            assert!(
                !is_up || has_key(&row.key_package_ref),
                "{cell:?}: {up:?} without a key"
            );
        }
        let ready = world.store.list_ready(&bob.pool_id, world.now()).await.unwrap();
        let rows = bob.rows().await;
        for ready in ready {
            assert!(rows.contains(&ready.info.key_package_ref), "{cell:?}: up without a row");
        }
        let out = self.invitations.iter().flat_map(|(invitation, _)| &invitation.refs);
        assert!(
            out.into_iter().all(has_key),
            "{cell:?}: the key of a Welcome under way is gone"
        );
    }

    async fn run(mut self) -> Line {
        self.begin().await;
        let made_while_wrong = self.go_wrong().await;
        let made_when_right = self.put_right().await;
        let line = Line {
            made_while_wrong,
            made_when_right,
            out: self.invitations.len(),
            keys: self.bob.stored_keys().len(),
        };
        self.go_on().await;
        line
    }

    async fn begin(&mut self) {
        if self.cell.before != Before::New {
            assert_eq!(self.refresh().await.clock_off, None);
            // A last resort that is used from now on is due for rotation (POOL-10).
            self.pass(2 * DAY, 0);
        }
        if self.cell.before == Before::HandedOut {
            self.hand_out(LastResort::Never).await;
            self.hand_out(LastResort::Never).await;
        }
        if matches!(self.cell.before, Before::HandedOut | Before::LastResortOnly) {
            self.hand_out(LastResort::Only).await;
        }
        if self.cell.before == Before::HandedOut {
            self.loses.store(true, Ordering::Relaxed);
            let rotated = self.pool.refresh().await;
            assert!(matches!(rotated, Err(PoolError::Transport(_))));
        }
    }

    /// Returns how many packages were made meanwhile.
    async fn go_wrong(&mut self) -> u32 {
        let cell = self.cell;
        let rounds = match cell.wrong {
            Wrong::Once | Wrong::Unheard => 1,
            Wrong::TenRounds | Wrong::Drifting => 10,
        };
        let mut made = 0;
        for round in 1..=rounds {
            let off = match cell.wrong {
                Wrong::Drifting => cell.offset * round / rounds,
                Wrong::Once | Wrong::Unheard | Wrong::TenRounds => cell.offset,
            };
            self.pass(HOUR, off);
            self.loses.store(cell.wrong == Wrong::Unheard, Ordering::Relaxed);
            let report = match self.pool.refresh().await {
                Err(PoolError::Transport(_)) if cell.wrong == Wrong::Unheard => continue,
                report => report.unwrap(),
            };
            self.loses.store(false, Ordering::Relaxed);
            self.is_sound().await;
            let ahead = if cell.whose == Whose::Client { off } else { -off };
            assert_eq!(
                report.clock_off,
                Some(ahead).filter(|ahead| ahead.abs() > H),
                "{cell:?}"
            );
            assert_eq!(
                (report.withdrawn, report.lost),
                (0, 0),
                "{cell:?}: on account of a clock"
            );
            // A probe, unless the server takes it.
            let most = if report.clock_off.is_some() && report.uploaded == 0 {
                1
            } else {
                5
            };
            assert!(report.generated <= most, "{cell:?}: {} were made", report.generated);
            made += report.generated;
            if round == 1 || cell.before == Before::HandedOut {
                self.hand_out(LastResort::Fallback).await;
            }
            // What an app calls without a server.
            self.pool.cleanup_expired().await.unwrap();
            if cell.whose == Whose::SweepingServer {
                self.world.directory.sweep().await.unwrap();
            }
            self.is_sound().await;
        }
        self.is_sound().await;
        // A join does not mind.
        if cell.before == Before::HandedOut {
            self.joins(1).await;
        }
        made
    }

    /// One round heals. Only what begins to be valid within the skew is waited for. Returns how many packages were made.
    async fn put_right(&mut self) -> u32 {
        self.pass(0, 0);
        let report = self.refresh().await;
        assert_eq!(report.clock_off, None, "{:?}", self.cell);
        let mut made = report.generated;
        let rows = self.bob.metadata.list().await.unwrap().into_iter();
        let held = rows.filter(|row| matches!(row.lifecycle, Lifecycle::Created | Lifecycle::Available));
        if let Some(latest) = held.filter_map(|row| row.not_before).max().filter(|at| self.now < *at) {
            assert!(
                latest <= self.now.plus(HOUR),
                "{:?}: what was made too early is waited for",
                self.cell
            );
            self.pass(HOUR, 0);
            made += self.refresh().await.generated;
        }
        self.is_healed().await;
        made
    }

    /// There is nothing left for the next round, and what was handed out can be joined with.
    async fn go_on(&mut self) {
        let mut next = self.refresh().await;
        next.next_at = None;
        assert_eq!(next, RefreshReport::default(), "{:?}", self.cell);
        // A last resort that was used has its turn within a day (POOL-10).
        self.pass(DAY, 0);
        self.refresh().await;
        self.is_healed().await;
        let status = self.world.directory.status(&self.bob.pool_id).await.unwrap();
        let health = match self.cell.before {
            Before::LastResortOnly => Health::LastResortOnly,
            _ => Health::Good,
        };
        assert_eq!(status.health(), health, "{:?}", self.cell);
        // Welcomes may be late. Grace periods end after four weeks.
        for days in [7, 7, 7] {
            self.pass(days * DAY, 0);
            self.invitations.retain(|(_, until)| self.now < *until);
            self.refresh().await;
        }
        self.joins(self.invitations.len()).await;
    }

    /// Bob gets so many of the Welcomes.
    async fn joins(&mut self, welcomes: usize) {
        for (invitation, _) in self.invitations.drain(..welcomes) {
            let attempt = || self.bob.attempt(&invitation.welcome);
            let joined = self.pool.join(&invitation.refs, attempt).await;
            let joined = joined.unwrap_or_else(|refused| panic!("{:?}: {refused:?}", self.cell));
            joined.unwrap_or_else(|refused| panic!("{:?}: {refused:?}", self.cell));
        }
    }

    /// There is what the plan says, and it can be used now.
    async fn is_healed(&self) {
        let (world, bob, cell) = (&self.world, &self.bob, &self.cell);
        let one_time = world.available(bob).await.len();
        let planned = match cell.before {
            Before::LastResortOnly => 0..=0,
            // A probe whose answer was lost goes up again, whatever there is.
            _ => LOW as usize..=TARGET as usize + usize::from(cell.wrong == Wrong::Unheard),
        };
        assert!(planned.contains(&one_time), "{cell:?}: {one_time} are up");
        assert!(!self.pool.should_replenish().await.unwrap(), "{cell:?}");
        let (slot, _) = world.last_resort(bob).await.unwrap();
        let row = bob.metadata.get(&slot).await.unwrap().unwrap();
        assert!(
            row.not_before.unwrap() <= self.now && self.now < row.not_after,
            "{cell:?}"
        );
    }
}

async fn tell(whose: Whose) {
    let mut table =
        format!("\n{whose:?}\nbefore         wrong      hours  made while wrong  made when right  under way  keys\n");
    for before in [Before::New, Before::Running, Before::HandedOut, Before::LastResortOnly] {
        for wrong in [Wrong::Once, Wrong::Unheard, Wrong::TenRounds, Wrong::Drifting] {
            for offset in OFFSETS {
                let cell = Cell {
                    whose,
                    before,
                    wrong,
                    offset,
                };
                let line = Story::new(cell).run().await;
                let (before, wrong) = (format!("{before:?}"), format!("{wrong:?}"));
                table += &format!("{before:<14} {wrong:<9} {:>6}  {line}\n", offset / H);
            }
        }
    }
    println!("{table}");
}

#[tokio::test]
async fn one_round_heals_whatever_the_clients_clock_was() {
    tell(Whose::Client).await;
}

#[tokio::test]
async fn one_round_heals_whatever_the_servers_clock_was() {
    tell(Whose::Server).await;
}

#[tokio::test]
async fn one_round_heals_whatever_the_clock_was_by_which_the_server_swept() {
    tell(Whose::SweepingServer).await;
}
