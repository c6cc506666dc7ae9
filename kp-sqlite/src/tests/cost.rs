//! What calls cost in the steps of SQLite's virtual machine: counted, since a clock would measure the machine besides.

#![allow(
    clippy::let_unit_value,
    reason = "rusqlite 0.37 sets a hook without a result, 0.41 with one"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use kp_core::key_package::ExtensionType;
use kp_core::rules::Limits;
use kp_core::server::*;
use kp_core::*;

use crate::file::connection::Survives;
use crate::pools::store::SqliteStore;
use crate::tests::packages::test_package;

/// How many steps the counter counts at a time.
const LOT: usize = 100;

/// Opens a store whose steps are counted.
async fn counted(dir: &Path, steps: &'static AtomicUsize) -> SqliteStore {
    SqliteStore::builder(dir.join("pools.db"))
        .survives(Survives::ProcessCrash)
        .limits(Limits::default().max_records(200_000))
        .open_with(|connection| {
            let count = || {
                steps.fetch_add(LOT, Ordering::SeqCst);
                false
            };
            let _ = connection.progress_handler(LOT as i32, Some(count));
        })
        .await
        .unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool() -> PoolId {
    PoolId::try_from("bob/phone").unwrap()
}

fn packages(numbers: std::ops::Range<u32>, not_after: Timestamp) -> Save {
    let lifetime = Lifetime::new(at(-1), not_after).unwrap();
    let package = |number: u32| test_package(&number.to_be_bytes(), lifetime, &[7; 32]);
    Save::new(pool(), numbers.map(package)).unwrap()
}

/// COST-1: whatever expired in a pool, and was not swept yet, is not read again and again.
#[tokio::test]
async fn expired_packages_do_not_slow_a_pool() {
    const EXPIRED: u32 = 100_000;
    const CALLS: usize = 400;
    static STEPS: AtomicUsize = AtomicUsize::new(0);
    let dir = tempfile::tempdir().unwrap();
    let store = counted(dir.path(), &STEPS).await;
    for first in (0..EXPIRED).step_by(Save::MAX_PACKAGES) {
        let save = packages(first..first + 1_000, at(50));
        store.save_key_packages(&save, at(0)).await.unwrap();
    }
    let live = packages(EXPIRED..EXPIRED + 100, at(1_000));
    store.save_key_packages(&live, at(100)).await.unwrap();

    let before = STEPS.load(Ordering::SeqCst);
    let mut of_cycles = 0;
    for number in 0..u32::try_from(CALLS / 4).unwrap() {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let begun = STEPS.load(Ordering::SeqCst);
        let take = TakeRequest::new(pool(), ReservationId::from_bytes(id), Ttl::seconds(60).unwrap());
        let reserved = store
            .reserve_key_package(&take, OnLapse::Return, at(100))
            .await
            .unwrap();
        let token = reserved.lease.unwrap().token;
        store
            .spend_key_package(&token, &Spend::default(), at(100))
            .await
            .unwrap();
        // The first looks for where the queue goes on; the others know.
        if number > 0 {
            of_cycles += STEPS.load(Ordering::SeqCst) - begun;
        }
        let first = EXPIRED + 1_000 + number;
        let one = packages(first..first + 1, at(1_000)).cap_per_ciphersuite(1_000);
        assert_eq!(
            store.save_key_packages(&one, at(100)).await.unwrap(),
            [SaveOutcome::Saved]
        );
        store.retire_unspent(at(-10), at(100), None, 1).await.unwrap();
    }
    let steps = (STEPS.load(Ordering::SeqCst) - before) / CALLS;
    // To read what expired takes several steps for each.
    assert!(steps < EXPIRED as usize / 10, "{steps} steps a call");
    let a_cycle = of_cycles / (CALLS / 4);
    assert!(a_cycle < 1_000, "{a_cycle} steps for a reserve and a spend");
    println!("{a_cycle} steps for a reserve and a spend");
    println!("{steps} steps a call behind {EXPIRED} expired packages");
}

/// COST-1: a thousand requests whose requirements no package meets read the pool once. RES-3: where nothing is required, no
/// support is read.
#[tokio::test]
async fn requirements_that_nothing_meets_are_looked_for_once() {
    const PACKAGES: u32 = 1_000;
    static STEPS: AtomicUsize = AtomicUsize::new(0);
    let dir = tempfile::tempdir().unwrap();
    let store = counted(dir.path(), &STEPS).await;
    let lifetime = Lifetime::new(at(-1), at(1_000)).unwrap();
    let item = |number: u32| {
        let package = test_package(&number.to_be_bytes(), lifetime, &[7; 32]);
        Admitted::new(package).support(Support::new([ExtensionType(0xF001)], [], []))
    };
    let save = Save::new(pool(), (0..PACKAGES).map(item)).unwrap();
    store.save_key_packages(&save, at(0)).await.unwrap();
    let take = |number: u32, extension: u16| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let required = Requirements::new().extensions([ExtensionType(extension)]).unwrap();
        let options = TakeOptions::new().requirements(required);
        TakeRequest::new(pool(), ReservationId::from_bytes(id), Ttl::seconds(60).unwrap()).options(options)
    };
    let unmet = async |number| {
        let begun = STEPS.load(Ordering::SeqCst);
        let claimed = store.claim_key_package(&take(number, 0xF002), None, at(1)).await;
        assert!(
            matches!(claimed, Err(Error::Rejected(Rejection::NothingFits))),
            "{claimed:?}"
        );
        STEPS.load(Ordering::SeqCst) - begun
    };
    let first = unmet(0).await;
    let mut rest = 0;
    for number in 1..=100 {
        rest += unmet(number).await;
    }
    println!("{first} steps for the first, {} for each of the others", rest / 100);
    assert!(first > PACKAGES as usize * 10, "it reads the pool: {first}");
    assert!(rest / 100 < PACKAGES as usize, "the others do not: {rest} for 100");
    store.claim_key_package(&take(999, 0xF001), None, at(1)).await.unwrap();
}
