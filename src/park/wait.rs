//! The one wait loop, how a thread parks in it, and the forms that every wait shares.
//!
//! Check, register, announce in the word, and by that check again, park. Futures come through here
//! when they are polled, threads when they block: a blocked thread polls with a waker that unparks
//! it.

#[cfg(feature = "std")]
pub(crate) mod blocking;
mod forms;
mod on;

use core::fmt;
use core::mem;
use core::task::{Poll, Waker};

use crate::park::deferred::Deferred;
use crate::park::seats::{Parked, Target};
use crate::sync::run_both;

#[cfg(feature = "std")]
pub(crate) use forms::Clock;
pub use forms::WaitUntil;
pub(crate) use forms::{AnyWait, wait_forms};
pub(crate) use on::{Lead, WaitOn, named_wait};

/// Something that can be waited for: a word, and a list of registrations.
pub(crate) trait Source {
    /// What a wait remembers of its first announcement.
    type Seen: Copy;
    /// What its waits put into their seats.
    type Target: AnyTask;

    /// What the list of its waits is in, as `Arc::as_ptr` gives it. It lives as long as the source.
    fn home(&self) -> *const <Self::Target as Target>::Home;

    /// Whether a wait that saw `seen` is over. Acquires what ended it.
    fn is_over(&self, seen: Option<Self::Seen>) -> bool;

    /// Tells the word that a wait is parked, so that the step that ends it from now on notifies; or finds
    /// that the wait is over.
    ///
    /// One read-modify-write of the word that decides the end, so that one of the two is second:
    /// the end sees the announcement, or the announcement sees the end. It must release (what was
    /// registered before) to the end, which acquires it.
    ///
    /// Where that makes the caller deliver what ended the wait, the delivery is deferred.
    fn announce(&self, seen: Option<Self::Seen>, deferred: &mut Deferred) -> Announced<Self::Seen>;
}

/// What wakes a task, or a thread, by its waker.
pub(crate) trait AnyTask: Target + From<Waker> + AsRef<Waker> {}

impl<T: Target + From<Waker> + AsRef<Waker>> AnyTask for T {}

/// What an announcement found.
pub(crate) enum Announced<S> {
    /// The wait is over.
    Over,
    /// The step that ends the wait notifies.
    Parked(S),
}

/// The state of a wait for a [`Source`] whose waits remember an `S`.
pub(crate) enum Waiting<S, T: Target> {
    /// Never polled, or never pending.
    New {
        /// Whether its registrations hold what they are in.
        keeps_home: bool,
    },
    /// Registered, and announced in the word.
    Parked(Parked<T>, S),
    /// Over: ready from now on.
    Over,
}

impl<S: Copy, T: AnyTask> Waiting<S, T> {
    /// For a source that lives as long as the wait, which then costs nothing to be sure of.
    ///
    /// # Safety
    ///
    /// Each source that it is polled with outlives it.
    #[inline]
    pub(crate) const unsafe fn lent() -> Self {
        Self::New { keeps_home: false }
    }

    /// For a source that a pointer of a foreign type leads to, which may lead to another one later (condition 8).
    #[inline]
    pub(crate) const fn keeping_home() -> Self {
        Self::New { keeps_home: true }
    }

    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    #[inline]
    fn keeps_home(&self) -> bool {
        match self {
            Self::New { keeps_home } => *keeps_home,
            Self::Parked(parked, _) => parked.keeps_home(),
            Self::Over => false,
        }
    }

    /// A wait that has not begun, for the same source.
    #[inline]
    fn anew(&self) -> Self {
        // One that is over does not know any more; to hold is always right.
        Self::New { keeps_home: self.is_over() || self.keeps_home() }
    }

    #[inline]
    fn seen(&self) -> Option<S> {
        match self {
            Self::Parked(_, seen) => Some(*seen),
            Self::New { .. } | Self::Over => None,
        }
    }

