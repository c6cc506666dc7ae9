use std::future::poll_fn;
use std::task::Poll;

use futures::FutureExt;
use futures::future::{BoxFuture, MaybeDone, maybe_done};

/// Awaits requests on one connection, and sends all before the first answer: one round trip.
///
/// The first poll of a request sends it, and the requests are polled in order. So they reach the server in order.
pub(crate) async fn pipeline<T>(requests: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut requests: Vec<MaybeDone<BoxFuture<'_, T>>> = requests.into_iter().map(maybe_done).collect();
    poll_fn(|context| {
        let mut done = true;
        for request in &mut requests {
            done &= request.poll_unpin(context).is_ready();
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let taken = requests
        .iter_mut()
        .map(|request| std::pin::Pin::new(request).take_output());
    taken.flatten().collect()
}
