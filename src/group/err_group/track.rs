//! The future of `ErrGroup::try_track`.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::store::{Store, explained};
use crate::combine::Tracked;
use crate::group::TaskGuard;
use crate::park::deferred::{Deferred, and_then_run};
use crate::sync::{Arc, run_both};

pin_project! {
    /// A future that is counted in a group until it is done, and whose error the group records. Made by
    /// [`ErrGroup::try_track`](crate::ErrGroup::try_track).
    ///
    /// When the future is ready, it is dropped, its error is recorded, and then it is counted out. Its output
    /// is `()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use winddown::{ErrGroup, future::TrackedErr};
    ///
    /// let group = ErrGroup::<u8>::new();
    /// let task: TrackedErr<Ready<Result<(), u8>>, u8> = group.try_track(ready(Ok(()))).unwrap();
    /// pollster::block_on(task);
    /// assert!(group.group().is_empty());
    /// ```
    ///
    /// # Panics
    ///
    /// When polled again after it was ready. Otherwise as [`Tracked`](crate::future::Tracked), also with the
    /// panic of what its error's cancel ran, or of the function that made the reason of that.
    #[must_use = "does nothing unless awaited or polled"]
    pub struct TrackedErr<F, E> {
        #[pin]
        tracked: Tracked<F, Inside<E>>,
    }
}

/// What is held while the future runs.
pub(super) struct Inside<E> {
    // Dropped in this order: a wait for the count finds no copy of the errors here.
    store: Arc<Store<E>>,
    guard: TaskGuard,
}

impl<E> Inside<E> {
    /// Counts the task out.
    #[inline]
    fn leave(self) {
        let Self { store, guard } = self;
        drop(store);
        and_then_run(|deferred| guard.leave_into(deferred));
    }

    /// Records what the task failed with, and counts it out.
    #[cold]
    fn fail(self, error: E) {
        let explain = self.store.explain(self.guard.group());
        explained(explain, error, |error, reason| {
            let Self { store, guard } = self;
            let (mut deferred, mut reason) = (Deferred::new(), Some(reason));
            // It is not refused: the group is not drained, since we are inside.
            let beyond = store.record(error, &mut reason, guard.group(), &mut deferred).ok();
            drop(store);
            // The task is over: a panic of foreign code from here on is not its own.
            guard.leave_into(&mut deferred);
            run_both(|| deferred.run(), || run_both(|| drop(beyond), || drop(reason)));
        });
    }
}

impl<F, E> TrackedErr<F, E> {
    pub(super) fn new(future: F, guard: TaskGuard, store: Arc<Store<E>>) -> Self {
        Self { tracked: Tracked::new(future, Inside { store, guard }) }
    }
}

impl<F: Future<Output = Result<(), E>>, E> Future for TrackedErr<F, E> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().tracked.poll_then(cx, |outcome, inside| match outcome {
            Ok(()) => inside.leave(),
            Err(error) => inside.fail(error),
        })
    }
}

impl<F: Future<Output = Result<(), E>>, E> FusedFuture for TrackedErr<F, E> {
    fn is_terminated(&self) -> bool {
        self.tracked.is_terminated()
    }
}

impl<F, E> fmt::Debug for TrackedErr<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackedErr").finish_non_exhaustive()
    }
}
