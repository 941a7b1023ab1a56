//! The forms that every wait shares: with a limit, and blocking.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use crate::error::Unfinished;
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::sync::keep_through;

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

    /// Called when a limit has come, after which the wait is not polled any more: does at once what that means,
    /// though its future stays for a while.
    fn stop(self: Pin<&mut Self>) {}

    /// Called at the very end of a wait that a limit has ended with `left` in flight: tells of it. Foreign code.
    #[cfg(feature = "tracing")]
    fn tell_overrun(&self, _left: usize) {}

    /// Shows, for `Debug`, what the wait is for, and how far it is.
    fn show(&self, _: &mut fmt::DebugStruct<'_, '_>) {}

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
    /// Its output is `Ok` with what the wait gives, or [`Unfinished`] with what the limit gave and how much
    /// work was left.
    ///
    /// The wait is looked at first, so a finished wait wins a tie. A wait for a place in a group
    /// ([`WaitRoom`](crate::future::WaitRoom)) would begin work: its limit is looked at first, and when the
    /// limit has come, the wait is not looked at any more. It is looked at again when the wait has got a place,
    /// which goes to the next wait if the limit has come meanwhile. A limit that comes before the end of a
    /// [shutdown](crate::TaskGroup::shutdown) cancels the group first.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use winddown::{Signal, future::{WaitClosed, WaitUntil}};
    ///
    /// static STOP: Signal = Signal::new();
    ///
    /// let wait: WaitUntil<WaitClosed<&Signal>, Ready<&str>> = STOP.closed().until(ready("too late"));
    /// assert_eq!(wait.block().unwrap_err().by, "too late");
    /// ```
    ///
    /// # Panics
    ///
    /// When polled again after it was ready. Otherwise as the wait; and in the poll in which the limit has
    /// come, with the panic of a waker, callback or finaliser that ran because a shutdown was stopped, or
    /// because a place went to the next wait.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any point; the wait leaves nothing behind. A limit that is a borrowed token leaves
    /// one registration with its handle, as in [`CancelToken::cancelled`](crate::CancelToken::cancelled). A
    /// wait for a place in a group gives up its turn when it is stopped, or dropped; a place that it was given
    /// goes to the next wait.
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
        let (mut wait, mut limit) = (this.wait, this.limit);
        let output = if W::BEGINS {
            match limit.as_mut().poll(cx) {
                Poll::Ready(by) => Err(by),
                Poll::Pending => {
                    let begun = ready!(wait.as_mut().poll(cx));
                    // Rule 20: what a task did before it left its place, the end of the limit included, is seen by
                    // the wait that got the place, but only behind that.
                    match limit.poll(cx) {
                        Poll::Ready(by) => Err(keep_through(by, || drop(begun))),
                        Poll::Pending => Ok(begun),
                    }
                }
            }
        } else {
            match wait.as_mut().poll(cx) {
                Poll::Ready(output) => Ok(output),
                Poll::Pending => Err(ready!(limit.poll(cx))),
            }
        };
        *this.done = true;
        Poll::Ready(output.map_err(|by| stopped(wait, by)))
    }
}

