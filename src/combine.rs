//! What can be put around a future or a stream of somebody else: a guard that counts it, or a limit.

mod held;
mod until;

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::{FusedFuture, FusedStream, Stream};
use pin_project_lite::pin_project;

use held::Held;
pub use until::{FutureUntil, StreamUntil, Until, UntilStream};

pin_project! {
    /// A future that holds a guard until it is done. Made by [`Guard::track`](crate::Guard::track),
    /// [`TaskGuard::track`](crate::TaskGuard::track) and [`TaskGroup::track`](crate::TaskGroup::track).
    ///
    /// When the future is ready, it is dropped, then the guard, and then the output is returned: a wait for the
    /// count finds nothing of the future left. If it is dropped earlier, or panics, both go at once, in the
    /// same order.
    ///
    /// It is `Send`, `Unpin` and `'static` if the future and the guard are.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use winddown::{TaskGroup, TaskGuard, future::Tracked};
    ///
    /// let group = TaskGroup::new();
    /// let task: Tracked<Ready<u8>, TaskGuard> = group.track(ready(7)).unwrap();
    /// assert_eq!(pollster::block_on(task), 7);
    /// ```
    ///
    /// # Panics
    ///
    /// When polled again after it was ready. The poll that ends the task, and the drop, may end with the panic
    /// of a waker, callback or finaliser that the task's leave ran; the task is counted out by then.
    #[must_use = "does nothing unless awaited or polled"]
    pub struct Tracked<F, G> {
        #[pin]
        held: Held<F, G>,
    }
}

impl<F, G> Tracked<F, G> {
    pub(crate) fn new(future: F, guard: G) -> Self {
        Self { held: Held::new(future, guard) }
    }
}

impl<F: Future, G> Tracked<F, G> {
    /// Polls; when the future is ready, drops it, and does `then`, which drops the guard. It does `then`
    /// also if the drop of the future panics.
    #[inline]
    pub(crate) fn poll_then<R>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        then: impl FnOnce(F::Output, G) -> R,
    ) -> Poll<R> {
        let mut held = self.project().held;
        let Some(polled) = held.as_mut().poll(|future| future.poll(cx)) else {
            panic!("a tracked future was polled again after it was ready")
        };
        let output = ready!(polled);
        match held.end(|guard| then(output, guard)) {
            Some(result) => Poll::Ready(result),
            None => unreachable!("the future was there to be polled"),
        }
    }
}

impl<F: Future, G> Future for Tracked<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.poll_then(cx, |output, guard| {
            drop(guard);
            output
        })
    }
}

impl<F: Future, G> FusedFuture for Tracked<F, G> {
    fn is_terminated(&self) -> bool {
        self.held.is_over()
    }
}

impl<F, G> fmt::Debug for Tracked<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").field("over", &self.held.is_over()).finish_non_exhaustive()
    }
}

pin_project! {
    /// A stream that holds a guard until it has ended. Made by
    /// [`Guard::track_stream`](crate::Guard::track_stream) and
    /// [`TaskGuard::track_stream`](crate::TaskGuard::track_stream).
    ///
    /// When the stream ends, it is dropped, then the guard, and then `None` is returned: a wait for the count
    /// finds nothing of the stream left. If the stream is dropped earlier, or panics, both go at once, in the
    /// same order. Polled after that, it gives `None`.
    ///
    /// It is `Send`, `Unpin` and `'static` if the stream and the guard are.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::stream::{self, Empty, StreamExt as _};
    /// use winddown::{TaskGroup, TaskGuard, future::TrackedStream};
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let mut body: TrackedStream<Empty<u8>, TaskGuard> = guard.track_stream(stream::empty());
    /// assert_eq!(pollster::block_on(body.next()), None);
    /// assert!(group.is_empty());
    /// ```
    ///
    /// # Panics
    ///
    /// The poll that ends the stream, and the drop, may end with the panic of a waker, callback or finaliser
    /// that the guard's drop ran; the guard is counted out by then.
    #[must_use = "does nothing unless polled"]
    pub struct TrackedStream<S, G> {
        #[pin]
        held: Held<S, G>,
    }
}

impl<S, G> TrackedStream<S, G> {
    pub(crate) fn new(stream: S, guard: G) -> Self {
        Self { held: Held::new(stream, guard) }
    }
}

impl<S: Stream, G> Stream for TrackedStream<S, G> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut held = self.project().held;
        let Some(polled) = held.as_mut().poll(|stream| stream.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let item = ready!(polled);
        if item.is_none() {
            held.end(drop);
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.held.work().map_or((0, Some(0)), S::size_hint)
    }
}

impl<S: Stream, G> FusedStream for TrackedStream<S, G> {
    fn is_terminated(&self) -> bool {
        self.held.is_over()
    }
}

impl<S, G> fmt::Debug for TrackedStream<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = self.held.is_over();
        f.debug_struct("TrackedStream").field("over", &over).finish_non_exhaustive()
    }
}
