//! Those who wait for a place in a group with a limit.
//!
//! First come, first served: event-listener's list keeps the order, one hook for each who waits. A
//! place is passed on as a count that nobody gives back on the way, so no newcomer can take it. **One
//! at a time serves** (`places`): who comes with another place leaves it to him, and waits for nobody.
//!
//! A seat is decided once, by its [`Signal`]: by who grants a place, by who has closed the door and tells
//! those in the queue, or by a wait that gives up. A place that was granted to a wait that gives up then,
//! or finds the door closed, is passed on.
//!
//! Edges:
//!
//! * **B**: a queued entry's announcement and the step of whoever leaves are read-modify-writes of the
//!   population's word. Announced first: the leaver sees `QUEUED` and serves. Left first: the
//!   announcement finds room.
//! * **C**: who serves clears `FRESH` and then looks for a hook: so it acquires the registration of
//!   everybody who announced before that, and who announces later sets `FRESH` again.
//! * **N** (next): what one who serves did to the queue is seen by the next.

use core::ops::Deref;
use core::task::Waker;

use super::word::{Announced, FRESH, Word};
use super::{Left, last_if, load};
use crate::error::Refused;
use crate::hook::{self, Due, Parked, Task, Waiters};
use crate::signal::{Signal, WaitClosed};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering};

/// A population with a limit, and its queue.
pub(crate) struct Limited {
    pub(super) word: AtomicUsize,
    pub(super) limit: usize,
    waiters: Waiters<Seat>,
    /// Places that are to be passed on. Who makes it one serves until it is zero.
    places: AtomicUsize,
}

/// A chair of the queue, which its hook and its wait share.
#[derive(Clone)]
pub(crate) struct Seat(Arc<Decision>);

struct Decision {
    /// Closed when the wait is decided.
    is_made: Signal,
    /// Written before that, by who makes it.
    has_place: AtomicBool,
}

impl Seat {
    fn empty() -> Self {
        let has_place = AtomicBool::new(false);
        Self(Arc::new(Decision { is_made: Signal::new(), has_place }))
    }

    /// Decides the wait, and gives whoever is to be woken; or it has given up (`Err`). Called once, by
    /// whoever popped the hook.
    fn decide(&self, has_place: bool) -> Result<Due<Task>, ()> {
        // Relaxed: published by the signal, and looked at only by a wait that finds it closed.
        self.0.has_place.store(has_place, Ordering::Relaxed);
        self.settle(())
    }

    /// Ends the wait. True if a place was granted already: then it is the caller's.
    fn give_up(&self) -> bool {
        // Relaxed: the close that was refused acquired the decision.
        !self.close() && self.0.has_place.load(Ordering::Relaxed)
    }
}

impl Deref for Seat {
    type Target = Signal;

    fn deref(&self) -> &Signal {
        &self.0.is_made
    }
}

impl hook::Target for Seat {
    /// Deciding has woken whoever waits.
    fn run(&self) {}

    fn will_wake(&self, _: &Waker) -> bool {
        false
    }
}

/// One who waits for a place. Dropped without `give_up`, it would lose a place that was granted.
pub(crate) struct Queued {
    /// Keeps the seat in the queue.
    parked: Parked<Seat>,
    /// The wait for the decision.
    pub(crate) decided: WaitClosed<Seat>,
}

impl Queued {
    /// Ends the wait. True if a place was granted already: then it is the caller's.
    pub(crate) fn give_up(self) -> bool {
        // First, so that nobody wakes the task that gives up.
        drop(self.decided);
        self.parked.target().give_up()
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

    /// Goes in by the door.
    #[inline(never)]
    pub(super) fn enter(&self) -> Result<(), Refused> {
        super::enter(&self.word, self.limit)
    }

    /// Goes out, and gives those who got a place.
    #[inline(never)]
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
    /// those who got it are given, to be woken; or nobody wants it, and the door is closed meanwhile.
    ///
    /// Also at a closed door, where a place may have been granted before we could say that we wait.
    pub(crate) fn queue_up(this: &Arc<Self>) -> (Queued, Left, Due<Task>) {
        let (queued, mut left, mut due) = (this.take_seat(), Left::Done, Due::default());
        // Room that went to another leaves us waiting, and nobody told.
        while !queued.parked.target().is_closed() && this.announce() == Ok(true) {
            let (then, granted) = this.pass_on();
            due.append(granted);
            if let Left::Last = then {
                left = then;
            }
        }
        (queued, left, due)
    }

    fn take_seat(&self) -> Queued {
        loop {
            let seat = Seat::empty();
            // Who serves may come between listening and registering, and passes us by then.
            if let Ok(parked) = Parked::new(&self.waiters, seat.clone()) {
                return Queued { parked, decided: Signal::closed_in(seat) };
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

    /// Tells those in the queue that the door is closed, and gives them, to be woken. After the close,
    /// by whoever closed; once more does nothing.
    pub(super) fn dismiss(&self) -> Due<Task> {
        // C: the close has acquired all announcements, and there are no more.
        decide(self.waiters.fire(), false).1
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
            loop {
                let hooks = self.waiters.fire_one();
                if hooks.is_empty() {
                    break;
                }
                if let (false, wakes) = decide(hooks, true) {
                    return Ok(wakes);
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

/// Decides the waits of `hooks`, the first for a place, if there is one, and gives those who are to be
/// woken, and whether the place is left.
///
/// Who serves comes with one hook; or with more, if the door was closed and all are dismissed meanwhile.
fn decide(mut hooks: Due<Seat>, mut has_place: bool) -> (bool, Due<Task>) {
    let mut wakes = Due::default();
    while let Some(hook) = hooks.pop() {
        if let Ok(woken) = hook.target().decide(has_place) {
            has_place = false;
            wakes.append(woken);
        }
    }
    (has_place, wakes)
}
