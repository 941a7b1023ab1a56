//! `WaitGroup`: a reusable count of work in flight.
//!
//! **Invariant: the word alone decides** ([`word`] has its table). Every zero that a parked wait
//! must not miss is one compare-and-swap that makes the count zero, clears `WAITERS` and bumps
//! `ROUND`; the thread that made it, and no other, notifies.
//!
//! Edges:
//!
//! * **A** (leave to wait): what a piece of work did before it was counted out is seen by each thread that
//!   finds the zero. Every leave releases; between it and the read that ends the wait there are only
//!   read-modify-writes of the word, so the release sequence holds.
//! * **B** (one word): an announcement and the step to zero are read-modify-writes of one word, so
//!   one of them is second. The announcement first: the step sees `WAITERS`, and its thread
//!   acquires (C) what was registered, and fires. The step first: the announcement sees zero or another round.
//! * **C** (announce to fire): the wait list, the listener in it, and its count, are seen by
//!   the thread that fires. Its step to zero only releases; it acquires by a load behind that step.

mod guard;
mod wait;
mod word;

use core::fmt;
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::{Overflow, Unbalanced};
use crate::park::deferred::Deferred;
use crate::park::seats::{Fires, List, Task, Waiters};
use crate::park::wait::{Announced, Source, Waiting};
use crate::sync::{AtomicWord, Ordering, const_unless_loom, step};
use word::{ONE, Round, Word};

pub use guard::Guard;
pub use wait::Wait;

/// A reusable count of work in flight, to be waited for.
///
/// [`guard`](Self::guard) counts a piece of work in, and the drop of the guard counts it out, on every way out
/// of the work, panics included. ([`guard_in`](Self::guard_in) makes a guard that owns a pointer to the group.)
/// [`wait`](Self::wait) waits until nothing is in flight, as a future or, with `std`, blocking. The group may
/// be used again at once; there is nothing to reset.
///
/// Take a guard *before* its task is started, where that is done. If the task takes its own guard, a wait may
/// come first and find nothing in flight.
///
/// A `WaitGroup` beside a [`Signal`](crate::Signal) cannot refuse late work without a race: a thread that takes
/// a guard and then finds the signal open, and one that closes the signal and then waits, may miss each other.
/// Take guards where the count cannot be zero, from inside other counted work, such as an accept loop that
/// holds a guard itself; or use a [`TaskGroup`](crate::TaskGroup).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use winddown::WaitGroup;
///
/// let group = Arc::new(WaitGroup::new());
/// for _ in 0..4 {
///     let guard = WaitGroup::guard_in(Arc::clone(&group));
///     std::thread::spawn(move || {
///         // ... work ...
///         drop(guard);
///     });
/// }
/// group.wait().block();
/// assert!(group.is_idle());
/// ```
///
/// # Memory ordering
///
/// What a piece of work did before it was counted out happens before the return of every wait that
/// counted it, and of every [`count`](Self::count) and [`is_idle`](Self::is_idle) that finds zero.
///
/// # Size
///
/// A state word and a pointer. The constructor is `const`, so a group can be a `static`. Nothing is allocated
/// or locked before a task or thread has to wait.
///
/// The first wait makes a list with seats for four. Further waits sit in blocks of 30 (14 on 32 bits), of some
/// 560 bytes (200), which are used again and again, and stay until the group goes. A wait that is forgotten
/// (`mem::forget`) keeps its seat until then.
///
/// It counts to 2,147,483,648 (32,768 on targets without 64-bit atomics). A guard that is leaked by
/// `mem::forget` is never counted out: a wait then never ends, and nothing worse happens.
///
/// # Availability
///
/// | call ([key](crate::docs::embedded#availability-tables)) | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|
/// | `new` | no | yes | no | no |
/// | `add`, `guard` | no | yes | no: see below | no: see below |
/// | `guard_in`, `try_guard_in`, a guard's clone | no | yes | the pointer's: see below | no: see below |
/// | `count`, `is_idle`: one load | no | yes | no | no |
/// | `done`, a guard's drop or `leave` | no | yes | wakers | lock, if more than a few wait |
/// | a poll of `wait` or `wait_in` | first wait | no | wakers | lock |
///
/// * An entry of one piece of work that is refused since the group is full is in the count for a moment. If all
///   other work leaves in that moment, taking the entry back is the step to zero: it wakes the waits as `done` does.
///
/// # Compared with
///
/// * Go's `sync.WaitGroup`: one `Done` too many and `Add` beside `Wait` panic there or lose a wait; here the
///   first is an error that changes nothing, and the second has a meaning (see [`wait`](Self::wait)).
/// * `crossbeam_utils::sync::WaitGroup`: blocks only, cannot be looked at, and each handle is a clone of an
///   `Arc`. Here the group can stand in a `static` or on the stack.
/// * `tokio_util::task::TaskTracker`: also spawns, and its wait is over only once it was closed; it refuses no
///   task. This type is the count alone; [`TaskGroup`](crate::TaskGroup) is closed and refuses.
/// * `std::thread::scope`: enough where all work is threads that borrow from one function.
pub struct WaitGroup {
    /// See [`word`]. Changed by `add`, by guards, by `done`, and by waits about to park.
    word: AtomicWord,
    waiters: Waiters<Task>,
}

