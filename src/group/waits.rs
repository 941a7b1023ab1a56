//! What can be awaited on a group.

use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::shared::Shared;
use super::{TaskGroup, TaskGuard};
use crate::error::Refused;
use crate::holders::Caller;
use crate::node::Aim;
use crate::population::{Limited, Queued};
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::wait::{AnyWait, Waiting, wait_forms};

/// The future of [`TaskGroup::closed`] and [`TaskGroup::closed_owned`].
///
/// It is `Unpin` and fused, and ready again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitDoor<P: Borrow<TaskGroup> = TaskGroup> {
    waiting: Waiting<(), Aim>,
    group: P,
}

impl<P: Borrow<TaskGroup>> WaitDoor<P> {
    pub(super) fn new(group: P) -> Self {
        Self { waiting: Waiting::New, group }
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
    fn alarm(&self) -> Option<Instant> {
        self.group.borrow().shared.alarm()
    }

    #[cfg(feature = "std")]
    fn ring(&self) {
        self.group.borrow().shared.ring();
    }
}

impl<P: Borrow<TaskGroup>> FusedFuture for WaitDoor<P> {
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

wait_forms!([P: Borrow<TaskGroup>] WaitDoor<P>);

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
    waiting: Waiting<(), Waker>,
    /// Whether the first look closes the door.
    closes: bool,
    group: P,
}

impl<P: Borrow<TaskGroup>> WaitDrained<P> {
    pub(super) fn new(group: P, closes: bool) -> Self {
        Self { waiting: Waiting::New, closes, group }
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
    fn alarm(&self) -> Option<Instant> {
        self.group().shared.alarm()
    }

    #[cfg(feature = "std")]
    fn ring(&self) {
        self.group().shared.ring();
    }
}

impl<P: Borrow<TaskGroup>> FusedFuture for WaitDrained<P> {
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

wait_forms!([P: Borrow<TaskGroup>] WaitDrained<P>);

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
    /// Every task left by itself.
    Gracefully,
    /// The group was cancelled, by the end of the grace or by somebody else, before it was found
    /// drained.
    Forced,
}

impl Stopped {
    fn of(group: &TaskGroup) -> Self {
        if group.token().is_cancelled() { Self::Forced } else { Self::Gracefully }
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
        stopped: Option<Stopped>,
    }
}

impl<'a, Grace> WaitShutdown<'a, Grace> {
    pub(super) fn new(group: &'a TaskGroup, grace: Grace) -> Self {
        Self { drained: WaitDrained::new(group, true), grace: Some(grace), stopped: None }
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
            if grace.is_some_and(|grace| grace.poll(cx).is_ready()) {
                this.grace.set(None);
                group.cancel();
                drained = Pin::new(&mut *this.drained).poll(cx);
            }
        }
        drained.map(|()| *this.stopped.get_or_insert_with(|| Stopped::of(group)))
    }
}

impl<Grace: Future> AnyWait for WaitShutdown<'_, Grace> {
    fn left(&self) -> usize {
        self.drained.left()
    }

    fn look(self: Pin<&mut Self>) -> Poll<Stopped> {
        let this = self.project();
        let group = this.drained.group;
        let stopped = this.stopped;
        let drained = Pin::new(this.drained).look();
        drained.map(|()| *stopped.get_or_insert_with(|| Stopped::of(group)))
    }

    #[cfg(feature = "std")]
    fn alarm(&self) -> Option<Instant> {
        self.drained.alarm()
    }

    #[cfg(feature = "std")]
    fn ring(&self) {
        self.drained.ring();
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

/// The future of [`TaskGroup::guard_when_room`].
///
/// It is `Unpin` and fused.
///
/// # Panics
///
/// When polled again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitRoom<'a> {
    group: &'a TaskGroup,
    caller: Caller,
    state: Room<'a>,
}

enum Room<'a> {
    New,
    Queued(Queued, WaitDoor<&'a TaskGroup>),
    Over,
}

impl<'a> WaitRoom<'a> {
    pub(super) fn new(group: &'a TaskGroup, caller: Caller) -> Self {
        Self { group, caller, state: Room::New }
    }

