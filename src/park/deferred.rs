//! What an operation leaves to be done when its own work is finished: the one list of it.
//!
//! **Invariant: foreign code runs from here and from nowhere else, with nothing of ours unfinished.** An
//! operation changes its words and collects; then it calls [`Deferred::run`], which works in this order
//! (rule 18):
//!
//! 1. own work that is left: children and groups below that a cancellation reaches, groups without a
//!    finaliser that have come to their end;
//! 2. wakers;
//! 3. other foreign code, which may block: callbacks, and drops of what only the list still holds;
//! 4. finalisers, each followed by the drain that it belongs to.
//!
//! Each stage may add to every other, and each job is taken from the earliest stage that has one. So a
//! callback finds an idle group drained, and the tasks of a busy one woken, and may wait for either. There is
//! no recursion over trees or chains of groups: what is found on the way is added to the list.
//!
//! A job that panics does not keep the others from running ([`run_to_end`]). A list is never dropped
//! before it was run; should that happen, a debug assertion names it, and the list runs all the same.
//!
//! Jobs are linked through a [`Head`] in themselves, so collecting takes no memory.
//!
//! # Depth
//!
//! Foreign code may drop what has foreign code of its own: a callback owns a scope, whose callback owns a
//! scope, and so on. Each such drop runs its list where it is, so that its caller finds it
//! done; but from a depth of eight on it adds its list to the one that is being run on this thread.
//! So chains of any length are taken apart on a small stack. Without `std` there are no thread-locals
//! to tell that a list is being run, and such a chain needs stack for each of its links.

mod nesting;
mod queue;

use core::mem::{self, ManuallyDrop};

use crate::sync::{Arc, run_to_end};
use queue::{Queue, is_unwinding, kind_of};

pub(crate) use queue::{Batch, Head, Job, Linked, Stack};

/// The stages of a list, in their order.
const OWN: usize = 0;
const WAKERS: usize = 1;
const CALLBACKS: usize = 2;
const FINALISERS: usize = 3;
const STAGES: usize = 4;

/// The list; see the module.
#[must_use = "what was deferred is to be run"]
pub(crate) struct Deferred {
    stages: [Queue; STAGES],
}

impl Deferred {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { stages: [Queue::EMPTY; STAGES] }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.iter().all(Queue::is_empty)
    }

    /// To be settled first.
    pub(crate) fn settle<J: Job>(&mut self, jobs: Batch<J>) {
        self.stages[OWN].append(jobs.into_queue());
    }

    /// As [`settle`](Self::settle), for one.
    pub(crate) fn settle_one<J: Job>(&mut self, job: J) {
        self.stages[OWN].push(job.into_head());
    }

    /// To be run when all own work is done: a waker, or several, which do not block.
    pub(crate) fn wake_later<J: Job>(&mut self, job: J) {
        self.stages[WAKERS].push(job.into_head());
    }

    /// To be run behind the wakers: foreign code that may block.
    pub(crate) fn run_later<J: Job>(&mut self, job: J) {
        self.stages[CALLBACKS].push(job.into_head());
    }

    /// To be finalised at the very end, and settled again then.
    pub(crate) fn finalise<J: Job>(&mut self, job: J) {
        self.stages[FINALISERS].push(job.into_head());
    }

    /// Puts all of `more` behind what is there.
    #[cfg(feature = "std")]
    fn append(&mut self, mut more: Self) {
        for (to, from) in self.stages.iter_mut().zip(&mut more.stages) {
            to.append(mem::replace(from, Queue::EMPTY));
        }
    }

    /// Drops `value`, which is foreign code, when all own work is done. Allocates.
    pub(crate) fn drop_later<T: 'static>(&mut self, value: T) {
        self.run_later(Dropped::new(value));
    }

    /// Calls `event`, which is foreign code, when all own work is done. Allocates.
    #[cfg(feature = "tracing")]
    pub(crate) fn tell_later(&mut self, event: impl Fn() + 'static) {
        self.run_later(Event::new(event));
    }

    /// Does all that is on the list, and what comes of it. Foreign code: nothing of the caller's may be
    /// unfinished.
    pub(crate) fn run(self) {
        if !self.is_empty() {
            self.run_after(|| ());
        }
    }

    /// Does the own work that is left, calls `first`, which is foreign code, and then does all that is on the
    /// list.
    pub(crate) fn run_after(self, first: impl FnOnce()) {
        // It is empty in the end, also if a panic goes on.
        let mut list = ManuallyDrop::new(self);
        let this: *mut Self = &raw mut *list;
        let _running = nesting::Running::on(this);
        let mut first = Some(first);
        run_to_end(|| {
            // SAFETY: `list` lives until the end of this function, and is used by its address alone,
            //   here and by drops that foreign code nests on this thread.
            if unsafe { &mut *this }.settle_next() {
                return true;
            }
            let Some(first) = first.take() else {
                // SAFETY: as above.
                return unsafe { Self::step(this) };
            };
            first();
            true
        });
        debug_assert!(list.is_empty(), "deferred work was left");
    }

    /// [`run`](Self::run) for the end of a drop, which may be one of a chain.
    #[inline]
    pub(crate) fn run_in_drop(self) {
        if !self.is_empty() {
            nesting::run_nested(self);
        }
    }

    /// Has the wakers settled, though they are not run yet.
    #[cfg(feature = "std")]
    fn settle_wakers(&mut self) {
        let wakers = mem::replace(&mut self.stages[WAKERS], Queue::EMPTY);
        self.stages[OWN].append(wakers);
        while self.settle_next() {}
    }

    fn settle_next(&mut self) -> bool {
        let Some(head) = self.stages[OWN].pop() else { return false };
        // SAFETY: taken out of a queue of this list, so its reference is ours.
        let kind = unsafe { kind_of(head) };
        // SAFETY: as above, and of its own kind.
        unsafe { (kind.settle)(head, self) };
        true
    }

    /// Does the next job that is foreign code; false if there is none.
    ///
    /// # Safety
    ///
    /// `this` is alive, and nobody borrows from it: foreign code may add to it meanwhile.
    unsafe fn step(this: *mut Self) -> bool {
        // SAFETY: by the caller's promise; the borrow ends before foreign code begins.
        let stages = &mut unsafe { &mut *this }.stages;
        if let Some(head) = stages[WAKERS].pop().or_else(|| stages[CALLBACKS].pop()) {
            // SAFETY: as in `settle_next`.
            let kind = unsafe { kind_of(head) };
            // SAFETY: as above, and of its own kind.
            unsafe { (kind.run)(head) };
            return true;
        }
        let Some(head) = stages[FINALISERS].first() else { return false };
        // It stays where it is meanwhile, so that a panic does not lose it; `settle` knows that it was
        // finalised.
        let _settle = SettleAfter(this);
        // SAFETY: the queue holds a reference to it.
        let kind = unsafe { kind_of(head) };
        // SAFETY: as above, and of its own kind.
        unsafe { (kind.finalise)(head) };
        true
    }
}

