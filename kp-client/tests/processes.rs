//! Several processes of one client over one storage: POOL-1, POOL-6 and POOL-7, with real KeyPackages and Welcomes. A process
//! here is a pool of its own, with parts that can stand still.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError, Sizes};
use kp_core::client::{
    Fence, JoinMark, KeyPackageMetadata, KeyVault, LeaseHolder, LeaseName, Lifecycle, MetadataChanges, MetadataResult,
    PoolMetadataStore, PoolRecord,
};
use kp_core::{Ciphersuite, CredentialHash, KeyPackage, KeyPackageInfo, KeyPackageRef, Role, Status, Timestamp, Ttl};
use kp_memory::MemoryMetadata;
use kp_test_support::messenger::{Alice, Bob, DAY, Invitation, SUITE, Vault, World};
use openmls_traits::OpenMlsProvider as _;
use tokio::sync::Semaphore;

/// Stops a process at its n-th step, until it is woken.
#[derive(Clone)]
struct Frost(Arc<Frozen>);

struct Frozen {
    left: Mutex<Option<u32>>,
    asleep: Semaphore,
    woken: std::sync::Condvar,
    awake: Mutex<bool>,
}

impl Frost {
    fn at(step: Option<u32>) -> Self {
        Self(Arc::new(Frozen {
            left: Mutex::new(step),
            asleep: Semaphore::new(0),
            woken: std::sync::Condvar::new(),
            awake: Mutex::new(false),
        }))
    }

    /// Stands still if this is the step. Blocks the thread, as a stopped process does.
    fn step(&self) {
        let mut left = self.0.left.lock().unwrap();
        let is_now = *left == Some(0);
        *left = left.and_then(|left| left.checked_sub(1));
        drop(left);
        if is_now {
            self.0.asleep.add_permits(1);
            let awake = self.0.awake.lock().unwrap();
            drop(self.0.woken.wait_while(awake, |awake| !*awake).unwrap());
        }
    }

    fn wake(&self) {
        *self.0.awake.lock().unwrap() = true;
        self.0.woken.notify_all();
    }
}

/// Wakes a process also when the test fails, which would wait for it.
struct Wakes(Frost);

impl Drop for Wakes {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// A part whose calls are steps, after they took effect.
struct Cold<T>(T, Frost);

impl<T> fmt::Debug for Cold<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cold")
    }
}

#[async_trait]
impl PoolMetadataStore for Cold<MemoryMetadata> {
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        let answer = self.0.apply(changes).await;
        self.1.step();
        answer
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        let answer = self.0.lease(name, holder, ttl, now).await;
        self.1.step();
        answer
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        let answer = self.0.release_lease(name, holder).await;
        self.1.step();
        answer
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        self.0.get(key_package_ref).await
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        self.0.list().await
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        self.0.record().await
    }
}

impl Cold<Bob> {
    /// A process may stand still within a call, too, after it read and before it wrote: what the call writes is there only
    /// once the process goes on.
    fn writes<T>(&self, call: impl FnOnce(&Vault) -> T) -> T {
        let values = &self.0.provider.storage().values;
        let before = values.read().unwrap().clone();
        // JSON may end in a blank, and what is written anew does not.
        values.write().unwrap().values_mut().for_each(|value| value.push(b' '));
        let answer = call(&self.0.vault());
        let after = std::mem::replace(&mut *values.write().unwrap(), before.clone());
        self.1.step();
        let mut now = values.write().unwrap();
        now.retain(|name, _| after.contains_key(name) || !before.contains_key(name));
        now.extend(after.into_iter().filter(|(_, value)| !value.ends_with(b" ")));
        drop(now);
        self.1.step();
        answer
    }
}

impl KeyVault for Cold<Bob> {
    type Fresh = <Vault as KeyVault>::Fresh;
    type Error = <Vault as KeyVault>::Error;

    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, Self::Error> {
        self.0.vault().credential(suite)
    }

    fn generate(
        &self,
        suite: Ciphersuite,
        role: Role,
        now: Timestamp,
    ) -> Result<(KeyPackageInfo, Self::Fresh), Self::Error> {
        self.0.vault().generate(suite, role, now)
    }

