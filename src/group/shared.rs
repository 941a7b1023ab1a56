//! What the handles, guards and waits of a group share.
//!
//! **Invariant: a group ends once**: when its population, closed and empty, and all that it is linked
//! to have ended (`ends` counts them). The thread that made the last step of that, and no other, puts the
//! group on its list of deferred work, which drains it (`drain.rs`).
//!
//! Edge **E** (end to end): what was done inside, and in the groups that are linked, is seen by the
//! drainer: each step of `ends` releases what its thread has acquired from a population or a drain.
//!
//! Memory: handles and waits hold references; a guard holds none, but one count of the population. The
//! group has one reference to itself, from its birth to its drain, which serves all tasks that are inside. So
//! entering and leaving cost one read-modify-write each. A step that gives up a count works on a raw pointer,
//! since the group may be gone when it returns (rule 19).

use core::mem::{self, ManuallyDrop};

use alloc::boxed::Box;

use super::hold::{Hold, OwnHandle};
use crate::cancel::callback::Callback;
use crate::cancel::scope::CancelScope;
use crate::cancel::token::CancelToken;
use crate::error::Refused;
use crate::group::holders::{Caller, Register};
use crate::group::population::{Exit, Population};
use crate::park::deferred::{Deferred, Head};
use crate::signal::Signal;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, SealableStack, TakeOnce};

/// See the module.
pub(crate) struct Shared {
    pub(super) head: Head,
    pub(super) population: Population,
    /// How many handles there are; the last one closes the door.
    pub(super) handles: AtomicUsize,
    /// Cancelled when the group is closed.
    pub(super) door: CancelToken,
    /// Dropped with the group, which tells the tokens that outlive it.
    pub(super) stop: CancelScope,
    /// How many ends are still to come: the population's, and one for each link.
    ends: AtomicUsize,
    /// The groups that this one holds up: its parent, and groups that are linked to it.
    pub(super) followers: SealableStack<Hold>,
    /// Run by the drain.
    pub(super) finaliser: Option<Callback>,
    /// Called by the drain, after the finaliser.
    pub(super) seal: TakeOnce<Box<dyn Seal>>,
    /// Set by the end of the population: the group had been cancelled.
    was_forced: AtomicBool,
    /// Closed by the drain.
    pub(super) drained: Signal,
    pub(super) own_handle: OwnHandle,
    pub(super) register: Register,
    #[cfg(feature = "std")]
    panics: AtomicUsize,
}

/// What a group has whose tasks may fail: own work of its drain, before any wait hears of that.
pub(crate) trait Seal: Send + Sync {
    fn seal(self: Box<Self>, deferred: &mut Deferred);
}

/// What a new group is made of.
pub(super) struct Parts {
    pub(super) population: Population,
    pub(super) door: CancelToken,
    pub(super) stop: CancelScope,
    /// How many links it will get.
    pub(super) links: usize,
    pub(super) finaliser: Option<Callback>,
    pub(super) seal: Option<Box<dyn Seal>>,
}

