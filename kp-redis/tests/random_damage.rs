//! Damages records, and the entries that lead to them, at random: every call ends with an answer or a typed failure, and no
//! package goes to two ids. `DAMAGED_RECORDS=10000` damages so many; `DAMAGED_SEED` begins at another seed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use calls::{CALLS, Stores};
use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{at, id, key_package_ref, last_resort, now, pool, take};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// How many records of a pool are damaged: of 13.
const RECORDS: usize = 6;

fn number_of(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Some bytes, not as they were.
fn damaged(rng: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match rng.random_range(0..8) {
        0 => bytes.truncate(rng.random_range(0..=bytes.len())),
        1 => bytes.extend((0..rng.random_range(1..40)).map(|_| rng.random::<u8>())),
        2 => bytes = (0..rng.random_range(0..400)).map(|_| rng.random()).collect(),
        3 if !bytes.is_empty() => {
            let from = rng.random_range(0..bytes.len());
            bytes.drain(from..rng.random_range(from..=bytes.len()));
        }
        // Mostly in the facts and the state, which lie in front.
        _ => {
            for _ in 0..rng.random_range(1..4) {
                let end = if rng.random_bool(0.7) {
                    bytes.len().min(100)
                } else {
                    bytes.len()
                };
                if end > 0 {
                    bytes[rng.random_range(0..end)] ^= 1 << rng.random_range(0..8);
                }
            }
        }
    }
    bytes
}

/// Damages some records of a pool, and now and then an entry of its indexes.
fn damage(rng: &mut StdRng, connection: &mut redis::Connection, name: &str) {
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg(format!("kp:*:r:{name}"))
        .query(connection)
        .unwrap();
    let records = keys[0].clone();
    let beside = |kind: &str| {
        let text = String::from_utf8(records.clone()).unwrap();
        text.replace(":r:", &format!(":{kind}:"))
    };
    let all: Vec<(Vec<u8>, Vec<u8>)> = redis::cmd("HGETALL").arg(&records).query(connection).unwrap();
    let refs: Vec<_> = all.iter().filter(|(field, _)| !field.is_empty()).collect();
    for (field, value) in refs.choose_multiple(rng, RECORDS) {
        let value = damaged(rng, value);
        let () = redis::cmd("HSET")
            .arg(&records)
            .arg(field)
            .arg(value)
            .query(connection)
            .unwrap();
    }
    let taken: Vec<(Vec<u8>, Vec<u8>)> = redis::cmd("HGETALL").arg(beside("t")).query(connection).unwrap();
    let (field, _) = refs.choose(rng).unwrap();
    let (leased, lease) = taken.choose(rng).unwrap();
    let command = match rng.random_range(0..16) {
        0 => redis::cmd("ZREM").arg(beside("q")).arg(field).clone(),
        1 => redis::cmd("ZREM").arg(beside("l")).arg(field).clone(),
        2 => {
            let end = rng.random_range(0..2 * now().get());
            redis::cmd("ZADD").arg(beside("l")).arg(end).arg(field).clone()
        }
        3 => {
            let led = damaged(rng, field);
            redis::cmd("HSET")
                .arg(beside("i"))
                .arg(id(rng.random_range(0..4)).as_bytes())
                .arg(led)
                .clone()
        }
        4 => {
            let hint: Vec<u8> = (0..14).map(|_| rng.random()).collect();
            redis::cmd("HSET").arg(beside("i")).arg("").arg(hint).clone()
        }
        5 => redis::cmd("ZADD")
            .arg(beside("q"))
            .arg(rng.random_range(-50..50))
            .arg("no ref")
            .clone(),
        6 => redis::cmd("HDEL").arg(&records).arg(field).clone(),
        // RES-2: what the queue says is not enough to take a package.
        7 => redis::cmd("ZADD")
            .arg(beside("q"))
            .arg(rng.random_range(1..20))
            .arg(leased)
            .clone(),
        8 => redis::cmd("HDEL").arg(beside("t")).arg(leased).clone(),
        9..12 => {
            let lease = damaged(rng, lease);
            redis::cmd("HSET").arg(beside("t")).arg(leased).arg(lease).clone()
        }
        _ => return,
    };
    let () = command.query(connection).unwrap();
}

/// Ends the call, and takes note of a failure. A fault in the script is no typed failure.
async fn ends<T>(seed: u64, call: &str, future: impl Future<Output = Result<T, BackendError>>) -> Option<T> {
    let Ok(answer) = tokio::time::timeout(Duration::from_secs(60), future).await else {
        panic!("seed {seed}: {call} does not end");
    };
    let failure = match answer {
        Ok(answer) => return Some(answer),
        Err(failure) => failure,
    };
    let text = failure.to_string();
    assert!(
        !text.contains("user_script") && !text.contains("user_function"),
        "seed {seed}: {call} fails in the script: {text}"
    );
    assert!(!failure.is_transient(), "seed {seed}: {call} would fail again: {text}");
    None
}

fn claimed(answer: Result<KeyPackage>) -> Result<Option<KeyPackageRef>, BackendError> {
    match answer {
        Ok(package) => Ok(Some(package.info.key_package_ref)),
        Err(Error::Backend(failure)) => Err(failure),
        Err(_) => Ok(None),
    }
}

/// Claims with fresh ids until nothing is left, and says which package went to which.
async fn claim_all(seed: u64, store: &RedisStore, bob: &PoolId, from: u64) -> BTreeMap<KeyPackageRef, u64> {
    let mut went = BTreeMap::new();
    for number in from..from + 40 {
        let claim = async { claimed(store.claim_key_package(&take(bob, number), None, now()).await) };
        let Some(Some(package)) = ends(seed, "claim", claim).await else {
            break;
        };
        let before = went.insert(package.clone(), number);
        assert_eq!(before, None, "seed {seed}: {package:?} went to two ids");
    }
    went
}

#[tokio::test]
async fn damage_at_random_gives_no_package_twice_and_ends_no_call() {
    let pools = number_of("DAMAGED_RECORDS", 600).div_ceil(RECORDS);
    let first = number_of("DAMAGED_SEED", 0) as u64;
    let server = Server::start(&[]);
    let stores = Stores::open(RedisStore::builder(server.url()).buckets(4), "rows")
        .await
        .unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let (mut calls, mut failed, mut handed) = (0_u32, 0_u32, 0);
    for seed in first..first + pools as u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let name = format!("p{seed}");
        let bob = pool(&name);
        let stores = stores.on(&name);
        stores.prepare().await;
        stores
            .store
            .save_key_package(&bob, last_resort(30), now())
            .await
            .unwrap();
        damage(&mut rng, &mut connection, &name);

        let went = claim_all(seed, &stores.store, &bob, 100).await;
        for number in 0..4 {
            let taken = key_package_ref(number);
            assert!(!went.contains_key(&taken), "seed {seed}: {taken:?} was leased or used");
        }
        handed += went.len();
        let mut order: Vec<_> = CALLS.iter().filter(|call| call.name != "delete_pool").collect();
        while let Some(call) = order.choose(&mut rng).copied() {
            order.retain(|other| *other != call);
            calls += 1;
            failed += u32::from(ends(seed, call.name, stores.make(*call)).await.is_none());
        }
        // What was claimed stays claimed, whatever was repaired, passed over, settled or swept meanwhile.
        let again = claim_all(seed, &stores.store, &bob, 200).await;
        let twice = again.keys().find(|package| went.contains_key(package));
        assert_eq!(twice, None, "seed {seed}: went to two ids");
        let sweep = async {
            match stores.store.cleanup_expired(at(9_007_199_254_740_991), 1_000).await {
                Err(Error::Backend(failure)) => Err(failure),
                other => Ok(other),
            }
        };
        ends(seed, "cleanup_expired", sweep).await;
        ends(seed, "delete_pool", stores.call("delete_pool")).await.unwrap();
        let left: Vec<String> = redis::cmd("KEYS")
            .arg(format!("kp:*:{name}"))
            .query(&mut connection)
            .unwrap();
        assert!(left.is_empty(), "seed {seed}: {left:?}");
    }
    println!(
        "seeds {first} to {}: {} records damaged in {pools} pools, {handed} packages handed out, {calls} calls, {failed} \
         typed failures",
        first + pools as u64,
        pools * RECORDS,
    );
    assert!(
        handed > pools && failed > 0,
        "the damage was met, and what is whole was handed out"
    );
}