    fn keep(&self, fresh: Self::Fresh) -> Result<(), Self::Error> {
        self.writes(|vault| vault.keep(fresh))
    }

    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, Self::Error> {
        self.0.vault().package(key_package_ref)
    }

    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<bool, Self::Error> {
        self.writes(|vault| vault.protect(key_package_ref))
    }

    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), Self::Error> {
        self.writes(|vault| vault.forget(key_package_ref))
    }
}

const PLAN: CiphersuitePlan = CiphersuitePlan::pool(SUITE).one_time(Sizes::new(4, 2, 8));

fn cold(world: &World, bob: &Bob, frost: &Frost) -> KeyPackagePool<Cold<Bob>> {
    let metadata = Cold(bob.metadata.clone(), frost.clone());
    KeyPackagePool::builder(Cold(bob.clone(), frost.clone()), metadata, bob.transport(world))
        .clock(world.clock.clone())
        .ciphersuite(PLAN)
        .build()
        .unwrap()
}

fn open(world: &World, bob: &Bob) -> KeyPackagePool<Vault> {
    // A busy machine is no failure.
    let builder = bob.builder(world).timeout(std::time::Duration::from_secs(60));
    builder.ciphersuite(PLAN).build().unwrap()
}

/// What the server hands out has a key, each key has a row, and the cap is kept.
async fn is_sound(world: &World, bob: &Bob, told: &str) {
    let available = world.available(bob).await;
    assert!((1..=8).contains(&available.len()), "{told}: {available:?}");
    let (slot, _) = world.last_resort(bob).await.unwrap();
    assert!(available.iter().chain([&slot]).all(|held| bob.has_key(held)), "{told}");
    let rows = bob.rows().await;
    for key in bob.stored_keys() {
        let named = KeyPackageRef::try_from(&key[key.len() - 32..]).unwrap();
        assert!(rows.contains(&named), "{told}: a key without a row");
    }
}

/// FAULTS 9a: whoever refreshes meanwhile, the cap holds, and one round does the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_refresh_at_once_keep_the_cap() {
    for processes in 2..=4 {
        let (world, bob) = (World::new(), Bob::new());
        let tasks: Vec<_> = (0..processes)
            .map(|_| {
                let pool = bob.open(&world);
                tokio::spawn(async move { pool.refresh().await.unwrap() })
            })
            .collect();
        let mut reports = Vec::new();
        for task in tasks {
            reports.push(task.await.unwrap());
        }
        assert_eq!(world.available(&bob).await.len(), 32, "{processes}");
        assert_eq!(bob.stored_keys().len(), 33);
        let made: u32 = reports.iter().map(|report| report.generated).sum();
        assert_eq!(made, 33);
    }
}

async fn invited(world: &World, bob: &Bob) -> Invitation {
    open(world, bob).refresh().await.unwrap();
    Alice::new().invite(&world.claim(bob).await)
}

/// FAULTS 9b: another process refreshes, and joins, within an attempt with a Welcome that does not decrypt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_within_an_attempt_costs_no_key() {
    for later in [0, 61, DAY / 2, 2 * DAY] {
        let (world, bob) = (World::new(), Bob::new());
        let invitation = invited(&world, &bob).await;
        let key_package_ref = &invitation.refs[0];
        let (one, other) = (open(&world, &bob), open(&world, &bob));
        let attempt = || {
            let refused = bob.attempt(&invitation.forged());
            assert!(!bob.has_key(key_package_ref), "OpenMLS deleted it");
            world.clock.advance(later);
            let round = async {
                let report = other.refresh().await.unwrap();
                assert_eq!(report.other_round, None, "a join holds up no round");
            };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(round));
            assert_eq!(bob.has_key(key_package_ref), later > 60, "a moment ago it was begun");
            refused
        };
        one.join(&invitation.refs, attempt).await.unwrap().unwrap_err();
        assert!(bob.has_key(key_package_ref), "{later}");
        other
            .join(&invitation.refs, || bob.attempt(&invitation.welcome))
            .await
            .unwrap()
            .unwrap();
        assert!(!bob.has_key(key_package_ref));
        is_sound(&world, &bob, "after the join").await;
    }
}

