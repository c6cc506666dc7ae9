//! A proxy cuts the connection after the server has executed a call: the caller asks again, and nothing happens twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packages;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kp_core::rules::Model;
use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{id, key_package_ref, now, package, pool, take};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Hands bytes on, both ways, until it is armed: then the next reply is swallowed and its connection cut.
#[derive(Debug, Default)]
struct Proxy {
    armed: AtomicBool,
    cuts: AtomicU32,
}

impl Proxy {
    /// Its port.
    async fn start(self: &Arc<Self>, server: u16) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(Arc::clone(&proxy).carry(client, server));
            }
        });
        port
    }

    async fn carry(self: Arc<Self>, mut client: TcpStream, mut server: TcpStream) {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let requests = tokio::io::copy(&mut from_client, &mut to_server);
        let replies = async {
            let mut bytes = vec![0; 65_536];
            loop {
                let count = from_server.read(&mut bytes).await.unwrap_or(0);
                if count == 0 || self.armed.swap(false, Ordering::SeqCst) {
                    self.cuts.fetch_add(u32::from(count > 0), Ordering::SeqCst);
                    return;
                }
                if to_client.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            _ = requests => {}
            () = replies => {}
        }
    }
}

/// How long a renewed lease lasts.
const LONGER: Ttl = Ttl::seconds(900).unwrap();

/// A call of any kind, so that it can be made again.
#[derive(Debug, Clone)]
enum Call {
    Save(Save),
    Reserve(TakeRequest),
    Claim(TakeRequest),
    Spend(ReservationToken),
    Release(ReservationToken),
    Renew(ReservationToken),
    Withdraw(PoolId, Withdrawal),
    Delete(PoolId),
    Count(PoolId),
}

/// What it answers, in the form that store and model share.
#[derive(Debug, PartialEq)]
enum Answer {
    Saved(Vec<SaveOutcome>),
    Reserved(rules::Answer<Reservation>),
    Claimed(rules::Answer<KeyPackage>),
    Spent(rules::Answer<Receipt>),
    Released(rules::Answer<()>),
    Renewed(rules::Answer<Lease>),
    Withdrawn(Vec<(KeyPackageRef, WithdrawOutcome)>),
    Deleted,
    Counted(PoolCounts),
}

/// A refusal is an answer; a failure is none.
fn said<T>(result: Result<T>) -> Result<rules::Answer<T>, BackendError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Rejected(rejection)) => Ok(Err(rejection)),
        Err(Error::Backend(failure)) => Err(failure),
        Err(other) => panic!("{other}"),
    }
}

fn made<T>(result: Result<T>) -> Result<T, BackendError> {
    said(result).map(|answer| answer.expect("it is never refused"))
}

impl Call {
    fn draw(rng: &mut StdRng) -> Self {
        let bob = pool(["bob/phone", "bob/laptop", "carol"][rng.random_range(0..3)]);
        let number = rng.random_range(0..40_u32);
        let token = ReservationToken::new(bob.clone(), key_package_ref(number), id(rng.random_range(0..12)));
        let request = take(&bob, rng.random_range(0..12));
        match rng.random_range(0..20) {
            0..6 => {
                let numbers = (0..4).map(|_| package(rng.random_range(0..40)));
                let save = Save::new(bob, numbers).unwrap();
                let replace = rng.random_bool(0.2);
                Self::Save(save.mode(if replace { SaveMode::Replace } else { SaveMode::Append }))
            }
            6..9 => Self::Reserve(request),
            9..12 => Self::Claim(request),
            12..14 => Self::Spend(token),
            14 => Self::Release(token),
            15 => Self::Renew(token),
            16..18 => Self::Withdraw(bob, Withdrawal::Refs(vec![key_package_ref(number)])),
            18 => Self::Count(bob),
            _ if rng.random_bool(0.2) => Self::Delete(bob),
            _ => Self::Reserve(request),
        }
    }

    fn one_of_each(pool: &PoolId) -> [Self; 9] {
        let token = ReservationToken::new(pool.clone(), key_package_ref(0), id(0));
        [
            Self::Save(Save::one(pool.clone(), package(0))),
            Self::Reserve(take(pool, 0)),
            Self::Claim(take(pool, 1)),
            Self::Renew(token.clone()),
            Self::Release(token.clone()),
            Self::Spend(token),
            Self::Withdraw(pool.clone(), Withdrawal::All),
            Self::Count(pool.clone()),
            Self::Delete(pool.clone()),
        ]
    }

