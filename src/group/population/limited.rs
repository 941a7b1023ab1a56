//! A count up to a limit, and the waits for a place below it.
//!
//! First come, first served: an ordered list of seats keeps the order, with one block for each wait. A place is
//! passed on without being given back, so no newcomer can take it. **One thread at a time serves the queue**
//! (`places`): a thread that frees a place while another one serves only counts it in `places`, and waits for
//! nobody.
//!
//! A wait is decided once, by its [`Waiter`]: by a server that grants it a place, by the closer that dismisses
//! the queue, or by the wait itself, which gives up. A place that was granted to a wait that goes, or that finds
//! the door closed, is passed on.
//!
//! While a place is passed on it is counted, though nobody has it. So an entry from outside may be refused
//! as full for as long as another thread serves, also if all waits have been decided or have gone by then.
//! When no call is on its way, `Full` means that the limit is reached, or that waits are in the queue.
//!
//! Edges, beside those of the module above:
//!
//! * **B**: a wait's announcement and the step of a task that leaves are read-modify-writes of one word.
//!   The announcement first: the leaver sees `QUEUED` and serves. The leaver first: the announcement
//!   finds room.
//! * **C**: a server clears `FRESH` and then looks at the queue: so it acquires the registration of
//!   every wait that announced itself before that, and a later one sets `FRESH` again.
//! * **N** (next): what one server did to the queue, and what the task did whose place it took over, is seen
//!   by the next.

mod waiter;
mod word;

use core::num::NonZeroUsize;
use core::task::Waker;

use super::Exit;
use crate::error::Refused;
use crate::park::deferred::Deferred;
use crate::park::seats::{FiredBlocks, Fires, Parked, Waiters};
use crate::sync::{Arc, AtomicUsize, AtomicWord, Ordering, step};
use waiter::{InQueue, Waiter};
use word::{CLOSED, FRESH, ONE, Step, Word};

pub(crate) use waiter::{GivenUp, Outcome};

/// A population with a limit, and its queue.
pub(crate) struct Limited {
    word: AtomicWord,
    waiters: Waiters<InQueue>,
    /// Places that are to be passed on. The thread that makes it one serves until it is zero.
    places: AtomicUsize,
}

/// One wait for a place. Dropped without [`give_up`](Self::give_up) it would lose a place that was granted.
pub(crate) struct Queued {
    /// Dropped first: the seat goes before what sits in it.
    _parked: Parked<InQueue>,
    waiter: Arc<Waiter>,
}

impl Queued {
    /// How the wait was decided, if it was.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.waiter.outcome()
    }

    /// Sees to it that `waker` is woken when the wait is decided. Foreign code.
    pub(crate) fn renew(&self, waker: &Waker) {
        self.waiter.renew(waker);
    }

    /// Ends the wait, and takes it out of the queue. A place that was granted is the caller's.
    pub(crate) fn give_up(self) -> GivenUp {
        self.waiter.give_up()
    }
}

impl Limited {
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        Self {
            word: AtomicWord::new(Word::with_limit(limit).0),
            waiters: Waiters::new(),
            places: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.load().is_closed()
    }

    pub(super) fn count(&self) -> usize {
        self.load().count()
    }

    /// The limit that was set last.
    pub(crate) fn limit(&self) -> Option<NonZeroUsize> {
        self.load().nonzero_limit()
    }

    fn load(&self) -> Word {
        // D: a closed word acquires what came before the close.
        Word(self.word.load(Ordering::Acquire))
    }

    /// Makes a step of the word, if there is one to make, which releases and acquires.
    fn step<S, E>(
        &self,
        next: impl Fn(Word) -> Result<S, E>,
        word_of: impl Fn(&S) -> Word,
    ) -> Result<S, E> {
        // A, B, C, D: see the callers. An entry needs no more than Relaxed here; it shares the step.
        step(&self.word, self.load().0, Ordering::AcqRel, Ordering::Acquire, |now| {
            let step = next(Word(now))?;
            Ok((word_of(&step).0, step))
        })
    }

    /// Goes in by the door.
    #[inline(never)]
    pub(super) fn enter(&self) -> Result<(), Refused> {
        self.step(Word::enter, |next| *next).map(drop)
    }

    /// Goes in by the side of a task that is inside during the call.
    pub(super) fn join_in(&self) -> Result<(), Refused> {
        self.load().has_margin()?;
        // Relaxed: as in `enter` of the module above. The count is above zero.
        self.word.fetch_add(ONE, Ordering::Relaxed);
        Ok(())
    }

