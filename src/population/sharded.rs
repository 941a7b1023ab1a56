//! A count that is spread over the cores until the door closes. The Windows kernel calls this
//! cache-aware run-down protection, Linux percpu_ref.
//!
//! Each shard has the layout of the central word: a count, and `CLOSED`. A task may enter on one core
//! and leave on another, so the count of a shard means nothing alone and may wrap; the sum of all,
//! modulo the width of the field, is exact. What lands on a closed shard counts for nothing, and is done
//! again on the central word.
//!
//! **Invariant: while a shard is open, what happens on it is not in the central word; the step that
//! closes it takes its count over.** The central word is closed before the first shard, and holds
//! `BIAS` until the last one is folded: then, and not before, it counts everybody, and can reach zero.
//!
//! Edges: **A** and **D** as in the module above. On a shard, A goes from each leave to the folder,
//! which acquires the shard, and on by the folder's last step of the central word.

use alloc::boxed::Box;

use super::word::{BIAS, CLOSED, ONE, Word};
use super::{Exit, close, last_if, load};
use crate::error::Refused;
use crate::sync::{AtomicUsize, Line, Ordering, fence, threads};

/// More would take longer to fold than they save.
const MOST: usize = 64;

pub(super) struct Sharded {
    /// Only read, until the door closes; then all count here.
    pub(super) word: AtomicUsize,
    /// The counts of the cores; their number is a power of two.
    shards: Box<[Line<AtomicUsize>]>,
}

impl Sharded {
    /// None where there is one core, or where so many guards could be leaked that the count wraps.
    pub(super) fn new() -> Option<Self> {
        let number = threads::count().next_power_of_two().min(MOST);
        (number > 1 && usize::BITS >= 64).then(|| Self {
            word: AtomicUsize::new(Word::BIASED.0),
            shards: (0..number).map(|_| Line(AtomicUsize::new(0))).collect(),
        })
    }

    /// Adds `step` on this core's shard; false if the shard was closed, which made nothing of it.
    ///
    /// # Safety
    ///
    /// `this` is alive at the call; after a `step` that counts a task out it may be gone on `true`.
    #[inline]
    unsafe fn add(this: *const Self, step: usize) -> bool {
        let (shards, number) = {
            // SAFETY: the caller's promise; the borrow ends here.
            let shards = unsafe { &(*this).shards };
            (shards.as_ptr(), shards.len())
        };
        let index = threads::index() & (number - 1);
        // SAFETY: below the number, which is a power of two.
        let shard = unsafe { shards.add(index) };
        // SAFETY: as above.
        let shard = unsafe { &raw const (*shard).0 };
        // A: a leave publishes what was done inside. What lands on a closed shard is read by nobody.
        // SAFETY: alive until the addition.
        let is_open = unsafe { &*shard }.fetch_add(step, Ordering::Release) & CLOSED == 0;
        if !is_open {
            // D: acquires what came before the close.
            fence(Ordering::Acquire);
        }
        is_open
    }

    // Not in the code of those who enter a plain count, as they do mostly.
    #[inline(never)]
    pub(super) fn enter(&self) -> Result<(), Refused> {
        // D: who comes after the return of any close reads a closed word here. Who reads an open one
        // came before that; his shard is folded after his step on it, or is closed already.
        // SAFETY: borrowed.
        if load(&self.word).is_closed() || !unsafe { Self::add(self, ONE) } {
            return Err(Refused::Closed);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn join_in(&self) {
        // SAFETY: borrowed.
        if !unsafe { Self::add(self, ONE) } {
            // Relaxed: somebody is inside, so the count stays above zero.
            self.word.fetch_add(ONE, Ordering::Relaxed);
        }
    }

    /// Goes out.
    ///
    /// # Safety
    ///
    /// The caller's own count keeps `this` until this gives it up.
    #[inline(never)]
    pub(super) unsafe fn leave(this: *const Self) -> Exit {
        // SAFETY: the caller's promise.
        if unsafe { Self::add(this, ONE.wrapping_neg()) } {
            return Exit::NotLast;
        }
        // SAFETY: the shard made nothing of it, so the task is counted still, until the next line.
        let word = unsafe { &raw const (*this).word };
        // A: publishes what was done inside.
        // SAFETY: as above.
        let before = unsafe { &*word }.fetch_sub(ONE, Ordering::Release);
        last_if(Word(before.wrapping_sub(ONE)))
    }

    #[cold]
    pub(super) fn close(&self) -> Option<Exit> {
        close(&self.word)?;
        for shard in &*self.shards {
            // A: acquires the leaves. D: publishes what came before the close.
            let count = shard.0.swap(CLOSED, Ordering::AcqRel);
            // Relaxed: the last step publishes.
            self.word.fetch_add(count, Ordering::Relaxed);
        }
        // A: publishes the leaves of all shards to whoever makes the last step.
        let before = self.word.fetch_sub(Word::BIASED.0, Ordering::Release);
        Some(last_if(Word(before.wrapping_sub(Word::BIASED.0))))
    }

    /// How many are inside, if nobody moves meanwhile.
    pub(super) fn len(&self) -> usize {
        let open = self.shards.iter().map(|shard| Word(shard.0.load(Ordering::Relaxed)));
        let open = open.filter(|shard| !shard.is_closed()).map(Word::count);
        // Modulo the width of the field; and with `BIAS` in it, or without.
        let sum = open.fold(load(&self.word).count(), usize::wrapping_add) & (usize::MAX / ONE);
        let inside = if sum > BIAS / 2 { sum.wrapping_sub(BIAS) } else { sum };
        // Who moves from one shard to another may have been counted out only.
        if inside > BIAS { 0 } else { inside }
    }
}