/// Moves the first of the finalisers to the own work, when its foreign code is over.
struct SettleAfter(*mut Deferred);

impl Drop for SettleAfter {
    fn drop(&mut self) {
        // SAFETY: made by `Deferred::step`, which ends after this; foreign code is over.
        let list = unsafe { &mut *self.0 };
        if let Some(head) = list.stages[FINALISERS].pop() {
            list.stages[OWN].push(head);
        }
    }
}

impl Drop for Deferred {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            debug_assert!(is_unwinding(), "deferred work was dropped, not run");
            mem::replace(self, Self::new()).run();
        }
    }
}

/// Does `operation`, and then what it has deferred.
#[inline]
pub(crate) fn and_then_run<R>(operation: impl FnOnce(&mut Deferred) -> R) -> R {
    let mut deferred = Deferred::new();
    let result = operation(&mut deferred);
    deferred.run();
    result
}

/// Drops `value`, which is foreign code, from within a drop of ours, which may be one of a chain.
pub(crate) fn drop_in_drop<T: 'static>(value: T) {
    #[cfg(feature = "std")]
    if nesting::is_deep() {
        let mut deferred = Deferred::new();
        deferred.drop_later(value);
        return deferred.run_in_drop();
    }
    Deferred::new().run_after(|| drop(value));
}

/// A value that is to be dropped.
struct Dropped<T> {
    head: Head,
    _value: T,
}

impl<T: 'static> Dropped<T> {
    fn new(value: T) -> Arc<Self> {
        Arc::new(Self { head: Head::of::<Arc<Self>>(), _value: value })
    }
}

// SAFETY: `HEAD` is the offset of `head`, which `new` makes.
unsafe impl<T: 'static> Linked for Dropped<T> {
    const HEAD: usize = mem::offset_of!(Self, head);

    fn settle(this: Arc<Self>, deferred: &mut Deferred) {
        deferred.run_later(this);
    }
}

/// An event that is to be told.
#[cfg(feature = "tracing")]
struct Event<F> {
    head: Head,
    tell: F,
}

#[cfg(feature = "tracing")]
impl<F: Fn() + 'static> Event<F> {
    fn new(tell: F) -> Arc<Self> {
        Arc::new(Self { head: Head::of::<Arc<Self>>(), tell })
    }
}

// SAFETY: `HEAD` is the offset of `head`, which `new` makes.
#[cfg(feature = "tracing")]
unsafe impl<F: Fn() + 'static> Linked for Event<F> {
    const HEAD: usize = mem::offset_of!(Self, head);

    fn settle(this: Arc<Self>, deferred: &mut Deferred) {
        deferred.run_later(this);
    }

    fn run(this: Arc<Self>) {
        (this.tell)();
    }
}
