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

use core::mem::{self, ManuallyDrop};
use core::ptr;

use super::TaskGroup;
use super::tree::Tree;
use crate::callback::Callback;
use crate::error::Refused;
use crate::holders::{Caller, Register, Ticket};
use crate::hook::{Due, Task};
use crate::node::Node;
use crate::population::{Left, Population};
use crate::reason::Reason;
use crate::scope::CancelScope;
use crate::signal::Signal;
#[cfg(feature = "std")]
use crate::sync::host::panicking;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, Pile};

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
    /// Set by the drain before all else: the group had been cancelled.
    pub(super) was_forced: AtomicBool,
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
            was_forced: AtomicBool::new(false),
            drained: Signal::new(),
            register: Register::new(),
            #[cfg(feature = "std")]
            panics: AtomicUsize::new(0),
        });
        // The group's reference to itself, for those who are inside; `end` takes it.
        mem::forget(Arc::clone(&shared));
        shared
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
        if self.population.is_closed() {
            self.show_closed();
            return true;
        }
        self.door.found().is_some()
    }

    /// Called before anybody is told that the population is closed: the groups below look at the door,
    /// which whoever closes may not have come to yet.
    #[cold]
    fn show_closed(&self) {
        self.door.fix(&Reason::Cancelled);
    }

    /// Goes in by the door.
    #[inline]
    pub(super) fn enter(this: &Arc<Self>, caller: Caller) -> Result<Hold, Refused> {
        // W: a close above that is on its way has closed a door above already.
        if this.is_below && this.is_closed_above() {
            return Err(Refused::Closed);
        }
        if let Err(refused) = this.population.enter() {
            if let Refused::Closed = refused {
                this.show_closed();
            }
            return Err(refused);
        }
        Ok(Hold::task(this, caller))
    }

    /// Whether a close above is on its way here.
    #[inline(never)]
    fn is_closed_above(&self) -> bool {
        !self.tree.is_settled() && self.door.found().is_some()
    }

    /// Goes in by the side of somebody who is inside during the call.
    pub(super) fn join_in(this: &Arc<Self>, caller: Caller) -> Result<Hold, Refused> {
        this.population.join_in()?;
        Ok(Hold::task(this, caller))
    }

    /// Goes out. After `Done` the group may be gone.
    #[inline]
    pub(super) fn leave(&self) -> (Left, Due<Task>) {
        let (left, due) = self.population.leave();
        (self.after(left), due)
    }

    /// Takes the step that follows from one of the population.
    #[inline]
    pub(super) fn after(&self, left: Left) -> Left {
        match left {
            Left::Done => Left::Done,
            Left::Last => self.end_one(),
        }
    }

    /// The end of the population, or of a link. After `Done` the group may be gone.
    #[cold]
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

    /// Notes, once, whether the group had been cancelled when it came to its end.
    pub(super) fn note_force(&self) {
        // The reason is asked for, since that makes the next question up the tree a short one.
        if self.tree.may_be_cancelled() && self.stop.token().reason().is_some() {
            // Relaxed: published by the drain, as the rest of it.
            self.was_forced.store(true, Ordering::Relaxed);
        }
    }
}

/// What holds a group up, to be ended once: a task inside, or a link.
pub(crate) struct Hold {
    /// A handle that is not counted as one, and holds no reference: the group has one to itself for as
    /// long as something holds it up.
    pub(super) group: ManuallyDrop<TaskGroup>,
    ticket: Ticket,
    pub(super) flags: u8,
}

/// A link, and no task.
const LINK: u8 = 1;
/// A task that cancels the group when it leaves.
pub(super) const ON_DROP: u8 = 1 << 1;
/// A task that cancels the group when it panics.
#[cfg(feature = "std")]
pub(super) const ON_PANIC: u8 = 1 << 2;
/// The thread was unwinding when the guard was made: its drop tells of no new panic.
#[cfg(feature = "std")]
const WAS_PANICKING: u8 = 1 << 3;

impl Hold {
    /// For a task that the population has counted in.
    #[inline]
    pub(super) fn task(shared: &Arc<Shared>, caller: Caller) -> Self {
        #[cfg(feature = "std")]
        let flags = if panicking() { WAS_PANICKING } else { 0 };
        #[cfg(not(feature = "std"))]
        let flags = 0;
        Self::new(shared, caller, flags)
    }

    /// For one of the links of a new group.
    pub(super) fn link(shared: &Arc<Shared>, caller: Caller) -> Self {
        let hold = Self::new(shared, caller, LINK);
        hold.label("a linked group");
        hold
    }

    #[inline]
    fn new(shared: &Arc<Shared>, caller: Caller, flags: u8) -> Self {
        let ticket = shared.register.enter(caller);
        // SAFETY: the copy is never dropped, and is not used after `end`, before which the group has
        //   a reference to itself.
        let shared = unsafe { ptr::read(shared) };
        Self { group: ManuallyDrop::new(TaskGroup { shared }), ticket, flags }
    }

    #[inline]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.group.shared
    }

    pub(super) fn label(&self, label: &'static str) {
        self.shared().register.label(&self.ticket, label);
    }

    /// Whether there is nothing to notice when the task leaves.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        #[cfg(feature = "std")]
        let is_panicking = panicking();
        #[cfg(not(feature = "std"))]
        let is_panicking = false;
        self.flags == 0 && !is_panicking
    }

    /// Notices a panic, and says why the group is to be cancelled, if it is.
    pub(super) fn reason(&self) -> Option<Reason> {
        #[cfg(feature = "std")]
        if panicking() && self.flags & WAS_PANICKING == 0 {
            // Relaxed: the step that counts the task out publishes it.
            self.shared().panics.fetch_add(1, Ordering::Relaxed);
            if self.flags & ON_PANIC != 0 {
                return Some(Reason::Panicked);
            }
        }
        (self.flags & ON_DROP != 0).then_some(Reason::Dropped)
    }

    /// Ends it, once. After `Done` the group may be gone.
    #[inline]
    pub(super) fn end(&mut self) -> (Left, Due<Task>) {
        let shared = self.shared();
        shared.register.leave(&self.ticket);
        if self.flags & LINK == 0 { shared.leave() } else { (shared.end_one(), Due::default()) }
    }
}