    /// Goes out, or passes the place on.
    ///
    /// # Safety
    ///
    /// `this` came from `Arc::as_ptr`, and the caller's own count keeps it until this gives that up.
    #[inline(never)]
    pub(super) unsafe fn leave(this: *const Self, deferred: &mut Deferred) -> Exit {
        // SAFETY: the caller's count keeps it until the exchange succeeds, or for as long as there is a
        //   place to be passed on.
        let word = unsafe { &raw const (*this).word };
        // SAFETY: as above.
        let now = unsafe { &*word }.load(Ordering::Relaxed);
        // A: publishes what was done inside; the last step acquires what all others did. B: a wait announced itself
        // before this step, or after it, and finds the room.
        // SAFETY: as above; nothing is touched after it. The reference that `step` has for its whole call is to an
        //   atomic, and so asks for no memory that stays.
        let left = step(unsafe { &*word }, now, Ordering::AcqRel, Ordering::Relaxed, |now| {
            let next = Word(now).leave().ok_or(())?;
            Ok::<_, ()>((next.0, next))
        });
        if let Ok(next) = left {
            return last_if(next);
        }
        // The wait that gets the place may leave, and end the group: the server has its own reference.
        // SAFETY: we hold a place still, so the group's reference is there to be counted up.
        unsafe { Arc::increment_strong_count(this) };
        // SAFETY: the reference that was just counted.
        let this = unsafe { Arc::from_raw(this) };
        this.pass_on(deferred)
    }

    /// Closes the door, and dismisses the queue. None if it was closed already.
    pub(super) fn close(&self, deferred: &mut Deferred) -> Option<Exit> {
        // A: the close of a group in which nobody is left acquires what all have done. C: acquires all announcements
        // before it fires. D: publishes what came before.
        let before = Word(self.word.fetch_or(CLOSED, Ordering::AcqRel));
        if before.is_closed() {
            return None;
        }
        if before.is_queued() {
            // There are no more announcements. What is fired is dismissed.
            deferred.settle(self.waiters.fire());
        }
        Some(last_if(Word(before.0 | CLOSED)))
    }

    /// Changes the limit, and lets in as many from the queue as there is room for.
    pub(crate) fn set_limit(&self, limit: NonZeroUsize, deferred: &mut Deferred) -> Exit {
        let mut exit = Exit::NotLast;
        // B: as for a leave. C: acquires the announcements.
        let step = self.step(|now| Ok::<_, ()>(now.set_limit(limit)), |step| step.word());
        if let Ok(Step::PassOn(_)) = step {
            exit = self.pass_on(deferred);
            // By the limit that there is now: another call may have changed it meanwhile, and stays.
            while self.step(|now| now.let_in().ok_or(()), |next| *next).is_ok() {
                exit = exit.or(self.pass_on(deferred));
            }
        }
        exit
    }

    /// Sits down at the end of the queue, behind all others.
    ///
    /// The caller then looks at [`Queued::outcome`]: it may be decided already. Also at a closed door, where
    /// a place may have been granted before the word could be told of the wait.
    ///
    /// # Safety
    ///
    /// `self` outlives the result.
    pub(crate) unsafe fn queue_up(&self, waker: &Waker, deferred: &mut Deferred) -> (Queued, Exit) {
        let waiter = Arc::new(Waiter::new(waker.clone()));
        let queued = loop {
            let target = InQueue(Arc::clone(&waiter));
            // SAFETY: the caller's promise.
            let parked = unsafe { Parked::new(self.waiters.home(Fires::InRounds), false, target) };
            // A server that comes before we are armed passes us by.
            if let Ok(parked) = parked {
                break Queued { _parked: parked, waiter };
            }
        };
        let mut exit = Exit::NotLast;
        // Room that went to another wait leaves ours undecided, and the word not told of it.
        while queued.outcome().is_none() {
            // B, C: also where the marks are set already, since a server must acquire this registration.
            let step = self.step(Word::announce, |step| step.word());
            let Ok(Step::PassOn(_)) = step else { break };
            exit = exit.or(self.pass_on(deferred));
        }
        (queued, exit)
    }

    /// Passes on a place that the caller holds. `Last` if nobody wanted it, and giving it back ended the
    /// population.
    #[cold]
    fn pass_on(&self, deferred: &mut Deferred) -> Exit {
        let mut exit = Exit::NotLast;
        // A, N: leaves the place, and what its task has done, to the server; or acquires what the last one did.
        if self.places.fetch_add(1, Ordering::AcqRel) > 0 {
            return exit;
        }
        loop {
            exit = exit.or(self.grant(deferred));
            // A, N: publishes what we did; or acquires another place, and what its task has done.
            if self.places.fetch_sub(1, Ordering::AcqRel) == 1 {
                return exit;
            }
        }
    }

