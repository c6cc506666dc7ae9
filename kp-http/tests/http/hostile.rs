//! Requests that nobody would send who means well, drawn from a seed: `KP_HOSTILE` says how many, `KP_HOSTILE_SEED` from
//! which.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kp_conformance::{Fault, Faults, FaultyStore};
use kp_core::server::KeyPackageStore;
use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::raw::{self, Raw};
use crate::world::{ALICE, BOB, LAPTOP, Words, World, packages};

const CALLERS: [&str; 3] = [ALICE, BOB, LAPTOP];

fn user(caller: &str) -> &str {
    caller.split('/').next().unwrap()
}

/// What was answered to whom.
#[derive(Default)]
struct Seen {
    seed: u64,
    /// Each one-time KeyPackage of a device, and the request that got it: caller, path and key.
    handed_out: HashMap<(String, String), (String, String, String)>,
    /// Each token, and the user who got it.
    tokens: Vec<(String, String)>,
    statuses: HashMap<u16, usize>,
}

/// One request, and what is expected of its answer.
struct Shot {
    bytes: Vec<u8>,
    caller: Option<&'static str>,
    path: String,
    key: String,
    /// Of a spend, renewal or release: whether each token is one that the caller's user got.
    own: Option<Vec<bool>>,
}

fn draw(rng: &mut StdRng, seen: &Seen) -> Shot {
    let caller = rng.random_bool(0.85).then(|| *CALLERS.choose(rng).unwrap());
    let foreign = [
        "Bearer ",
        "Bearer bob",
        "bearer bob/phone",
        "Basic Ym9iOmJvYg==",
        "Bearer bob/phone\u{1}",
        "\u{e9}",
    ];
    let authorization = match caller {
        Some(caller) => format!("Bearer {caller}"),
        None => (*foreign.choose(rng).unwrap()).to_owned(),
    };
    let key = match rng.random_range(0..10) {
        0 => String::new(),
        1 => "k".repeat(rng.random_range(250..9_000)),
        2 => "\u{ff}\u{0}".to_owned(),
        _ => rng.random_range(0..40_u32).to_string(),
    };
    let path = (*[
        "/pool",
        "/pool/upload",
        "/pool/sync",
        "/pool/withdraw",
        "/users/bob/claim",
        "/users/bob/reserve",
        "/users/alice/claim",
        "/users/alice/reserve",
        "/spend",
        "/renew",
        "/release",
        "/openapi.json",
        "/users/%2e%2e/claim",
        "/users/%ff/claim",
        "/users/a%2Fb%00/reserve",
        "//pool",
        "/pool/../spend",
        "/users/bob/claim?user=alice",
        "*",
    ]
    .choose(rng)
    .unwrap())
    .to_owned();
    let (mut body, own) = body(rng, seen, caller, &path);
    let method = match rng.random_range(0..20) {
        0 => ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW", "\u{1}"]
            .choose(rng)
            .unwrap(),
        _ if path == "/pool" => "GET",
        _ => "POST",
    };
    // What is deleted or withdrawn would leave nothing to attack.
    let method = if method == "DELETE" { "TRACE" } else { method };
    let mut headers = format!("authorization: {authorization}\r\nidempotency-key: {key}\r\n");
    match rng.random_range(0..12) {
        0 => headers.push_str("content-type: text/plain\r\n"),
        1 => headers.push_str("content-type: application/json; charset=utf-16\r\ncontent-encoding: gzip\r\n"),
        2 => headers.push_str("idempotency-key: 7\r\ncontent-type: application/json\r\n"),
        3 => headers.push_str("authorization: Bearer bob/phone\r\ncontent-type: application/json\r\n"),
        4 => headers.push_str(&format!(
            "x-request-id: {}\r\ncontent-type: application/json\r\n",
            "i".repeat(5_000)
        )),
        _ => headers.push_str("content-type: application/json\r\n"),
    }
    let length = match rng.random_range(0..30) {
        0 => "-1".to_owned(),
        1 => (body.len() + 1_000).to_string(),
        2 => u64::MAX.to_string(),
        3 => body.len().saturating_sub(1).to_string(),
        _ => body.len().to_string(),
    };
    let mut bytes =
        format!("{method} /mls{path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{headers}").into_bytes();
    match rng.random_range(0..30) {
        0 => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\nzz\r\n"),
        1 => bytes
            .extend_from_slice(format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes()),
        _ => bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes()),
    }
    bytes.append(&mut body);
    // An authorization that is there twice is somebody's: whose, is not said here.
    let caller = caller.filter(|_| !headers.contains("authorization: Bearer bob/phone\r\ncontent"));
    Shot {
        bytes,
        caller,
        path,
        key,
        own,
    }
}

