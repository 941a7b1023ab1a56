//! futures, tokio-stream and tower around our waits.

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::{Service as _, ServiceExt as _, service_fn};
use winddown::{CancelScope, TaskGroup};
use winddown_interop::futures::{collect, first_cancelled, sum, until_closed};
use winddown_interop::tower_service::Limited;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn select_ends_at_the_close_or_with_the_stream() {
    let group = TaskGroup::new();
    let (send, jobs) = mpsc::channel(8);
    let task = tokio::spawn(sum(group.guard().unwrap(), jobs));
    for job in 1..=3 {
        send.send(job).await.unwrap();
    }
    drop(send);
    assert_eq!(timeout(LONG, task).await.unwrap().unwrap(), 6);

    let (send, jobs) = mpsc::channel(8);
    let task = tokio::spawn(sum(group.guard().unwrap(), jobs));
    send.send(4).await.unwrap();
    // The task has taken the job.
    let _all = send.reserve_many(8).await.unwrap();
    timeout(LONG, group.join()).await.expect("the stream goes on, and the task has left");
    assert_eq!(task.await.unwrap(), 4);
}

#[tokio::test]
async fn select_all_tells_which_token_was_cancelled() {
    let scopes = [CancelScope::new(), CancelScope::new(), CancelScope::new()];
    let tokens = scopes.iter().map(|scope| scope.token().clone()).collect();
    let first = tokio::spawn(first_cancelled(tokens));
    tokio::task::yield_now().await;
    scopes[1].cancel();
    assert_eq!(timeout(LONG, first).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn streams_end_at_the_close_and_at_the_cancel() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    let mut ends = Box::pin(until_closed(stream::iter(0..2).chain(stream::pending()), &group));
    assert_eq!((ends.next().await, ends.next().await), (Some(0), Some(1)));
    group.close();
    assert_eq!(timeout(LONG, ends.next()).await.unwrap(), None);

    // A stream that is always ready ends too.
    let mut turns = 0;
    let cancels = stream::repeat_with(|| {
        turns += 1;
        if turns == 3 {
            group.cancel();
        }
        turns
    });
    assert_eq!(timeout(LONG, collect(cancels, group.token())).await.unwrap(), [1, 2, 3]);
    assert_eq!(collect(stream::repeat(0), group.token()).await, []);
    drop(guard);
}

/// A place is taken when the service says that it is ready, and given back with the answer, or with the service.
#[tokio::test]
async fn a_tower_service_is_ready_when_there_is_room() {
    let group = TaskGroup::builder().limit(NonZeroUsize::MIN).build();
    let echo = service_fn(|it: u32| async move { Ok::<_, Box<dyn Error + Send + Sync>>(it) });
    let mut first = Limited::new(echo, group.clone());
    let mut second = first.clone();
    first.ready().await.unwrap();
    assert_eq!(group.len(), 1);
    assert!(timeout(Duration::from_millis(20), second.ready()).await.is_err(), "no room");
    let answer = first.call(7);
    assert!(timeout(Duration::from_millis(20), second.ready()).await.is_err(), "no room yet");
    assert_eq!(answer.await.unwrap(), 7);
    timeout(LONG, second.ready()).await.expect("in time").unwrap();
    drop(second);
    assert!(group.is_empty(), "the place went with the service");

    group.close();
    let refused = first.ready().await.err().unwrap();
    assert!(refused.is::<winddown::Refused>(), "{refused}");
}