    /// Gives one place to the first wait in the queue, or back.
    fn grant(&self, deferred: &mut Deferred) -> Exit {
        loop {
            // C: a wait that announced itself is seen by the look that follows. A: publishes what was done
            // by the task whose place this was.
            self.word.fetch_and(!FRESH, Ordering::AcqRel);
            loop {
                let fired = self.waiters.fire_one();
                if fired.is_empty() {
                    break;
                }
                if Self::grant_first(fired, deferred) {
                    return Exit::NotLast;
                }
            }
            // A: as for every leave.
            if let Ok(next) = self.step(|now| now.give_back().ok_or(()), |next| *next) {
                return last_if(next);
            }
        }
    }

    /// Grants a place to the first wait of `fired` that is undecided; false if there is none.
    ///
    /// A server comes with one wait; or with more, if the door was closed and all are dismissed meanwhile. With the others
    /// it has acquired the close then, so each wait that it dismisses finds the door closed.
    fn grant_first(mut fired: FiredBlocks<InQueue>, deferred: &mut Deferred) -> bool {
        while let Some(due) = fired.pop() {
            let waiter = due.take_one();
            if waiter.is_some_and(|waiter| waiter.decide(Outcome::Granted, deferred)) {
                deferred.settle(fired);
                return true;
            }
        }
        false
    }
}

/// What follows from a step that left `now` in the word, and acquired.
fn last_if(now: Word) -> Exit {
    if now.is_over() { Exit::Last } else { Exit::NotLast }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use alloc::vec::Vec;

    use super::*;
    use crate::park::deferred::and_then_run;

    /// A population with one place, which is taken.
    fn full() -> Arc<Limited> {
        let limited = Arc::new(Limited::new(NonZeroUsize::MIN));
        limited.enter().unwrap();
        limited
    }

    fn queued(limited: &Limited, count: usize) -> Vec<Queued> {
        let queue_up = |_| {
            // SAFETY: the tests drop their waits first.
            let (queued, exit) =
                and_then_run(|deferred| unsafe { limited.queue_up(Waker::noop(), deferred) });
            assert!(queued.outcome().is_none() && exit == Exit::NotLast);
            queued
        };
        (0..count).map(queue_up).collect()
    }

    /// Gives the one place to the next in the queue, or back.
    fn leave(limited: &Arc<Limited>) {
        // SAFETY: the place is ours, and the reference keeps the population.
        let exit =
            and_then_run(|deferred| unsafe { Limited::leave(Arc::as_ptr(limited), deferred) });
        assert_eq!(exit, Exit::NotLast);
    }

    /// How often the event is notified while as many new waits get the place, one after the other, and the
    /// last gives it back.
    fn notified_by(limited: &Arc<Limited>, waits: usize) -> usize {
        let (listening, before) = limited.waiters.effort();
        assert_eq!(listening, 0, "nobody is in the queue");
        let waits = queued(limited, waits);
        for wait in &waits {
            leave(limited);
            assert_eq!(wait.outcome(), Some(Outcome::Granted));
        }
        let (listening, after) = limited.waiters.effort();
        assert_eq!((listening, limited.count()), (0, 1));
        after - before
    }

    /// Rules 12, 13: a place that is passed on costs no more after many waits that got one, or gave up, or were
    /// dismissed, and that nobody polled since.
    #[test]
    fn a_place_costs_no_more_after_many_waits_that_nobody_polled() {
        let (fresh, limited) = (full(), full());
        let granted = queued(&limited, 10_000);
        granted.iter().for_each(|_| leave(&limited));
        assert!(granted.iter().all(|wait| wait.outcome() == Some(Outcome::Granted)));
        let gone = queued(&limited, 10_000);
        assert!(gone.into_iter().all(|wait| matches!(wait.give_up(), GivenUp::Undecided(_))));
        for waits in [0, 1, 2, 20] {
            let costs = notified_by(&limited, waits);
            assert_eq!(costs, waits, "one for each");
            assert_eq!(costs, notified_by(&fresh, waits));
        }
        drop(granted);
        let dismissed = queued(&limited, 3);
        assert_eq!(limited.waiters.effort().0, 3);
        assert_eq!(and_then_run(|deferred| limited.close(deferred)), Some(Exit::NotLast));
        assert!(dismissed.iter().all(|wait| wait.outcome() == Some(Outcome::Dismissed)));
        assert_eq!(limited.waiters.effort().0, 0);
    }
}
