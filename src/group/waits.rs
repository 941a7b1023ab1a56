//! What can be awaited on a group.

use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::TaskGroup;
use super::shared::Shared;
use crate::cancel::reason::Reason;
use crate::park::deferred::Deferred;
use crate::park::seats::Task;
#[cfg(feature = "std")]
use crate::park::wait::Clock;
use crate::park::wait::{AnyWait, Lead, WaitOn, Waiting, named_wait, wait_forms};
use crate::signal::Signal;
use crate::sync::run_both;

/// The future of [`TaskGroup::join`], [`TaskGroup::drained`] and [`TaskGroup::drained_owned`].
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{TaskGroup, future::WaitDrained};
///
/// let group = TaskGroup::new();
/// let wait: WaitDrained<&TaskGroup> = group.join();
/// wait.block();
/// ```
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitDrained<P: Borrow<TaskGroup> = TaskGroup> {
    wait: WaitOn<ToDrain<P>, (), Task>,
}

#[derive(Clone)]
struct ToDrain<P> {
    /// Whether the first look closes the door.
    closes: bool,
    group: P,
}

impl<P: Borrow<TaskGroup>> WaitDrained<P> {
    #[inline]
    pub(super) fn new(group: P, closes: bool) -> Self {
        // SAFETY: a handle, or a reference to one, leads to one group, and the group holds its signal.
        let waiting = unsafe { Waiting::lent() };
        Self { wait: WaitOn::new(waiting, ToDrain { closes, group }) }
    }

    pub(crate) fn group(&self) -> &TaskGroup {
        self.wait.lead.group.borrow()
    }
}

impl<P: Borrow<TaskGroup>> Lead<(), Task> for ToDrain<P> {
    type Source = Signal;

    #[inline]
    fn source(&self) -> Option<&Signal> {
        Some(&self.group.borrow().shared.drained)
    }

    #[inline]
    fn begin(&mut self, _: &mut Waiting<(), Task>) {
        if mem::take(&mut self.closes) {
            self.group.borrow().close();
        }
    }

    fn left(&self) -> usize {
        self.group.borrow().shared.left()
    }

    #[cfg(feature = "tracing")]
    fn tell_overrun(&self, left: usize) {
        self.group.borrow().shared.tell_overrun(left);
    }

    fn show(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("group", self.group.borrow());
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self.group.borrow().token())
    }
}

named_wait!("WaitDrained", [P: Borrow<TaskGroup>] WaitDrained<P>, (), |_this| ());

impl<P: Borrow<TaskGroup> + Clone> Clone for WaitDrained<P> {
    fn clone(&self) -> Self {
        Self { wait: self.wait.clone() }
    }
}

/// How a group came to its end: the output of [`TaskGroup::shutdown`]. There is no third way, so it may be matched
/// without a last arm for others.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use winddown::{Stopped, TaskGroup};
///
/// let group = TaskGroup::new();
/// assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Gracefully);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stopped {
    /// Every task left by itself: the group was not cancelled when it was closed and its last task had left. (A
    /// group that it is linked to may have taken longer, and may have been forced.)
    Gracefully,
    /// The group was cancelled before that: by the end of the grace, or by another cancel. (A cancel from above
    /// closes the group by that; so it has forced a group that was open, even if no task was inside.)
    ///
    /// It does not say that something was cut short: a task may have finished its work after the cancel, or never
    /// have looked at its token. A task that gave up says so itself, by its output or as an error of an
    /// [`ErrGroup`](crate::ErrGroup).
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
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Pending, pending};
    /// use winddown::{TaskGroup, future::WaitShutdown};
    ///
    /// let group = TaskGroup::new();
    /// let wait: WaitShutdown<'_, Pending<()>> = group.shutdown(pending());
    /// assert_eq!(wait.block(), winddown::Stopped::Gracefully);
    /// ```
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
        let group = this.drained.wait.lead.group;
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
        let group = this.drained.wait.lead.group;
        Pin::new(this.drained).look().map(|()| Stopped::of(group))
    }

    /// A limit that comes before the end of the grace is the end of the grace, too: the tasks are told.
    fn stop(self: Pin<&mut Self>) {
        let group = self.drained.group();
        if !group.is_drained() {
            group.cancel();
        }
    }

    #[cfg(feature = "tracing")]
    fn tell_overrun(&self, left: usize) {
        self.drained.tell_overrun(left);
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
