//! `claim`, `claim_many`, `reserve`, `reserve_many`, `spend` and `release` (DIR-1), and their defaults (DIR-2).

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use kp_core::server::TakeOptions;
use kp_core::server::{LastResort, Lease, OnLapse, Reservation, ReservationToken, Spend};
use kp_core::{Error, PoolId, Rejection, Ttl};
use kp_server::Take;
use world::{DAY, Made, OTHER_SUITE, SUITE, World, bob, group, key_package_ref, made, party, retry_key, start, to_bob};

fn rejection<T: std::fmt::Debug>(answer: Result<T, Error>) -> Rejection {
    *answer.unwrap_err().rejection().unwrap()
}

fn token(reserved: &Reservation) -> ReservationToken {
    reserved.lease.as_ref().unwrap().token.clone()
}

async fn world(packages: u32) -> World {
    let world = World::new();
    world.upload(made(packages)).await;
    world
}

/// DIR-1: without an id each claim is a new request, with a fresh one.
#[tokio::test]
async fn claims_without_an_id_get_different_packages() {
    let world = world(2).await;
    let first = world.directory.claim(&bob(), &Take::new()).await.unwrap();
    let second = world.directory.claim(&bob(), &Take::new()).await.unwrap();
    assert_ne!(first.info.key_package_ref, second.info.key_package_ref);
    assert_eq!(first.bytes.as_ref(), made(1)[0]);
    let third = world.directory.claim(&bob(), &Take::new()).await;
    assert_eq!(rejection(third), Rejection::PoolExhausted);
}

/// DIR-2: the claim window is 10 minutes by default: until then the same claim gets the same package.
#[tokio::test]
async fn a_claim_can_be_repeated_for_ten_minutes() {
    let world = world(2).await;
    let ask = Take::new()
        .options(TakeOptions::new().by(party("alice")))
        .id(retry_key(1))
        .group(group("g"));
    let first = world.directory.claim(&bob(), &ask).await.unwrap();
    world.clock.advance(599);
    assert_eq!(world.directory.claim(&bob(), &ask).await.unwrap(), first);
    let other_group = ask.clone().group(group("h"));
    let answer = world.directory.claim(&bob(), &other_group).await;
    assert_eq!(rejection(answer), Rejection::AlreadySpent);
    world.clock.advance(1);
    assert_eq!(
        rejection(world.directory.claim(&bob(), &ask).await),
        Rejection::AlreadySpent
    );
}

/// DIR-2: the same window for a claim that names many pools.
#[tokio::test]
async fn a_claim_for_many_can_be_repeated_for_ten_minutes() {
    let world = world(2).await;
    let (pools, ask) = ([bob()], Take::new().id(retry_key(1)));
    let first = world.directory.claim_many(&pools, &ask).await.all().unwrap();
    world.clock.advance(599);
    assert_eq!(world.directory.claim_many(&pools, &ask).await.all().unwrap(), first);
    world.clock.advance(1);
    let late = world.directory.claim_many(&pools, &ask).await.only();
    assert_eq!(rejection(late), Rejection::AlreadySpent);
}

/// DIR-1: a reservation with an id is the same request as long as its lease holds.
#[tokio::test]
async fn a_reservation_can_be_repeated() {
    let world = world(2).await;
    let ask = Take::new().id(retry_key(1));
    let first = world.directory.reserve(&bob(), &ask).await.unwrap();
    assert_eq!(token(&first).id(), retry_key(1));
    world.clock.advance(59);
    assert_eq!(world.directory.reserve(&bob(), &ask).await.unwrap(), first);
}

/// DIR-2: a lease lasts 60 s by default; then its holder is fenced off, and the package goes to the next.
#[tokio::test]
async fn a_lease_lasts_a_minute() {
    let world = world(1).await;
    let stale = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    assert_eq!(stale.lease.as_ref().unwrap().expires_at, start().plus(60));
    world.clock.advance(59);
    let early = world.directory.reserve(&bob(), &Take::new()).await;
    assert_eq!(rejection(early), Rejection::PoolExhausted);
    world.clock.advance(1);
    let fresh = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    assert_eq!(fresh.package, stale.package);

    let tokens = [token(&stale), token(&fresh)];
    let mut answers = world.directory.spend(&tokens, &Spend::default()).await.into_iter();
    assert_eq!(rejection(answers.next().unwrap()), Rejection::NoLiveReservation);
    assert_eq!(answers.next().unwrap().unwrap().spent_at, start().plus(60));
}