impl WaitGroup {
    const_unless_loom! {
        /// A group with nothing in flight. It is `const`, for a `static`.
        pub const fn new() -> WaitGroup {
            Self { word: AtomicWord::new(Word::IDLE.0), waiters: Waiters::new() }
        }
    }

    /// Counts `n` pieces of work in, to be counted out by as many calls of [`done`](Self::done).
    ///
    /// This is the raw form, for interrupts, for C, and for counts that no scope owns. Where a value can own
    /// the count, prefer [`guard`](Self::guard).
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the count would pass half of its range; then nothing is counted when this returns. For
    /// `n == 1` the refused entry may have been in the count for a moment: see
    /// [`WaitGroup`](Self#availability).
    ///
    /// # Panics
    ///
    /// Only if it is refused, with the panic of a waker that it woke, after all the others were woken.
    ///
    /// # Memory ordering
    ///
    /// None: it is the counting out that publishes.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::WaitGroup;
    ///
    /// static TRANSFERS: WaitGroup = WaitGroup::new();
    ///
    /// TRANSFERS.add(2).unwrap();
    /// TRANSFERS.done().unwrap();
    /// assert_eq!(TRANSFERS.count(), 1);
    /// TRANSFERS.done().unwrap();
    /// assert!(TRANSFERS.done().is_err(), "one too many changes nothing");
    /// ```
    pub fn add(&self, n: usize) -> Result<(), Overflow> {
        if n == 1 {
            return self.enter().map(drop);
        }
        let relaxed = Ordering::Relaxed;
        let next = |now| Ok((Word(now).enter_many(n)?.0, ()));
        step(&self.word, self.word.load(relaxed), relaxed, relaxed, next)
    }

    /// Counts one piece of work out.
    ///
    /// One `done` more than there were `add`s takes the count of another piece of work, if one is in flight,
    /// since the count cannot tell them apart. If it was a guard's, the drop of that guard then changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Unbalanced`] if nothing is in flight; then nothing was changed.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker that it woke, after all the others were woken.
    ///
    /// # Memory ordering
    ///
    /// What happened before on this thread happens before the return of every wait that counted it.
    ///
    /// # Examples
    ///
    /// See [`add`](Self::add).
    pub fn done(&self) -> Result<(), Unbalanced> {
        if self.leave(Word(self.word.load(Ordering::Relaxed)))? {
            self.end_round().run();
        }
        Ok(())
    }

    /// Counts one piece of work in, until the guard is dropped.
    ///
    /// On a `static` group the guard is `'static`. For a guard that owns its pointer, see
    /// [`guard_in`](Self::guard_in).
    ///
    /// # Panics
    ///
    /// If half of the range of the count is in flight; then nothing is counted. The panic may be that of a waker
    /// in place of this one: see [`WaitGroup`](Self#availability).
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{Guard, WaitGroup};
    ///
    /// static IN_FLIGHT: WaitGroup = WaitGroup::new();
    ///
    /// let guard: Guard = IN_FLIGHT.guard();
    /// assert_eq!(IN_FLIGHT.count(), 1);
    /// drop(guard);
    /// assert!(IN_FLIGHT.is_idle());
    /// ```
    #[track_caller]
    pub fn guard(&self) -> Guard<&WaitGroup> {
        Self::guard_in(self)
    }

