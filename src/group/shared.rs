//! What the handles, guards and waits of a group share.
//!
//! **Invariant: a group ends once**: when its population, closed and empty, and all that it is linked
//! to have ended (`ends` counts them). Whoever made the last step of that, and nobody else, drains the
//! group ([`Drain`](super::drain::Drain)).
//!
//! Edge **E** (end to end): what was done inside, and in the groups that are linked, is seen by the
//! drainer: each step of `ends` releases what its thread has acquired from a population or a drain.
//!
//! Memory: handles and waits hold references; a guard holds none, but one count of the population. The
//! group has one reference to itself, from its birth to its drain, which serves all who are inside. So
//! entering and leaving cost one read-modify-write each.
//!
//! The door is a scope of a tree of its own, as the token is: a child's door hangs below its parent's,
//! and a root's below its own token. So a close reaches all below at once, to be asked, and by the
//! delivery, to be acted on: each group follows its door ([`Follow`]). A token is cancelled by its own
//! group, which closes the door first, or from above, which is above the door too: cancelled implies
//! closed.

use core::task::Waker;
use core::{mem, ptr};

use alloc::boxed::Box;

use super::drain::{Drain, Rest};
use super::guard::{Hold, TaskGuard};
use super::tree::Tree;
use crate::callback::Callback;
use crate::error::Refused;
use crate::holders::{Caller, Register};
use crate::hook::Due;
use crate::node::{Follower, Node};
use crate::population::{Left, Population};
use crate::reason::Reason;
use crate::scope::CancelScope;
use crate::signal::Signal;
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, Pile, Slot, Weak};

/// See the module.
pub(crate) struct Shared {
    pub(super) population: Population,
    /// How many handles there are; the last one closes the door.
    pub(super) handles: AtomicUsize,
    /// Whether somebody above can close the door or cancel the token.
    is_below: bool,
    pub(super) tree: Arc<Tree>,
    /// Cancelled when the group is closed. Goes before the token, whose scope it hangs in.
    pub(super) door: Arc<Node>,
    /// Dropped with the group, which tells the tokens that outlive it.
    pub(super) stop: CancelScope,
    /// How many ends are still to come: the population's, and one for each link.
    ends: AtomicUsize,
    /// Those who are held up by this group: its parent, and groups that are linked to it.
    pub(super) followers: Pile<Hold>,
    /// Run by the drain.
    pub(super) finaliser: Option<Callback>,
    /// Closed by the drain.
    pub(super) drained: Signal,
    pub(super) register: Register,
    #[cfg(feature = "std")]
    pub(super) panics: AtomicUsize,
}

/// Where a new group stands.
pub(super) struct Parts {
    pub(super) is_below: bool,
    pub(super) tree: Arc<Tree>,
    pub(super) door: Arc<Node>,
    pub(super) stop: CancelScope,
    /// How many links it will get.
    pub(super) links: usize,
}

impl Shared {
    /// A group with one handle, which the caller makes.
    pub(super) fn new(
        parts: Parts,
        population: Population,
        finaliser: Option<Callback>,
    ) -> Arc<Self> {
        let shared = Arc::new(Self {
            population,
            handles: AtomicUsize::new(1),
            is_below: parts.is_below,
            tree: parts.tree,
            door: parts.door,
            stop: parts.stop,
            ends: AtomicUsize::new(1 + parts.links),
            followers: Pile::new(),
            finaliser,
            drained: Signal::new(),
            register: Register::new(),
            #[cfg(feature = "std")]
            panics: AtomicUsize::new(0),
        });
        // The group's reference to itself, for those who are inside; `end` takes it.
        mem::forget(Arc::clone(&shared));
        shared
    }

    /// Hooks the group to its door, so that it follows those above; if they are closed or cancelled
    /// already, it is so from birth. Nobody else has the group yet.
    pub(super) fn follow(this: &Arc<Self>) {
        let follow = Follow {
            group: Arc::downgrade(this),
            kept: Slot::empty(),
            is_last: AtomicBool::new(false),
        };
        // It may have to deliver to the part of the chain that it hooks up.
        let _delivery = this.tree.deliver();
        Node::follow(&this.door, Box::new(follow));
    }

