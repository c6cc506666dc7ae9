use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};
use tokio::task::{JoinError, JoinHandle};

use crate::level::{Level, Settings};
use crate::packages::numbered;
use crate::progress::Progress;
use crate::{Context, Factory, Space};

/// A check in which nothing goes on for so long hangs: on a slow disk the longest call takes seconds, on a machine that is
/// starved a minute, and at the heavy level minutes.
fn timeout() -> Duration {
    Duration::from_secs(match Settings::get().level {
        Level::Quick | Level::Default => 90,
        Level::Heavy => 3_600,
    })
}

/// How often it is looked at meanwhile.
const LOOKS: u32 = 9;

/// Of a check that goes on, so many times as long is too long.
const LONGEST: u32 = 13;

/// Waits for a check, as long as it goes on. A machine that is starved makes it slow, and does not make it fail.
async fn ended<T>(checked: JoinHandle<T>, progress: &Progress) -> Result<T, String> {
    let mut checked = pin!(checked);
    let limit = timeout();
    let (mut steps, mut still) = (0, 0);
    for _ in 0..LONGEST * LOOKS {
        match tokio::time::timeout(limit / LOOKS, &mut checked).await {
            Ok(ended) => return ended.map_err(failure),
            Err(_) if progress.steps() > steps => (steps, still) = (progress.steps(), 0),
            Err(_) => still += 1,
        }
        if still == LOOKS {
            let seconds = limit.as_secs();
            return Err(format!(
                "it hangs: after {steps} calls it began no other for {seconds} s"
            ));
        }
    }
    let seconds = limit.as_secs() * u64::from(LONGEST);
    Err(format!("it does not end: {steps} calls in {seconds} s, and more"))
}

/// A runtime whose tasks run beside each other.
pub(crate) fn several_threads() -> runtime::Builder {
    let mut runtime = runtime::Builder::new_multi_thread();
    runtime.worker_threads(4);
    runtime
}

/// A new space, with a runtime of its own.
pub(crate) struct Place<S: ?Sized + 'static> {
    factory: Arc<dyn Factory<S>>,
    context: Context<S>,
    _dir: TempDir,
    runtime: Runtime,
}

impl<S: ?Sized + Send + Sync + 'static> Place<S> {
    pub(crate) fn new(
        mut runtime: runtime::Builder,
        factory: &Arc<dyn Factory<S>>,
        is_apart: bool,
    ) -> Result<Self, String> {
        let (space, dir) = Space::create().map_err(|error| format!("no space for the check: {error}"))?;
        let runtime = runtime.enable_all().build();
        Ok(Self {
            factory: Arc::clone(factory),
            context: Context::new(Arc::clone(factory), space.apart(is_apart)),
            _dir: dir,
            runtime: runtime.map_err(|error| format!("no runtime for the check: {error}"))?,
        })
    }

    pub(crate) fn run<T: Send + 'static>(
        &self,
        body: impl FnOnce(Context<S>) -> BoxFuture<'static, T> + Send + 'static,
    ) -> Result<T, String> {
        let checked = async { ended(tokio::spawn(body(self.context.share())), self.context.progress()).await };
        self.runtime.block_on(checked)
    }

    /// Destroys the space.
    pub(crate) fn close(self) -> Result<(), String> {
        let Self {
            factory,
            context,
            _dir,
            runtime,
        } = self;
        let destroy = async move { factory.destroy(context.space()).await };
        let destroyed = runtime.block_on(async { tokio::spawn(destroy).await });
        // What hangs in a blocking call would hang the suite with it.
        runtime.shutdown_background();
        destroyed.map_err(failure)
    }
}

/// What a task that panicked said.
fn failure(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else {
        return "it was cancelled".to_owned();
    };
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    numbered(text.unwrap_or("it panicked"))
}
