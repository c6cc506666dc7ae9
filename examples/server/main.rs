//! A delivery service's KeyPackage directory over HTTP, as a server builder would write it. All but authentication is
//! meant to be copied; `accounts.rs` says what stands in for what.
//!
//! `cargo run -p keypackage-pool-server --example server -- --store sqlite:pools.db --secret 'the same on every node'`
//!
//! | route | who | |
//! |---|---|---|
//! | `POST /pool/upload` | a device, its own pool | KeyPackages in, one outcome each |
//! | `GET /pool` | | how the pool is doing |
//! | `POST /pool/sync` | | what became of these refs, and which others there are |
//! | `POST /pool/withdraw` | | withdraw these, or all |
//! | `DELETE /pool` | | the device is gone |
//! | `POST /users/{user}/claim` | anybody known | a KeyPackage of each device, for good |
//! | `POST /users/{user}/reserve` | | on loan, with a token each |
//! | `POST /spend`, `POST /release`, `POST /renew` | who has the tokens | |
//! | `GET /metrics` | Prometheus | on a listener of its own, where the network is not yours |
//!
//! KeyPackages are base64; refs, group ids and tokens are hexadecimal. What is refused has a stable `error` beside its HTTP
//! status. TLS, and time-outs for slow clients, are the business of the proxy in front.

mod accounts;
mod answer;
mod handing_out;
mod input;
mod own_pool;
mod secret;
mod store;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use clap::Parser;
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::KeyPackageDirectory;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use secret::Secret;
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Room for an upload of 200 KeyPackages of 3,900 bytes; those of OpenMLS have about 300.
const MAX_BODY: usize = 1024 * 1024;

const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long a stopping server waits for the requests under way: longer than any store's time-out.
const GRACE: Duration = Duration::from_secs(10);

/// The upper bounds of the buckets of latencies, in seconds.
const LATENCIES: [f64; 8] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// A KeyPackage directory over HTTP.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one, and says which.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// memory, sqlite:PATH, or the URL of a Redis or Valkey: redis://HOST, redis-cluster://..., redis-sentinel://...
    #[arg(long, env = "KP_STORE", hide_env_values = true, default_value = "memory")]
    store: Store,
    /// Keys what the store keeps of callers and their retry keys: the same on every node, and after a restart.
    #[arg(long, env = "KP_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// A JSON file of the devices that there are, in the place of the one that comes with this example.
    #[arg(long)]
    accounts: Option<PathBuf>,
    /// How many KeyPackages of one pool a user may take within ten minutes: without a limit anybody can drain it.
    #[arg(long, default_value_t = 10)]
    limit: u32,
}

/// What every handler shares.
struct Server {
    directory: KeyPackageDirectory,
    accounts: Accounts,
    secret: Secret,
    metrics: PrometheusHandle,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args = Args::parse();
    let metrics = PrometheusBuilder::new().set_buckets(&LATENCIES)?.install_recorder()?;
    let secret = match args.secret {
        Some(secret) if secret.len() < 16 => {
            return Err(
                "--secret has at least 16 bytes: whoever guesses it can make the ids that spend reservations".into(),
            );
        }
        Some(secret) => Secret::new(&secret),
        None if args.store.is_shared() => {
            return Err(
                "a store that outlives the process needs --secret: retries must find what they asked for".into(),
            );
        }
        None => Secret::random()?,
    };
    let directory = KeyPackageDirectory::builder(args.store.open().await?, OpenMlsAdmission::new())
        .limit_per_requester(args.limit)
        .build()?;
    let sweeper = directory.start_sweeper(SWEEP_EVERY);
    let server = Arc::new(Server {
        directory,
        accounts: Accounts::load(args.accounts.as_deref(), &secret)?,
        secret,
        metrics,
    });

    tokio::spawn(upkeep(server.metrics.clone()));
    serve(args.listen, router(server)).await?;
    sweeper.stop().await;
    Ok(())
}

/// Serves until SIGINT or SIGTERM, and then what is under way.
async fn serve(address: SocketAddr, router: Router) -> std::io::Result<()> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
    let out_of_time = async {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        info!("stopping");
        drop(stop);
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served,
        () = out_of_time => {
            warn!("requests were still under way; whoever made them asks again");
            Ok(())
        }
    }
}

/// Latencies pile up until they are sorted into their buckets, also where nobody asks for them.
async fn upkeep(metrics: PrometheusHandle) {
    let mut turns = tokio::time::interval(Duration::from_secs(5));
    loop {
        turns.tick().await;
        metrics.run_upkeep();
    }
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/pool", get(own_pool::status).delete(own_pool::delete))
        .route("/pool/upload", post(own_pool::upload))
        .route("/pool/sync", post(own_pool::sync))
        .route("/pool/withdraw", post(own_pool::withdraw))
        .route("/users/{user}/claim", post(handing_out::claim))
        .route("/users/{user}/reserve", post(handing_out::reserve))
        .route("/spend", post(handing_out::spend))
        .route("/release", post(handing_out::release))
        .route("/renew", post(handing_out::renew))
        .route("/metrics", get(metrics))
        .fallback(answer::no_such_route)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(server)
}

async fn metrics(State(server): State<Arc<Server>>) -> String {
    server.metrics.render()
}