/// No bodies of any request. Making the large ones takes time.
static JUNK: LazyLock<[Vec<u8>; 8]> = LazyLock::new(|| {
    [
        b"".to_vec(),
        b"{".to_vec(),
        vec![b'['; 300_000],
        vec![0xFF; 1_000],
        br#"{"key_packages":1e400,"tokens":null,"refs":{}}"#.to_vec(),
        json!({ "key_packages": vec![""; 100_000] }).to_string().into_bytes(),
        json!({ "tokens": vec!["."; 200_000], "refs": ["00"] })
            .to_string()
            .into_bytes(),
        vec![b' '; 1_100_000],
    ]
});

fn body(rng: &mut StdRng, seen: &Seen, caller: Option<&str>, path: &str) -> (Vec<u8>, Option<Vec<bool>>) {
    if rng.random_bool(0.2) {
        return (JUNK.choose(rng).unwrap().clone(), None);
    }
    let numbers = |rng: &mut StdRng| {
        (0..rng.random_range(0..5))
            .map(|_| rng.random_range(0..90_u32))
            .collect::<Vec<_>>()
    };
    let mut own = None;
    let body = match path {
        "/pool/upload" => {
            let owner = *["alice", "bob"].choose(rng).unwrap();
            let packages = numbers(rng)
                .into_iter()
                .map(|n| STANDARD.encode(format!("{owner}:{n}")));
            json!({ "key_packages": packages.collect::<Vec<_>>() })
        }
        "/pool/sync" | "/pool/withdraw" => {
            json!({ "refs": seen.handed_out.keys().map(|(_, package)| package).take(3).collect::<Vec<_>>() })
        }
        "/spend" | "/renew" | "/release" => {
            let mut tokens = vec!["00.11.22.33".to_owned()];
            let mut mine = vec![false];
            for _ in 0..rng.random_range(0..3) {
                if let Some((token, user_of)) = seen.tokens.choose(rng) {
                    let altered = rng.random_bool(0.3);
                    tokens.push(if altered { format!("{token}0") } else { token.clone() });
                    mine.push(!altered && caller.is_some_and(|caller| user(caller) == user_of));
                }
            }
            own = Some(mine);
            json!({ "tokens": tokens })
        }
        _ => json!({ "ciphersuites": if rng.random_bool(0.9) { vec![1] } else { vec![1; 2_000] } }),
    };
    (body.to_string().into_bytes(), own)
}

impl Seen {
    /// No answer belongs to another caller.
    fn check(&mut self, shot: &Shot, answer: &Raw) {
        *self.statuses.entry(answer.status).or_default() += 1;
        let Some(caller) = shot.caller else { return };
        let Ok(body) = serde_json::from_str::<Value>(&answer.body) else {
            return;
        };
        for device in body["devices"].as_array().into_iter().flatten() {
            let got = &device["answer"]["ok"];
            let Some(package) = got["key_package"].as_str() else {
                continue;
            };
            assert_eq!(got["last_resort"], false);
            // A query is no part of the route: the same key to the same route is the same request made again.
            let (route, _) = shot.path.split_once('?').unwrap_or((&shot.path, ""));
            let request = (caller.to_owned(), route.to_owned(), shot.key.clone());
            // Two devices of a user may have uploaded the same KeyPackage, each to its own pool.
            let owner = route.split('/').nth(2).unwrap_or_default();
            let handed_out = (format!("{owner} {}", device["device"]), package.to_owned());
            let first = self.handed_out.entry(handed_out).or_insert_with(|| request.clone());
            if first != &request {
                // Given back and lent again; but what was claimed is nobody else's.
                assert!(
                    first.1.contains("reserve"),
                    "seed {}: {first:?} and {request:?} got the same",
                    self.seed
                );
                *first = request;
            }
            if let Some(token) = got["lease"]["token"].as_str() {
                self.tokens.push((token.to_owned(), user(caller).to_owned()));
            }
        }
        let answers = body["answers"].as_array().into_iter().flatten();
        for (answer, own) in answers.zip(shot.own.iter().flatten()) {
            assert!(
                *own || answer["refused"] == "no_live_reservation",
                "seed {}: {caller} used what is not theirs: {answer}",
                self.seed
            );
        }
        for held in body["unknown_to_you"].as_array().into_iter().flatten() {
            assert!(held["key_package_ref"].is_string());
        }
    }
}

/// Sends a request, all at once or in two parts with nothing after the first.
async fn shoot(address: SocketAddr, bytes: &[u8], slow: bool) -> Option<Raw> {
    if !slow {
        return raw::send(address, bytes).await;
    }
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&bytes[..bytes.len() / 2]).await.ok()?;
    let mut first = [0; 1];
    // The body is given up; a head that does not end is the business of who has the listener.
    let _ = tokio::time::timeout(Duration::from_millis(20), connection.read(&mut first)).await;
    None
}