    /// Counts one piece of work in, with a guard that owns `group`: an `Arc`, an `Rc`, or your own pointer to a
    /// struct that holds the group.
    ///
    /// If the pointer's `Deref` leads to another group later, the guard counts into one group and out of
    /// another: the counts are then wrong, and nothing is unsound. If it panics in the guard's drop, the work
    /// is never counted out, as by a guard that is forgotten.
    ///
    /// # Panics
    ///
    /// As [`guard`](Self::guard).
    ///
    /// # Examples
    ///
    /// A guard that keeps the state that its work needs:
    ///
    /// ```
    /// use std::{ops::Deref, sync::Arc};
    /// use winddown::{Guard, WaitGroup};
    ///
    /// struct Server { in_flight: WaitGroup, name: String }
    ///
    /// struct InFlight(Arc<Server>);
    ///
    /// impl Deref for InFlight {
    ///     type Target = WaitGroup;
    ///     fn deref(&self) -> &WaitGroup { &self.0.in_flight }
    /// }
    ///
    /// let server = Arc::new(Server { in_flight: WaitGroup::new(), name: "a".into() });
    /// let guard: Guard<InFlight> = WaitGroup::guard_in(InFlight(Arc::clone(&server)));
    /// assert_eq!((server.in_flight.count(), server.name.as_str()), (1, "a"));
    /// drop(guard);
    /// assert!(server.in_flight.is_idle());
    /// ```
    #[track_caller]
    pub fn guard_in<P: Deref<Target = WaitGroup>>(group: P) -> Guard<P> {
        match Self::try_guard_in(group) {
            Ok(guard) => guard,
            Err(overflow) => panic!("{overflow}"),
        }
    }

    /// [`guard_in`](Self::guard_in) that gives an error for a full group in place of a panic.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if half of the range of the count is in flight; then nothing is counted, and `group` is
    /// dropped.
    ///
    /// # Panics
    ///
    /// As [`add`](Self::add).
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::WaitGroup;
    ///
    /// static GROUP: WaitGroup = WaitGroup::new();
    ///
    /// let guard = WaitGroup::try_guard_in(&GROUP).unwrap();
    /// assert_eq!(GROUP.count(), 1);
    /// drop(guard);
    /// ```
    pub fn try_guard_in<P: Deref<Target = WaitGroup>>(group: P) -> Result<Guard<P>, Overflow> {
        let entered = group.enter()?;
        Ok(Guard { group, entered })
    }

    /// How many pieces of work are in flight: a snapshot. An entry that is being refused may be counted.
    ///
    /// # Memory ordering
    ///
    /// If it is zero, all that was counted out happens before this return.
    pub fn count(&self) -> usize {
        self.load().count()
    }

    /// Whether nothing is in flight. As [`count`](Self::count).
    pub fn is_idle(&self) -> bool {
        self.count() == 0
    }

    /// Waits until nothing is in flight.
    ///
    /// The wait is over if the count was zero at any moment after its first poll, even if the count rose again
    /// before the next poll. It is never over without such a moment. The first poll itself looks once, so a
    /// wait on an idle group, or on one that was never used, is over at once.
    ///
    /// On targets without 64-bit atomics a wait that is not polled for exactly 32,768 (else 2,147,483,648)
    /// awaited zeros completes one zero late.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point: other waits are still woken, and nothing is left behind. (One
    /// that was pending may cost the next zero a look at an empty list.)
    ///
    /// # Memory ordering
    ///
    /// See [`WaitGroup`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use winddown::WaitGroup;
    ///
    /// let group = WaitGroup::new();
    /// let guard = group.guard();
    /// let unfinished = group.wait().block_for(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(unfinished.left, 1);
    /// drop(guard);
    /// group.wait().block();
    /// ```
    pub fn wait(&self) -> Wait<&WaitGroup> {
        // SAFETY: the wait is polled with the group that it borrows.
        Wait::new(unsafe { Waiting::lent() }, self)
    }

