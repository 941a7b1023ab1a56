//! A wait for one source, and what the named waits have in common.
//!
//! Each named wait is a struct around a [`WaitOn`], or around another named wait, whose output it turns into its
//! own. So the body of a wait stands once.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;

#[cfg(feature = "std")]
use super::Clock;
use super::{AnyTask, AnyWait, Source, Waiting};
use crate::park::seats::Target;

/// What leads a wait to its source: a pointer, mostly.
pub(crate) trait Lead<S, T: Target> {
    type Source: Source<Seen = S, Target = T>;

    /// None is a source that never ends a wait.
    fn source(&self) -> Option<&Self::Source>;

    /// Called before each look.
    #[inline]
    fn begin(&mut self, _: &mut Waiting<S, T>) {}

    /// How much work is still in flight.
    fn left(&self) -> usize {
        0
    }

    /// See [`AnyWait::tell_overrun`].
    #[cfg(feature = "tracing")]
    fn tell_overrun(&self, _left: usize) {}

    /// Shows, for `Debug`, what the wait is for.
    fn show(&self, _: &mut fmt::DebugStruct<'_, '_>) {}

    /// See [`AnyWait::clock`].
    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        None
    }
}

/// A wait for the source that `lead` leads to.
pub(crate) struct WaitOn<L, S, T: Target> {
    // Dropped first: it is in the list of the source.
    pub(crate) waiting: Waiting<S, T>,
    pub(crate) lead: L,
}

impl<L: Lead<S, T>, S: Copy, T: AnyTask> WaitOn<L, S, T> {
    #[inline]
    pub(crate) const fn new(waiting: Waiting<S, T>, lead: L) -> Self {
        Self { waiting, lead }
    }
}

impl<L: Lead<S, T>, S: Copy, T: AnyTask> Future for WaitOn<L, S, T> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.lead.begin(&mut this.waiting);
        match this.lead.source() {
            Some(source) => this.waiting.poll(source, cx.waker()),
            None => Poll::Pending,
        }
    }
}

impl<L: Lead<S, T>, S: Copy, T: AnyTask> AnyWait for WaitOn<L, S, T> {
    fn left(&self) -> usize {
        self.lead.left()
    }

    #[inline]
    fn look(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.get_mut();
        this.lead.begin(&mut this.waiting);
        match this.lead.source() {
            Some(source) => this.waiting.look(source),
            None => Poll::Pending,
        }
    }

    #[cfg(feature = "tracing")]
    fn tell_overrun(&self, left: usize) {
        self.lead.tell_overrun(left);
    }

    fn show(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("waiting", &self.waiting);
        self.lead.show(out);
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<&dyn Clock> {
        self.lead.clock()
    }
}

impl<L: Lead<S, T>, S: Copy, T: AnyTask> FusedFuture for WaitOn<L, S, T> {
    #[inline]
    fn is_terminated(&self) -> bool {
        self.waiting.is_over()
    }
}

/// It also keeps the drop checker from letting what the wait borrows go first.
impl<L, S, T: Target> Drop for WaitOn<L, S, T> {
    #[inline]
    fn drop(&mut self) {
        self.waiting.leave();
    }
}

/// A wait that has not begun.
impl<L: Clone, S: Copy, T: AnyTask> Clone for WaitOn<L, S, T> {
    fn clone(&self) -> Self {
        Self { waiting: self.waiting.anew(), lead: self.lead.clone() }
    }
}

/// The lead is never pinned.
impl<L, S, T: Target> Unpin for WaitOn<L, S, T> {}

/// Makes a struct around a wait, in its field `wait`, a wait of its own, with the forms of every wait. The last
/// parameter says what its output is.
macro_rules! named_wait {
    ($name:literal, [$($generics:tt)*] $wait:ty, $output:ty, |$this:ident| $make:expr) => {
        impl<$($generics)*> core::future::Future for $wait {
            type Output = $output;

            #[inline]
            fn poll(
                mut self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<$output> {
                let polled = core::pin::Pin::new(&mut self.wait).poll(cx);
                polled.map(|_| {
                    let $this = &*self;
                    $make
                })
            }
        }

        impl<$($generics)*> crate::park::wait::AnyWait for $wait {
            fn left(&self) -> usize {
                crate::park::wait::AnyWait::left(&self.wait)
            }

            #[inline]
            fn look(mut self: core::pin::Pin<&mut Self>) -> core::task::Poll<$output> {
                let seen = crate::park::wait::AnyWait::look(core::pin::Pin::new(&mut self.wait));
                seen.map(|_| {
                    let $this = &*self;
                    $make
                })
            }

            #[cfg(feature = "tracing")]
            fn tell_overrun(&self, left: usize) {
                crate::park::wait::AnyWait::tell_overrun(&self.wait, left);
            }

            fn show(&self, out: &mut core::fmt::DebugStruct<'_, '_>) {
                crate::park::wait::AnyWait::show(&self.wait, out);
            }

            #[cfg(feature = "std")]
            fn clock(&self) -> Option<&dyn crate::park::wait::Clock> {
                crate::park::wait::AnyWait::clock(&self.wait)
            }
        }

        impl<$($generics)*> futures_core::FusedFuture for $wait {
            #[inline]
            fn is_terminated(&self) -> bool {
                futures_core::FusedFuture::is_terminated(&self.wait)
            }
        }

        impl<$($generics)*> Unpin for $wait {}
        impl<$($generics)*> core::panic::UnwindSafe for $wait {}
        impl<$($generics)*> core::panic::RefUnwindSafe for $wait {}

        impl<$($generics)*> core::fmt::Debug for $wait {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut out = f.debug_struct($name);
                crate::park::wait::AnyWait::show(self, &mut out);
                out.finish_non_exhaustive()
            }
        }

        crate::park::wait::wait_forms!([$($generics)*] $wait);
    };
}
pub(crate) use named_wait;