    /// Looks whether the wait is over, without registering anything.
    #[inline]
    pub(crate) fn look(&mut self, source: &impl Source<Seen = S, Target = T>) -> Poll<()> {
        if self.is_over() {
            return Poll::Ready(());
        }
        if !source.is_over(self.seen()) {
            return Poll::Pending;
        }
        self.become_over()
    }

    /// Looks, and parks `waker` if it is too early.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        source: &impl Source<Seen = S, Target = T>,
        waker: &Waker,
    ) -> Poll<()> {
        match self {
            // The usual poll of a wait that is parked: loads only, and small enough to be inlined.
            Self::Parked(parked, seen)
                if !source.is_over(Some(*seen)) && parked.will_wake(waker) =>
            {
                Poll::Pending
            }
            _ => self.park(source, waker),
        }
    }

    fn park(&mut self, source: &impl Source<Seen = S, Target = T>, waker: &Waker) -> Poll<()> {
        loop {
            if self.look(source).is_ready() {
                return Poll::Ready(());
            }
            // The clone is foreign code and comes first (condition 9): nothing is registered if it panics, and
            // whatever it closes is seen by the announcement that follows.
            let target = waker.clone().into();
            // SAFETY: the list is alive, as the source is; and one that does not hold outlives us, as `lent` says.
            let Ok(parked) = (unsafe { Parked::new(source.home(), self.keeps_home(), target) })
            else {
                // A notifier came between: look again. Each turn is another thread's progress, so this is no
                // spin.
                continue;
            };
            let mut deferred = Deferred::new();
            let (new, late) = match source.announce(self.seen(), &mut deferred) {
                Announced::Over => (Self::Over, Some(parked)),
                Announced::Parked(seen) => (Self::Parked(parked, seen), None),
            };
            let poll = if late.is_some() { Poll::Ready(()) } else { Poll::Pending };
            let old = match mem::replace(self, new) {
                Self::Parked(old, _) => Some(old),
                Self::New { .. } | Self::Over => None,
            };
            // The usual first poll leaves nothing to be done.
            if late.is_some() || old.is_some() || !deferred.is_empty() {
                clear_up(deferred, old, late);
            }
            return poll;
        }
    }

    #[inline]
    fn become_over(&mut self) -> Poll<()> {
        self.leave();
        Poll::Ready(())
    }
}

impl<S, T: Target> Waiting<S, T> {
    /// Gives up what is registered. Each wait calls it in a `Drop` of its own, which also keeps the drop checker
    /// from letting what it borrows go first:
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let signal = winddown::Signal::new();
    /// wait = signal.closed();
    /// ```
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let signal = winddown::Signal::<u8>::typed();
    /// wait = signal.value();
    /// ```
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let group = winddown::WaitGroup::new();
    /// wait = group.wait();
    /// ```
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let group = winddown::TaskGroup::new();
    /// wait = group.closed();
    /// ```
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let group = winddown::TaskGroup::new();
    /// wait = group.drained();
    /// ```
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let group = winddown::TaskGroup::new();
    /// wait = group.shutdown(std::future::ready(()));
    /// ```
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let scope = winddown::CancelScope::new();
    /// wait = scope.token().cancelled();
    /// ```
    ///
    /// ```compile_fail,E0597
    /// let mut wait;
    /// let group = winddown::TaskGroup::new();
    /// wait = group.guard_when_room();
    /// ```
    #[inline]
    pub(crate) fn leave(&mut self) {
        // Over first, then the foreign waker is dropped.
        drop(mem::replace(self, Self::Over));
    }
}

/// Runs what an announcement has deferred. The old registration, and a new one that is not needed, go last:
/// dropping a waker is foreign code.
#[cold]
fn clear_up<T: Target>(deferred: Deferred, old: Option<Parked<T>>, late: Option<Parked<T>>) {
    run_both(|| deferred.run(), || run_both(|| drop(old), || drop(late)));
}

impl<S, T: Target> fmt::Debug for Waiting<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New { .. } => "New",
            Self::Parked(..) => "Parked",
            Self::Over => "Over",
        })
    }
}
