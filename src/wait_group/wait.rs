//! `Wait`: the future of a wait group.

use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

use super::WaitGroup;
use super::word::Round;
use crate::park::seats::Task;
use crate::park::wait::{AnyWait, Waiting, wait_forms};

/// The future of [`WaitGroup::wait`] and [`WaitGroup::wait_in`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct Wait<P: Deref<Target = WaitGroup> = &'static WaitGroup> {
    pub(super) waiting: Waiting<Round, Task>,
    pub(super) group: P,
}

impl<P: Deref<Target = WaitGroup>> Future for Wait<P> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.waiting.poll(&*this.group, cx.waker())
    }
}

impl<P: Deref<Target = WaitGroup>> AnyWait for Wait<P> {
    fn left(&self) -> usize {
        self.group.count()
    }

    fn look(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.get_mut();
        this.waiting.look(&*this.group)
    }
}

impl<P: Deref<Target = WaitGroup>> FusedFuture for Wait<P> {
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

wait_forms!([P: Deref<Target = WaitGroup>] Wait<P>);

impl<P: Deref<Target = WaitGroup>> Drop for Wait<P> {
    #[inline]
    fn drop(&mut self) {
        self.waiting.leave();
    }
}

/// The pointer is never pinned.
impl<P: Deref<Target = WaitGroup>> Unpin for Wait<P> {}
impl<P: Deref<Target = WaitGroup>> UnwindSafe for Wait<P> {}
impl<P: Deref<Target = WaitGroup>> RefUnwindSafe for Wait<P> {}

impl<P: Deref<Target = WaitGroup>> fmt::Debug for Wait<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("waiting", &self.waiting).field("group", &*self.group).finish()
    }
}
