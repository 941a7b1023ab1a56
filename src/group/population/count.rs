//! A count without a limit: one word; and, once threads have got in each other's way there, shards.
//!
//! A count begins on the word alone. Threads that lose their exchange with it again and again spread it:
//! from then on each thread counts on the [shard](super::shards) of its core, and the word is only read. A
//! close ends that: it folds the shards into the word. The Windows kernel calls this cache-aware run-down
//! protection, Linux percpu_ref.
//!
//! **Invariant: a step counts once, on the word or on an open shard; the fold closes each shard and moves
//! its count to the word.** A thread that finds no shards, or a closed one, counts on the word. Hence:
//!
//! * Only the word tells which leave is the last. Before the fold it is not closed. During the fold it
//!   holds `BIAS`, which one exchange adds together with `CLOSED`. After the fold it counts everybody.
//! * The count of the word is never below zero. A task that entered on a shard leaves on the word only if the
//!   shard of the thread that drops its guard is closed, after `BIAS` was added: that thread sees the shards,
//!   since the entry saw them and happens before the drop.
//! * The count of a shard means nothing alone, and may be below zero: a task may enter on one core and leave on
//!   another. The sum of all is exact. During the fold the word holds a part of it, and `BIAS`. `BIAS` is 2^61:
//!   tasks would have to move from one core to another for years to outweigh it.
//!
//! **A thread that closes seals or folds, before it says that the door is closed.** If it seals, there will
//! never be shards. So no thread spreads a count that nobody folds.
//!
//! Edges: **A** and **D** as in the module above, **H** as in `shards.rs`. A task that leaves on a shard
//! publishes its work to the folder (A), and the step that moves the count to the word publishes it to the
//! thread that makes the last step. The fold of a shard publishes what came before the close to a thread that
//! is refused there (D). Edge **M** (moved: fold to length): a look at the length that finds a count in the word does
//! not find it in the shard as well.

use super::Exit;
use super::shards::{Lines, Shards};
use super::word::{BIAS, CLOSED, ONE, Word};
use crate::error::Refused;
use crate::sync::{AtomicUsize, Ordering, step};

pub(super) struct Count {
    word: AtomicUsize,
    /// Beside the word: both are only read as long as threads count on the shards.
    shards: Shards,
}

impl Count {
    pub(super) fn new() -> Self {
        let count = Self { word: AtomicUsize::new(Word::EMPTY.0), shards: Shards::new() };
        if cfg!(winddown_born_sharded) {
            count.shards.spread();
        }
        count
    }

    /// For models.
    #[cfg(loom)]
    pub(super) fn spread(&self) {
        self.shards.spread();
    }

