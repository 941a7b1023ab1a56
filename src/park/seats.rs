//! Where waits sit until what they wait for happens: lists of blocks of seats.
//!
//! event-listener clones, wakes and drops the wakers that it holds while it holds its list lock (a critical
//! section on bare metal). A foreign waker in there could poll, close or drop what waits for that very lock. It
//! also takes that lock several times, and allocates, for each listener. So foreign code never goes into it,
//! and one listener serves many waits. **Invariant: between taking event-listener's lock and giving it back,
//! no code runs but event-listener's and the push of a block onto a stack.**
//!
//! A list ([`list`]) has a *front*, a small block of seats inside of what the list is in, and behind it a chain
//! of further blocks, which only grows. A seat holds a [`Target`]: a waker, a child, a callback. The word of a
//! block ([`word`] has the tables) says which thread may touch a seat.
//!
//! 1. A wait claims a seat, writes its target and arms the seat ([`Parked::new`]). Then it announces itself in
//!    the word of the primitive, by a read-modify-write, and so looks once more.
//! 2. The thread that ends the wait, and reads the announcement there, fires the front, and has the event notify the
//!    listeners of further blocks, in batches. Under the lock each block is pushed onto a stack; with the lock
//!    given back the notifier takes the stack and fires its blocks. So a block that listens costs a delivery
//!    something, and one that does not costs nothing.
//! 3. What was fired ([`FiredBlocks`]) goes on the list of deferred work, and is run there, behind all own work.
//! 4. Each wait frees its seat when it goes ([`Parked`]'s drop): it finds its target there, or that it was fired.
//!
//! A block that was fired serves again when its delivery is over: a front at once, a further block when a wait
//! finds half of its seats free, and opens it. A waker is not replaced where it sits, but registered in another
//! seat before the old one is freed.
//!
//! With `std`, each thread looks first at the block in which it got, or freed, a seat last; and if another thread is
//! faster at the word of a block, it opens one for itself, while there are few. So threads that wait anew in loops
//! meet at the word of the primitive alone.
//!
//! An *ordered* list (callbacks, and the queue of a limited group) has no front and blocks of one seat; each wait
//! opens its own, at the end of the event's list, and takes it out when it goes.
//!
//! Memory: blocks go with their list. What the largest crowd took stays until then, at most four times its seats,
//! and a block for each of 16 threads that met; a wait that is forgotten keeps its seat. A list lives for as long
//! as what it is in, its *home*; a delivery holds a reference to that, and a registration is outlived by it, or
//! holds one too.
//!
//! Edges, by letter; each is named where it is; **P** is that of `sync/lazy.rs`, for the blocks of the chain:
//!
//! * **S** (seat): a target is published by the arm of its seat to the notifier that fires it; what led to the fire
//!   is published by the fire to an arm that comes too late.
//! * **V** (vacant): that an owner is done with a seat, a delivery with a block, or an opener with a listener, is
//!   published by the step that gives it up, to the next claim, opening or fire.
//! * **I** (in use): that the event was touched is published by the count of listening blocks to notifiers, which may
//!   be interrupts, and so must not be the first to touch it: that allocates.
//! * **F** (fired): publishes a block on the stack, with its link, to the taker of the stack.
//! * **L** (event-listener's lock): a block whose listener is in the event's list when a notifier takes the lock is
//!   notified. That the listener of a wait that announced itself is in there is the word's business (`announce`
//!   in `wait_group.rs`, `signal.rs` and `node.rs`): a block is open, and so claimed, only when it listens.

mod block;
mod chain;
mod fired;
mod list;
mod spare;
mod task;
#[cfg(all(test, not(loom)))]
mod tests;
mod word;

use core::fmt;
use core::ptr;
use core::task::Waker;

use crate::park::deferred::{Deferred, drop_in_drop};
use crate::sync::{Arc, LazyArc, const_unless_loom};
use block::{Block, ClaimedSeat};

pub(crate) use block::{Seat, Seats};
pub(crate) use fired::{FiredBlock, FiredBlocks};
pub(crate) use list::List;
pub(crate) use spare::SpareRegistration;
pub(crate) use task::Task;

/// How many seats a front has; that of a scope's tasks has one.
pub(crate) const FRONT: usize = match () {
    () if cfg!(winddown_more_seats) => 2,
    () if cfg!(loom) => 1,
    () => 4,
};

/// How many seats the blocks behind a front have.
pub(crate) const CROWD: usize = match () {
    () if cfg!(winddown_more_seats) => 3,
    () if cfg!(loom) => 2,
    () => word::SEATS,
};

/// What sits in a seat.
///
/// # Safety
///
/// `Home` is only shared by `Arc`, and has a `List<Self>` at `LIST`, for as long as it lives.
pub(crate) unsafe trait Target: Send + Sized + 'static {
    /// What the list is in.
    type Home;
    const LIST: usize;
    /// The seats of the front.
    type Front: Seats;
    /// The seats of a further block.
    type Further: Seats;
    /// Whether targets are run in the order in which they came. Then there is no front, and further blocks have
    /// one seat.
    const ORDERED: bool = false;
    /// Whether `run` is a wake, and nothing that may block.
    const WAKES: bool;

    /// Whether `settle` has something to do.
    fn has_own_work(&self) -> bool;

    /// Own work that comes before `run`. Called once at most, by the delivery.
    fn settle(self, deferred: &mut Deferred) -> Settled<Self>;

    /// Foreign code. Called once at most, by the delivery.
    fn run(self);
}

