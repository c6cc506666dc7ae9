use kp_core::key_package::ExtensionType;
use kp_core::protocol::{Health, KeyPackageTransport, UploadOutcome};
use kp_core::server::WithdrawOutcome;
use kp_core::{Cause, Ciphersuite, GroupId, KeyPackageBytes, Rejection, Slot, Status};
use kp_http::wire::{Answer, HandedOut, Required, TakeRequest, UploadRequest, WithdrawRequest};

use crate::world::{ALICE, BOB, World, key, now, packages};

fn bytes(handed_out: &HandedOut) -> &str {
    std::str::from_utf8(&handed_out.key_package.0).unwrap()
}

#[tokio::test]
async fn every_call_does_what_it_says() {
    let world = World::start().await;
    let (alice, bob) = (world.client(ALICE), world.client(BOB));

    let saved = bob.upload(&packages("bob", 0..4)).await.unwrap();
    assert_eq!(saved, [UploadOutcome::Saved; 4]);
    let again = bob.upload(&packages("bob", 3..5)).await.unwrap();
    assert_eq!(again, [UploadOutcome::AlreadyStored, UploadOutcome::Saved]);
    let forged = UploadRequest::new(["alice:1", "bob:x"]).all_admitted();
    let forged = bob.upload(&forged).await.unwrap();
    assert_eq!(
        (forged[0].code(), forged[1].code()),
        ("credential_mismatch", "not_tried")
    );
    bob.upload(&UploadRequest::new(["bob:last"])).await.unwrap();

    let status = bob.status().await.unwrap();
    let counts = status.ciphersuites[&Ciphersuite(1)].counts;
    assert_eq!(
        (status.health(), counts.available, counts.last_resort),
        (Health::Low, 5, Slot::Unused)
    );

    // For good, one of each device; the laptop has none.
    let any = TakeRequest::new();
    let claimed = alice.claim("bob", &any, &key("1")).await.unwrap();
    let [phone, laptop] = &claimed[..] else {
        panic!("{claimed:?}")
    };
    assert_eq!((&*phone.device, &*laptop.device), ("phone", "laptop"));
    let Answer::Ok(first) = &phone.answer else {
        panic!("{phone:?}")
    };
    assert_eq!((bytes(first), first.last_resort, &first.lease), ("bob:0", false, &None));
    let refused = laptop.answer.clone().into_result().unwrap_err();
    assert_eq!(refused.rejection(), Some(Rejection::PoolExhausted));

    // On loan.
    let reserved = alice.reserve("bob", &any, &key("2")).await.unwrap();
    let Answer::Ok(second) = &reserved[0].answer else {
        panic!("{reserved:?}")
    };
    let lease = second.lease.clone().unwrap();
    let renewed = alice
        .renew([&lease.token])
        .await
        .unwrap()
        .remove(0)
        .into_result()
        .unwrap();
    assert!(renewed.expires_at >= lease.expires_at && lease.expires_at > now());
    alice
        .release([&lease.token])
        .await
        .unwrap()
        .remove(0)
        .into_result()
        .unwrap();
    let late = alice.spend([&lease.token], None).await.unwrap();
    assert_eq!(late, [Answer::Refused(Rejection::NoLiveReservation.into())]);
    let reserved = alice.reserve("bob", &any, &key("3")).await.unwrap();
    let Answer::Ok(again) = &reserved[0].answer else {
        panic!("{reserved:?}")
    };
    assert_eq!(bytes(again), bytes(second), "it went back to its place");
    let token = &again.lease.as_ref().unwrap().token;
    let group = || Some(GroupId::try_from("a group").unwrap());
    let receipt = alice.spend([token], group()).await.unwrap();
    assert_eq!(alice.spend([token], group()).await.unwrap(), receipt);
    let Answer::Ok(receipt) = &receipt[0] else {
        panic!("{receipt:?}")
    };
    assert_eq!(receipt.key_package_ref, again.key_package_ref);
    let for_another = alice
        .spend([token], Some(GroupId::try_from("another").unwrap()))
        .await
        .unwrap();
    assert!(matches!(&for_another[0], Answer::Refused(_)), "{for_another:?}");
    // What went well and what did not, each in its place.
    let mixed = alice.spend([token.as_str(), "no token"], group()).await.unwrap();
    assert_eq!(
        mixed,
        [
            Answer::Ok(receipt.clone()),
            Answer::Refused(Rejection::NoLiveReservation.into())
        ]
    );

    // What the owner sees, and withdraws.
    let mine = [first.key_package_ref.clone()];
    let report = bob.sync(&mine).await.unwrap();
    assert!(
        matches!(report.yours[0], Some(Status::Spent { cause: Cause::Used, .. })),
        "{report:?}"
    );
    assert_eq!(report.unknown_to_you.len(), 4, "three, and the last resort");
    assert!(report.server_time.is_some());
    let withdrawn = bob.withdraw(&WithdrawRequest::refs(mine)).await.unwrap();
    assert_eq!(withdrawn[0].outcome, WithdrawOutcome::AlreadySpent);
    let withdrawn = bob.withdraw(&WithdrawRequest::all()).await.unwrap();
    assert_eq!(withdrawn.len(), 4);
    assert!(withdrawn.iter().all(|one| one.outcome == WithdrawOutcome::Withdrawn));

    bob.upload(&UploadRequest::new(["bob:last again", "bob:new"]).replace())
        .await
        .unwrap();
    let unfit = alice
        .claim("bob", &TakeRequest::new().ciphersuites([Ciphersuite(7)]), &key("4"))
        .await
        .unwrap();
    assert_eq!(unfit[0].answer, Answer::Refused(Rejection::NothingFits.into()));
    let requires = Required::new().extensions([ExtensionType(0xF001)]);
    let unsupported = alice
        .claim("bob", &TakeRequest::new().requires(requires), &key("of-those-who-can"))
        .await
        .unwrap();
    assert_eq!(unsupported[0].answer, Answer::Refused(Rejection::NothingFits.into()));
    let too_long = alice
        .claim("bob", &TakeRequest::new().remaining(u32::MAX), &key("5"))
        .await
        .unwrap();
    assert_eq!(too_long[0].answer, Answer::Refused(Rejection::NothingFits.into()));
    alice.claim("bob", &any, &key("6")).await.unwrap();
    let one_time = alice
        .claim("bob", &TakeRequest::new().one_time_only(), &key("7"))
        .await
        .unwrap();
    assert_eq!(one_time[0].answer, Answer::Refused(Rejection::PoolExhausted.into()));
    let shared = alice.reserve("bob", &any, &key("8")).await.unwrap();
    let Answer::Ok(shared) = &shared[0].answer else {
        panic!("{shared:?}")
    };
    assert_eq!((shared.last_resort, &shared.lease), (true, &None));

    bob.delete().await.unwrap();
    assert!(bob.status().await.unwrap().ciphersuites.is_empty());
}

#[tokio::test]
async fn a_client_is_the_transport_of_its_own_pool() {
    let world = World::start().await;
    let bob: &dyn KeyPackageTransport = &world.client(BOB);
    let package = |text: &str| KeyPackageBytes::try_from(text.as_bytes().to_vec()).unwrap();
    assert_eq!(bob.upload(&[package("bob:1")]).await.unwrap(), [UploadOutcome::Saved]);
    let report = bob.sync(&[]).await.unwrap();
    let held = report.unknown_to_you[0].key_package_ref.clone();
    bob.withdraw(&[held]).await.unwrap();
    assert!(bob.sync(&[]).await.unwrap().unknown_to_you.is_empty());

    // More than the server takes at once: the pool tries with less.
    let many: Vec<_> = (0..201).map(|n| package(&format!("bob:{n}"))).collect();
    assert!(bob.upload(&many).await.unwrap_err().is_refusal());
    // Nobody known: less is of no use.
    let nobody: &dyn KeyPackageTransport = &world.client("nobody");
    assert!(!nobody.upload(&many[..1]).await.unwrap_err().is_refusal());
}
