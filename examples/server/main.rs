//! A delivery service's KeyPackage pools over HTTP, as a server builder would write it: the routes of `keypackage_pool::http`,
//! and what is left to a server: accounts, a listener, metrics. `accounts.rs` says what stands in for what.
//!
//! `cargo run -p keypackage-pool-server --example server -- --store sqlite:pools.db --secret 'the same on every node'`
//!
//! `KeyPackageRoutes` lists the routes; `GET /openapi.json` says the same to machines. Beside them:
//!
//! | route | |
//! |---|---|
//! | `GET /metrics` | Prometheus; on a listener of its own, where the network is not yours |
//!
//! TLS, and time-outs for slow clients, are the business of the proxy in front.

mod accounts;
mod store;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use accounts::Accounts;
use axum::Router;
use axum::routing::get;
use clap::Parser;
use keypackage_pool::http::server::{KeyPackageRoutes, Secret};
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::{KeyPackageDirectory, notices};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long a stopping server waits for the requests under way: longer than any store's time-out.
const GRACE: Duration = Duration::from_secs(10);

/// The upper bounds of the buckets of latencies, in seconds.
const LATENCIES: [f64; 8] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Those of the calls that share a commit.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// A KeyPackage directory over HTTP.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one, and says which.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// memory, sqlite:PATH, or the URL of a Redis or Valkey: redis://HOST, redis-cluster://..., redis-sentinel://...;
    /// or of a PostgreSQL: postgres://HOST/DATABASE
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args = Args::parse();
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCIES)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_calls".to_owned()), &BATCHES)?
        .install_recorder()?;
    let secret = match args.secret {
        Some(secret) => Secret::new(secret).map_err(|error| format!("--secret: {error}"))?,
        None if args.store.is_shared() => {
            return Err(
                "a store that outlives the process needs --secret: retries must find what they asked for".into(),
            );
        }
        None => Secret::random()?,
    };
    let accounts = Accounts::load(args.accounts.as_deref())?;
    let (subscriber, notices) = notices(1_000);
    let directory = KeyPackageDirectory::builder(args.store.open().await?, OpenMlsAdmission::new())
        .limit_per_requester(args.limit)
        .notify(subscriber)
        .build()?;
    let sweeper = directory.start_sweeper(SWEEP_EVERY);
    let (stop, stopping) = watch::channel(());
    let routes = KeyPackageRoutes::new(directory, accounts, secret).notices(notices, stopped(stopping.clone()));

    tokio::spawn(upkeep(metrics.clone()));
    let router = Router::new()
        .route("/metrics", get(move || std::future::ready(metrics.render())))
        .merge(routes.router());
    serve(args.listen, router, stop, stopping).await?;
    sweeper.stop().await;
    Ok(())
}

async fn stopped(mut stopping: watch::Receiver<()>) {
    // An error: the sender is dropped.
    let _ = stopping.changed().await;
}

/// Serves until SIGINT or SIGTERM, and then what is under way.
async fn serve(
    address: SocketAddr,
    router: Router,
    stop: watch::Sender<()>,
    stopping: watch::Receiver<()>,
) -> std::io::Result<()> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped(stopping));
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
