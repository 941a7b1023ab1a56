//! `Signal`: a close-once broadcast, with an optional value.
//!
//! The whole state is three bits of one word:
//!
//! | bit | name        | set by                                   | cleared by | while set                  |
//! |-----|-------------|------------------------------------------|------------|----------------------------|
//! | 0   | `WAITERS`   | a wait about to park                     | `reset`    | the publisher must fire    |
//! | 1   | `CLAIMED`   | the first close                          | `reset`    | closed; the slot is theirs |
//! | 2   | `PUBLISHED` | that close, when the value is in the slot| `reset`    | the slot may be read       |
//!
//! **Invariant: the one closer that sets `CLAIMED` writes the slot, sets `PUBLISHED` and fires, once.**
//! Nobody writes the slot after that while the signal is shared. A value without size and without
//! drop leaves nothing to write, so both bits are set in one step.
//!
//! Edges:
//!
//! * **D** (close to observer): what came before a close is seen by each thread that sees either bit, a refused
//!   closer included, since both steps release, and every step after them is a read-modify-write of the same word.
//! * **W** (written): the value is seen by each thread that acquires `PUBLISHED`.
//! * **B**, **C** as for the wait group: announcement and publication are read-modify-writes of one
//!   word, so one of them is second; and the publisher acquires what was announced.

mod waits;

use core::fmt;
use core::mem::{self, MaybeUninit, needs_drop};
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};

use crate::park::deferred::{Deferred, and_then_run};
use crate::park::seats::{Fires, List, Task, Waiters};
use crate::park::wait::{Announced, Source, Waiting};
use crate::sync::{AtomicUsize, Exclusive as _, Ordering, UnsafeCell, const_unless_loom};

pub use waits::{Value, WaitClosed, WaitValue, WaitValueIn};

const OPEN: usize = 0;
const WAITERS: usize = 1;
const CLAIMED: usize = 1 << 1;
const PUBLISHED: usize = 1 << 2;

/// A broadcast that is closed once, for ever, with an optional value that says why.
///
/// Any number of threads and tasks look ([`is_closed`](Self::is_closed), [`get`](Self::get)) or wait
/// ([`closed`](Self::closed), [`value`](Self::value)), before the close or after it. All of them see it. The
/// first closer's value wins; later closers get theirs back.
///
/// [`Signal::new`] makes one without a value, [`Signal::typed`] one with a value.
///
/// # Examples
///
/// ```
/// use winddown::Signal;
///
/// #[derive(Debug, PartialEq)]
/// enum Why { Asked, Broken }
///
/// static STOP: Signal<Why> = Signal::typed();
///
/// let waiter = std::thread::spawn(|| STOP.value().block());
/// assert_eq!(STOP.close_with(Why::Asked), Ok(()));
/// assert_eq!(STOP.close_with(Why::Broken), Err(Why::Broken));
/// assert_eq!(waiter.join().unwrap(), &Why::Asked);
/// ```
///
/// # Memory ordering
///
/// What happened before a close happens before the return of whatever observes it: a look that finds
/// it closed, a wait that is over, a later close that is refused.
///
/// # Size
///
/// A state word, a pointer and the value, all inline. The constructors are `const`, so a signal can be a
/// `static`. Nothing is allocated before a task or thread has to wait.
///
/// The first wait makes a list with seats for four. Further waits sit in blocks of 30 (14 on 32 bits), of some
/// 560 bytes (200), which are used again and again, and stay until the signal goes. A wait that is forgotten
/// (`mem::forget`) keeps its seat until then.
///
/// # Availability
///
/// | call ([key](crate::docs::embedded#availability-tables)) | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|
/// | `new`, `typed`, `reset` | no | yes | no | no |
/// | `is_closed`, `get`, `get_mut`: one load | no | yes | no | no |
/// | `close`, `close_with` | no | yes | wakers | lock, if more than a few wait |
/// | `into_inner` | no | no: frees | drops of wakers that forgotten waits left | no |
/// | the drop | no | no: frees | the same, and the value's drop | no |
/// | a poll of `closed`, `value`, `closed_in`, `value_in` | first wait | no | wakers | lock |
///
/// # Compared with
///
/// * Go's closed channel: closing twice panics there and is harmless here.
/// * `tokio_util::sync::CancellationToken`: has children and no value; each look takes a mutex there, and one
///   load here.
/// * `std::sync::OnceLock`: the same close-once slot, but its wait always blocks the thread, and it needs
///   `std`.
/// * `tokio::sync::watch` and `async_broadcast` carry many values.
pub struct Signal<T = ()> {
    /// The bits above. Changed by closers, and by waits about to park.
    word: AtomicUsize,
    waiters: Waiters<Task>,
    /// Written once, between the two steps of the first close.
    slot: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: sharing a signal lets any thread take a `&T` (`T: Sync`) and lets one thread put in a
//   value that another drops (`T: Send`). The slot is written by the one closer before `PUBLISHED`
//   and only read after it. (`Send` is derived and asks for `T: Send`.)
unsafe impl<T: Send + Sync> Sync for Signal<T> {}

impl Signal<()> {
    const_unless_loom! {
        /// An open signal without a value. It is `const`, for a `static`.
        pub const fn new() -> Self {
            Self::typed()
        }
    }

