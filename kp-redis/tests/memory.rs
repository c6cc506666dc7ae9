//! Measures what a package costs in the server's memory: the figures of docs/decisions/redis-layout.md.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packages;

use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{now, pool, save, take};

fn used_memory(server: &Server) -> u64 {
    let info: String = server.command(&["INFO", "memory"]).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

/// Returns the bytes of an unspent and of a spent package of OpenMLS's size, in this many pools of this size. `spend`
/// is the group and the party of each spend, if given.
async fn measure(pools: u32, size: u32, spend: Option<(GroupId, Party)>) -> (u64, u64) {
    let server = Server::start(&[]);
    let store = RedisStore::open(server.url()).await.unwrap();
    let named: Vec<_> = (0..pools)
        .map(|number| pool(format!("user-{number:06}/device-1")))
        .collect();
    // The scripts are in the server's memory before the first package.
    let warm = pool("warm");
    store.save_key_packages(&save(&warm, 0..1), now()).await.unwrap();
    store.claim_key_package(&take(&warm, 0), None, now()).await.unwrap();
    store.delete_pool(&warm).await.unwrap();
    store.release_expired_reservations(now(), 1).await.unwrap();

    let packages = u64::from(pools * size);
    let empty = used_memory(&server);
    for pool in &named {
        for first in (0..size).step_by(100) {
            let save = save(pool, first..size.min(first + 100));
            let outcomes = store.save_key_packages(&save, now()).await.unwrap();
            assert!(outcomes.iter().all(|outcome| *outcome == SaveOutcome::Saved));
        }
    }
    let unspent = used_memory(&server) - empty;
    let (group, by) = spend.unzip();
    for pool in &named {
        for first in (0..size).step_by(100) {
            let numbers = first..size.min(first + 100);
            let mut takes: Vec<_> = numbers.map(|number| take(pool, u64::from(number) << 17 | 1)).collect();
            for take in &mut takes {
                take.options.by.clone_from(&by);
            }
            let claimed = store.claim_key_packages(&takes, group.as_ref(), now()).await;
            assert!(claimed.iter().all(Result::is_ok));
        }
    }
    // Small batches, so that the buffers of a connection do not count. The windows lapse, and the bytes are dropped.
    while store.release_expired_reservations(now().plus(60), 100).await.unwrap() > 0 {}
    let spent = used_memory(&server) - empty;
    (unspent / packages, spent / packages)
}

#[tokio::test]
async fn a_package_costs_what_the_layout_was_measured_to_cost() {
    let used = Some((
        GroupId::try_from([1; 32].as_slice()).unwrap(),
        Party::try_from([2; 32].as_slice()).unwrap(),
    ));
    for (pools, size, most) in [(200, 32, (590, 300)), (64, 100, (575, 290)), (1, 10_000, (690, 355))] {
        let found = measure(pools, size, None).await;
        let (_, named) = measure(pools, size, used.clone()).await;
        println!(
            "pools of {size}: unspent {}, spent {}, spent with group and party {named}",
            found.0, found.1
        );
        assert!(
            found.0 <= most.0 && found.1 <= most.1,
            "pools of {size}: {found:?}, at most {most:?}"
        );
    }
}
