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
//! group has one reference to itself, from its birth to its drain, which serves all who are inside. So entering and leaving
//! cost one read-modify-write each.
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
use super::waits::Stopped;
use crate::callback::Callback;
use crate::error::Refused;
use crate::holders::{Caller, Register};
use crate::hook::Due;
use crate::node::{Aim, Follower, Node};
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
    pub(super) is_below: bool,
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
    /// Set by the drain before `drained`: the group was cancelled first.
    pub(super) was_forced: AtomicBool,
    /// Closed by the drain.
    pub(super) drained: Signal,
    pub(super) register: Register,
    /// Set by who closed the door from above over nobody: whoever takes it back drains.
    is_due: AtomicBool,
    #[cfg(feature = "std")]
    pub(super) panics: AtomicUsize,
}

/// What a new group has.
pub(super) struct Parts {
    pub(super) population: Population,
    pub(super) is_below: bool,
    pub(super) door: Arc<Node>,
    pub(super) stop: CancelScope,
    pub(super) finaliser: Option<Callback>,
    /// How many links it will get.
    pub(super) links: usize,
}

impl Shared {
    /// A group with one handle, which the caller makes.
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let shared = Arc::new(Self {
            population: parts.population,
            handles: AtomicUsize::new(1),
            is_below: parts.is_below,
            door: parts.door,
            stop: parts.stop,
            ends: AtomicUsize::new(1 + parts.links),
            followers: Pile::new(),
            finaliser: parts.finaliser,
            was_forced: AtomicBool::new(false),
            drained: Signal::new(),
            register: Register::new(),
            is_due: AtomicBool::new(false),
            #[cfg(feature = "std")]
            panics: AtomicUsize::new(0),
        });
        // The group's reference to itself, for those who are inside; `end` takes it.
        mem::forget(Arc::clone(&shared));
        shared
    }

    /// Hooks the group to its door, so that it follows those above; if they are closed or cancelled
    /// already, it is so from birth.
    pub(super) fn follow(this: &Arc<Self>) {
        let follow = Follow { group: Arc::downgrade(this), kept: Slot::empty() };
        let parked = Node::register(&this.door, Aim::Follow(Box::new(follow)));
        this.door.keep(parked);
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
        // A close above that has not been delivered here closes this door too.
        if this.is_below && this.door.found().is_some() {
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

    /// How the group came to its end.
    pub(super) fn stopped(&self) -> Stopped {
        // Relaxed: stored before the drain was published, which the caller has acquired.
        if self.was_forced.load(Ordering::Relaxed) { Stopped::Forced } else { Stopped::Gracefully }
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

/// What makes a group follow its door.
struct Follow {
    group: Weak<Shared>,
    /// Keeps the group from `settle` to the end of `run`: dropping it may be foreign code.
    kept: Slot<Shared>,
}

impl Follower for Follow {
    fn settle(&self) {
        let Some(group) = self.group.upgrade() else { return };
        if let Left::Last = group.after(group.population.close()) {
            group.is_due.store(true, Ordering::Release);
        }
        // Two settle only at the group's birth, where its maker has a reference too.
        self.kept.replace(Some(group));
    }

    fn run(&self) {
        let Some(group) = self.kept.replace(None) else { return };
        // Acquires what `settle` acquired. One takes it back.
        if group.is_due.swap(false, Ordering::AcqRel) {
            Drain::of(&group, Left::Last).run();
        }
    }
}