/// How often a list is fired.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fires {
    /// Once in its life. Then the front is not opened again.
    Once,
    /// Once for each round.
    InRounds,
}

/// What `settle` leaves.
pub(crate) enum Settled<T> {
    /// It is to be run, with the bits that it had.
    Runs(T),
    /// Nothing.
    Over,
}

/// Drops what a wait that was forgotten left in its seat. Foreign code.
fn drop_forgotten<T: Target>(target: T) {
    drop_in_drop(target);
}

/// Where a primitive keeps its list: nothing is there until somebody waits.
pub(crate) struct Waiters<T: Target<Home = List<T>>> {
    list: LazyArc<List<T>>,
}

impl<T: Target<Home = List<T>>> Waiters<T> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { list: LazyArc::new() }
        }
    }

    /// The list, which is made here if there is none. It lives as long as `self`.
    #[inline]
    pub(crate) fn home(&self, fires: Fires) -> *const List<T> {
        self.list.get_or_make_ptr(|| List::new(fires))
    }

    /// Fires all that announced itself in the word. Requires that the caller has acquired the announcements (C).
    #[cold]
    pub(crate) fn fire(&self) -> FiredBlocks<T> {
        let list = self.list.as_ptr();
        // SAFETY: the list lives as long as `self`.
        if list.is_null() { FiredBlocks::new() } else { unsafe { List::fire(list, &mut false) } }
    }

    /// Fires what was registered first among all that announced itself, if there is something. Gives what other
    /// threads fire meanwhile, too; or they take this one. For an ordered list. Requires what `fire` requires.
    pub(crate) fn fire_one(&self) -> FiredBlocks<T> {
        let list = self.list.as_ptr();
        // SAFETY: as in `fire`.
        if list.is_null() { FiredBlocks::new() } else { unsafe { List::fire_one(list) } }
    }
}

/// One registration: a seat with its target.
///
/// Dropped in this order: the seat is freed; then the target goes, if it was not fired, which is foreign code.
///
/// Two words, so that it is moved in two registers.
pub(crate) struct Parked<T: Target> {
    block: Block<T>,
    /// The number of the seat; with `KEEPS_HOME` if it holds a reference to its home.
    seat: usize,
}

/// Beside the number of a seat: the registration holds its home.
const KEEPS_HOME: usize = 1 << (usize::BITS - 1);

// SAFETY: it lets its owner free the seat, and drop the target (`T: Send`), on any thread.
unsafe impl<T: Target> Send for Parked<T> {}
// SAFETY: sharing it lets others look at the bits of the target alone.
unsafe impl<T: Target> Sync for Parked<T> {}

impl<T: Target> Parked<T> {
    /// Registers `target`. If a notifier was faster, nothing is registered, and the caller must look again; the
    /// target comes back, unless it was fired too.
    ///
    /// # Safety
    ///
    /// `home` is of `Arc::as_ptr`, and alive. It outlives the registration, unless that `keeps_home` it.
    #[inline]
    pub(crate) unsafe fn new(
        home: *const T::Home,
        keeps_home: bool,
        target: T,
    ) -> Result<Self, Option<T>> {
        // SAFETY: the caller's promise.
        let place = unsafe { List::claim(home) }.arm(target)?;
        if keeps_home {
            // SAFETY: as above.
            unsafe { Arc::increment_strong_count(home) };
        }
        let seat = if keeps_home { place.seat | KEEPS_HOME } else { place.seat };
        Ok(Self { block: place.block, seat })
    }

    #[inline]
    fn place(&self) -> ClaimedSeat<T> {
        ClaimedSeat { block: self.block, seat: self.seat & !KEEPS_HOME }
    }

    /// Whether it holds what its list is in.
    #[inline]
    pub(crate) fn keeps_home(&self) -> bool {
        self.seat & KEEPS_HOME != 0
    }

    /// Whether it is still to be fired.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.place().is_armed()
    }
}

impl<T: Target + AsRef<Waker>> Parked<T> {
    /// Whether a wake-up of `waker` is still to come from this registration.
    ///
    /// Also while the waker is being used up: the poll of a wait that has just been fired may come here. A waker of
    /// another task cannot have its address by then, or that task was made after this one was woken, and sees
    /// what ended the wait (condition 11).
    #[inline]
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        self.is_live()
            && self.place().look(|own| {
                let own = own.as_ref();
                own.data() == waker.data() && ptr::eq(own.vtable(), waker.vtable())
            })
    }
}

impl<T: Target> Drop for Parked<T> {
    #[inline]
    fn drop(&mut self) {
        let home = self.block.home();
        // SAFETY: the reference that `new` counted, given up behind the rest, also if the target's drop panics.
        let _home = self.keeps_home().then(|| unsafe { Arc::from_raw(home) });
        drop(self.place().free());
    }
}

impl<T: Target<Home = List<T>>> fmt::Debug for Waiters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
impl<T: Target<Home = List<T>>> Waiters<T> {
    /// How many blocks listen, and how often the event was notified so far.
    pub(crate) fn effort(&self) -> (usize, usize) {
        self.list.get().map_or((0, 0), List::effort)
    }

    /// How many blocks there are behind the front.
    pub(crate) fn chain(&self) -> usize {
        self.list.get().map_or(0, List::chain)
    }
}