    /// Takes the reference that the group has to itself.
    ///
    /// # Safety
    ///
    /// By the one whom `leave`, `end_one` or `close` told that it is the last, once.
    pub(super) unsafe fn end(this: &Arc<Self>) -> Arc<Self> {
        // SAFETY: `new` forgot a reference for this, and by the caller's promise nobody else takes it.
        unsafe { ptr::read(this) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.population.is_closed() || self.door.found().is_some()
    }

    /// Goes in by the door.
    #[inline]
    pub(super) fn enter(this: &Arc<Self>, caller: Caller) -> Result<Hold, Refused> {
        // W: a close above that is on its way has closed this door, too.
        if this.is_below && !this.tree.is_settled() && this.door.found().is_some() {
            return Err(Refused::Closed);
        }
        this.population.enter()?;
        Ok(Hold::task(this, caller))
    }

    /// Goes in by the side of somebody who is inside during the call.
    pub(super) fn join_in(this: &Arc<Self>, caller: Caller) -> Result<Hold, Refused> {
        this.population.join_in()?;
        Ok(Hold::task(this, caller))
    }

    /// Goes out. After `Done` the group may be gone.
    #[inline]
    pub(super) fn leave(&self) -> (Left, Due<Waker>) {
        let (left, due) = self.population.leave();
        (self.after(left), due)
    }

    /// Takes the step that follows from one of the population.
    #[inline]
    fn after(&self, left: Left) -> Left {
        match left {
            Left::Done => Left::Done,
            Left::Last => self.end_one(),
        }
    }

    /// The end of the population, or of a link. After `Done` the group may be gone.
    pub(super) fn end_one(&self) -> Left {
        // E: publishes this end, and acquires the others.
        if self.ends.fetch_sub(1, Ordering::AcqRel) == 1 { Left::Last } else { Left::Done }
    }

    /// How many tasks and links the drain waits for: a snapshot.
    pub(super) fn left(&self) -> usize {
        let tasks = self.population.len();
        let population = usize::from(tasks > 0 || !self.population.is_closed());
        tasks + self.ends.load(Ordering::Relaxed).saturating_sub(population)
    }

    /// The guard of a place in the queue that was granted.
    pub(super) fn seated(this: &Arc<Self>, caller: Caller) -> TaskGuard {
        TaskGuard::new(Hold::task(this, caller))
    }

    /// When a thread that blocks in a wait for the group has to ring: at the nearest deadline.
    #[cfg(feature = "std")]
    pub(super) fn alarm(&self) -> Option<Instant> {
        let token = self.stop.token();
        if token.is_cancelled() { None } else { token.deadline() }
    }

    /// Fires the nearest deadline.
    #[cfg(feature = "std")]
    pub(super) fn ring(&self) {
        self.stop.token().fire_deadline();
    }

    /// Closes the door. True for the first.
    pub(super) fn close(this: &Arc<Self>) -> (bool, Rest) {
        let drain = Drain::of(this, this.after(this.population.close()));
        let _delivery = this.tree.deliver();
        let (outcome, aims) = this.door.settle(Reason::Cancelled);
        (outcome.is_ok(), Rest { aims, wakes: Due::default(), drain })
    }

    /// Closes the door and cancels the token.
    pub(super) fn cancel(this: &Arc<Self>, reason: Reason) -> (Result<(), Reason>, Rest) {
        let (_, mut rest) = Self::close(this);
        let (outcome, aims) = match this.stop.token().node() {
            Some(node) => node.settle(reason),
            None => unreachable!("a group's token has a scope"),
        };
        rest.aims.append(aims);
        (outcome, rest)
    }
}

/// What makes a group follow its door. Its hook is fired once, so each step is made once, by one thread.
struct Follow {
    group: Weak<Shared>,
    /// Keeps the group from `settle` to the end of `run`: dropping it may be foreign code.
    kept: Slot<Shared>,
    /// The door was closed over nobody: `run` drains.
    is_last: AtomicBool,
}

impl Follower for Follow {
    fn settle(&self) {
        let Some(group) = self.group.upgrade() else { return };
        let left = group.after(group.population.close());
        self.is_last.store(matches!(left, Left::Last), Ordering::Relaxed);
        self.kept.replace(Some(group));
    }

    fn run(&self) {
        let Some(group) = self.kept.replace(None) else { return };
        if self.is_last.load(Ordering::Relaxed) {
            Drain::of(&group, Left::Last).run();
        }
    }
}
