//! One real group of a sequence: its handles, and what is inside it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use winddown::future::{Tracked, TrackedErr};
use winddown::{ErrGroup, Refused, TaskGroup, TaskGuard};

use super::values::{Told, Value};
use super::wait_groups::Work;

/// A handle. Waits that borrow one share it, so it is in an `Arc`.
#[derive(Clone)]
pub(super) enum Handle {
    Plain(Arc<TaskGroup>),
    Fallible(Arc<ErrGroup<Value>>),
}

impl Handle {
    pub(super) fn group(&self) -> &TaskGroup {
        match self {
            Self::Plain(group) => group,
            Self::Fallible(errors) => errors.group(),
        }
    }

    /// Another handle of the same group.
    pub(super) fn another(&self) -> Self {
        match self {
            Self::Plain(group) => Self::Plain(Arc::new(TaskGroup::clone(group))),
            Self::Fallible(errors) => Self::Fallible(Arc::new(ErrGroup::clone(errors))),
        }
    }

    /// Whether no wait borrows it.
    pub(super) fn is_alone(&self) -> bool {
        match self {
            Self::Plain(group) => Arc::strong_count(group) == 1,
            Self::Fallible(errors) => Arc::strong_count(errors) == 1,
        }
    }
}

/// A task that fails when it is told so.
pub(super) struct Failing {
    pub(super) told: Told,
    pub(super) error: Option<Value>,
}

impl Future for Failing {
    type Output = Result<(), Value>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Value>> {
        match (self.told.is_told(), self.error.take()) {
            (true, Some(error)) => Poll::Ready(Err(error)),
            (true, None) => Poll::Ready(Ok(())),
            (false, error) => {
                self.error = error;
                Poll::Pending
            }
        }
    }
}

/// What is inside a group.
pub(super) enum Inside {
    Guard(TaskGuard),
    Tracked(Pin<Box<Tracked<Work, TaskGuard>>>, Told),
    /// With the number of the error, if it will fail.
    Failing(Pin<Box<TrackedErr<Failing, Value>>>, Told, Option<u8>),
}

impl Inside {
    /// Ends a future. False for a guard, and if it is not over although it was told.
    pub(super) fn is_over(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match self {
            Self::Guard(_) => false,
            Self::Tracked(tracked, told) => {
                told.tell();
                tracked.as_mut().poll(&mut cx).is_ready()
            }
            Self::Failing(tracked, told, _) => {
                told.tell();
                tracked.as_mut().poll(&mut cx).is_ready()
            }
        }
    }
}

/// A group of a sequence.
pub(super) struct Real {
    pub(super) handles: Vec<Handle>,
    pub(super) inside: Vec<Inside>,
    pub(super) finalised: Arc<AtomicUsize>,
}

impl Real {
    pub(super) fn new(handle: Handle, finalised: Arc<AtomicUsize>) -> Self {
        Self { handles: vec![handle], inside: Vec::new(), finalised }
    }

    pub(super) fn finalised(&self) -> usize {
        self.finalised.load(Ordering::Relaxed)
    }

    /// A handle to call, if there is one.
    pub(super) fn handle(&self) -> Option<&Handle> {
        self.handles.last()
    }

    pub(super) fn errors(&self) -> Option<&Arc<ErrGroup<Value>>> {
        self.handles.iter().find_map(|handle| match handle {
            Handle::Fallible(errors) => Some(errors),
            Handle::Plain(_) => None,
        })
    }

    pub(super) fn enter(&self) -> Option<Result<Inside, Refused>> {
        Some(self.handle()?.group().guard().map(Inside::Guard))
    }
}
