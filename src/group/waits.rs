//! What can be awaited on a group.

use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::TaskGroup;
use super::shared::Shared;
use crate::cancel::node::Observer;
use crate::cancel::reason::Reason;
use crate::park::deferred::Deferred;
use crate::park::seats::Task;
#[cfg(feature = "std")]
use crate::park::wait::Clock;
use crate::park::wait::{AnyWait, Waiting, wait_forms};
use crate::sync::run_both;

/// The future of [`TaskGroup::closed`] and [`TaskGroup::closed_owned`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitDoor<P: Borrow<TaskGroup> = TaskGroup> {
    waiting: Waiting<(), Observer>,
    group: P,
}

impl<P: Borrow<TaskGroup>> WaitDoor<P> {
    pub(super) fn new(group: P) -> Self {
        // SAFETY: a handle, or a reference to one, leads to one group, and the group holds its door.
        Self { waiting: unsafe { Waiting::lent() }, group }
    }
}

impl<P: Borrow<TaskGroup>> Future for WaitDoor<P> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.waiting.poll(&this.group.borrow().shared.door, cx.waker())
    }
}

impl<P: Borrow<TaskGroup>> AnyWait for WaitDoor<P> {
    fn left(&self) -> usize {
        0
    }

    fn look(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.get_mut();
        this.waiting.look(&this.group.borrow().shared.door)
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self.group.borrow().token())
    }
}

impl<P: Borrow<TaskGroup>> FusedFuture for WaitDoor<P> {
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

wait_forms!([P: Borrow<TaskGroup>] WaitDoor<P>);

impl<P: Borrow<TaskGroup>> Drop for WaitDoor<P> {
    #[inline]
    fn drop(&mut self) {
        self.waiting.leave();
    }
}

/// The handle is never pinned.
impl<P: Borrow<TaskGroup>> Unpin for WaitDoor<P> {}
impl<P: Borrow<TaskGroup>> UnwindSafe for WaitDoor<P> {}
impl<P: Borrow<TaskGroup>> RefUnwindSafe for WaitDoor<P> {}

impl<P: Borrow<TaskGroup>> fmt::Debug for WaitDoor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitDoor").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// The future of [`TaskGroup::join`], [`TaskGroup::drained`] and [`TaskGroup::drained_owned`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitDrained<P: Borrow<TaskGroup> = TaskGroup> {
    waiting: Waiting<(), Task>,
    /// Whether the first look closes the door.
    closes: bool,
    group: P,
}

impl<P: Borrow<TaskGroup>> WaitDrained<P> {
    pub(super) fn new(group: P, closes: bool) -> Self {
        // SAFETY: a handle, or a reference to one, leads to one group, and the group holds its signal.
        Self { waiting: unsafe { Waiting::lent() }, closes, group }
    }

    pub(crate) fn group(&self) -> &TaskGroup {
        self.group.borrow()
    }

    fn close_once(&mut self) {
        if core::mem::take(&mut self.closes) {
            self.group().close();
        }
    }
}

impl<P: Borrow<TaskGroup>> Future for WaitDrained<P> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.close_once();
        this.waiting.poll(&this.group.borrow().shared.drained, cx.waker())
    }
}

impl<P: Borrow<TaskGroup>> AnyWait for WaitDrained<P> {
    fn left(&self) -> usize {
        self.group().shared.left()
    }

    fn look(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.get_mut();
        this.close_once();
        this.waiting.look(&this.group.borrow().shared.drained)
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self.group().token())
    }
}

impl<P: Borrow<TaskGroup>> FusedFuture for WaitDrained<P> {
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

wait_forms!([P: Borrow<TaskGroup>] WaitDrained<P>);

impl<P: Borrow<TaskGroup>> Drop for WaitDrained<P> {
    #[inline]
    fn drop(&mut self) {
        self.waiting.leave();
    }
}

/// The handle is never pinned.
impl<P: Borrow<TaskGroup>> Unpin for WaitDrained<P> {}
impl<P: Borrow<TaskGroup>> UnwindSafe for WaitDrained<P> {}
impl<P: Borrow<TaskGroup>> RefUnwindSafe for WaitDrained<P> {}

impl<P: Borrow<TaskGroup>> fmt::Debug for WaitDrained<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitDrained")
            .field("waiting", &self.waiting)
            .field("group", self.group())
            .finish()
    }
}

/// How a group came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stopped {
    /// Every task left by itself: the group was not cancelled when it was closed and its last task had
    /// left. (A group that it is linked to may have taken longer, and may have been forced.)
    Gracefully,
    /// The group was cancelled before that: by the end of the grace, or by somebody else. (A cancel from
    /// above closes the group by that; so it has forced a group that was open, even if nobody was inside.)
    Forced,
}

impl Stopped {
    /// Of a group that is drained.
    fn of(group: &TaskGroup) -> Self {
        if group.shared.was_forced() { Self::Forced } else { Self::Gracefully }
    }
}

pin_project! {
    /// The future of [`TaskGroup::shutdown`].
    ///
    /// It is fused, ready again after it was ready, and `Unpin` if the grace is.
    #[must_use = "does nothing unless awaited, polled or blocked on"]
    pub struct WaitShutdown<'a, Grace> {
        drained: WaitDrained<&'a TaskGroup>,
        #[pin]
        grace: Option<Grace>,
    }
}

impl<'a, Grace> WaitShutdown<'a, Grace> {
    pub(super) fn new(group: &'a TaskGroup, grace: Grace) -> Self {
        Self { drained: WaitDrained::new(group, true), grace: Some(grace) }
    }
}

impl<Grace: Future> Future for WaitShutdown<'_, Grace> {
    type Output = Stopped;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Stopped> {
        let mut this = self.project();
        let group = this.drained.group;
        let mut drained = Pin::new(&mut *this.drained).poll(cx);
        if drained.is_pending() {
            let grace = this.grace.as_mut().as_pin_mut();
            if let Some(Poll::Ready(said)) = grace.map(|grace| grace.poll(cx)) {
                let mut deferred = Deferred::new();
                let _ = Shared::cancel(&group.shared, Reason::Cancelled, &mut deferred);
                // The drops of the grace, and of what it said, are foreign code, and come after our own.
                let grace = &mut this.grace;
                deferred.run_after(|| run_both(|| drop(said), || grace.set(None)));
                drained = Pin::new(&mut *this.drained).poll(cx);
            }
        }
        drained.map(|()| Stopped::of(group))
    }
}

impl<Grace: Future> AnyWait for WaitShutdown<'_, Grace> {
    fn left(&self) -> usize {
        self.drained.left()
    }

    fn look(self: Pin<&mut Self>) -> Poll<Stopped> {
        let this = self.project();
        let group = this.drained.group;
        Pin::new(this.drained).look().map(|()| Stopped::of(group))
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        self.drained.clock()
    }
}

impl<Grace: Future> FusedFuture for WaitShutdown<'_, Grace> {
    fn is_terminated(&self) -> bool {
        self.drained.is_terminated()
    }
}

wait_forms!(['a, Grace: Future] WaitShutdown<'a, Grace>);

impl<Grace> fmt::Debug for WaitShutdown<'_, Grace> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitShutdown").field("drained", &self.drained).finish_non_exhaustive()
    }
}