/// Stops `wait`, for which `by` has come. If that panics, `by` is dropped here, since its drop is foreign code too,
/// and a panic of it would meet the first.
#[cold]
fn stopped<W: AnyWait, L>(mut wait: Pin<&mut W>, by: L) -> Unfinished<L> {
    let mut left = 0;
    let by = keep_through(by, || {
        wait.as_mut().stop();
        left = wait.left();
        #[cfg(feature = "tracing")]
        wait.tell_overrun(left);
    });
    Unfinished::new(left, by)
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

    #[cfg(feature = "tracing")]
    fn tell_overrun(&self, left: usize) {
        self.wait.tell_overrun(left);
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
            /// Waits until `limit` resolves, if it comes first: a runtime's timer, a token, any other future.
            ///
            /// The wait is looked at first, so a finished wait wins a tie; a wait for a place in a group
            /// (`guard_when_room`) looks at the limit first, so that it never starts work after it. A limit
            /// that comes before the end of a shutdown cancels the group first.
            ///
            /// # Errors
            ///
            /// The output of the future is [`Unfinished`](crate::Unfinished) when the limit came first, with
            /// what the limit gave and how much work was left.
            ///
            /// # Examples
            ///
            /// ```
            /// use winddown::{CancelScope, WaitGroup};
            ///
            /// let (group, scope) = (WaitGroup::new(), CancelScope::new());
            /// let guard = group.guard();
            /// scope.cancel();
            /// let unfinished = pollster::block_on(group.wait().until(scope.token())).unwrap_err();
            /// assert_eq!(unfinished.left, 1);
            /// ```
            pub fn until<L: core::future::IntoFuture>(
                self,
                limit: L,
            ) -> crate::park::wait::WaitUntil<Self, L::IntoFuture> {
                crate::park::wait::WaitUntil::new(self, limit.into_future())
            }

            /// Blocks the thread until the wait is over. Needs the feature `std`.
            ///
            /// It allocates if it has to park. Not for async tasks, which would block their executor's thread.
            ///
            /// # Examples
            ///
            /// ```
            /// let stop = winddown::Signal::new();
            /// std::thread::scope(|threads| {
            ///     threads.spawn(|| stop.closed().block());
            ///     stop.close();
            /// });
            /// ```
            #[cfg(feature = "std")]
            pub fn block(self) -> <Self as core::future::Future>::Output {
                crate::park::wait::blocking::block(self)
            }

            /// Blocks the thread until the wait is over, or for `limit` at most. Needs the feature `std`.
            ///
            /// The wait is looked at first, so `Duration::ZERO` asks whether it is over, and a wait that ends
            /// together with the time has ended in time. A wait for a place in a group (`guard_when_room`)
            /// would begin work: there the time is looked at first, so `Duration::ZERO` gives `Unfinished`, and
            /// so does a place that is found only when the time is up.
            ///
            /// A time that is too long for the clock, such as `Duration::MAX`, means for ever.
            ///
            /// # Errors
            ///
            /// [`Unfinished`](crate::Unfinished) if the time ran out, with how much work was left.
            ///
            /// # Panics
            ///
            /// If the thread has to park on a target without a clock, such as wasm32-unknown-unknown. A wait
            /// that is over reads no clock.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            /// let group = winddown::WaitGroup::new();
            /// let guard = group.guard();
            /// assert_eq!(group.wait().block_for(Duration::from_millis(1)).unwrap_err().left, 1);
            /// ```
            #[cfg(feature = "std")]
            pub fn block_for(
                self,
                limit: core::time::Duration,
            ) -> Result<<Self as core::future::Future>::Output, crate::Unfinished> {
                let limit = crate::park::wait::blocking::TimeLimit::For(limit);
                crate::park::wait::blocking::block_within(self, limit)
            }

            /// Blocks the thread until the wait is over, or until `at`. Needs the feature `std`.
            ///
            /// The wait is looked at first, so a wait that is over has ended in time, even if `at` is past; a
            /// wait for a place in a group looks at the time first, as in `block_for`.
            ///
            /// # Errors
            ///
            /// [`Unfinished`](crate::Unfinished) if the time came first, with how much work was left.
            ///
            /// # Examples
            ///
            /// ```
            /// let group = winddown::WaitGroup::new();
            /// assert!(group.wait().block_until(std::time::Instant::now()).is_ok());
            /// ```
            #[cfg(feature = "std")]
            pub fn block_until(
                self,
                at: std::time::Instant,
            ) -> Result<<Self as core::future::Future>::Output, crate::Unfinished> {
                let limit = crate::park::wait::blocking::TimeLimit::At(at);
                crate::park::wait::blocking::block_within(self, limit)
            }

            /// Blocks the thread until the wait is over, for a slice of time, and keeps the wait: it may be
            /// blocked on or polled again, and has lost nothing, its turn in a queue included. Needs the
            /// feature `std`.
            ///
            /// A time that is too long for the clock means for ever.
            ///
            /// # Errors
            ///
            /// [`Unfinished`](crate::Unfinished) if the time ran out, with how much work was left.
            ///
            /// # Panics
            ///
            /// As `block_for`.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            /// let group = winddown::WaitGroup::new();
            /// let guard = group.guard();
            /// let mut wait = group.wait();
            /// assert!(wait.block_slice(Duration::from_millis(1)).is_err(), "it still waits");
            /// drop(guard);
            /// assert!(wait.block_slice(Duration::from_millis(1)).is_ok());
            /// ```
            #[cfg(feature = "std")]
            pub fn block_slice(
                &mut self,
                slice: core::time::Duration,
            ) -> Result<<Self as core::future::Future>::Output, crate::Unfinished>
            where
                Self: Unpin,
            {
                let limit = crate::park::wait::blocking::TimeLimit::For(slice);
                crate::park::wait::blocking::block_slice(core::pin::Pin::new(self), limit)
            }
        }
    };
}
pub(crate) use wait_forms;

wait_forms!([W: AnyWait, Limit: Future] WaitUntil<W, Limit>);