/// A process stands still within its attempt, before OpenMLS deletes the key. Another one joins with a forged Welcome in the
/// meantime, which must not drop the copy that the first one will need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_within_an_attempt_leaves_its_copy() {
    let (world, bob) = (World::new(), Bob::new());
    let invitation = invited(&world, &bob).await;
    let (one, other) = (open(&world, &bob), open(&world, &bob));
    let attempt = || {
        let meanwhile = async {
            let early = other.join(&invitation.refs, || bob.attempt(&invitation.forged())).await;
            assert!(matches!(early, Err(PoolError::JoinUnderWay { .. })));
            world.clock.advance(3_600);
            let refused = other.join(&invitation.refs, || bob.attempt(&invitation.forged())).await;
            refused.unwrap().unwrap_err();
            let report = other.refresh().await.unwrap();
            assert_eq!(report.lost, 0);
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(meanwhile));
        bob.attempt(&invitation.forged())
    };
    one.join(&invitation.refs, attempt).await.unwrap().unwrap_err();
    assert!(bob.has_key(&invitation.refs[0]));
    other
        .join(&invitation.refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
    world.clock.advance(2 * DAY);
    other.refresh().await.unwrap();
    assert_eq!(bob.copies().len(), 0);
}

/// Two processes get the same Welcome at once, as an app and its notification extension do.
#[tokio::test]
async fn the_same_welcome_in_two_processes_is_joined_once() {
    let (world, bob) = (World::new(), Bob::new());
    let invitation = invited(&world, &bob).await;
    let key_package_ref = &invitation.refs[0];
    let mark = JoinMark {
        holder: LeaseHolder::from_bytes([7; 16]),
        until: world.now().plus(DAY),
    };
    let joining = Lifecycle::Joining { mark: Some(mark) };
    let changes = MetadataChanges::new().step([(key_package_ref.clone(), joining)], world.now());
    bob.metadata.apply(&changes).await.unwrap();
    let pool = open(&world, &bob);
    for _ in 0..3 {
        let answer = pool.join(&invitation.refs, || -> Result<(), ()> { panic!("not to be attempted") });
        assert!(matches!(answer.await, Err(PoolError::JoinUnderWay { .. })));
        pool.refresh().await.unwrap();
        assert_eq!(bob.lifecycle(key_package_ref).await, Some(joining), "it is left alone");
    }
    world.clock.advance(60);
    pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
}

/// A process died within its attempt while the clock was ahead. The clock is right again, and its join seems to begin in a year:
/// it holds up neither recovery nor another process's join.
#[tokio::test]
async fn a_join_from_before_the_clock_was_set_back_is_over() {
    for recovers in [true, false] {
        let (world, bob) = (World::new(), Bob::new());
        let invitation = invited(&world, &bob).await;
        let key_package_ref = &invitation.refs[0];
        let now = world.now();
        world.clock.advance(365 * DAY);
        let dies = tokio::spawn({
            let (pool, bob, refs, forged) = (
                open(&world, &bob),
                bob.clone(),
                invitation.refs.clone(),
                invitation.forged(),
            );
            async move {
                let attempt = || -> Result<(), ()> {
                    bob.attempt(&forged).unwrap_err();
                    panic!("the process dies, as it should")
                };
                pool.join(&refs, attempt).await.is_ok()
            }
        });
        assert!(dies.await.unwrap_err().is_panic());
        assert!(!bob.has_key(key_package_ref), "OpenMLS deleted it");
        world.clock.set(now);
        let other = open(&world, &bob);
        if recovers {
            assert_eq!(other.refresh().await.unwrap().recovered, 1);
            assert!(bob.has_key(key_package_ref));
        }
        let joined = other.join(&invitation.refs, || bob.attempt(&invitation.welcome)).await;
        assert!(bob.is_in(invitation.group.group_id()), "{joined:?}");
    }
}