    async fn make(&self, store: &RedisStore, now: Timestamp) -> Result<Answer, BackendError> {
        Ok(match self {
            Self::Save(save) => Answer::Saved(made(store.save_key_packages(save, now).await)?),
            Self::Reserve(take) => Answer::Reserved(said(store.reserve_key_package(take, OnLapse::Return, now).await)?),
            Self::Claim(take) => Answer::Claimed(said(store.claim_key_package(take, None, now).await)?),
            Self::Spend(token) => Answer::Spent(said(store.spend_key_package(token, &Spend::default(), now).await)?),
            Self::Release(token) => Answer::Released(said(store.release_key_package(token, now).await)?),
            Self::Renew(token) => Answer::Renewed(said(store.renew_key_package(token, LONGER, now).await)?),
            Self::Withdraw(pool, what) => Answer::Withdrawn(made(store.withdraw_key_packages(pool, what, now).await)?),
            Self::Delete(pool) => {
                made(store.delete_pool(pool).await)?;
                Answer::Deleted
            }
            Self::Count(pool) => Answer::Counted(made(store.count_by_status(pool, now).await)?),
        })
    }

    fn make_on(&self, model: &mut Model, now: Timestamp) -> Answer {
        match self {
            Self::Save(save) => Answer::Saved(model.save(save, now)),
            Self::Reserve(take) => Answer::Reserved(model.reserve(take, OnLapse::Return, now)),
            Self::Claim(take) => Answer::Claimed(model.claim(take, None, now)),
            Self::Spend(token) => Answer::Spent(model.spend(token, &Spend::default(), now)),
            Self::Release(token) => Answer::Released(model.release(token, now)),
            Self::Renew(token) => Answer::Renewed(model.renew(token, LONGER, now)),
            Self::Withdraw(pool, what) => Answer::Withdrawn(model.withdraw(pool, what, now)),
            Self::Delete(pool) => {
                model.delete_pool(pool);
                Answer::Deleted
            }
            Self::Count(pool) => Answer::Counted(model.count_by_status(pool, now)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_lost_replies_and_every_package_is_accounted_for() {
    const SEED: u64 = 3;
    let server = Server::start(&[]);
    let proxy = Arc::new(Proxy::default());
    let port = proxy.start(server.port()).await;
    let store = RedisStore::open(format!("redis://127.0.0.1:{port}/")).await.unwrap();
    // The server knows every script, so that what is cut is no "NOSCRIPT".
    let warm = pool("warm");
    for call in Call::one_of_each(&warm) {
        call.make(&store, now()).await.unwrap();
    }
    let (mut rng, mut model, mut clock) = (StdRng::seed_from_u64(SEED), Model::default(), now());
    for cut in 1..=1_000 {
        clock = clock.plus(rng.random_range(0..4));
        let call = Call::draw(&mut rng);
        // The connection stands, so that the reply which is cut is the call's own.
        store.count_by_status(&pool("bob/phone"), clock).await.unwrap();
        proxy.armed.store(true, Ordering::SeqCst);
        let first = call.make(&store, clock).await;
        let answer = call.make_on(&mut model, clock);
        assert_eq!(proxy.cuts.load(Ordering::SeqCst), cut, "seed {SEED}");
        match (&call, first) {
            // A read is made again by the store itself.
            (Call::Count(_), read) => assert_eq!(read.unwrap(), answer),
            (_, Err(failure)) => {
                assert_eq!(
                    failure.effect(),
                    Effect::Unknown,
                    "seed {SEED}, cut {cut}, {call:?}: {failure}"
                );
                assert!(failure.is_transient());
            }
            (_, Ok(answer)) => panic!("seed {SEED}, cut {cut}: {call:?} lost its reply and answers {answer:?}"),
        }
        // It was executed once, and now again: as the model says of the same call made twice.
        let again = call.make(&store, clock).await.unwrap();
        assert_eq!(
            again,
            call.make_on(&mut model, clock),
            "seed {SEED}, cut {cut}: {call:?}"
        );
        // One id, one one-time package.
        if matches!(
            answer,
            Answer::Reserved(Ok(_)) | Answer::Claimed(Ok(_)) | Answer::Spent(Ok(_))
        ) {
            assert_eq!(again, answer, "seed {SEED}, cut {cut}: {call:?}");
        }
    }
    for name in ["bob/phone", "bob/laptop", "carol"] {
        let counts = store.count_by_status(&pool(name), clock).await.unwrap();
        assert_eq!(counts, model.count_by_status(&pool(name), clock));
        for number in 0..40 {
            let stored = store
                .get_key_package(&pool(name), &key_package_ref(number), clock)
                .await
                .unwrap();
            assert_eq!(stored, model.get(&pool(name), &key_package_ref(number), clock));
        }
    }
}
