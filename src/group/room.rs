//! `WaitRoom`: the wait for a place in a group with a limit.

use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::mem;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::FusedFuture;

use super::hold::Hold;
use super::shared::Shared;
use super::{TaskGroup, TaskGuard};
use crate::error::Refused;
use crate::group::holders::Caller;
use crate::group::population::{GivenUp, Outcome, Queued};
use crate::park::deferred::Deferred;
#[cfg(feature = "std")]
use crate::park::wait::Clock;
use crate::park::wait::{AnyWait, wait_forms};
use crate::sync::Arc;

/// The future of [`TaskGroup::guard_when_room`] and [`TaskGroup::guard_when_room_owned`].
///
/// It is `Unpin` and fused. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{TaskGroup, future::WaitRoom};
///
/// let group = TaskGroup::new();
/// let wait: WaitRoom<&TaskGroup> = group.guard_when_room();
/// let _guard = wait.block().unwrap();
/// assert_eq!(group.len(), 1);
/// ```
///
/// # Panics
///
/// When polled again after it was ready.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitRoom<P: Borrow<TaskGroup> = TaskGroup> {
    // Dropped first, by `leave_queue`: it is in the queue of the group.
    state: Room,
    caller: Caller,
    group: P,
}

/// The output of a wait for room.
type Entered = Result<TaskGuard, Refused>;

enum Room {
    New,
    Queued(Queued),
    Over,
}

impl<P: Borrow<TaskGroup>> WaitRoom<P> {
    pub(super) fn new(group: P, caller: Caller) -> Self {
        Self { state: Room::New, caller, group }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.group.borrow().shared
    }

    /// A place that the population has counted.
    fn seated(&self) -> TaskGuard {
        TaskGuard::new(Hold::task(self.shared(), self.caller))
    }

    /// Enters, or sits down in the queue (`None`).
    fn arrive(&mut self, waker: &Waker, deferred: &mut Deferred) -> Option<Entered> {
        let shared = self.shared();
        let refused = match Shared::enter(shared, self.caller) {
            Ok(hold) => return Some(Ok(TaskGuard::new(hold))),
            Err(refused) => refused,
        };
        let (Refused::Full, Some(limited)) = (refused, shared.population.limited()) else {
            return Some(Err(refused));
        };
        // SAFETY: the wait has a handle of the group, or borrows one, and leaves the queue before it lets go of
        //   that; the group has the queue.
        let (queued, exit) = unsafe { limited.queue_up(waker, deferred) };
        let shared = Arc::as_ptr(shared);
        self.state = Room::Queued(queued);
        // SAFETY: the handle keeps the group.
        unsafe { Shared::after(shared, exit, deferred) };
        None
    }

    /// Says what came of the wait in the queue, if it is over.
    fn decided(&mut self) -> Poll<Entered> {
        let Room::Queued(queued) = &self.state else { unreachable!("it sits in the queue") };
        let outcome = queued.outcome();
        // A place that was granted is given back, if the door was closed meanwhile. A wait that is
        // dismissed, without a place, finds it closed.
        if self.shared().is_closed() {
            self.leave_queue();
            return Poll::Ready(Err(Refused::Closed));
        }
        match outcome {
            Some(Outcome::Granted) => {
                self.state = Room::Over;
                Poll::Ready(Ok(self.seated()))
            }
            Some(Outcome::Dismissed) => unreachable!("the queue is dismissed behind a closed door"),
            None => Poll::Pending,
        }
    }

    /// Ends the wait; a place that was granted goes to the next.
    fn leave_queue(&mut self) {
        let Room::Queued(queued) = mem::replace(&mut self.state, Room::Over) else { return };
        match queued.give_up() {
            // Foreign code, with nothing unfinished.
            GivenUp::Undecided(waker) => drop(waker),
            GivenUp::Decided(Outcome::Granted) => drop(self.seated()),
            GivenUp::Decided(Outcome::Dismissed) => {}
        }
    }

    fn assert_unfinished(&self) {
        let is_over = matches!(self.state, Room::Over);
        assert!(!is_over, "a wait for room was polled again after it was ready");
    }
}

impl<P: Borrow<TaskGroup>> Future for WaitRoom<P> {
    type Output = Entered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Entered> {
        self.assert_unfinished();
        if let Room::Queued(queued) = &self.state {
            queued.renew(cx.waker());
            return self.decided();
        }
        let mut deferred = Deferred::new();
        let arrived = self.arrive(cx.waker(), &mut deferred);
        if arrived.is_some() {
            self.state = Room::Over;
        }
        deferred.run();
        arrived.map_or_else(|| self.decided(), Poll::Ready)
    }
}

impl<P: Borrow<TaskGroup>> AnyWait for WaitRoom<P> {
    const BEGINS: bool = true;

    fn left(&self) -> usize {
        self.group.borrow().len()
    }

    /// Takes a place, if there is one: a caller with a limit looks at that first.
    fn look(mut self: Pin<&mut Self>) -> Poll<Entered> {
        self.assert_unfinished();
        if let Room::Queued(_) = self.state {
            return self.decided();
        }
        match Shared::enter(self.shared(), self.caller) {
            Err(Refused::Full) if self.shared().population.limited().is_some() => Poll::Pending,
            entered => {
                self.state = Room::Over;
                Poll::Ready(entered.map(TaskGuard::new))
            }
        }
    }

    fn stop(mut self: Pin<&mut Self>) {
        self.leave_queue();
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self.group.borrow().token())
    }
}

impl<P: Borrow<TaskGroup>> FusedFuture for WaitRoom<P> {
    fn is_terminated(&self) -> bool {
        matches!(self.state, Room::Over)
    }
}

wait_forms!([P: Borrow<TaskGroup>] WaitRoom<P>);

impl<P: Borrow<TaskGroup>> Drop for WaitRoom<P> {
    fn drop(&mut self) {
        self.leave_queue();
    }
}

/// A wait that has not begun.
impl<P: Borrow<TaskGroup> + Clone> Clone for WaitRoom<P> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self::new(self.group.clone(), Caller::here())
    }
}

/// The handle is never pinned.
impl<P: Borrow<TaskGroup>> Unpin for WaitRoom<P> {}
impl<P: Borrow<TaskGroup>> UnwindSafe for WaitRoom<P> {}
impl<P: Borrow<TaskGroup>> RefUnwindSafe for WaitRoom<P> {}

impl<P: Borrow<TaskGroup>> fmt::Debug for WaitRoom<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitRoom").field("group", self.group.borrow()).finish_non_exhaustive()
    }
}
