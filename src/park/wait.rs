//! The one wait loop, how a thread parks in it, and the forms that every wait shares.
//!
//! Check, register, announce in the word, and by that check again, park. Futures come through here
//! when they are polled, threads when they block: a blocked thread polls with a waker that unparks
//! it.

#[cfg(feature = "std")]
pub(crate) mod blocking;

use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use crate::error::Unfinished;
use crate::park::deferred::Deferred;
use crate::park::seats::{Parked, Target};
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::sync::run_both;

/// Something that can be waited for: a word, and the list of those who wait.
pub(crate) trait Source {
    /// What a wait remembers of its first announcement.
    type Seen: Copy;
    /// What its waits put into their seats.
    type Target: AnyTask;

    /// What the list of its waits is in, as `Arc::as_ptr` gives it. It lives as long as the source.
    fn home(&self) -> *const <Self::Target as Target>::Home;

    /// Whether a wait that saw `seen` is over. Acquires what ended it.
    fn is_over(&self, seen: Option<Self::Seen>) -> bool;

    /// Tells the word that somebody is parked, so that whoever ends the wait from now on notifies;
    /// or finds that the wait is over.
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
    /// Whoever ends the wait notifies.
    Parked(S),
}

/// The state of a wait for a [`Source`] whose waits remember an `S`.
pub(crate) enum Waiting<S, T: Target> {
    /// Never polled, or never pending.
    New {
        /// Whether its registrations hold what they are in.
        holds: bool,
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
        Self::New { holds: false }
    }

    /// For a source that a pointer of a foreign type leads to, which may lead to another one later (condition 8).
    #[inline]
    pub(crate) const fn holding() -> Self {
        Self::New { holds: true }
    }

    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    #[inline]
    fn holds(&self) -> bool {
        match self {
            Self::New { holds } => *holds,
            Self::Parked(parked, _) => parked.holds(),
            Self::Over => false,
        }
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
            let Ok(parked) = (unsafe { Parked::new(source.home(), self.holds(), target) }) else {
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

/// What the shared forms need of a wait. Public only in name: nobody outside can reach it.
pub trait AnyWait: Future {
    /// Whether something begins when this wait is over, as the work does that waited for a place in
    /// a group with a limit. A limit of such a wait is looked at before the wait, so that a wait
    /// that was stopped never starts work (rule 20).
    const BEGINS: bool = false;

    /// How much work is still in flight.
    fn left(&self) -> usize;

    /// Looks whether the wait is over, without registering anything.
    fn look(self: Pin<&mut Self>) -> Poll<Self::Output>;

    /// Called when a limit has come, after which the wait is not polled any more: gives back at once
    /// what it would begin with, though its future stays for a while.
    fn stop(self: Pin<&mut Self>) {}

    /// The clock that a thread which blocks in this wait has to watch.
    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        None
    }
}

/// What has to be done in time, where no executor does it. Public only in name.
#[cfg(feature = "std")]
pub trait Clock {
    /// When to ring.
    fn alarm(&self) -> Option<Instant>;

    /// Does what is due then, which changes the alarm or ends the wait.
    fn ring(&self);
}

pin_project! {
    /// A wait with a limit: the future of `until` on any wait of this crate.
    ///
    /// Resolves to `Ok` with what the wait gives, or to [`Unfinished`] with what the limit gave and
    /// how much work was left.
    ///
    /// The wait is looked at first, so a finished wait wins a tie. A wait for a place in a group
    /// ([`WaitRoom`](crate::future::WaitRoom)) would begin work: its limit is looked at first, and
    /// when the limit has come, the wait is not looked at any more.
    ///
    /// # Panics
    ///
    /// When polled again after it was ready.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any point; the wait leaves nothing behind. A limit that is a borrowed token
    /// leaves one registration with its handle, as in
    /// [`CancelToken::cancelled`](crate::CancelToken::cancelled). A wait for a place in a group gives up
    /// its turn when it is stopped, or dropped; a place that it was given goes to the next.
    #[derive(Debug)]
    #[must_use = "does nothing unless awaited, polled or blocked on"]
    pub struct WaitUntil<W, Limit> {
        #[pin]
        wait: W,
        #[pin]
        limit: Limit,
        done: bool,
    }
}

impl<W, Limit> WaitUntil<W, Limit> {
    pub(crate) fn new(wait: W, limit: Limit) -> Self {
        Self { wait, limit, done: false }
    }
}

impl<W: AnyWait, Limit: Future> Future for WaitUntil<W, Limit> {
    type Output = Result<W::Output, Unfinished<Limit::Output>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        assert!(!*this.done, "a wait with a limit was polled again after it was ready");
        let (mut wait, limit) = (this.wait, this.limit);
        let output = if W::BEGINS {
            match limit.poll(cx) {
                Poll::Ready(by) => Err(by),
                Poll::Pending => Ok(ready!(wait.as_mut().poll(cx))),
            }
        } else {
            match wait.as_mut().poll(cx) {
                Poll::Ready(output) => Ok(output),
                Poll::Pending => Err(ready!(limit.poll(cx))),
            }
        };
        *this.done = true;
        Poll::Ready(output.map_err(|by| {
            wait.as_mut().stop();
            Unfinished::new(wait.left(), by)
        }))
    }
}

impl<W: AnyWait, Limit: Future> FusedFuture for WaitUntil<W, Limit> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<W: AnyWait, Limit: Future> AnyWait for WaitUntil<W, Limit> {
    const BEGINS: bool = W::BEGINS;

