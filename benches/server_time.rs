//! What a call costs Redis itself, in microseconds of the server (`INFO commandstats`): our reserve, spend and claim beside bare
//! scripts of the same durable work with the fewest commands, in turn within one run, 64 in flight.
//!
//! `cargo bench --bench server_time`. It asserts nothing: times are for people to judge.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::iter;
use kp_core::server::*;
use kp_redis::RedisStore;
use measure::Fallible;
use measure::backend::{Backend, redis_version};
use measure::inputs::{self, Kind, NOW, PAYLOADS, PER_POOL};
use measure::servers::Server;
use redis::Script;
use redis::aio::MultiplexedConnection;

mod measure;

const POOLS: u32 = 100;
const IN_FLIGHT: usize = 64;
/// The calls of a round: of each kind, on our keys and on the bare scripts'.
const ROUND: u32 = 500;
const ROUNDS: u32 = 10;
/// The bare scripts' keys of a pool: what a bucket of the store's would be called.
const KINDS: [&str; 5] = ["r", "q", "t", "i", "l"];

/// What the server spent on calls of one kind.
#[derive(Default)]
struct Spent {
    calls: u64,
    microseconds: u64,
}

impl Spent {
    /// Adds what scripts and functions took since the statistics were reset.
    fn add(&mut self, server: &Server) -> Fallible<()> {
        let stats: String = server.command(&["INFO", "commandstats"])?;
        for line in stats.lines() {
            let Some((name, figures)) = line.split_once(":calls=") else {
                continue;
            };
            if ["cmdstat_evalsha", "cmdstat_fcall"].contains(&name) {
                let (calls, rest) = figures.split_once(",usec=").ok_or("no time")?;
                self.calls += calls.parse::<u64>()?;
                self.microseconds += rest.split(',').next().unwrap_or_default().parse::<u64>()?;
            }
        }
        server.command::<()>(&["CONFIG", "RESETSTAT"])?;
        Ok(())
    }

    fn each(&self) -> f64 {
        self.microseconds as f64 / self.calls as f64
    }
}

/// The scripts that do the least, and their pools: as many packages of the same size as ours.
struct Bare {
    connection: MultiplexedConnection,
    reserve: Script,
    spend: Script,
    lease: Vec<u8>,
}

