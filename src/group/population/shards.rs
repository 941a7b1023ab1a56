//! The shards of a count: a word for each core, each on its own cache line.
//!
//! Each has the layout of the central word: a count, and `CLOSED`. What lands on a closed shard counts for
//! nothing.
//!
//! The pointer to them changes once, and then never again:
//!
//! | from | step   | to       | by                                                   |
//! |------|--------|----------|------------------------------------------------------|
//! | null | spread | shards   | threads that lost `PATIENCE` exchanges with the word |
//! | null | seal   | `SEALED` | a closer, before it closes the word                  |
//!
//! Edge **H** (shards): the shards are published with the pointer, and acquired with it.

use core::ptr;
use core::slice;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::word::CLOSED;
use crate::sync::{AtomicPtr, AtomicUsize, Exclusive as _, Line, Ordering, threads};

/// How many exchanges threads may lose before they spread the count. About as many as cost what it takes to
/// make the shards and to fold them again, so it is never much worse than the better choice.
#[cfg(not(loom))]
const PATIENCE: usize = 32;
/// In a model the first thread that loses an exchange spreads the count.
#[cfg(loom)]
const PATIENCE: usize = 1;

/// The shards of a count, or none yet, or never any.
pub(super) struct Shards {
    /// See the module.
    first: AtomicPtr<Line<AtomicUsize>>,
    /// Lost exchanges. Written by a thread that lost one, which has the cache line to itself.
    losses: AtomicUsize,
}

/// All shards of a count that has some: `threads::count()` of them, the first one here.
#[derive(Clone, Copy)]
pub(super) struct Lines(*const Line<AtomicUsize>);

/// The pointer of a count that is never to have shards.
const SEALED: *mut Line<AtomicUsize> = ptr::without_provenance_mut(1);

impl Shards {
    pub(super) fn new() -> Self {
        // So that the system is asked here, and not by an entry.
        threads::count();
        Self { first: AtomicPtr::new(ptr::null_mut()), losses: AtomicUsize::new(0) }
    }

    /// The shards, if there are any.
    #[inline]
    pub(super) fn lines(&self) -> Option<Lines> {
        // H: acquires the shards.
        Lines::at(self.first.load(Ordering::Acquire))
    }

    /// Tells that an exchange with the word was lost. The shards, if there are any now.
    #[cold]
    pub(super) fn lost(&self) -> Option<Lines> {
        // Relaxed: a number, and nothing that goes with it.
        if self.losses.fetch_add(1, Ordering::Relaxed) + 1 < PATIENCE {
            return self.lines();
        }
        self.spread()
    }

    /// The shards, which are made here if there are none yet and may be some. Without memory for them there are none,
    /// and the count goes on as before.
    #[cold]
    pub(super) fn spread(&self) -> Option<Lines> {
        // H: as in `lines`.
        let first = self.first.load(Ordering::Acquire);
        if !first.is_null() {
            return Lines::at(first);
        }
        let new = Lines::make()?;
        // H: publishes our shards; or acquires those of another thread that was faster.
        match self.first.compare_exchange(first, new, Ordering::Release, Ordering::Acquire) {
            Ok(_) => Lines::at(new),
            Err(other) => {
                // SAFETY: it came from `make`, and nobody else has seen it.
                unsafe { Lines::free(new) };
                Lines::at(other)
            }
        }
    }

    /// Sees to it that there will be no shards, unless there are some.
    pub(super) fn seal(&self) -> Option<Lines> {
        // Relaxed: `SEALED` publishes nothing; a thread that reads it counts on the word. H: acquires the
        // shards.
        let null = ptr::null_mut();
        match self.first.compare_exchange(null, SEALED, Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) => None,
            Err(other) => Lines::at(other),
        }
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        let first = self.first.replace_mut(ptr::null_mut());
        if Lines::at(first).is_some() {
            // SAFETY: `spread` put it here, and it is freed nowhere else.
            unsafe { Lines::free(first) };
        }
    }
}

impl Lines {
    #[inline]
    fn at(first: *mut Line<AtomicUsize>) -> Option<Self> {
        (first.addr() > SEALED.addr()).then_some(Self(first))
    }

    /// None if there is no memory for them.
    fn make() -> Option<*mut Line<AtomicUsize>> {
        let mut lines = Vec::new();
        lines.try_reserve_exact(threads::count()).ok()?;
        lines.resize_with(threads::count(), || Line(AtomicUsize::new(0)));
        Some(Box::into_raw(lines.into_boxed_slice()).cast())
    }

    /// # Safety
    ///
    /// `first` came from `make`, and nobody uses or frees it any more.
    unsafe fn free(first: *mut Line<AtomicUsize>) {
        let lines = ptr::slice_from_raw_parts_mut(first, threads::count());
        // SAFETY: the number is always the same; the rest is the caller's promise.
        drop(unsafe { Box::from_raw(lines) });
    }

    /// Adds `step` on the shard of this thread; false if that was closed, which made nothing of it.
    ///
    /// # Safety
    ///
    /// The population is alive at the call; after a `step` that counts a task out it may be gone on `true`.
    #[inline]
    pub(super) unsafe fn add(self, step: usize) -> bool {
        // SAFETY: an index is below the number of shards.
        let shard = unsafe { self.0.add(threads::index()) };
        // SAFETY: the caller's promise.
        let shard = unsafe { &raw const (*shard).0 };
        // A: a task that leaves publishes what was done inside, to the fold of the shard: on an open shard it makes no
        // other step. D: a task that is refused acquires what came before the close.
        // SAFETY: alive until the addition.
        let before = unsafe { &*shard }.fetch_add(step, Ordering::AcqRel);
        before & CLOSED == 0
    }

    /// # Safety
    ///
    /// The population outlives the result.
    pub(super) unsafe fn all<'a>(self) -> &'a [Line<AtomicUsize>] {
        // SAFETY: so many were made; the caller's promise.
        unsafe { slice::from_raw_parts(self.0, threads::count()) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Condition 10: also where there have been more threads than shards.
    #[test]
    fn each_thread_has_a_shard() {
        assert!(threads::count().is_power_of_two());
        for _ in 0..2 * threads::count() {
            let index = std::thread::spawn(threads::index).join().unwrap();
            assert!(index < threads::count(), "{index}");
        }
    }

    /// Spread once, they stay, and a closer finds them.
    #[test]
    fn shards_that_were_made_are_found_from_then_on() {
        let shards = Shards::new();
        assert!(shards.lines().is_none());
        let made = [shards.spread(), shards.spread(), shards.lines(), shards.lost(), shards.seal()];
        let first = made[0].unwrap().0;
        assert!(made.iter().all(|lines| lines.unwrap().0 == first));
    }

    #[test]
    fn sealed_shards_are_never_made() {
        let shards = Shards::new();
        assert!(shards.seal().is_none() && shards.seal().is_none());
        assert!(shards.spread().is_none() && shards.lines().is_none());
    }
}