    fn left(&self) -> usize {
        self.wait.left()
    }

    #[inline]
    fn look(self: Pin<&mut Self>) -> Poll<Self::Output> {
        let this = self.project();
        assert!(!*this.done, "a wait with a limit was polled again after it was ready");
        if W::BEGINS {
            // The limit comes first, and only a poll can look at it.
            return Poll::Pending;
        }
        let output = this.wait.look();
        *this.done = output.is_ready();
        output.map(Ok)
    }

    fn stop(self: Pin<&mut Self>) {
        self.project().wait.stop();
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        self.wait.clock()
    }
}

/// Gives a wait the forms that all of them share.
macro_rules! wait_forms {
    ([$($generics:tt)*] $wait:ty) => {
        impl<$($generics)*> $wait {
            /// Waits until `limit` resolves, if it comes first: a runtime's timer, a token, any
            /// other future.
            ///
            /// The wait is looked at first, so a finished wait wins a tie. A wait for a place in a
            /// group (`guard_when_room`) would begin work: there the limit is looked at first, so a
            /// wait that was stopped never starts work.
            ///
            /// # Errors
            ///
            /// The output of the future is [`Unfinished`](crate::Unfinished) when the limit came
            /// first, with what the limit gave and how much work was left.
            ///
            /// # Availability
            ///
            /// As the wait.
            pub fn until<L: core::future::IntoFuture>(
                self,
                limit: L,
            ) -> crate::park::wait::WaitUntil<Self, L::IntoFuture> {
                crate::park::wait::WaitUntil::new(self, limit.into_future())
            }

            /// Blocks the thread until the wait is over.
            ///
            /// # Availability
            ///
            /// With the feature `std`. Allocates if it has to park. Not for async tasks, which would
            /// block their executor's thread, and not for interrupts.
            #[cfg(feature = "std")]
            pub fn block(self) -> <Self as core::future::Future>::Output {
                crate::park::wait::blocking::block(core::pin::pin!(self))
            }

            /// Blocks the thread until the wait is over, for at most `limit`. A time that is too
            /// long for the clock, such as `Duration::MAX`, means for ever.
            ///
            /// The wait is looked at first, so `Duration::ZERO` asks whether it is over, and a wait
            /// that ends together with the time has ended in time. A wait for a place in a group
            /// (`guard_when_room`) would begin work: there the time is looked at first, so
            /// `Duration::ZERO` gives `Unfinished`, and so does a place that is found only when the
            /// time is up.
            ///
            /// # Errors
            ///
            /// [`Unfinished`](crate::Unfinished) if the time ran out, with how much work was left.
            ///
            /// # Panics
            ///
            /// If the thread has to park on a target without a clock, such as
            /// wasm32-unknown-unknown. A wait that is over reads no clock.
            ///
            /// # Availability
            ///
            /// As `block`.
            #[cfg(feature = "std")]
            pub fn block_for(
                self,
                limit: core::time::Duration,
            ) -> Result<<Self as core::future::Future>::Output, crate::Unfinished> {
                let limit = crate::park::wait::blocking::TimeLimit::For(limit);
                crate::park::wait::blocking::block_within(core::pin::pin!(self), limit)
            }

            /// Blocks the thread until the wait is over, or until `at`.
            ///
            /// The wait is looked at first, so a wait that is over has ended in time, even if `at`
            /// is past. A wait for a place in a group (`guard_when_room`) would begin work: there the
            /// time is looked at first, as in `block_for`.
            ///
            /// # Errors
            ///
            /// [`Unfinished`](crate::Unfinished) if the time came first, with how much work was
            /// left.
            ///
            /// # Availability
            ///
            /// As `block`.
            #[cfg(feature = "std")]
            pub fn block_until(
                self,
                at: std::time::Instant,
            ) -> Result<<Self as core::future::Future>::Output, crate::Unfinished> {
                let limit = crate::park::wait::blocking::TimeLimit::At(at);
                crate::park::wait::blocking::block_within(core::pin::pin!(self), limit)
            }
        }
    };
}
pub(crate) use wait_forms;

wait_forms!([W: AnyWait, Limit: Future] WaitUntil<W, Limit>);

impl<S, T: Target> fmt::Debug for Waiting<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New { .. } => "New",
            Self::Parked(..) => "Parked",
            Self::Over => "Over",
        })
    }
}
