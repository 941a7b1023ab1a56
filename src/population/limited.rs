//! Those who wait for a place in a group with a limit.
//!
//! First come, first served: event-listener's list keeps the order, one hook for each who waits. A
//! place is passed on as a count that nobody gives back on the way, so no newcomer can take it. **One
//! at a time serves** (`places`): who comes with another place leaves it to him, and waits for nobody.
//!
//! A seat is a [`Signal`] that is closed once: by who grants the place, or by a wait that gives up;
//! who closes it has decided. A place that was granted to a wait that gives up then is passed on.
//!
//! Edges:
//!
//! * **B**: a queued entry's announcement and the step of whoever leaves are read-modify-writes of the
//!   population's word. Announced first: the leaver sees `QUEUED` and serves. Left first: the
//!   announcement finds room.
//! * **C**: who serves clears `FRESH` and then looks for a hook: so it acquires the registration of
//!   everybody who announced before that, and who announces later sets `FRESH` again.
//! * **N** (next): what one who serves did to the queue is seen by the next.

use core::task::Waker;

use super::word::{Announced, FRESH, Word};
use super::{Left, last_if, load};
use crate::error::Refused;
use crate::hook::{Due, Parked, Target, Task, Waiters};
use crate::signal::{Signal, WaitClosed};
use crate::sync::{Arc, AtomicUsize, Ordering};

/// A population with a limit, and its queue.
pub(crate) struct Limited {
    pub(super) word: AtomicUsize,
    pub(super) limit: usize,
    waiters: Waiters<Seat>,
    /// Places that are to be passed on. Who makes it one serves until it is zero.
    places: AtomicUsize,
}

/// What a hook of the queue is for: closed when its wait is decided.
struct Seat(Arc<Signal>);

impl Target for Seat {
    /// Granting a place has woken whoever waits.
    fn run(&self) {}

    fn will_wake(&self, _: &Waker) -> bool {
        false
    }
}

/// One who waits for a place. Dropped without `give_up`, it would lose a place that was granted.
pub(crate) struct Queued {
    /// Our place in the queue.
    _parked: Parked<Seat>,
    seat: Arc<Signal>,
    /// The wait for the seat.
    pub(crate) granted: WaitClosed<Arc<Signal>>,
}

impl Queued {
    /// Ends the wait. False if a place was granted already: then it is the caller's.
    pub(crate) fn give_up(self) -> bool {
        // First, so that nobody wakes the task that gives up.
        drop(self.granted);
        self.seat.close()
    }
}

impl Limited {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            word: AtomicUsize::new(Word::EMPTY.0),
            limit,
            waiters: Waiters::new(),
            places: AtomicUsize::new(0),
        }
    }

    /// Goes out, and gives those who got a place.
    pub(super) fn leave(this: &Arc<Self>) -> (Left, Due<Task>) {
        let mut now = Word(this.word.load(Ordering::Relaxed));
        while let Some(next) = now.leave(this.limit) {
            // A: publishes what was done inside. B: a queued entry announced itself before this step,
            // or after it, and finds the room.
            match this.word.compare_exchange_weak(
                now.0,
                next.0,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return (last_if(next), Due::default()),
                Err(other) => now = Word(other),
            }
        }
        // When the place is passed on the group may go.
        Arc::clone(this).pass_on()
    }

    /// Waits in the queue, behind all others. If there is room meanwhile, that goes to the first, and
    /// those who got it are given, to be woken.
    ///
    /// Also at a closed door, where a place may have been granted before we could say that we wait.
    pub(crate) fn queue_up(this: &Arc<Self>) -> (Queued, Due<Task>) {
        let (queued, mut due) = (this.take_seat(), Due::default());
        // Room that went to another leaves us waiting, and nobody told.
        while !queued.seat.is_closed() && this.announce() == Ok(true) {
            // Not the end: if nobody else does, our own seat gets a place, and with it stays counted.
            let (_, granted) = this.pass_on();
            due.append(granted);
        }
        (queued, due)
    }

    fn take_seat(&self) -> Queued {
        loop {
            let seat = Arc::new(Signal::new());
            // Who serves may come between listening and registering, and passes us by then.
            if let Ok(parked) = Parked::new(&self.waiters, Seat(Arc::clone(&seat))) {
                let granted = Signal::closed_in(Arc::clone(&seat));
                return Queued { _parked: parked, seat, granted };
            }
        }
    }

    /// Tells the word that somebody sits in the queue. True if there was room: then the caller holds a
    /// place, and passes it on.
    fn announce(&self) -> Result<bool, Refused> {
        let mut now = load(&self.word);
        loop {
            let (next, has_room) = match now.announce(self.limit)? {
                Announced::PassOn(next) => (next, true),
                Announced::Waits(next) => (next, false),
            };
            // B, C: also where the bits are set already, since who serves must acquire this seat.
            match self.word.compare_exchange_weak(
                now.0,
                next.0,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(has_room),
                Err(other) => now = Word(other),
            }
        }
    }

    /// Passes on a place that the caller holds.
    #[cold]
    fn pass_on(&self) -> (Left, Due<Task>) {
        let (mut left, mut due) = (Left::Done, Due::default());
        // N: leaves the place to who serves; or acquires what the last one did.
        if self.places.fetch_add(1, Ordering::AcqRel) > 0 {
            return (left, due);
        }
        loop {
            match self.grant() {
                Ok(granted) => due.append(granted),
                Err(Left::Last) => left = Left::Last,
                Err(Left::Done) => {}
            }
            // N: publishes what we did; or acquires another place.
            if self.places.fetch_sub(1, Ordering::AcqRel) == 1 {
                return (left, due);
            }
        }
    }

    /// Gives one place to the first who waits, or back (`Err`).
    fn grant(&self) -> Result<Due<Task>, Left> {
        loop {
            // C: whoever announced is seen by the look that follows.
            self.word.fetch_and(!FRESH, Ordering::AcqRel);
            while let Some(hook) = self.waiters.fire_one() {
                if let Ok(due) = hook.target().0.settle(()) {
                    return Ok(due);
                }
            }
            let mut now = load(&self.word);
            while let Some(next) = now.give_back() {
                // A: as for every leave.
                match self.word.compare_exchange_weak(
                    now.0,
                    next.0,
                    Ordering::Release,
                    Ordering::Acquire,
                ) {
                    Ok(_) => return Err(last_if(next)),
                    Err(other) => now = Word(other),
                }
            }
        }
    }
}