impl Shared {
    /// A group with one handle, which the caller makes.
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let shared = Arc::new(Self {
            head: Head::of::<Arc<Self>>(),
            population: parts.population,
            handles: AtomicUsize::new(1),
            door: parts.door,
            stop: parts.stop,
            ends: AtomicUsize::new(1 + parts.links),
            followers: SealableStack::new(),
            finaliser: parts.finaliser,
            seal: TakeOnce::new(parts.seal),
            was_forced: AtomicBool::new(false),
            drained: Signal::new(),
            own_handle: OwnHandle::new(),
            register: Register::new(),
            #[cfg(feature = "std")]
            panics: AtomicUsize::new(0),
        });
        OwnHandle::set(&shared);
        // The group's reference to itself, for the tasks inside; `end_one` takes it.
        mem::forget(Arc::clone(&shared));
        shared
    }

    /// Goes in by the door.
    #[inline]
    pub(super) fn enter(this: &Arc<Self>, caller: Caller) -> Result<Hold, Refused> {
        // A close settles its door first, and then the populations of its group and of those below, one
        // after the other. So a thread that saw any of them closed sees the door closed here.
        if this.is_closed() {
            return Err(Refused::Closed);
        }
        this.population.enter()?;
        Ok(Hold::task(this, caller))
    }

    /// Goes out. The group may be gone when this returns.
    ///
    /// # Safety
    ///
    /// The caller's own count of the population keeps `this` until this gives it up.
    #[inline]
    pub(super) unsafe fn leave(this: *const Self, deferred: &mut Deferred) {
        // SAFETY: the caller's promise.
        let population = unsafe { &raw const (*this).population };
        // SAFETY: as above.
        let exit = unsafe { Population::leave(population, deferred) };
        // SAFETY: as the population says.
        unsafe { Self::after(this, exit, deferred) };
    }

    /// Goes out of a group that has no queue, at the end of a drop. The group may be gone when this returns.
    ///
    /// # Safety
    ///
    /// As [`leave`](Self::leave).
    #[inline]
    pub(super) unsafe fn leave_in_drop(this: *const Self) {
        // SAFETY: the caller's promise.
        let population = unsafe { &raw const (*this).population };
        // It stays empty, since only the passing on of a place defers anything; so it need not be dropped.
        let mut nothing = ManuallyDrop::new(Deferred::new());
        // SAFETY: as above.
        let exit = unsafe { Population::leave(population, &mut nothing) };
        debug_assert!(nothing.is_empty(), "a leave without a queue deferred something");
        if let Exit::Last = exit {
            // SAFETY: the last step of the population was just made.
            unsafe { Self::end_in_drop(this) };
        }
    }

    /// # Safety
    ///
    /// As [`end_population`](Self::end_population).
    #[cold]
    unsafe fn end_in_drop(this: *const Self) {
        let mut deferred = Deferred::new();
        // SAFETY: the caller's promise.
        unsafe { Self::end_population(this, &mut deferred) };
        deferred.run_in_drop();
    }

    /// Does what follows from a step of the population. The group may be gone when this returns.
    ///
    /// # Safety
    ///
    /// `exit` came from the population of `this`, or the caller keeps `this`.
    #[inline]
    pub(super) unsafe fn after(this: *const Self, exit: Exit, deferred: &mut Deferred) {
        if let Exit::Last = exit {
            // SAFETY: the end of the population is still to be counted, so the group is there.
            unsafe { Self::end_population(this, deferred) };
        }
    }

    /// # Safety
    ///
    /// By the thread that made the last step of the population, once.
    #[cold]
    unsafe fn end_population(this: *const Self, deferred: &mut Deferred) {
        {
            // SAFETY: the end that the caller counts keeps the group during this block.
            let group = unsafe { &*this };
            if group.stop.token().is_cancelled() {
                // Relaxed: published by `end_one`.
                group.was_forced.store(true, Ordering::Relaxed);
            }
        }
        // SAFETY: the end of the population, counted once.
        unsafe { Self::end_one(this, deferred) };
    }

    /// The end of the population, or of a link. The group may be gone when this returns.
    ///
    /// # Safety
    ///
    /// The end that the caller counts was still to come, and keeps `this` until it is counted.
    #[cold]
    pub(super) unsafe fn end_one(this: *const Self, deferred: &mut Deferred) {
        // SAFETY: the caller's promise.
        let ends = unsafe { &raw const (*this).ends };
        // E: publishes this end, and acquires the others.
        // SAFETY: as above; if others are still to come, nothing is touched after it.
        if unsafe { &*ends }.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: the last end takes the reference that the group has to itself, which `new` forgot,
            //   and there is one last end.
            deferred.settle_one(unsafe { Arc::from_raw(this) });
        }
    }

    /// How many tasks and links the drain waits for: a snapshot.
    pub(super) fn left(&self) -> usize {
        let tasks = self.population.len();
        let population = usize::from(tasks > 0 || !self.population.is_closed());
        tasks + self.ends.load(Ordering::Relaxed).saturating_sub(population)
    }

    /// Whether the group had been cancelled when its last task left. Of a group that is drained.
    pub(super) fn was_forced(&self) -> bool {
        // Relaxed: stored before the drain was published, which the caller has acquired.
        self.was_forced.load(Ordering::Relaxed)
    }

    #[cfg(feature = "std")]
    pub(super) fn count_panic(&self) {
        // Relaxed: the step that counts the task out publishes it. The count stays at its maximum.
        let up = |panics: usize| Some(panics.saturating_add(1));
        let _ = self.panics.fetch_update(Ordering::Relaxed, Ordering::Relaxed, up);
    }

    /// How many tasks panicked; always 0 without `std`, which tells of no panic.
    pub(super) fn panics(&self) -> usize {
        // Relaxed: a count; a wait for the drain has acquired the steps of the tasks that panicked.
        #[cfg(feature = "std")]
        return self.panics.load(Ordering::Relaxed);
        #[cfg(not(feature = "std"))]
        return 0;
    }
}