    /// Closes the signal. True for the first closer, and false for all others.
    ///
    /// When the first call returns, every wait has been woken.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker that it woke, after all the others were woken.
    ///
    /// # Memory ordering
    ///
    /// See [`Signal`].
    ///
    /// # Examples
    ///
    /// ```
    /// let stop = winddown::Signal::new();
    /// assert!(stop.close(), "the first");
    /// assert!(!stop.close() && stop.is_closed());
    /// ```
    pub fn close(&self) -> bool {
        self.close_with(()).is_ok()
    }
}

impl<T> Signal<T> {
    /// Nothing has to be put into the slot, and nothing will have to be dropped.
    const ONE_STEP: bool = size_of::<T>() == 0 && !needs_drop::<T>();

    const_unless_loom! {
        /// An open signal that is closed with a `T`. It is `const`, for a `static`.
        pub const fn typed() -> Self {
            Self {
                word: AtomicUsize::new(OPEN),
                waiters: Waiters::new(),
                slot: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    /// Closes the signal with `value`.
    ///
    /// # Errors
    ///
    /// The value itself, if the signal was closed already; then nothing was changed.
    ///
    /// # Panics
    ///
    /// As [`close`](Signal::close).
    ///
    /// # Memory ordering
    ///
    /// See [`Signal`]. For a `T` with a size or a drop the close has two steps: from the first on,
    /// [`is_closed`](Self::is_closed) is true and other closers are refused; with the second, a moment later,
    /// the value is there and the waits are over. An interrupt that comes between the two is refused, and finds
    /// the signal closed and without a value, until the interrupted call goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// let port = winddown::Signal::<u16>::typed();
    /// assert_eq!(port.close_with(80), Ok(()));
    /// assert_eq!(port.close_with(81), Err(81));
    /// assert_eq!(port.get(), Some(&80));
    /// ```
    pub fn close_with(&self, value: T) -> Result<(), T> {
        and_then_run(|deferred| self.settle(value, deferred))
    }

    /// The own work of a close; waking the waits is deferred.
    pub(crate) fn settle(&self, value: T, deferred: &mut Deferred) -> Result<(), T> {
        let claim = if Self::ONE_STEP { CLAIMED | PUBLISHED } else { CLAIMED };
        // D: publishes what came before, or, if refused, acquires what came before the first close.
        // B, C: for a close in one step.
        let mut before = self.word.fetch_or(claim, Ordering::AcqRel);
        if before & CLAIMED != 0 {
            return Err(value);
        }
        if Self::ONE_STEP {
            mem::forget(value);
        } else {
            // SAFETY: we set `CLAIMED`, so nobody else writes the slot, and nobody reads it before
            //   the next line sets `PUBLISHED`.
            unsafe { self.slot.write_ptr().cast::<T>().write(value) };
            // W: publishes the value. B: takes announcements along, or comes before them. C: acquires them; the claim
            // has acquired those before it alone.
            before = self.word.fetch_or(PUBLISHED, Ordering::AcqRel);
        }
        if before & WAITERS != 0 {
            self.waiters.fire().settle(deferred);
        }
        Ok(())
    }

    /// Whether the signal is closed. For a signal with a value this is true shortly before the value can be
    /// had.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // D: acquires what came before the close.
        self.word.load(Ordering::Acquire) & CLAIMED != 0
    }

    /// The value that the signal was closed with, if the first closer has put it there.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.is_published() {
            return None;
        }
        // SAFETY: `PUBLISHED` was acquired (W), so the value is there; it is written once, and
        //   taken out only through `&mut self`.
        Some(unsafe { &*self.slot.read_ptr().cast::<T>() })
    }

    /// The value, to be changed by the only owner of the signal.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut names = winddown::Signal::<Vec<&str>>::typed();
    /// names.close_with(vec!["a"]).unwrap();
    /// names.get_mut().unwrap().push("b");
    /// assert_eq!(names.into_inner().unwrap(), ["a", "b"]);
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if !self.is_published() {
            return None;
        }
        // SAFETY: as in `get`; and `&mut self` makes this the only access.
        Some(unsafe { &mut *self.slot.write_ptr().cast::<T>() })
    }

    /// Takes the value out, which nobody else can reach any more; `None` if the signal was never closed.
    ///
    /// # Panics
    ///
    /// With the panic of a waker's drop, if the signal was never closed and a forgotten wait has left one.
    ///
    /// # Examples
    ///
    /// ```
    /// let port = winddown::Signal::<u16>::typed();
    /// port.close_with(80).unwrap();
    /// assert_eq!(port.into_inner(), Some(80));
    /// assert_eq!(winddown::Signal::<u16>::typed().into_inner(), None);
    /// ```
    pub fn into_inner(mut self) -> Option<T> {
        // A signal with a value has fired all wakers, so its drop runs no foreign code that could panic and leak it.
        self.reset()
    }

