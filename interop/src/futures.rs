//! Waits and tokens with futures' and tokio-stream's combinators.

use futures_util::future::select_all;
use futures_util::stream::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use winddown::{CancelToken, StreamUntil as _, TaskGroup, TaskGuard};

/// `futures::select!` takes a wait as it is: fused, and not to be pinned. It is made once, outside of the loop.
pub async fn sum(guard: TaskGuard, jobs: mpsc::Receiver<u32>) -> u32 {
    let mut jobs = ReceiverStream::new(jobs).fuse();
    let mut closed = guard.closed();
    let mut sum = 0;
    loop {
        futures_util::select! {
            job = jobs.next() => match job {
                Some(job) => sum += job,
                None => return sum,
            },
            () = closed => return sum,
        }
    }
}

/// Which of the tokens is cancelled first. (Of a few that are known, [`CancelToken::any`] needs no allocation.)
pub async fn first_cancelled(tokens: Vec<CancelToken>) -> usize {
    let waits = tokens.into_iter().map(CancelToken::cancelled_owned);
    let ((), index, _) = select_all(waits).await;
    index
}

/// futures' own way to end a stream: with any wait.
pub fn until_closed<S: Stream>(
    stream: S,
    group: &TaskGroup,
) -> impl Stream<Item = S::Item> + use<S> {
    stream.take_until(group.closing().clone().cancelled_owned())
}

/// With [`StreamUntil`](winddown::StreamUntil) a token is a limit as it is.
pub async fn collect(stream: impl Stream<Item = u32>, token: &CancelToken) -> Vec<u32> {
    stream.until(token).collect().await
}