/// A storage that another process holds is waited for, and not for ever.
#[tokio::test]
async fn a_ledger_that_is_held_is_busy() {
    let (world, bob) = (World::new(), Bob::new());
    let invitation = invited(&world, &bob).await;
    let holder = LeaseHolder::from_bytes([7; 16]);
    let minute = Ttl::seconds(60).unwrap();
    bob.metadata
        .lease(LeaseName::LEDGER, holder, minute, world.now())
        .await
        .unwrap();
    let builder = bob.builder(&world).ciphersuite(PLAN);
    let pool = builder.timeout(std::time::Duration::from_millis(20)).build().unwrap();
    let attempt = || -> Result<(), ()> { panic!("not to be attempted") };
    assert!(matches!(
        pool.join(&invitation.refs, attempt).await,
        Err(PoolError::Busy)
    ));
    assert!(matches!(pool.refresh().await, Err(PoolError::Busy)));
    assert!(matches!(
        pool.mark_as_spent(&invitation.refs).await,
        Err(PoolError::Busy)
    ));
    assert!(matches!(pool.cleanup_expired().await, Err(PoolError::Busy)));
    world.clock.advance(60);
    pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
}

/// A process that stands still at any step of a round or a join, and wakes a minute, an hour or a day later, costs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_wakes_later_costs_nothing() {
    let mut steps = 0;
    for later in [130, 2 * 3_600, DAY + 60] {
        for step in 0.. {
            let (world, bob) = (World::new(), Bob::new());
            // OpenMLS takes no package that is made later than the system's clock says.
            world.clock.set(world.now().minus(3 * DAY));
            let invitation = invited(&world, &bob).await;
            let told = format!("{later} s at step {step}");
            // A refill and a rotation are due, and something goes.
            let first = world.available(&bob).await.pop_first().unwrap();
            open(&world, &bob)
                .mark_as_spent(std::slice::from_ref(&first))
                .await
                .unwrap();
            bob.credentials.change("bob");
            let frost = Frost::at(Some(step));
            let _wakes = Wakes(frost.clone());
            let task = tokio::spawn({
                let (pool, bob, frozen) = (cold(&world, &bob, &frost), bob.clone(), frost.clone());
                let (refs, forged) = (invitation.refs.clone(), invitation.forged());
                async move {
                    let _ = pool.refresh().await;
                    let attempt = || {
                        let refused = bob.attempt(&forged);
                        frozen.step();
                        refused
                    };
                    let _ = pool.join(&refs, attempt).await;
                }
            });
            let ended = async {
                while !task.is_finished() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                permit = frost.0.asleep.acquire() => permit.unwrap().forget(),
                () = ended => {
                    steps += step;
                    break;
                }
            }
            // The others go on, and somebody is handed a package.
            world.clock.advance(later);
            let other = open(&world, &bob);
            other.refresh().await.unwrap();
            is_sound(&world, &bob, &told).await;
            let package = world.claim(&bob).await;
            let late = Alice::new().invite(&package);
            frost.wake();
            task.await.unwrap();
            is_sound(&world, &bob, &told).await;
            for invitation in [&late, &invitation] {
                assert!(matches!(
                    world.status(&bob, &invitation.refs[0]).await,
                    Some(Status::Spent { .. })
                ));
                world.clock.advance(61);
                other
                    .join(&invitation.refs, || bob.attempt(&invitation.welcome))
                    .await
                    .unwrap_or_else(|error| panic!("{told}: {error:?}"))
                    .unwrap_or_else(|error| panic!("{told}: {error:?}"));
            }
            world.clock.advance(2 * DAY);
            other.refresh().await.unwrap();
            other.refresh().await.unwrap();
            is_sound(&world, &bob, &told).await;
            assert_eq!(bob.copies().len(), 0, "{told}");
        }
    }
    println!("{steps} steps");
    assert!(steps > 100);
}