/// DIR-1: spend and release answer each token.
#[tokio::test]
async fn a_reservation_is_spent_or_released() {
    let world = world(2).await;
    let first = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    let second = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    let released = world.directory.release(&[token(&first), token(&first)]).await;
    assert!(released[0].is_ok());
    assert_eq!(rejection(released[1].clone()), Rejection::NoLiveReservation);

    let spend = Spend::new().group(group("g")).by(party("alice"));
    let receipt = world.directory.spend_one(&token(&second), &spend).await.unwrap();
    let again = world.directory.spend_one(&token(&second), &spend).await.unwrap();
    assert_eq!(receipt, again);
    let other = world.directory.spend(&[token(&second)], &Spend::default()).await;
    assert_eq!(rejection(other[0].clone()), Rejection::AlreadySpent);
}

/// DIR-1: a lease that is about to lapse is renewed, by the directory's ttl or by one given, and is spent later.
#[tokio::test]
async fn a_lease_is_renewed() {
    let world = world(1).await;
    let lease = world
        .directory
        .reserve(&bob(), &Take::new())
        .await
        .unwrap()
        .lease
        .unwrap();
    world.clock.advance(50);
    let longer = world.directory.renew_one(&lease, None).await.unwrap();
    assert_eq!(longer, Lease::new(lease.token.clone(), start().plus(110)));
    world.clock.advance(59);
    let ttl = Ttl::seconds(600).unwrap();
    let longer = world.directory.renew_one(&longer, Some(ttl)).await.unwrap();
    assert_eq!(longer.expires_at, start().plus(709));
    let shorter = world.directory.renew_one(&longer, None).await.unwrap();
    assert_eq!(shorter.expires_at, start().plus(709), "never shorter");
    world.clock.advance(599);
    world.directory.spend_one(&lease, &Spend::new()).await.unwrap();
}

/// DIR-1: a renewal answers each token; one that comes too late changes nothing.
#[tokio::test]
async fn a_renewal_that_comes_too_late_is_refused() {
    let world = world(2).await;
    let lapsed = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    world.clock.advance(60);
    let live = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    let answers = world.directory.renew(&[token(&lapsed), token(&live)], None).await;
    assert_eq!(rejection(answers[0].clone()), Rejection::NoLiveReservation);
    assert_eq!(answers[1].as_ref().unwrap().expires_at, start().plus(120));
}

/// DIR-8: who knows a ref learns by a call under an id of their own that the package was used.
#[tokio::test]
async fn who_knows_a_ref_can_learn_that_it_was_used() {
    let world = world(1).await;
    let package = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    let forged = ReservationToken::new(bob(), package.package.info.key_package_ref.clone(), retry_key(9));
    let before = rejection(world.directory.release_one(&forged).await);
    world
        .directory
        .spend_one(&token(&package), &Spend::new())
        .await
        .unwrap();
    let after = [
        rejection(world.directory.release_one(&forged).await),
        rejection(world.directory.renew_one(&forged, None).await),
        rejection(world.directory.spend_one(&forged, &Spend::new()).await),
    ];
    assert_eq!(before, Rejection::NoLiveReservation);
    assert_eq!(after, [Rejection::AlreadySpent; 3], "the docs say so");
}

/// DIR-2: what becomes of a lapsed package is the server's choice.
#[tokio::test]
async fn a_lapsed_package_can_be_retired() {
    let world = World::with(|policy| policy.on_lapse(OnLapse::Retire));
    world.upload(made(2)).await;
    world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    world
        .directory
        .reserve_many(&[bob()], &Take::new())
        .await
        .all()
        .unwrap();
    world.clock.advance(60);
    let answer = world.directory.reserve(&bob(), &Take::new()).await;
    assert_eq!(rejection(answer), Rejection::PoolExhausted);
}

