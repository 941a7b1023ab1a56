//! The bridges to tokio-util: each tells the other side, and neither leaves anything behind.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use winddown::{CancelScope, CancelToken};
use winddown_interop::token_bridge::{call, from_tokio_util, to_tokio_util};

const LONG: Duration = Duration::from_secs(20);

/// Until no task is left.
async fn no_task_is_left() {
    let none = async {
        while Handle::current().metrics().num_alive_tasks() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, none).await.expect("a task is left");
}

#[tokio::test]
async fn ours_cancels_theirs_within_the_call() {
    let scope = CancelScope::new();
    let (theirs, _registration) = to_tokio_util(scope.token());
    let child = theirs.child_token();
    assert!(!theirs.is_cancelled());
    scope.cancel();
    assert!(theirs.is_cancelled() && child.is_cancelled());
}

#[tokio::test]
async fn theirs_does_not_cancel_ours_and_is_let_go_with_the_registration() {
    let scope = CancelScope::new();
    let (theirs, registration) = to_tokio_util(scope.token());
    theirs.cancel();
    assert!(!scope.token().is_cancelled());
    assert!(registration.deregister(), "it has not run");
    let (theirs, registration) = to_tokio_util(scope.token());
    drop(registration);
    scope.cancel();
    assert!(!theirs.is_cancelled());
    assert!(to_tokio_util(scope.token()).0.is_cancelled(), "made too late");
}

#[tokio::test]
async fn theirs_cancels_ours_and_the_task_ends() {
    let theirs = CancellationToken::new();
    let scope = from_tokio_util(theirs.child_token());
    theirs.cancel();
    timeout(LONG, scope.token().cancelled()).await.expect("in time");
    let reason = scope.token().reason().unwrap().to_string();
    assert_eq!(reason, "the tokio-util token was cancelled");
    no_task_is_left().await;
}

#[tokio::test]
async fn the_task_ends_with_the_scope() {
    let theirs = CancellationToken::new();
    let scope = from_tokio_util(theirs.clone());
    let token = scope.token().clone();
    drop(scope);
    assert!(token.is_cancelled() && !theirs.is_cancelled());
    no_task_is_left().await;
    from_tokio_util(theirs.clone()).cancel();
    no_task_is_left().await;
}

#[tokio::test]
async fn a_call_is_told_and_ends_by_itself() {
    let theirs = CancellationToken::new();
    let work = |token: CancelToken| async move {
        token.cancelled().await;
        "cleaned up"
    };
    let cancel = async { theirs.cancel() };
    let (output, ()) =
        timeout(LONG, async { tokio::join!(call(&theirs, work), cancel) }).await.unwrap();
    assert_eq!(output, "cleaned up");
    let theirs = CancellationToken::new();
    assert_eq!(call(&theirs, |_| async { 1 }).await, 1);
    assert!(!theirs.is_cancelled());
}
