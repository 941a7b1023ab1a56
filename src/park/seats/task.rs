//! A task, or a thread, that waits for a primitive.

use core::task::Waker;

use super::{CROWD, FRONT, List, Seat, Settled, Target};
use crate::park::deferred::Deferred;
use crate::park::waker::unparks;

/// Wakes a task, or a thread.
///
/// It is woken by value: a task may be owned by its wakers alone (its executor is gone), and own the wait whose
/// seat this is in.
pub(crate) struct Task(Waker);

impl From<Waker> for Task {
    fn from(waker: Waker) -> Self {
        Self(waker)
    }
}

impl AsRef<Waker> for Task {
    fn as_ref(&self) -> &Waker {
        &self.0
    }
}

// SAFETY: the home is the list.
unsafe impl Target for Task {
    type Home = List<Self>;
    const LIST: usize = 0;
    type Front = [Seat<Self>; FRONT];
    type Further = [Seat<Self>; CROWD];
    const WAKES: bool = true;

    #[inline]
    fn has_own_work(&self) -> bool {
        unparks(&self.0)
    }

    /// A thread is unparked at once.
    fn settle(self, _: &mut Deferred) -> Settled<Self> {
        if !self.has_own_work() {
            return Settled::Runs(self);
        }
        self.run();
        Settled::Over
    }

    fn run(self) {
        self.0.wake();
    }
}
