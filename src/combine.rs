//! A future together with the guard that counts it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

pin_project! {
    /// A future that holds a guard until it is done. Made by [`Guard::track`](crate::Guard::track).
    ///
    /// When the future is ready, it is dropped, then the guard, and then the output is returned: who
    /// waits for the count finds nothing of the future left. Dropped earlier, also by a panic of the
    /// future, both go in the same order.
    ///
    /// It is `Send`, `Unpin` and `'static` if the future and the guard are.
    ///
    /// # Panics
    ///
    /// When polled again after it was ready.
    #[derive(Debug)]
    #[must_use = "does nothing unless awaited or polled"]
    pub struct Tracked<F, G> {
        // Dropped in this order.
        #[pin]
        future: Option<F>,
        guard: Option<G>,
    }
}

impl<F, G> Tracked<F, G> {
    pub(crate) fn new(future: F, guard: G) -> Self {
        Self { future: Some(future), guard: Some(guard) }
    }
}

impl<F: Future, G> Future for Tracked<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a tracked future was polled again after it was ready")
        };
        let output = ready!(future.poll(cx));
        this.future.set(None);
        drop(this.guard.take());
        Poll::Ready(output)
    }
}

impl<F: Future, G> FusedFuture for Tracked<F, G> {
    fn is_terminated(&self) -> bool {
        self.future.is_none()
    }
}
