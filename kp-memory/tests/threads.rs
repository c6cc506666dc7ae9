//! Runs many threads on one store: no package is handed out twice, and none is lost when its pool is removed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kp_core::server::*;
use kp_core::*;
use kp_memory::MemoryStore;

const NOW: Timestamp = Timestamp::MIN;

fn package(number: u32) -> KeyPackage {
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap(),
            Ciphersuite(1),
            Lifetime::new(NOW, NOW.plus(100)).unwrap(),
            CredentialHash([0; 32]),
        ),
        KeyPackageBytes::try_from(number.to_be_bytes().as_slice()).unwrap(),
    )
}

fn pool() -> PoolId {
    PoolId::try_from("bob/phone").unwrap()
}

/// Drives one call on a thread that has no runtime.
fn wait<T>(call: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(call)
}

fn take(number: u32) -> TakeRequest {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let never = TakeOptions::new().last_resort(LastResort::Never);
    TakeRequest::new(pool(), ReservationId::from_bytes(id), Ttl::try_from(60).unwrap()).options(never)
}

#[test]
fn each_package_goes_to_one_thread() {
    const THREADS: u32 = 8;
    const EACH: u32 = 500;
    let store = MemoryStore::new();
    for batch in 0..4 {
        let packages = (0..1_000).map(|number| package(batch * 1_000 + number));
        wait(store.save_key_packages(&Save::new(pool(), packages).unwrap(), NOW)).unwrap();
    }
    let taken = thread::scope(|scope| {
        let work = |thread| {
            let store = store.clone();
            move || {
                let numbers = thread * EACH..(thread + 1) * EACH;
                let reserved = numbers.map(|number| {
                    // Every third package is released and reserved again, so that the queue changes under other threads.
                    if number % 3 == 0 {
                        let reserved = wait(store.reserve_key_package(&take(number), OnLapse::Return, NOW)).unwrap();
                        let token = reserved.lease.unwrap().token;
                        wait(store.release_key_package(&token, NOW)).unwrap();
                    }
                    let reserved = wait(store.reserve_key_package(&take(number), OnLapse::Return, NOW)).unwrap();
                    let token = reserved.lease.unwrap().token;
                    wait(store.spend_key_package(&token, &Spend::default(), NOW)).unwrap();
                    token.key_package_ref
                });
                reserved.collect::<Vec<_>>()
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(work(thread))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(taken.len(), (THREADS * EACH) as usize);
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len());
    let last = wait(store.reserve_key_package(&take(u32::MAX), OnLapse::Return, NOW)).unwrap_err();
    assert_eq!(last.rejection(), Some(&Rejection::PoolExhausted));
}

#[test]
fn nothing_is_lost_when_a_pool_goes_while_others_fill_it() {
    const SAVERS: u32 = 4;
    const EACH: u32 = 5_000;
    let store = MemoryStore::new();
    let saving = AtomicBool::new(true);
    let swept: u64 = thread::scope(|scope| {
        let (store, saving) = (&store, &saving);
        let savers: Vec<_> = (0..SAVERS)
            .map(|thread| {
                scope.spawn(move || {
                    for number in thread * EACH..(thread + 1) * EACH {
                        let outcome = wait(store.save_key_package(&pool(), package(number), NOW)).unwrap();
                        assert_eq!(outcome, SaveOutcome::Saved);
                    }
                })
            })
            .collect();
        // The sweepers' clock is ahead: every package has expired for them, and an emptied pool is removed.
        let sweep = || wait(store.cleanup_expired(NOW.plus(100), 7)).unwrap();
        let sweepers = [(); 2].map(|()| {
            scope.spawn(move || {
                let mut swept = 0;
                while saving.load(Ordering::Relaxed) {
                    swept += sweep();
                }
                swept
            })
        });
        savers.into_iter().for_each(|saver| saver.join().unwrap());
        saving.store(false, Ordering::Relaxed);
        sweepers.into_iter().map(|sweeper| sweeper.join().unwrap()).sum()
    });
    let mut left = 0;
    loop {
        match wait(store.cleanup_expired(NOW.plus(100), 1_000)).unwrap() {
            0 => break,
            some => left += some,
        }
    }
    assert_eq!(swept + left, u64::from(SAVERS * EACH));
    assert!(format!("{store:?}").contains("pools: 0"), "{store:?}");
}

#[test]
fn a_pool_deleted_while_others_use_it_leaves_nothing_behind() {
    const EACH: u32 = 3_000;
    let store = MemoryStore::new();
    let using = AtomicBool::new(true);
    thread::scope(|scope| {
        let (store, using) = (&store, &using);
        let users: Vec<_> = (0..3)
            .map(|thread| {
                scope.spawn(move || {
                    for number in thread * EACH..(thread + 1) * EACH {
                        wait(store.save_key_package(&pool(), package(number), NOW)).unwrap();
                        // The package may be deleted already, or go to another thread.
                        let _ = wait(store.reserve_key_package(&take(number), OnLapse::Return, NOW));
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            while using.load(Ordering::Relaxed) {
                wait(store.delete_pool(&pool())).unwrap();
            }
        });
        users.into_iter().for_each(|user| user.join().unwrap());
        using.store(false, Ordering::Relaxed);
    });
    wait(store.delete_pool(&pool())).unwrap();
    let everything = Timestamp::MAX;
    assert_eq!(wait(store.list_pools(None, 10)).unwrap().items, []);
    assert_eq!(wait(store.release_expired_reservations(everything, 10)).unwrap(), 0);
    assert_eq!(wait(store.cleanup_expired(everything, 10)).unwrap(), 0);
    assert_eq!(
        wait(store.save_key_package(&pool(), package(0), NOW)).unwrap(),
        SaveOutcome::Saved
    );
}
