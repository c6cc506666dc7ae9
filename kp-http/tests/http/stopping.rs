use std::collections::HashSet;
use std::sync::Arc;

use kp_http::wire::{Answer, TakeRequest};
use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;
use tokio::sync::Semaphore;

use crate::world::{ALICE, BOB, Words, World, key, packages};

const CALLERS: usize = 16;

/// Every claim that the store made was answered: none is spent for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_answer() {
    let directory = KeyPackageDirectory::builder(MemoryStore::new(), Words).cap_per_ciphersuite(2_000);
    let world = World::with(directory, None, |routes| routes).await;
    let bob = world.client(BOB);
    for n in 0..10 {
        bob.upload(&packages("bob", 200 * n..200 * (n + 1))).await.unwrap();
    }
    let answered = Arc::new(Semaphore::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (alice, answered) = (world.client(ALICE), answered.clone());
            tokio::spawn(async move {
                let mut got = Vec::new();
                for n in 0..2_000 / CALLERS {
                    let claim = alice
                        .claim("bob", &TakeRequest::new(), &key(&format!("{caller}-{n}")))
                        .await;
                    let Ok(devices) = claim else { break };
                    let Some(Answer::Ok(package)) = devices.into_iter().next().map(|device| device.answer) else {
                        break;
                    };
                    got.push(package.key_package_ref);
                    answered.add_permits(1);
                }
                got
            })
        })
        .collect();
    // All are at it.
    let _under_way = answered
        .acquire_many(8 * u32::try_from(CALLERS).unwrap())
        .await
        .unwrap();
    let directory = world.directory.clone();
    world.stop().await.unwrap();
    let mut got = HashSet::new();
    for caller in callers {
        got.extend(caller.await.unwrap());
    }
    let status = directory
        .status(&kp_core::PoolId::try_from(BOB).unwrap())
        .await
        .unwrap();
    let counts = status.ciphersuites.into_values().next().unwrap().counts;
    assert_eq!(counts.spent as usize, got.len());
    assert!(counts.available > 0, "it stopped before the pool was empty");
}
