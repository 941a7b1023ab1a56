//! One wait for a place in a group with a limit: its state, and the waker of its task.
//!
//! | state       | set by                              | the waker is                     |
//! |-------------|-------------------------------------|----------------------------------|
//! | `WAITING`   | the wait, first and after `BUSY`    | there, and nobody's              |
//! | `BUSY`      | the wait, from `WAITING`            | the wait's, which replaces it    |
//! | `GRANTED`   | a server, from `WAITING` or `BUSY`  | the server's, or the wait's      |
//! | `DISMISSED` | a closer, from `WAITING` or `BUSY`  | the closer's, or the wait's      |
//! | `GONE`      | the wait, from `WAITING`            | the wait's                       |
//!
//! The last three are final: **a wait is decided once.** The waker belongs to the thread that took the state out of
//! `WAITING`; a decision that finds `BUSY` leaves the waker to the wait, which then finds that it is decided
//! and needs no wake. So the waker is taken out of a decided waiter exactly once, and it has nothing foreign left
//! when its last reference goes.
//!
//! Edge **O** (outcome): a decision acquires the waker, which registering or the step to `WAITING` published,
//! and publishes to the wait what came before it.

use core::mem;
use core::task::Waker;

use crate::park::deferred::{Deferred, Head, Linked};
use crate::park::seats::{List, Seat, Settled, Target};
use crate::park::waker::unparks;
use crate::sync::{Arc, AtomicUsize, Ordering, UnsafeCell, run_both};

const WAITING: usize = 0;
const BUSY: usize = 1;
const GRANTED: usize = 2;
const DISMISSED: usize = 3;
const GONE: usize = 4;

/// See the module.
pub(super) struct Waiter {
    head: Head,
    state: AtomicUsize,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the waker is touched by the thread that took the state out of `WAITING`, and before that by none.
unsafe impl Sync for Waiter {}

/// How a wait was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has a place.
    Granted,
    /// The door is closed.
    Dismissed,
}

/// What a decision found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decided {
    /// The waiter is to be run, which wakes the task.
    Wake,
    /// The wait is looking: nobody is to be woken.
    Seen,
    /// The wait has given up, or was decided before.
    TooLate,
}

/// What a wait that gives up finds.
pub(crate) enum GivenUp {
    /// It was not decided; its waker is to be dropped.
    Undecided(Option<Waker>),
    Decided(Outcome),
}

impl Waiter {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            head: Head::of::<Arc<Self>>(),
            state: AtomicUsize::new(WAITING),
            waker: UnsafeCell::new(Some(waker)),
        }
    }

    /// By a server, or by the closer that dismisses the queue.
    fn decide(&self, outcome: Outcome) -> Decided {
        let next = match outcome {
            Outcome::Granted => GRANTED,
            Outcome::Dismissed => DISMISSED,
        };
        let mut now = self.state.load(Ordering::Relaxed);
        while let WAITING | BUSY = now {
            // O: acquires the waker, and publishes what led to the decision.
            match self.state.compare_exchange(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(WAITING) => return Decided::Wake,
                Ok(_) => return Decided::Seen,
                Err(other) => now = other,
            }
        }
        Decided::TooLate
    }

    /// How the wait was decided, if it was. By the wait.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        // O: acquires what led to the decision.
        match self.state.load(Ordering::Acquire) {
            GRANTED => Some(Outcome::Granted),
            DISMISSED => Some(Outcome::Dismissed),
            _ => None,
        }
    }

    /// Sees to it that `waker` is woken by a decision that is still to come. By the wait. The clone, and
    /// the drop of the waker that was there before, are foreign code.
    pub(super) fn renew(&self, waker: &Waker) {
        let mut is_same = true;
        let left = self.while_busy(|own| {
            is_same = own.as_ref().is_some_and(|own| own.will_wake(waker));
        });
        let (mut old, mut left_too) = (None, None);
        if !is_same {
            // A panic of the clone leaves everything as it was.
            old = Some(waker.clone());
            left_too = self.while_busy(|own| mem::swap(own, &mut old));
        }
        run_both(|| drop(left), || run_both(|| drop(old), || drop(left_too)));
    }

    /// Calls `change` with the waker, unless the wait is decided. By the wait; `change` is no foreign code.
    /// Gives the waker if the wait is decided meanwhile, since it is left to us then: to be dropped.
    fn while_busy(&self, change: impl FnOnce(&mut Option<Waker>)) -> Option<Waker> {
        // Relaxed: the waker was put in by this wait.
        let (from, to, relaxed) = (WAITING, BUSY, Ordering::Relaxed);
        self.state.compare_exchange(from, to, relaxed, relaxed).ok()?;
        // SAFETY: taken out of `WAITING` by us.
        change(unsafe { &mut *self.waker.write_ptr() });
        // O: publishes the waker to the decision that is still to come.
        match self.state.compare_exchange(to, from, Ordering::Release, relaxed) {
            Ok(_) => None,
            Err(_) => self.take_waker(),
        }
    }

    /// Ends the wait. By the wait.
    pub(super) fn give_up(&self) -> GivenUp {
        // Relaxed: the waker was put in by this wait. O: as in `outcome`.
        match self.state.compare_exchange(WAITING, GONE, Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) => GivenUp::Undecided(self.take_waker()),
            Err(GRANTED) => GivenUp::Decided(Outcome::Granted),
            Err(_) => GivenUp::Decided(Outcome::Dismissed),
        }
    }

    /// By the owner of the waker.
    fn take_waker(&self) -> Option<Waker> {
        // SAFETY: taken out of `WAITING` by the caller, so nobody else touches it.
        unsafe { (*self.waker.write_ptr()).take() }
    }
}

// SAFETY: `HEAD` is the offset of `head`, which `new` makes. It is on a list once: after `Decided::Wake`.
unsafe impl Linked for Waiter {
    const HEAD: usize = mem::offset_of!(Self, head);

    /// A thread is unparked at once.
    fn settle(this: Arc<Self>, deferred: &mut Deferred) {
        // SAFETY: as in `take_waker`.
        if unsafe { (*this.waker.read_ptr()).as_ref() }.is_some_and(unparks) {
            Self::run(this);
        } else {
            deferred.wake_later(this);
        }
    }

    fn run(this: Arc<Self>) {
        if let Some(waker) = this.take_waker() {
            waker.wake();
        }
    }
}

/// A waiter in its seat.
pub(super) struct InQueue(pub(super) Arc<Waiter>);

impl InQueue {
    /// Decides the wait; false if it has given up, or was decided before.
    pub(super) fn decide(self, outcome: Outcome, deferred: &mut Deferred) -> bool {
        match self.0.decide(outcome) {
            Decided::Wake => deferred.wake_later(self.0),
            Decided::Seen => {}
            Decided::TooLate => return false,
        }
        true
    }
}

// SAFETY: the home is the list.
unsafe impl Target for InQueue {
    type Home = List<Self>;
    const LIST: usize = 0;
    type Front = [Seat<Self>; 0];
    type Further = [Seat<Self>; 1];
    const ORDERED: bool = true;
    const WAKES: bool = true;

    fn has_own_work(&self) -> bool {
        true
    }

    /// By the closer: the wait is dismissed.
    fn settle(self, deferred: &mut Deferred) -> Settled<Self> {
        self.decide(Outcome::Dismissed, deferred);
        Settled::Over
    }

    fn run(self) {
        unreachable!("a wait in the queue was settled")
    }
}