/// DIR-1: a package of each pool, an answer for each, all under one id.
#[tokio::test]
async fn one_request_serves_all_devices() {
    let world = world(2).await;
    let tablet = PoolId::try_from("bob/tablet").unwrap();
    let upload = kp_server::Upload::new(tablet.clone(), kp_core::server::Uploader::unchecked(), made(2));
    world.directory.upload(upload).await.unwrap();
    let pools = [bob(), PoolId::try_from("bob/lost").unwrap(), tablet];

    let ask = Take::new().id(retry_key(1));
    let first = world.directory.claim_many(&pools, &ask).await;
    assert_eq!(rejection(first[1].clone()), Rejection::PoolExhausted);
    let again = world.directory.claim_many(&pools, &ask).await;
    for at in [0, 2] {
        assert_eq!(first[at].as_ref().unwrap(), again[at].as_ref().unwrap());
    }

    let leased = world.directory.reserve_many(&pools, &Take::new()).await;
    assert_eq!(rejection(leased[1].clone()), Rejection::PoolExhausted);
    let tokens = [0, 2].map(|at: usize| token(leased[at].as_ref().unwrap()));
    assert_eq!(tokens[0].id(), tokens[1].id(), "one fresh id for all pools");
    let receipts = world.directory.spend(&tokens, &Spend::default()).await;
    assert!(receipts.iter().all(Result::is_ok));

    assert!(world.directory.claim_many(&[], &Take::new()).await.is_empty());
    assert!(world.directory.reserve_many(&[], &Take::new()).await.is_empty());
}

/// DIR-1: last resort when nothing else is left, marked and without a lease; never, or only that, on request.
#[tokio::test]
async fn the_last_resort_is_handed_out_last() {
    let world = world(1).await;
    world.upload(vec![Made::new("last").last_resort().bytes()]).await;

    let only = Take::from(TakeOptions::new().last_resort(LastResort::Only));
    assert!(
        world
            .directory
            .claim(&bob(), &only)
            .await
            .unwrap()
            .info
            .role
            .is_last_resort()
    );
    assert!(
        !world
            .directory
            .claim(&bob(), &Take::new())
            .await
            .unwrap()
            .info
            .role
            .is_last_resort()
    );
    let fallback = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    assert!(fallback.package.info.role.is_last_resort() && fallback.lease.is_none());
    let never = Take::from(TakeOptions::new().last_resort(LastResort::Never));
    let answer = world.directory.claim(&bob(), &never).await;
    assert_eq!(rejection(answer), Rejection::PoolExhausted);
}

/// DIR-1: what is asked for reaches the store.
#[tokio::test]
async fn an_ask_is_passed_on() {
    let world = World::new();
    let (mut brief, mut other) = (Made::new("brief"), Made::new("other"));
    brief.not_after = start().plus(DAY);
    other.suite = OTHER_SUITE;
    world.upload(vec![brief.bytes(), other.bytes()]).await;

    let ask = Take::from(TakeOptions::new().ciphersuites([SUITE]).remaining(2 * 86_400));
    let answer = world.directory.claim(&bob(), &ask).await;
    assert_eq!(rejection(answer), Rejection::NothingFits);
    let ask = Take::from(TakeOptions::new().only(key_package_ref("other")));
    let named = world.directory.reserve(&bob(), &ask).await.unwrap();
    assert_eq!(named.package.info.ciphersuite, OTHER_SUITE);
    let taken = world.directory.reserve(&bob(), &ask).await;
    assert_eq!(rejection(taken), Rejection::AlreadyReserved);
}

/// DIR-2, RES-7: no limit by default; with one, a requester that says who it is cannot drain a pool.
#[tokio::test]
async fn a_requester_is_limited() {
    let world = World::with(|policy| policy.limit_per_requester(2));
    world.directory.upload(to_bob(made(4))).await.unwrap();
    let mallory = Take::from(TakeOptions::new().by(party("mallory")));
    for _ in 0..2 {
        world.directory.claim(&bob(), &mallory).await.unwrap();
    }
    let third = world.directory.reserve(&bob(), &mallory).await;
    assert_eq!(rejection(third), Rejection::TooManyReservations);
    let alice = Take::from(TakeOptions::new().by(party("alice")));
    world.directory.claim(&bob(), &alice).await.unwrap();
}