/// A process stands still at any step before its attempt, for longer than its join is left alone, and another one joins meanwhile:
/// the first one begins anew, and does not attempt with a key that is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_stood_still_before_its_attempt_begins_anew() {
    let mut steps = 0;
    for step in 0.. {
        let (world, bob) = (World::new(), Bob::new());
        let invitation = invited(&world, &bob).await;
        let (frost, attempts) = (Frost::at(Some(step)), Arc::new(AtomicU32::new(0)));
        let _wakes = Wakes(frost.clone());
        let mut task = tokio::spawn({
            let (pool, bob, attempts) = (cold(&world, &bob, &frost), bob.clone(), Arc::clone(&attempts));
            let (refs, welcome) = (invitation.refs.clone(), invitation.welcome.clone());
            async move {
                let attempt = || {
                    attempts.fetch_add(1, Ordering::SeqCst);
                    bob.attempt(&welcome)
                };
                pool.join(&refs, attempt).await.is_ok()
            }
        });
        tokio::select! {
            permit = frost.0.asleep.acquire() => permit.unwrap().forget(),
            joined = &mut task => panic!("step {step} is behind the attempt, which was not seen: {joined:?}"),
        }
        if attempts.load(Ordering::SeqCst) > 0 {
            steps = step;
            break;
        }
        world.clock.advance(130);
        let other = open(&world, &bob);
        let joined = other.join(&invitation.refs, || bob.attempt(&invitation.welcome)).await;
        joined.unwrap().unwrap();
        frost.wake();
        assert!(!task.await.unwrap(), "step {step}: joined twice");
        assert_eq!(
            attempts.load(Ordering::SeqCst),
            0,
            "step {step}: an attempt with a used key"
        );
    }
    assert!(steps > 4, "{steps}");
}

/// A round finds a join that seems to have died, and stands still at any step while the join ends: until the join's end is about
/// to be recorded, or until after that, another process having had a turn. A Welcome that does not decrypt costs no key, and of
/// one that does, neither key nor copy is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_round_that_stands_still_while_a_join_ends_costs_and_leaves_no_key() {
    for (forged, overtaken) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut steps = 0;
        for step in 0.. {
            let (world, bob) = (World::new(), Bob::new());
            let invitation = invited(&world, &bob).await;
            let key_package_ref = &invitation.refs[0];
            let told = format!("at step {step}, forged: {forged}, overtaken: {overtaken}");
            let is_gone = || {
                let keys = bob.stored_keys();
                keys.iter().all(|key| !key.ends_with(key_package_ref.as_bytes()))
            };
            let (one, frost) = (open(&world, &bob), Frost::at(Some(step)));
            let _wakes = Wakes(frost.clone());
            let mut round = None;
            let attempt = || {
                world.clock.advance(61);
                let mut task = tokio::spawn({
                    let pool = cold(&world, &bob, &frost);
                    async move { drop(pool.refresh().await) }
                });
                let stands_still = async {
                    tokio::select! {
                        permit = frost.0.asleep.acquire() => permit.unwrap().forget(),
                        end = &mut task => return end.unwrap(),
                    }
                    round = Some(task);
                };
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(stands_still));
                world.clock.advance(if overtaken { 130 } else { 0 });
                if forged {
                    let refused = bob.attempt(&invitation.forged());
                    if !overtaken {
                        frost.wake();
                    }
                    refused
                } else {
                    bob.attempt(&invitation.welcome)
                }
            };
            let wakes = async {
                if !forged && !overtaken {
                    while !is_gone() {
                        tokio::task::yield_now().await;
                    }
                    frost.wake();
                }
            };
            let joined = one.join(&invitation.refs, attempt);
            let (joined, ()) = tokio::join!(joined, wakes);
            assert_eq!(joined.unwrap().is_err(), forged, "{told}");
            frost.wake();
            let ended = round.is_none();
            if let Some(round) = round {
                round.await.unwrap();
            }
            if forged {
                world.clock.advance(61);
                let other = open(&world, &bob);
                other
                    .join(&invitation.refs, || bob.attempt(&invitation.welcome))
                    .await
                    .unwrap_or_else(|error| panic!("{told}: {error:?}"))
                    .unwrap_or_else(|error| panic!("{told}: {error:?}"));
            }
            assert_eq!(bob.lifecycle(key_package_ref).await, Some(Lifecycle::Spent), "{told}");
            assert!(is_gone(), "{told}: a key, or a copy");
            if ended {
                break;
            }
            steps = step;
        }
        assert!(steps > 10, "{steps}");
    }
}
