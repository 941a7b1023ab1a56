//! `WaitRoom`: the wait for a place in a group with a limit.

use core::fmt;
use core::future::Future;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;

use super::drain::{Drain, Rest};
use super::shared::{Hold, Shared};
use super::{TaskGroup, TaskGuard};
use crate::error::Refused;
use crate::holders::Caller;
use crate::population::{Limited, Queued};
#[cfg(feature = "std")]
use crate::wait::Clock;
use crate::wait::{AnyWait, wait_forms};

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
    state: Room,
}

enum Room {
    New,
    Queued(Queued),
    Over,
}

impl<'a> WaitRoom<'a> {
    pub(super) fn new(group: &'a TaskGroup, caller: Caller) -> Self {
        Self { group, caller, state: Room::New }
    }

    /// A place that the population has counted.
    fn seated(&self) -> TaskGuard {
        TaskGuard::new(Hold::task(&self.group.shared, self.caller))
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
        let (queued, left, wakes) = Limited::queue_up(limited);
        self.state = Room::Queued(queued);
        let drain = Drain::of(shared, shared.after(left));
        Rest { wakes, drain, ..Rest::nothing() }.run();
        None
    }

    /// Says what came of the wait, if it is over.
    fn decide(&mut self, decided: Poll<()>) -> Poll<Result<TaskGuard, Refused>> {
        // A place that was granted is given back, if the door was closed meanwhile. A wait that is
        // dismissed, without a place, finds it closed.
        if self.group.is_closed() {
            self.leave_queue();
            return Poll::Ready(Err(Refused::Closed));
        }
        ready!(decided);
        self.state = Room::Over;
        Poll::Ready(Ok(self.seated()))
    }

    /// Ends the wait; a place that was granted goes to the next.
    fn leave_queue(&mut self) {
        if let Room::Queued(queued) = core::mem::replace(&mut self.state, Room::Over) {
            if queued.give_up() {
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
        let Room::Queued(queued) = &mut self.state else { unreachable!("it has arrived") };
        let decided = Pin::new(&mut queued.decided).poll(cx);
        self.decide(decided)
    }
}

impl AnyWait for WaitRoom<'_> {
    const BEGINS: bool = true;

    fn left(&self) -> usize {
        self.group.len()
    }

    fn look(mut self: Pin<&mut Self>) -> Poll<Self::Output> {
        self.assert_unfinished();
        match &mut self.state {
            Room::Queued(queued) => {
                let decided = Pin::new(&mut queued.decided).look();
                self.decide(decided)
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
    fn clock(&self) -> Option<&dyn Clock> {
        Some(self.group.token())
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
