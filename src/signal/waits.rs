//! The futures of a signal.

use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use super::Signal;
use crate::park::seats::Task;
use crate::park::wait::{AnyWait, Waiting, wait_forms};

/// The future of [`Signal::closed`] and [`Signal::closed_in`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitClosed<P = &'static Signal> {
    pub(super) waiting: Waiting<(), Task>,
    pub(super) signal: P,
}

impl<T, P: Deref<Target = Signal<T>>> Future for WaitClosed<P> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.waiting.poll(&*this.signal, cx.waker())
    }
}

impl<T, P: Deref<Target = Signal<T>>> AnyWait for WaitClosed<P> {
    fn left(&self) -> usize {
        0
    }

    fn look(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.get_mut();
        this.waiting.look(&*this.signal)
    }
}

impl<T, P: Deref<Target = Signal<T>>> FusedFuture for WaitClosed<P> {
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

wait_forms!([T, P: Deref<Target = Signal<T>>] WaitClosed<P>);

impl<P> Drop for WaitClosed<P> {
    #[inline]
    fn drop(&mut self) {
        self.waiting.leave();
    }
}

/// The pointer is never pinned.
impl<P> Unpin for WaitClosed<P> {}
impl<P> UnwindSafe for WaitClosed<P> {}
impl<P> RefUnwindSafe for WaitClosed<P> {}

impl<P> fmt::Debug for WaitClosed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitClosed").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// The future of [`Signal::value`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitValue<'a, T> {
    pub(super) closed: WaitClosed<&'a Signal<T>>,
}

impl<'a, T> WaitValue<'a, T> {
    fn value(&self) -> &'a T {
        // Published once, the value stays while the signal is borrowed.
        self.closed.signal.get().unwrap_or_else(|| unreachable!("a closed signal has its value"))
    }
}

impl<'a, T> Future for WaitValue<'a, T> {
    type Output = &'a T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&'a T> {
        Pin::new(&mut self.closed).poll(cx).map(|()| self.value())
    }
}

impl<T> AnyWait for WaitValue<'_, T> {
    fn left(&self) -> usize {
        0
    }

    fn look(mut self: Pin<&mut Self>) -> Poll<Self::Output> {
        Pin::new(&mut self.closed).look().map(|()| self.value())
    }
}

impl<T> FusedFuture for WaitValue<'_, T> {
    fn is_terminated(&self) -> bool {
        self.closed.is_terminated()
    }
}

wait_forms!(['a, T] WaitValue<'a, T>);

impl<T> UnwindSafe for WaitValue<'_, T> {}
impl<T> RefUnwindSafe for WaitValue<'_, T> {}

impl<T> fmt::Debug for WaitValue<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitValue").field("closed", &self.closed).finish()
    }
}