    /// A place that the population has counted.
    fn seated(&self) -> TaskGuard {
        Shared::seated(&self.group.shared, self.caller)
    }

    /// Enters, or sits down in the queue (`None`).
    fn arrive(&mut self) -> Option<Result<TaskGuard, Refused>> {
        let shared = &self.group.shared;
        let refused = match Shared::enter(shared, self.caller) {
            Ok(hold) => return Some(Ok(TaskGuard::new(hold))),
            Err(refused) => refused,
        };
        let (Refused::Full, Some(limited)) = (refused, shared.population.limited()) else {
            return Some(Err(refused));
        };
        match Limited::queue_up(limited) {
            Err(refused) => Some(Err(refused)),
            Ok((queued, due)) => {
                self.state = Room::Queued(queued, WaitDoor::new(self.group));
                due.run();
                None
            }
        }
    }

    /// Says what came of the wait, if it is over: `granted` if there is a place, `closed` if the door
    /// is.
    fn decide(&mut self, granted: bool, closed: bool) -> Poll<Result<TaskGuard, Refused>> {
        if !granted && !closed {
            return Poll::Pending;
        }
        // A place that was granted is given back, if the door was closed meanwhile.
        if closed || self.group.is_closed() {
            self.leave_queue();
            return Poll::Ready(Err(Refused::Closed));
        }
        self.state = Room::Over;
        Poll::Ready(Ok(self.seated()))
    }

    /// Ends the wait; a place that was granted goes to the next.
    fn leave_queue(&mut self) {
        if let Room::Queued(queued, _door) = core::mem::replace(&mut self.state, Room::Over) {
            if !queued.give_up() {
                drop(self.seated());
            }
        }
    }

    fn assert_unfinished(&self) {
        let is_over = matches!(self.state, Room::Over);
        assert!(!is_over, "a wait for room was polled again after it was ready");
    }
}

impl Future for WaitRoom<'_> {
    type Output = Result<TaskGuard, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.assert_unfinished();
        if let Room::New = self.state {
            if let Some(output) = self.arrive() {
                self.state = Room::Over;
                return Poll::Ready(output);
            }
        }
        let Room::Queued(queued, door) = &mut self.state else { unreachable!("it has arrived") };
        let granted = Pin::new(&mut queued.granted).poll(cx).is_ready();
        let closed = !granted && Pin::new(door).poll(cx).is_ready();
        self.decide(granted, closed)
    }
}

impl AnyWait for WaitRoom<'_> {
    fn left(&self) -> usize {
        self.group.len()
    }

    fn look(mut self: Pin<&mut Self>) -> Poll<Self::Output> {
        self.assert_unfinished();
        match &mut self.state {
            Room::Queued(queued, door) => {
                let granted = Pin::new(&mut queued.granted).look().is_ready();
                let closed = Pin::new(door).look().is_ready();
                self.decide(granted, closed)
            }
            Room::New | Room::Over => match self.group.enter(self.caller) {
                Err(Refused::Full) if self.group.shared.population.limited().is_some() => {
                    Poll::Pending
                }
                output => {
                    self.state = Room::Over;
                    Poll::Ready(output)
                }
            },
        }
    }

    #[cfg(feature = "std")]
    fn alarm(&self) -> Option<Instant> {
        self.group.shared.alarm()
    }

    #[cfg(feature = "std")]
    fn ring(&self) {
        self.group.shared.ring();
    }
}

impl FusedFuture for WaitRoom<'_> {
    fn is_terminated(&self) -> bool {
        matches!(self.state, Room::Over)
    }
}

wait_forms!(['a] WaitRoom<'a>);

impl Drop for WaitRoom<'_> {
    fn drop(&mut self) {
        self.leave_queue();
    }
}

impl UnwindSafe for WaitRoom<'_> {}
impl RefUnwindSafe for WaitRoom<'_> {}

impl fmt::Debug for WaitRoom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitRoom").field("group", self.group).finish_non_exhaustive()
    }
}