    #[inline]
    fn load(&self) -> Word {
        // D: a closed word acquires what came before the close.
        Word(self.word.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.load().is_closed()
    }

    #[inline]
    pub(super) fn enter(&self) -> Result<(), Refused> {
        let mut lines = self.shards.lines();
        let mut now = self.load();
        loop {
            if let Some(lines) = lines {
                return Self::enter_by(lines, now);
            }
            let next = now.enter()?;
            // Relaxed: entering publishes nothing; a read-modify-write keeps the sequences of A. D: an entry that
            // finds the door closed acquires what came before the close.
            match self.word.compare_exchange_weak(
                now.0,
                next.0,
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(other) => now = Word(other),
            }
            lines = self.shards.lost();
        }
    }

    /// Goes in by a shard. `now` is a value that the word had during the call.
    // Apart from the usual way in, which is by the word.
    #[inline(never)]
    fn enter_by(lines: Lines, now: Word) -> Result<(), Refused> {
        // D: if a close has returned, to any closer, before the entry began, `now` is closed. Otherwise the
        // addition comes before the fold of its shard, and is counted; or it finds the shard closed.
        // SAFETY: the caller borrows the population.
        if now.is_closed() || !unsafe { lines.add(ONE) } {
            return Err(Refused::Closed);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn join_in(&self) -> Result<(), Refused> {
        if let Some(lines) = self.shards.lines() {
            // SAFETY: borrowed.
            if !unsafe { lines.add(ONE) } {
                // Relaxed: as below.
                self.word.fetch_add(ONE, Ordering::Relaxed);
            }
            return Ok(());
        }
        let now = self.load();
        now.has_margin()?;
        // Relaxed: as in `enter`. The count is above zero, since somebody is inside.
        if self.word.fetch_add(ONE, Ordering::Relaxed) != now.0 {
            // An exchange would have been lost.
            self.shards.lost();
        }
        Ok(())
    }

    /// Goes out.
    ///
    /// # Safety
    ///
    /// The caller's own count keeps `this` until this gives it up.
    #[inline]
    pub(super) unsafe fn leave(this: *const Self) -> Exit {
        // SAFETY: the caller's promise; the borrow ends here.
        let lines = unsafe { &(*this).shards }.lines();
        if let Some(lines) = lines {
            // SAFETY: as above; if it counted, nothing is touched after it.
            if unsafe { lines.add(ONE.wrapping_neg()) } {
                return Exit::NotLast;
            }
        }
        // SAFETY: the task is counted still, until the next line.
        let word = unsafe { &raw const (*this).word };
        // A: publishes what was done inside; the last step acquires what all others did.
        // SAFETY: as above; nothing is touched after it.
        let before = unsafe { &*word }.fetch_sub(ONE, Ordering::AcqRel);
        last_if(Word(before).leave())
    }

    /// Closes the door. None if it was closed already; `Last` if nobody is inside.
    pub(super) fn close(&self) -> Option<Exit> {
        if let Some(lines) = self.shards.seal() {
            return self.fold(lines);
        }
        // D: publishes what came before, and acquires what came before the first close. A: the closer of an
        // empty group acquires what all tasks did that left.
        let before = Word(self.word.fetch_or(CLOSED, Ordering::AcqRel));
        (!before.is_closed()).then(|| last_if(before.close()))
    }

    #[cold]
    fn fold(&self, lines: Lines) -> Option<Exit> {
        // D: publishes what came before. It acquires nothing: what follows does; a closer that comes second has acquired
        // it from the door, which each closes before. In one step with `CLOSED`, since a word that is closed without
        // `BIAS` may reach zero, or be below that.
        step(&self.word, self.load().0, Ordering::Release, Ordering::Relaxed, |now| {
            let next = (!Word(now).is_closed()).then(|| Word(now).fold());
            next.map(|next| (next.0, ())).ok_or(())
        })
        .ok()?;
        // SAFETY: borrowed.
        for shard in unsafe { lines.all() } {
            // A: acquires the leaves. D: publishes what came before the close.
            let count = shard.0.swap(CLOSED, Ordering::AcqRel);
            // A: publishes the leaves to the thread that makes the last step. M: publishes that the shard is
            // closed.
            self.word.fetch_add(count, Ordering::Release);
        }
        // A: acquires the leaves of the word, for the case that this step is the last.
        let before = Word(self.word.fetch_sub(BIAS * ONE, Ordering::Acquire));
        Some(last_if(before.folded()))
    }

    /// How many are inside, if nobody moves meanwhile and no close folds.
    pub(super) fn len(&self) -> usize {
        let word = self.load();
        let Some(lines) = self.shards.lines() else { return word.count() };
        // SAFETY: borrowed.
        let shards = unsafe { lines.all() }.iter();
        // M: a word that has the count of a shard has acquired that the shard is closed. Relaxed: a snapshot.
        let shards = shards.map(|shard| Word(shard.0.load(Ordering::Relaxed)));
        let open = shards.filter(|shard| !shard.is_closed()).map(Word::count);
        // Modulo the width of the field; and with `BIAS` in it, or without.
        let sum = open.fold(word.count(), usize::wrapping_add) & (usize::MAX / ONE);
        let inside = if sum > BIAS / 2 { sum.wrapping_sub(BIAS) } else { sum };
        // A task that moved from one shard to another may have been counted out only.
        if inside > BIAS { 0 } else { inside }
    }
}

/// What follows from a step that left `now` in the word, and acquired.
#[inline]
fn last_if(now: Word) -> Exit {
    if now.is_over() { Exit::Last } else { Exit::NotLast }
}

#[cfg(all(test, feature = "std", target_pointer_width = "64", not(loom)))]
mod tests {
    use super::*;

    /// During a fold the word holds `BIAS`; and before it the word, or a shard, may have counted out tasks that are
    /// counted in elsewhere.
    #[test]
    fn the_length_is_that_of_the_sum_without_the_bias() {
        let count = Count::new();
        assert!(count.shards.spread().is_some());
        let bias = BIAS * ONE;
        for (word, inside) in [
            (0, 0),
            (3 * ONE, 3),
            (CLOSED | (3 * ONE), 3),
            (bias, 0),
            (CLOSED | (bias + 3 * ONE), 3),
            (bias - ONE, 0),
            (0_usize.wrapping_sub(ONE), 0),
        ] {
            count.word.store(word, Ordering::Relaxed);
            assert_eq!(count.len(), inside, "{word:#x}");
        }
    }
}