    /// [`wait`](Self::wait) with a future that owns `group`, to be stored or sent to another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winddown::WaitGroup;
    ///
    /// let group = Arc::new(WaitGroup::new());
    /// let wait = WaitGroup::wait_in(Arc::clone(&group));
    /// std::thread::spawn(move || wait.block()).join().unwrap();
    /// ```
    pub fn wait_in<P: Deref<Target = WaitGroup>>(group: P) -> Wait<P> {
        Wait::new(Waiting::keeping_home(), group)
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn waiters(&self) -> &Waiters<Task> {
        &self.waiters
    }

    fn load(&self) -> Word {
        // A: a zero, or another round, acquires the work that led to it.
        Word(self.word.load(Ordering::Acquire))
    }

    /// Counts one in, and gives the word with it.
    ///
    /// The addition comes before the look, so that the cache line is fetched once, for writing.
    #[inline]
    fn enter(&self) -> Result<Word, Overflow> {
        // Relaxed: entering publishes nothing, and an addition keeps the release sequences of A.
        match Word(self.word.fetch_add(ONE, Ordering::Relaxed)).entered() {
            (entered, true) => Ok(entered),
            (entered, false) => Err(self.refuse(entered)),
        }
    }

    /// Takes back an addition to a full group. It leaves as everybody does: if half of the range has left
    /// since the addition, this is the step to zero that waits are to hear of.
    ///
    /// If it finds nothing to take back, that much has left and one `done` too many besides, which took this
    /// count in place of a guard's. Nothing is in flight then.
    #[cold]
    fn refuse(&self, entered: Word) -> Overflow {
        if let Ok(true) = self.leave(entered) {
            self.end_round().run();
        }
        Overflow(())
    }

    /// Guard and `done` alike; true if the caller has to end the round. Not a plain subtraction: the step
    /// to zero must bump the round in the same instant, and a step below zero must not happen even for a
    /// moment.
    ///
    /// `now` is a value that the word had, recent or not: the exchange tells. A guard remembers the one that
    /// its entry left behind. If it is still there, no look is needed; if it is not, the exchange that fails
    /// fetches the cache line for writing, which a look does not.
    #[inline]
    fn leave(&self, now: Word) -> Result<bool, Unbalanced> {
        // A: publishes the work. B: takes the announcement along, or comes before it.
        step(&self.word, now.0, Ordering::Release, Ordering::Relaxed, |now| {
            let (next, fires) = Word(now).leave()?;
            Ok((next.0, fires))
        })
    }

    /// Wakes the waits of the round. By the thread whose step ended it.
    #[cold]
    fn end_round(&self) -> Deferred {
        // C: acquires the announcements, with the waits that were registered before them. The step that ended the
        // round has not: nearly all steps end none, so they release only. Relaxed, or without this load, the thread
        // may find an older list, or none, and the waits are never woken; its value is not needed. It reads what our
        // own step left, or what came after it. Both continue the release sequences of the announcements, since all
        // changes of the word are read-modify-writes.
        self.word.load(Ordering::Acquire);
        let mut deferred = Deferred::new();
        self.waiters.fire().settle(&mut deferred);
        deferred
    }
}

impl Source for WaitGroup {
    type Seen = Round;
    type Target = Task;

    fn home(&self) -> *const List<Task> {
        self.waiters.home(Fires::InRounds)
    }

    #[inline]
    fn is_over(&self, seen: Option<Round>) -> bool {
        self.load().is_over(seen)
    }

    fn announce(&self, seen: Option<Round>, _: &mut Deferred) -> Announced<Round> {
        // A: a wait that finds the work done acquires what was done. B, C: also where `WAITERS` is set already, since
        // the next zero must acquire this registration, and not only the one that set the bit.
        let round = step(&self.word, self.load().0, Ordering::Release, Ordering::Acquire, |now| {
            let next = Word(now).announce(seen).ok_or(())?;
            Ok::<_, ()>((next.0, seen.unwrap_or(Word(now).round())))
        });
        round.map_or(Announced::Over, Announced::Parked)
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}
