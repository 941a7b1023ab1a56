//! tokio-util's `CancellationToken`, both ways.

use std::pin::pin;

use tokio_util::sync::CancellationToken;
use winddown::{CancelScope, CancelToken, FutureUntil as _, Reason, Registration};

/// A token of theirs that is cancelled with `ours`, for as long as the registration lives.
pub fn to_tokio_util(ours: &CancelToken) -> (CancellationToken, Registration) {
    let theirs = CancellationToken::new();
    let canceller = theirs.clone();
    (theirs, ours.on_cancel(move || canceller.cancel()))
}

/// A scope of ours that is cancelled with `theirs`, by a task that ends with the first of the two.
pub fn from_tokio_util(theirs: CancellationToken) -> CancelScope {
    let scope = CancelScope::new();
    let canceller = scope.canceller();
    tokio::spawn(async move {
        // Dropping the scope cancels it, and so ends the task.
        if theirs.cancelled().until(canceller.token()).await.is_ok() {
            let _ = canceller.cancel_with(Reason::Message("the tokio-util token was cancelled"));
        }
    });
    scope
}

/// Calls `work` with a token of ours that is cancelled with `theirs`, without a task.
pub async fn call<F: Future>(
    theirs: &CancellationToken,
    work: impl FnOnce(CancelToken) -> F,
) -> F::Output {
    let scope = CancelScope::new();
    let mut work = pin!(work(scope.token().clone()));
    tokio::select! {
        output = &mut work => output,
        () = theirs.cancelled() => {
            scope.cancel();
            work.await
        }
    }
}
