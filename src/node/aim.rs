//! What sits in the seats of a node: the tasks that wait for it, what is below it, and its callbacks.

use core::mem::offset_of;
use core::task::Waker;

use alloc::boxed::Box;

use super::Node;
use crate::callback::Callback;
use crate::deferred::Deferred;
use crate::seats::{CROWD, List, Seat, Settled, Target, Task};
use crate::sync::{Arc, UnsafeCell, Weak};

/// A task, or a thread, that waits for a cancellation. Its list is in the node.
pub(crate) struct Observer(Task);

impl From<Waker> for Observer {
    fn from(waker: Waker) -> Self {
        Self(waker.into())
    }
}

impl AsRef<Waker> for Observer {
    fn as_ref(&self) -> &Waker {
        self.0.as_ref()
    }
}

// SAFETY: nodes are only made in an `Arc`, and the list is a field.
unsafe impl Target for Observer {
    type Home = Node;
    const LIST: usize = offset_of!(Node, observers);
    type Front = [Seat<Self>; 1];
    type Further = [Seat<Self>; CROWD];
    const WAKES: bool = true;

    #[inline]
    fn has_own_work(&self) -> bool {
        self.0.has_own_work()
    }

    fn settle(self, deferred: &mut Deferred) -> Settled<Self> {
        match self.0.settle(deferred) {
            Settled::Runs(task) => Settled::Runs(Self(task)),
            Settled::Over => Settled::Over,
        }
    }

    fn run(self) {
        self.0.run();
    }
}

/// What is to hear of a cancellation, and is not kept alive by what tells it.
pub(crate) enum Below {
    /// A node, which passes it on.
    Node(Weak<Node>),
    /// What follows from it elsewhere.
    Follow(Box<dyn Follower>),
}

/// What follows from the cancellation of a node, beside waking its waiters.
pub(crate) trait Follower: Send + Sync {
    /// Own work: runs nobody's code.
    fn settle(&self, deferred: &mut Deferred);

    /// What may be foreign code, after `settle` and all other own work.
    fn release(&self);
}

// SAFETY: the home is the list.
unsafe impl Target for Below {
    type Home = List<Self>;
    const LIST: usize = 0;
    type Front = [Seat<Self>; if cfg!(loom) { 1 } else { 4 }];
    type Further = [Seat<Self>; CROWD];
    const WAKES: bool = false;

    fn has_own_work(&self) -> bool {
        true
    }

    fn settle(self, deferred: &mut Deferred) -> Settled<Self> {
        match &self {
            Self::Follow(follower) => follower.settle(deferred),
            Self::Node(node) => {
                let Some(node) = node.upgrade() else { return Settled::Over };
                // Kept to the end, if only by its count: dropping it may be foreign code.
                match Node::settle_below(node, deferred) {
                    Some(node) => _ = Arc::into_raw(node),
                    None => return Settled::Over,
                }
            }
        }
        Settled::Runs(self)
    }

    fn run(self) {
        match self {
            Self::Follow(follower) => follower.release(),
            // SAFETY: the reference that `settle` left.
            Self::Node(node) => drop(unsafe { Arc::from_raw(node.as_ptr()) }),
        }
    }
}

/// A callback, which may be taken back while it is run.
pub(crate) struct Call(pub(super) Arc<Callback>);

// SAFETY: the home is the list.
unsafe impl Target for Call {
    type Home = List<Self>;
    const LIST: usize = 0;
    type Front = [Seat<Self>; 0];
    type Further = [Seat<Self>; 1];
    const ORDERED: bool = true;
    const WAKES: bool = false;

    fn has_own_work(&self) -> bool {
        false
    }

    fn settle(self, _: &mut Deferred) -> Settled<Self> {
        Settled::Runs(self)
    }

    fn run(self) {
        self.0.run();
    }
}

/// The way down to something that its holder does not keep alive, and back.
pub(crate) struct Reach<T> {
    to: Weak<T>,
    /// Keeps it from `reach` to `release`: dropping it may be foreign code. Belongs to the delivery.
    kept: UnsafeCell<Option<Arc<T>>>,
}

// SAFETY: `kept` is touched only by the one delivery that has the fired seat, or by its drop.
unsafe impl<T: Send + Sync> Sync for Reach<T> {}

impl<T> Reach<T> {
    pub(crate) fn new(to: &Arc<T>) -> Self {
        Self { to: Arc::downgrade(to), kept: UnsafeCell::new(None) }
    }

    /// What it leads to, if that lives. Called by the delivery alone.
    pub(crate) fn reach(&self) -> Option<&Arc<T>> {
        let below = self.to.upgrade();
        // SAFETY: a seat is fired once, and the delivery has it alone.
        unsafe { *self.kept.write_ptr() = below };
        // SAFETY: as above; it stays until `release`, which comes later.
        unsafe { (*self.kept.read_ptr()).as_ref() }
    }

    /// Called by the delivery alone.
    pub(crate) fn release(&self) {
        // SAFETY: as in `reach`.
        drop(unsafe { (*self.kept.write_ptr()).take() });
    }
}
