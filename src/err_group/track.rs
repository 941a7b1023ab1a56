//! The future of `ErrGroup::try_track`.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::store::Store;
use crate::combine::Tracked;
use crate::group::TaskGuard;
use crate::sync::{Arc, FirstPanic};

pin_project! {
    /// A future that is counted in a group until it is done, and whose error the group records. Made by
    /// [`ErrGroup::try_track`](crate::ErrGroup::try_track).
    ///
    /// When the future is ready, it is dropped, its error is recorded, and then it is counted out. If its
    /// drop panics, the error is recorded all the same.
    ///
    /// # Panics
    ///
    /// When polled again after it was ready. Recording the error may panic, as
    /// [`ErrGroup::record`](crate::ErrGroup::record) says: the task has been counted out by then, and not
    /// as one that panicked.
    #[must_use = "does nothing unless awaited or polled"]
    pub struct TrackedErr<F, E> {
        #[pin]
        tracked: Tracked<F, Inside<E>>,
    }
}

/// What is held while the future runs.
pub(super) struct Inside<E> {
    // Dropped in this order: when the task has been counted out, it holds no copy of the errors.
    store: Arc<Store<E>>,
    guard: TaskGuard,
}

impl<F, E> TrackedErr<F, E> {
    pub(super) fn new(future: F, guard: TaskGuard, store: Arc<Store<E>>) -> Self {
        Self { tracked: Tracked::new(future, Inside { store, guard }) }
    }
}

impl<F: Future<Output = Result<(), E>>, E> Future for TrackedErr<F, E> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Kept until the guard has gone: the guard takes a thread that unwinds for a task that panicked.
        let mut panic = FirstPanic::none();
        let polled = self.project().tracked.poll_then(cx, |outcome, inside| {
            if let Err(error) = outcome {
                // It is not refused: the group is not drained, since we are inside.
                panic.catch(|| drop(inside.store.record(error, inside.guard.group())));
            }
        });
        panic.resume();
        polled
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
