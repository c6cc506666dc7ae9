use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::client::error::ClientError;
use crate::client::send::KeyPackageClient;

impl KeyPackageClient {
    /// Refreshes when the server says that the pool runs low, and when a connection to it begins and the pool stands low.
    /// Needs a tokio runtime.
    ///
    /// A watcher comes beside the refreshes that a messenger makes now and then, and makes none of them needless: a server
    /// may have no events, and a device may be asleep.
    ///
    /// ```
    /// use kp_http::client::{KeyPackageClient, Watcher};
    ///
    /// # #[derive(Clone)] struct Pool;
    /// # impl Pool { async fn refresh(&self) -> Result<(), std::io::Error> { Ok(()) } }
    /// fn watch(client: &KeyPackageClient, pool: &Pool) -> Watcher {
    ///     let pool = pool.clone();
    ///     client.watch(move || {
    ///         let pool = pool.clone();
    ///         async move {
    ///             if let Err(error) = pool.refresh().await {
    ///                 eprintln!("the next refresh makes up for it: {error}");
    ///             }
    ///         }
    ///     })
    /// }
    /// ```
    pub fn watch<F>(&self, refresh: impl FnMut() -> F + Send + 'static) -> Watcher
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (running, stopped) = watch::channel(());
        let task = tokio::spawn(run(self.clone(), refresh, stopped));
        Watcher { running, task }
    }
}

/// A task that refreshes a pool when its server says so. Dropped, it stops once the refresh under way is done;
/// [`stop`](Self::stop) also waits for that.
#[derive(Debug)]
#[must_use = "a watcher that is dropped stops"]
pub struct Watcher {
    /// Dropped to stop the task.
    running: watch::Sender<()>,
    task: JoinHandle<Result<(), ClientError>>,
}

impl Watcher {
    /// Stops it, and waits until the refresh that is under way is done.
    ///
    /// # Errors
    ///
    /// What had ended it before: a refusal of the server.
    pub async fn stop(self) -> Result<(), ClientError> {
        drop(self.running);
        self.task.await.unwrap_or_else(|error| {
            warn!(%error, "the watcher had ended");
            Ok(())
        })
    }
}

async fn run<F: Future<Output = ()>>(
    client: KeyPackageClient,
    mut refresh: impl FnMut() -> F,
    mut stopped: watch::Receiver<()>,
) -> Result<(), ClientError> {
    let mut events = std::pin::pin!(client.events());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = stopped.changed() => return Ok(()),
        };
        match event {
            Some(Ok(event)) if event.wants_refresh() => refresh().await,
            Some(Ok(_)) => {}
            Some(Err(refused)) => {
                warn!(error = &refused as &dyn std::error::Error, "the server tells no more");
                return Err(refused);
            }
            None => return Ok(()),
        }
    }
}
