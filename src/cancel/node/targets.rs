//! What sits in the seats of a node: the tasks that wait for it, what is below it, and its callbacks.

use core::mem::{ManuallyDrop, offset_of};
use core::task::Waker;

use super::Node;
use crate::cancel::callback::Callback;
use crate::park::deferred::Deferred;
use crate::park::seats::{CROWD, FRONT, List, Seat, Settled, Target, Task};
use crate::sync::{Arc, Weak};

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

/// What follows the cancellation of a node that is above it.
pub(crate) trait Follower: Send + Sync + Sized + 'static {
    /// Own work: passes the cancellation on. The reference comes back, unless a delivery holds it now.
    fn settle(this: Arc<Self>, deferred: &mut Deferred) -> Option<Arc<Self>>;
}

impl Follower for Node {
    fn settle(this: Arc<Self>, deferred: &mut Deferred) -> Option<Arc<Self>> {
        Self::settle_below(this, deferred)
    }
}

/// A [`Follower`], which is not kept alive by what tells it.
pub(crate) struct WeakFollower {
    /// Of `Weak::into_raw`.
    to: *const (),
    kind: &'static Kind,
}

// SAFETY: it is a `Weak` of what is `Send` and `Sync`.
unsafe impl Send for WeakFollower {}

/// The functions of one type of followers, each for a pointer of `Weak::into_raw`.
struct Kind {
    /// Settles it. True if it lives, and a reference to it was left, by its count alone.
    settle: unsafe fn(*const (), &mut Deferred) -> bool,
    /// Drops that reference, which may be foreign code.
    release: unsafe fn(*const ()),
    /// Drops the `Weak`.
    drop: unsafe fn(*const ()),
}

impl WeakFollower {
    pub(crate) fn new<F: Follower>(follower: &Arc<F>) -> Self {
        unsafe fn settle<F: Follower>(to: *const (), deferred: &mut Deferred) -> bool {
            // SAFETY: it is of `Weak::into_raw`, and stays where it is.
            let weak = ManuallyDrop::new(unsafe { Weak::from_raw(to.cast::<F>()) });
            let left = weak.upgrade().and_then(|follower| F::settle(follower, deferred));
            left.map(Arc::into_raw).is_some()
        }
        unsafe fn release<F>(to: *const ()) {
            // SAFETY: the reference that `settle` left.
            drop(unsafe { Arc::from_raw(to.cast::<F>()) });
        }
        unsafe fn drop_weak<F>(to: *const ()) {
            // SAFETY: it is of `Weak::into_raw`, and used no more.
            drop(unsafe { Weak::from_raw(to.cast::<F>()) });
        }
        let kind =
            const { &Kind { settle: settle::<F>, release: release::<F>, drop: drop_weak::<F> } };
        Self { to: Weak::into_raw(Arc::downgrade(follower)).cast(), kind }
    }
}

impl Drop for WeakFollower {
    fn drop(&mut self) {
        // SAFETY: it is of this kind.
        unsafe { (self.kind.drop)(self.to) };
    }
}

// SAFETY: the home is the list.
unsafe impl Target for WeakFollower {
    type Home = List<Self>;
    const LIST: usize = 0;
    type Front = [Seat<Self>; FRONT];
    type Further = [Seat<Self>; CROWD];
    const WAKES: bool = false;

    fn has_own_work(&self) -> bool {
        true
    }

    fn settle(self, deferred: &mut Deferred) -> Settled<Self> {
        // SAFETY: it is of this kind.
        let is_kept = unsafe { (self.kind.settle)(self.to, deferred) };
        if is_kept { Settled::Runs(self) } else { Settled::Over }
    }

    fn run(self) {
        // SAFETY: it is of this kind, and `settle` has left a reference; by its count alone, which keeps it to the
        //   end.
        unsafe { (self.kind.release)(self.to) };
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