/// The most memory that this process had, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

async fn attack(store: Arc<dyn KeyPackageStore>, may_fail: bool, shots: usize, seed: u64) {
    let directory = KeyPackageDirectory::builder(store, Words);
    let settings = |routes: kp_http::server::KeyPackageRoutes| routes.body_timeout(Duration::from_millis(200));
    let world = World::with(directory, None, settings).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut seen = Seen {
        seed,
        ..Seen::default()
    };
    let before = peak();
    for n in 0..shots {
        if n % 100 == 0 {
            for (token, owner) in [(ALICE, "alice"), (BOB, "bob")] {
                let uploaded = world.client(token).upload(&packages(owner, n + 100..n + 120)).await;
                assert!(may_fail || uploaded.is_ok(), "{uploaded:?}");
            }
        }
        let shot = draw(&mut rng, &seen);
        let slow = rng.random_bool(0.02);
        let Some(answer) = shoot(world.address, &shot.bytes, slow).await else {
            continue;
        };
        assert!(
            answer.status < 500 || may_fail && answer.status == 503,
            "seed {seed}, shot {n}: {answer:?}"
        );
        seen.check(&shot, &answer);
    }
    // It serves as before.
    let after = world.client(BOB).status().await;
    assert!(may_fail || after.is_ok(), "{after:?}");
    let mut statuses: Vec<_> = seen.statuses.into_iter().collect();
    statuses.sort_unstable();
    let distinct: HashSet<_> = seen.tokens.iter().collect();
    println!(
        "seed {seed}: {shots} requests, {} KeyPackages, {} tokens, {statuses:?}; peak of memory {before} -> {} KiB",
        seen.handed_out.len(),
        distinct.len(),
        peak()
    );
    assert!(
        seen.handed_out.len() > 10 && !distinct.is_empty(),
        "it never came to anything"
    );
}

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.and_then(|number| number.parse().ok()).unwrap_or(default)
}

fn shots() -> usize {
    number("KP_HOSTILE", 1_000) as usize
}

fn seed() -> u64 {
    number("KP_HOSTILE_SEED", 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_get_no_5xx_and_nothing_of_others() {
    attack(Arc::new(MemoryStore::new()), false, shots(), seed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_over_a_store_that_fails_get_nothing_of_others() {
    let seed = seed();
    let faults = Faults::seeded(seed).filter(|fault| !matches!(fault, Fault::Dropped { .. }));
    let store = FaultyStore::new(Arc::new(MemoryStore::new()), faults);
    attack(Arc::new(store), true, shots(), seed).await;
}

/// How many connections are held open, beside those with half a body.
const SILENT: usize = 1_000;

/// Both ends of every connection are in this process.
fn allow_many_files() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_come_to_nothing_do_not_keep_others_out() {
    allow_many_files();
    let directory = KeyPackageDirectory::builder(MemoryStore::new(), Words);
    let settings = |routes: kp_http::server::KeyPackageRoutes| {
        let routes = routes.max_requests_at_once(8);
        // What is held is held to the end.
        routes
            .body_timeout(Duration::from_secs(600))
            .timeout(Duration::from_secs(600))
    };
    let world = World::with(directory, None, settings).await;
    let before = peak();
    let head = format!(
        "POST /mls/pool/upload HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {BOB}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 1000000\r\n\r\n"
    );
    let half: Arc<[u8]> = [head.as_bytes(), &[b' '; 500_000][..]].concat().into();
    let mut held = JoinSet::new();
    for n in 0..SILENT + 400 {
        let (mut connection, half) = (TcpStream::connect(world.address).await.unwrap(), half.clone());
        held.spawn(async move {
            let told = match n {
                ..SILENT if n % 2 == 0 => &half[..0],
                ..SILENT => &half[..50],
                _ => &half[..],
            };
            // Beyond the eighth half body, the server answers at once, and reads no further.
            let _ = connection.write_all(told).await;
            std::future::pending::<()>().await;
        });
    }
    // Bob's own connections keep him out, once they are under way.
    let bob = world.client(BOB);
    while !matches!(bob.status().await, Err(error) if error.code() == Some("too_many_requests")) {}
    let alice = world.client(ALICE);
    for n in 0..100 {
        alice.upload(&packages("alice", n..n + 1)).await.unwrap();
    }
    let grown = peak().saturating_sub(before);
    println!("{} connections: {grown} KiB more", held.len());
    assert_eq!(held.len(), SILENT + 400);
    assert!(grown < 200 * 1_024, "{grown} KiB");
    held.shutdown().await;
    // Nothing of theirs is left.
    while bob.status().await.is_err() {}
}