impl Bare {
    async fn fill(server: &Server, payload: usize) -> Fallible<Self> {
        let client = redis::Client::open(server.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        for pool in 0..POOLS {
            let mut pipe = redis::pipe();
            for number in 0..PER_POOL {
                let named = Self::named(pool, number)?;
                // As long as ours: facts and fingerprint, saved_at, support.
                let record = vec![7_u8; 58 + 7 + 5 + payload];
                pipe.cmd("HSET").arg(key("r", pool)).arg(&named).arg(record).ignore();
                pipe.cmd("ZADD")
                    .arg(key("q", pool))
                    .arg(number + 1)
                    .arg(&named)
                    .ignore();
            }
            pipe.query_async::<()>(&mut connection).await?;
        }
        Ok(Self {
            connection,
            reserve: Script::new(include_str!("measure/floor/reserve.lua")),
            spend: Script::new(include_str!("measure/floor/spend.lua")),
            lease: vec![7; 34],
        })
    }

    fn named(pool: u32, number: u32) -> Fallible<Vec<u8>> {
        let package = inputs::package(pool, number, Kind::usual()?)?;
        Ok(package.info.key_package_ref.as_bytes().to_vec())
    }

    /// Reserves or claims (both write the same), and returns the ref.
    async fn reserve(&self, pool: u32, serial: u64) -> Fallible<(u32, Vec<u8>)> {
        let id = inputs::take(pool, serial)?.id;
        let mut call = self.reserve.prepare_invoke();
        for kind in KINDS {
            call.key(key(kind, pool));
        }
        call.arg(id.as_bytes()).arg(&self.lease).arg(NOW.plus(60).get());
        let (named, _): (Vec<u8>, Vec<u8>) = call.invoke_async(&mut self.connection.clone()).await?;
        Ok((pool, named))
    }

    async fn spend(&self, (pool, named): (u32, Vec<u8>)) -> Fallible<()> {
        let mut call = self.spend.prepare_invoke();
        for kind in ["r", "t", "l"] {
            call.key(key(kind, pool));
        }
        call.arg(named).arg([7_u8; 25].as_slice());
        Ok(call.invoke_async::<()>(&mut self.connection.clone()).await?)
    }
}

fn key(kind: &str, pool: u32) -> String {
    format!("bare:{{{pool:x}}}:{kind}:user-{pool:08}/phone")
}

/// Makes these calls, so many at once, and returns the answers.
async fn together<T>(calls: impl Iterator<Item = impl Future<Output = Fallible<T>>>) -> Fallible<Vec<T>> {
    let answers: Vec<_> = iter(calls).buffer_unordered(IN_FLIGHT).collect().await;
    answers.into_iter().collect()
}

async fn measure_size(payload: usize) -> Fallible<()> {
    let subject = Backend::RedisEverysec.open().await?;
    let server = subject.server.as_ref().ok_or("no server")?;
    let store = Arc::new(RedisStore::open(server.url()).await?);
    for pool in 0..POOLS {
        let save = inputs::save(pool, 0..PER_POOL, Kind::of(payload)?)?;
        store.save_key_packages(&save, NOW).await?;
    }
    let bare = Bare::fill(server, payload).await?;
    let [mut reserve, mut spend, mut claim] = [(); 3].map(|()| [Spent::default(), Spent::default()]);
    let take = |serial: u32| inputs::take(serial % POOLS, u64::from(serial));
    let reserve_ours = async |serial: u32| -> Fallible<ReservationToken> {
        let reserved = store.reserve_key_package(&take(serial)?, OnLapse::Return, NOW).await?;
        Ok(reserved.lease.ok_or("not a one-time package")?.token)
    };
    let spend_ours = async |token: ReservationToken| -> Fallible<()> {
        store.spend_key_package(&token, &Spend::new(), NOW).await?;
        Ok(())
    };
    let claim_ours = async |serial: u32| -> Fallible<()> {
        store.claim_key_package(&take(serial)?, None, NOW).await?;
        Ok(())
    };
    for round in 0..ROUNDS {
        let serials = |part: u32| {
            let first = (2 * round + part) * ROUND / 2;
            first..first + ROUND / 2
        };
        // Both know their scripts: the first round is not counted.
        server.command::<()>(&["CONFIG", "RESETSTAT"])?;
        let tokens = together(serials(0).map(&reserve_ours)).await?;
        reserve[0].add(server)?;
        let leases = together(serials(0).map(|serial| bare.reserve(serial % POOLS, serial.into()))).await?;
        reserve[1].add(server)?;
        together(tokens.into_iter().map(&spend_ours)).await?;
        spend[0].add(server)?;
        together(leases.into_iter().map(|lease| bare.spend(lease))).await?;
        spend[1].add(server)?;
        together(serials(1).map(&claim_ours)).await?;
        claim[0].add(server)?;
        together(serials(1).map(|serial| bare.reserve(serial % POOLS, serial.into()))).await?;
        claim[1].add(server)?;
        if round == 0 {
            [reserve, spend, claim] = [(); 3].map(|()| [Spent::default(), Spent::default()]);
        }
    }
    for (name, [ours, least]) in [("reserve", reserve), ("spend", spend), ("claim", claim)] {
        let (ours, least) = (ours.each(), least.each());
        println!(
            "{payload:>8}  {name:<10}{ours:>10.1}{least:>10.1}{:>9.2} x",
            ours / least
        );
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Fallible<()> {
    println!("{}", redis_version().ok_or("there is no Redis on this machine")?);
    println!("{:>8}  {:<10}{:>10}{:>10}", "bytes", "us", "ours", "bare");
    for payload in PAYLOADS {
        measure_size(payload).await?;
    }
    Ok(())
}
