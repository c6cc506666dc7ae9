use std::future::Future;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Barrier;
use tokio::task::JoinError;

/// Runs `task` so many times at once, through all handles, and waits for all of them, also when one fails.
pub(crate) async fn at_once<H: Clone, T, F>(handles: &[H], tasks: u64, task: impl Fn(H, u64) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(usize::try_from(tasks).expect("they are few")));
    let running: Vec<_> = (0..tasks)
        .zip(handles.iter().cycle())
        .map(|(n, handle)| {
            let (start, run) = (Arc::clone(&start), task(handle.clone(), n));
            tokio::spawn(async move {
                start.wait().await;
                run.await
            })
        })
        .collect();
    let result = |ended: Result<T, JoinError>| match ended {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    join_all(running).await.into_iter().map(result).collect()
}
