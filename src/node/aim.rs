//! What the hooks of a node do when it is cancelled.

use core::task::Waker;

use alloc::boxed::Box;

use super::Node;
use crate::callback::Callback;
use crate::deferred::Deferred;
use crate::hook::{Target, Task};
use crate::sync::{Arc, UnsafeCell, Weak};

/// What a hook of a node does.
pub(crate) enum Aim {
    /// Wakes a task, or a thread.
    Task(Task),
    /// Passes a cancellation on.
    Child(Below<Node>),
    /// Runs a callback.
    Call(Callback),
    /// Does what follows from a cancellation.
    Follow(Box<dyn Follower>),
}

/// What follows from the cancellation of a node, beside waking its waiters.
pub(crate) trait Follower: Send + Sync {
    /// Own work: runs nobody's code.
    fn settle(&self, deferred: &mut Deferred);

    /// What may be foreign code, after `settle` and all other own work.
    fn release(&self);
}

impl From<Waker> for Aim {
    fn from(waker: Waker) -> Self {
        Self::Task(waker.into())
    }
}

impl Target for Aim {
    fn settle(&self, deferred: &mut Deferred) {
        match self {
            Self::Child(child) => {
                if let Some(child) = child.reach() {
                    child.settle_below(deferred);
                }
            }
            Self::Follow(follower) => follower.settle(deferred),
            Self::Task(task) => task.settle(deferred),
            Self::Call(_) => {}
        }
    }

    fn run(&self) {
        match self {
            Self::Task(task) => task.run(),
            Self::Child(child) => child.release(),
            Self::Call(callback) => callback.run(),
            Self::Follow(follower) => follower.release(),
        }
    }

    fn only_wakes(&self) -> bool {
        matches!(self, Self::Task(_))
    }

    #[inline]
    fn will_wake(&self, waker: &Waker) -> bool {
        matches!(self, Self::Task(own) if own.will_wake(waker))
    }
}

/// The way from a node to what is below it, which it does not keep alive.
pub(crate) struct Below<T> {
    to: Weak<T>,
    /// Keeps it from `reach` to `release`: dropping it may be foreign code. Belongs to the delivery that
    /// took the fired hook.
    kept: UnsafeCell<Option<Arc<T>>>,
}

// SAFETY: `kept` is touched only by the one delivery that has the fired hook, or by its drop.
unsafe impl<T: Send + Sync> Sync for Below<T> {}

impl<T> Below<T> {
    pub(crate) fn new(to: &Arc<T>) -> Self {
        Self { to: Arc::downgrade(to), kept: UnsafeCell::new(None) }
    }

    /// What is below, if it lives. Called by `settle` of the hook alone.
    pub(crate) fn reach(&self) -> Option<&Arc<T>> {
        let below = self.to.upgrade();
        // SAFETY: a hook is fired once, and the thread that took it has it alone.
        unsafe { *self.kept.write_ptr() = below };
        // SAFETY: as above; it stays until `release`, which comes later.
        unsafe { (*self.kept.read_ptr()).as_ref() }
    }

    /// Called by `run` of the hook alone.
    pub(crate) fn release(&self) {
        // SAFETY: as in `reach`.
        drop(unsafe { (*self.kept.write_ptr()).take() });
    }
}
