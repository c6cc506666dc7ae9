use std::collections::HashSet;

use kp_http::client::KeyPackageClient;
use kp_http::wire::{Answer, HandedOut, TakeRequest};

use crate::raw;
use crate::world::{ALICE, BOB, LAPTOP, World, key, packages};

async fn phone(client: &KeyPackageClient, user: &str, of: &str, on_loan: bool) -> HandedOut {
    let any = TakeRequest::new();
    let devices = if on_loan {
        client.reserve(user, &any, &key(of)).await
    } else {
        client.claim(user, &any, &key(of)).await
    };
    devices.unwrap().remove(0).answer.into_result().unwrap()
}

/// Callers choose poor keys. The same key of another device is another request, whether its user is another or not.
#[tokio::test]
async fn a_key_is_of_one_device_and_one_kind_of_request() {
    let world = World::start().await;
    let [alice, bob, laptop] = [ALICE, BOB, LAPTOP].map(|token| world.client(token));
    bob.upload(&packages("bob", 0..20)).await.unwrap();
    let mut distinct = HashSet::new();
    for on_loan in [false, true] {
        for client in [&alice, &bob, &laptop] {
            let first = phone(client, "bob", "1", on_loan).await;
            assert_eq!(phone(client, "bob", "1", on_loan).await, first, "the same request");
            assert!(distinct.insert(first.key_package_ref), "never what somebody else got");
        }
    }
    assert_eq!(distinct.len(), 6);
    let other = phone(&alice, "bob", "2", false).await;
    assert!(distinct.insert(other.key_package_ref));
}

#[tokio::test]
async fn a_token_is_of_one_user() {
    let world = World::start().await;
    let [alice, bob, laptop] = [ALICE, BOB, LAPTOP].map(|token| world.client(token));
    alice.upload(&packages("alice", 0..4)).await.unwrap();
    bob.upload(&packages("bob", 0..4)).await.unwrap();
    let token = phone(&alice, "bob", "1", true).await.lease.unwrap().token;
    let refused = "no_live_reservation";
    let mut altered = token.clone();
    let last = altered.pop().unwrap();
    altered.push(if last == '0' { '1' } else { '0' });
    let (unsealed, seal) = token.rsplit_once('.').unwrap();
    let shouted = format!("{unsealed}.{}", seal.to_uppercase());
    assert_ne!(shouted, token, "a seal has letters");
    for (client, token) in [
        (&bob, token.as_str()),
        (&alice, &altered),
        (&alice, unsealed),
        (&alice, &shouted),
        (&alice, ""),
        (&alice, "é.é"),
    ] {
        let code = |answer: Result<(), kp_http::wire::Code>| answer.unwrap_err().to_string();
        let spent = client.spend([token], None).await.unwrap().remove(0);
        assert_eq!(code(spent.into_result().map(drop)), refused);
        let renewed = client.renew([token]).await.unwrap().remove(0);
        assert_eq!(code(renewed.into_result().map(drop)), refused);
        let released = client.release([token]).await.unwrap().remove(0);
        assert_eq!(code(released.into_result().map(drop)), refused);
    }
    alice
        .spend([&token], None)
        .await
        .unwrap()
        .remove(0)
        .into_result()
        .unwrap();
    // A device of the same user.
    let token = phone(&laptop, "alice", "1", true).await.lease.unwrap().token;
    let spent = bob.spend([&token], None).await.unwrap();
    assert!(matches!(&spent[0], Answer::Ok(_)), "{spent:?}");
}

#[tokio::test]
async fn a_key_is_demanded() {
    let world = World::start().await;
    world.client(BOB).upload(&packages("bob", 0..4)).await.unwrap();
    let authorization = format!("Bearer {ALICE}");
    let basic = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let long = "x".repeat(256);
    for path in ["/mls/users/bob/claim", "/mls/users/bob/reserve"] {
        for (keys, code) in [
            (vec![], "idempotency_key_missing"),
            (vec![""], "idempotency_key_missing"),
            (vec![&*long], "invalid_idempotency_key"),
            (vec!["1", "2"], "invalid_idempotency_key"),
        ] {
            let headers: Vec<_> = basic
                .into_iter()
                .chain(keys.into_iter().map(|key| ("idempotency-key", key)))
                .collect();
            let answer = raw::send(world.address, &raw::request("POST", path, &headers, b"{}"))
                .await
                .unwrap();
            assert_eq!(answer.problem(), (400, code.to_owned()));
        }
    }
    let report = world.client(BOB).status().await.unwrap();
    let [suite] = &*report.ciphersuites.into_values().collect::<Vec<_>>() else {
        panic!()
    };
    assert_eq!(suite.counts.available, 4, "nothing was taken");
}
