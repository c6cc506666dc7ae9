use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::routing::post;
use futures::future::try_join_all;
use kp_core::PoolId;
use kp_core::server::KeyPackageStore;
use kp_http::server::{Caller, Device, Identify, IdentifyError, KeyPackageRoutes, Secret};
use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::measure::Fallible;
use crate::measure::inputs::now_by_the_clock;
use crate::measure::ratio::median;
use crate::{Nothing, POOLS, refill};

const CONNECTIONS: u32 = 64;
/// Of each connection, in a round.
const REQUESTS: u32 = 60;
const ROUNDS: u64 = 15;

/// Everybody is known, and every user has one device: who calls is the server's own.
struct Everybody;

#[async_trait]
impl Identify for Everybody {
    async fn caller(&self, _: &Parts) -> Result<Caller, IdentifyError> {
        Ok(Caller::new("alice", pool("alice")?))
    }

    async fn devices(&self, _: &Caller, user: &str) -> Result<Vec<Device>, IdentifyError> {
        Ok(vec![Device::new("phone", pool(user)?)])
    }
}

/// As the benchmarks name it.
fn pool(user: &str) -> Result<PoolId, IdentifyError> {
    PoolId::try_from(format!("{user}/phone").as_str()).map_err(IdentifyError::failed)
}

/// Claims over HTTP by 64 connections, against a handler of the same server that answers with the same bytes.
pub(crate) fn measure() -> Fallible<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare())
}

async fn compare() -> Fallible<()> {
    let memory = MemoryStore::new();
    let store: Arc<dyn KeyPackageStore> = Arc::new(memory.clone());
    let directory = KeyPackageDirectory::new(memory, Nothing);
    let routes = KeyPackageRoutes::new(directory, Everybody, Secret::random()?).max_requests_at_once(10_000);
    refill(&store, now_by_the_clock()?).await?;

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let claims = listener.local_addr()?;
    let app = Router::new().merge(routes.router());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut first = Connection::open(claims).await?;
    let body = first.post(&claim(0, 0)).await?;

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let constants = listener.local_addr()?;
    let answer = move |_: axum::body::Bytes| {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let app = Router::new().route("/users/{user}/claim", post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let open = async |address| try_join_all((0..CONNECTIONS).map(|_| Connection::open(address))).await;
    let (mut to_claims, mut to_constants) = (open(claims).await?, open(constants).await?);
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        refill(&store, now_by_the_clock()?).await?;
        ours.push(per_second(&mut to_claims, round).await?);
        least.push(per_second(&mut to_constants, round).await?);
    }
    let ratio = median(ours.iter().zip(&least).map(|(ours, least)| ours / least));
    println!(
        "claims over HTTP, {CONNECTIONS} connections: {:.0} a second; a handler that answers a constant: {:.0}; ratio {ratio:.2}",
        median(ours),
        median(least),
    );
    Ok(())
}

/// A request of its own.
fn claim(pool: u32, serial: u64) -> String {
    let pool = format!("user-{pool:08}");
    format!(
        "POST /users/{pool}/claim HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Idempotency-Key: key-{serial}\r\nContent-Length: 2\r\n\r\n{{}}"
    )
}

/// A task for each connection, which makes one request after the other.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn per_second(connections: &mut Vec<Connection>, round: u64) -> Fallible<f64> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for (mut connection, number) in connections.drain(..).zip(0..) {
        tasks.spawn(async move {
            for request in 0..REQUESTS {
                let serial = number * REQUESTS + request;
                let key = (round + 1) << 32 | u64::from(serial);
                connection.post(&claim(serial % POOLS, key)).await?;
            }
            Fallible::Ok(connection)
        });
    }
    while let Some(done) = tasks.join_next().await {
        connections.push(done??);
    }
    Ok(f64::from(CONNECTIONS * REQUESTS) / start.elapsed().as_secs_f64())
}

/// A client that costs next to nothing, and knows the answers of this server alone.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: std::net::SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Returns the body of the answer, if that is 200.
    async fn post(&mut self, request: &str) -> Fallible<Vec<u8>> {
        self.0.write_all(request.as_bytes()).await?;
        let (mut line, mut length, mut status) = (String::new(), 0, None);
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            status.get_or_insert_with(|| header.to_owned());
            if let Some((name, value)) = header.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        match status.as_deref() {
            Some("HTTP/1.1 200 OK") => Ok(body),
            other => Err(format!("{other:?}: {}", String::from_utf8_lossy(&body)).into()),
        }
    }
}