    /// Opens the signal again, and gives the value that it was closed with.
    ///
    /// This takes the only owner of the signal, so no borrowed wait is left. If anything has waited before the
    /// close, later waits do not find the seats for a few any more, and share a block at once.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut result = winddown::Signal::<u32>::typed();
    /// result.close_with(7).unwrap();
    /// assert_eq!(result.reset(), Some(7));
    /// assert!(!result.is_closed());
    /// ```
    pub fn reset(&mut self) -> Option<T> {
        let before = self.word.replace_mut(OPEN);
        if before & PUBLISHED == 0 {
            return None;
        }
        // SAFETY: it was published, and with the bits cleared nobody takes or reads it again;
        //   `&mut self` makes this the only access.
        Some(unsafe { self.slot.write_ptr().cast::<T>().read() })
    }

    /// Waits until the signal is closed (and, if it has a value, until the value is there).
    ///
    /// The future fits as it is where a server takes a graceful-shutdown future.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point: other waits are still woken, and nothing is left behind. (One
    /// that was pending may cost the close a look at an empty list.)
    ///
    /// # Memory ordering
    ///
    /// See [`Signal`].
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::Signal;
    ///
    /// static STOP: Signal = Signal::new();
    ///
    /// let waiter = std::thread::spawn(|| STOP.closed().block());
    /// assert!(STOP.close());
    /// assert!(!STOP.close(), "once");
    /// waiter.join().unwrap();
    /// ```
    pub fn closed(&self) -> WaitClosed<&Self> {
        // SAFETY: the wait is polled with the signal that it borrows.
        WaitClosed::new(unsafe { Waiting::lent() }, self)
    }

    /// [`closed`](Self::closed) with a future that owns `signal`, to be stored or sent to another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winddown::Signal;
    ///
    /// let stop = Arc::new(Signal::new());
    /// let wait = Signal::closed_in(Arc::clone(&stop));
    /// let waiter = std::thread::spawn(move || wait.block());
    /// stop.close();
    /// waiter.join().unwrap();
    /// ```
    pub fn closed_in<P: Deref<Target = Self>>(signal: P) -> WaitClosed<P> {
        WaitClosed::new(Waiting::keeping_home(), signal)
    }

    /// Waits until the signal is closed, and gives the value. As [`closed`](Self::closed) otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::Signal;
    ///
    /// let why = Signal::<&str>::typed();
    /// why.close_with("the disk is full").unwrap();
    /// assert_eq!(*why.value().block(), "the disk is full");
    /// ```
    pub fn value(&self) -> WaitValue<'_, T> {
        WaitValue::new(self)
    }

    /// [`value`](Self::value) with a future that owns `signal`, to be stored or sent to another thread. Its
    /// output dereferences to the value, and owns a clone of the pointer.
    ///
    /// # Panics
    ///
    /// A poll panics only with the pointer's `Deref` or `Clone`.
    ///
    /// # Cancel safety
    ///
    /// As [`closed`](Self::closed).
    ///
    /// # Memory ordering
    ///
    /// See [`Signal`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winddown::Signal;
    ///
    /// let why = Arc::new(Signal::<String>::typed());
    /// let wait = Signal::value_in(Arc::clone(&why));
    /// let thread = std::thread::spawn(move || assert_eq!(*wait.block(), "the disk is full"));
    /// why.close_with("the disk is full".to_owned()).unwrap();
    /// thread.join().unwrap();
    /// ```
    pub fn value_in<P: Deref<Target = Self> + Clone>(signal: P) -> WaitValueIn<P> {
        WaitValueIn::new(signal)
    }

    #[inline]
    fn is_published(&self) -> bool {
        // D, W: acquires what came before the close, and the value.
        self.word.load(Ordering::Acquire) & PUBLISHED != 0
    }
}

impl<T> Source for Signal<T> {
    type Seen = ();
    type Target = Task;

    fn home(&self) -> *const List<Task> {
        self.waiters.home(Fires::Once)
    }

    #[inline]
    fn is_over(&self, _: Option<()>) -> bool {
        self.is_published()
    }

    fn announce(&self, _: Option<()>, _: &mut Deferred) -> Announced<()> {
        // B, C: publishes the registration to the closer. D: or acquires what came before the close.
        match self.word.fetch_or(WAITERS, Ordering::AcqRel) & PUBLISHED {
            0 => Announced::Parked(()),
            _ => Announced::Over,
        }
    }
}

impl<T> Drop for Signal<T> {
    fn drop(&mut self) {
        // The value is out of the slot before its own drop runs, which may panic; the fields of the
        // signal are dropped even then.
        drop(self.reset());
    }
}

impl<T> Default for Signal<T> {
    fn default() -> Self {
        Self::typed()
    }
}

impl<T: fmt::Debug> fmt::Debug for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("closed", &self.is_closed())
            .field("value", &self.get())
            .finish_non_exhaustive()
    }
}

impl<T: UnwindSafe> UnwindSafe for Signal<T> {}
impl<T: RefUnwindSafe> RefUnwindSafe for Signal<T> {}
