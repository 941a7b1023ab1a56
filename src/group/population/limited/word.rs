//! The state of a population with a limit in one word; no atomics and no wake-ups here.
//!
//! | bits | name        | set by                | cleared by                       | while set              |
//! |------|-------------|-----------------------|----------------------------------|------------------------|
//! | 0    | `CLOSED`    | the first close       | never                            | nobody enters from outside |
//! | 1    | `QUEUED`    | a wait for a place    | a server that finds nobody       | a place that gets free is passed on, and no newcomer enters |
//! | 2    | `FRESH`     | a wait for a place    | a server, before it looks        | a wait has announced itself since the server looked |
//! | 3..  | `LIMIT` × n | `set_limit`           | `set_limit`                      | at most n are let in   |
//! | top  | `ONE` × n   | entering              | leaving                          | n are inside, or their places are being passed on |
//!
//! | from                            | step      | to                                                |
//! |---------------------------------|-----------|---------------------------------------------------|
//! | `CLOSED`                        | enter     | refused (closed), unchanged                       |
//! | `QUEUED`, or count ≥ limit      | enter     | refused (full), unchanged                         |
//! | else                            | enter     | count + 1                                         |
//! | count < half                    | join in   | count + 1, whatever the limit and the door        |
//! | `QUEUED`, open, count ≤ limit   | leave     | unchanged: the place is passed on                 |
//! | else                            | leave     | count − 1                                         |
//! | any                             | close     | `CLOSED`                                          |
//! | `CLOSED`                        | announce  | refused, unchanged                                |
//! | count < limit                   | announce  | count + 1: a place, to be passed on               |
//! | count ≥ limit                   | announce  | `QUEUED`, `FRESH`                                 |
//! | `FRESH`                         | give back | unchanged: look again                             |
//! | else                            | give back | count − 1, no `QUEUED`                            |
//! | `QUEUED`, open, count < limit'  | set limit | limit', count + 1: a place, to be passed on       |
//! | else                            | set limit | limit'                                            |
//! | `QUEUED`, open, count < limit   | let in    | count + 1: a place, to be passed on               |
//!
//! The limit is in the word, so that no step decides by a limit that another has replaced. All bits are taken: a number
//! that no step decides by is kept beside the word.
//!
//! Only a task that is counted joins another one in, so `CLOSED` with count 0 is reached by exactly one step
//! and is final. While no step is on its way, `QUEUED` implies count ≥ limit.

use core::num::NonZeroUsize;

use crate::error::Refused;
use crate::sync::WordBits as Bits;

/// Enough for tests to reach the limits by a few calls.
#[cfg(winddown_small_word)]
mod width {
    pub(super) const LIMIT: u32 = 3;
    pub(super) const COUNT: u32 = 4;
}
#[cfg(not(winddown_small_word))]
mod width {
    pub(super) const LIMIT: u32 = super::Bits::BITS / 2 - 2;
    pub(super) const COUNT: u32 = super::Bits::BITS / 2 - 1;
}

/// The door is closed.
pub(super) const CLOSED: Bits = 1;
/// A wait for a place may be in the queue.
pub(super) const QUEUED: Bits = 1 << 1;
/// A wait for a place has announced itself since a server looked.
pub(super) const FRESH: Bits = 1 << 2;
const LIMIT_SHIFT: u32 = 3;
const LIMIT_MASK: Bits = ((1 << width::LIMIT) - 1) << LIMIT_SHIFT;
const COUNT_SHIFT: u32 = LIMIT_SHIFT + width::LIMIT;
const COUNT_MASK: Bits = ((1 << width::COUNT) - 1) << COUNT_SHIFT;
/// One task inside, or its place.
pub(super) const ONE: Bits = 1 << COUNT_SHIFT;

/// The highest limit there is; a higher one is taken for it.
const MOST: Bits = (1 << width::LIMIT) - 1;
/// Where joining in is refused, above every limit. The other half of the range is the margin for threads
/// that all looked before any of them was counted.
const HALF: Bits = 1 << (width::COUNT - 1);
const _: () = assert!(MOST < HALF, "a limit is reached before half of the range");

/// One value of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) Bits);

/// A step that may have taken a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The thread that made the step holds a place, and passes it on to the head of the queue.
    PassOn(Word),
    /// There is nothing to pass on.
    Done(Word),
}

impl Step {
    pub(super) fn word(self) -> Word {
        match self {
            Self::PassOn(word) | Self::Done(word) => word,
        }
    }
}

impl Word {
    /// Open and empty.
    pub(super) fn with_limit(limit: NonZeroUsize) -> Self {
        Self(Self::clamped(limit) << LIMIT_SHIFT)
    }

    fn clamped(limit: NonZeroUsize) -> Bits {
        Bits::try_from(limit.get()).unwrap_or(MOST).min(MOST)
    }

    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(super) fn is_queued(self) -> bool {
        self.0 & QUEUED != 0
    }

    fn limit(self) -> Bits {
        (self.0 & LIMIT_MASK) >> LIMIT_SHIFT
    }

    /// The limit as users know it. Always there: no limit is zero.
    pub(super) fn nonzero_limit(self) -> Option<NonZeroUsize> {
        // As in `count`.
        NonZeroUsize::new(self.limit() as usize)
    }

    fn count_bits(self) -> Bits {
        (self.0 & COUNT_MASK) >> COUNT_SHIFT
    }

    pub(super) fn count(self) -> usize {
        // Fewer bits than a usize has, wherever the word is that wide.
        self.count_bits() as usize
    }

    /// Closed and empty.
    pub(super) fn is_over(self) -> bool {
        self.0 & (CLOSED | COUNT_MASK) == CLOSED
    }

    pub(super) fn enter(self) -> Result<Self, Refused> {
        if self.is_closed() {
            Err(Refused::Closed)
        } else if self.is_queued() || self.count_bits() >= self.limit() {
            Err(Refused::Full)
        } else {
            Ok(Self(self.0 + ONE))
        }
    }

    /// Whether one more may join in.
    pub(super) fn has_margin(self) -> Result<(), Refused> {
        if self.count_bits() < HALF { Ok(()) } else { Err(Refused::Full) }
    }

    /// None if the place is to be passed on.
    pub(super) fn leave(self) -> Option<Self> {
        let pass_on = self.is_queued() && !self.is_closed() && self.count_bits() <= self.limit();
        (!pass_on).then(|| Self(self.0 - ONE))
    }

    pub(super) fn announce(self) -> Result<Step, Refused> {
        if self.is_closed() {
            Err(Refused::Closed)
        } else if self.count_bits() < self.limit() {
            Ok(Step::PassOn(Self(self.0 + ONE)))
        } else {
            Ok(Step::Done(Self(self.0 | QUEUED | FRESH)))
        }
    }

    /// None if the queue is to be looked at again.
    pub(super) fn give_back(self) -> Option<Self> {
        (self.0 & FRESH == 0).then(|| Self((self.0 & !QUEUED) - ONE))
    }

    pub(super) fn set_limit(self, limit: NonZeroUsize) -> Step {
        let next = Self(self.0 & !LIMIT_MASK | Self::with_limit(limit).0);
        next.let_in().map_or(Step::Done(next), Step::PassOn)
    }

    /// Takes a place for the queue, if a wait may be in it and there is room.
    pub(super) fn let_in(self) -> Option<Self> {
        let has_room = self.is_queued() && !self.is_closed() && self.count_bits() < self.limit();
        has_room.then(|| Self(self.0 + ONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(marks: Bits, limit: Bits, count: Bits) -> Word {
        Word(marks | limit << LIMIT_SHIFT | count << COUNT_SHIFT)
    }

    fn limit(limit: usize) -> NonZeroUsize {
        NonZeroUsize::new(limit).unwrap()
    }

    #[test]
    fn the_fields_do_not_overlap_and_fit() {
        assert_eq!((CLOSED | QUEUED | FRESH) & LIMIT_MASK, 0);
        assert_eq!(LIMIT_MASK & COUNT_MASK, 0);
        assert_eq!(LIMIT_MASK.count_ones() + COUNT_MASK.count_ones(), width::LIMIT + width::COUNT);
        assert_eq!(
            Word::with_limit(NonZeroUsize::MAX).limit(),
            MOST,
            "a high limit is the highest"
        );
    }

    /// Marks and the count are no part of it, and the highest of each field is told as it is.
    #[test]
    fn the_limit_is_told_as_it_was_set() {
        let (most, full) = (MOST as usize, COUNT_MASK >> COUNT_SHIFT);
        for (set, told) in [(1, 1), (2, 2), (most - 1, most - 1), (most, most), (most + 1, most)] {
            for before in [word(0, 1, 0), word(CLOSED | QUEUED | FRESH, MOST, full)] {
                let word = before.set_limit(limit(set)).word();
                assert_eq!(word.nonzero_limit(), Some(limit(told)));
            }
            assert_eq!(Word::with_limit(limit(set)).nonzero_limit(), Some(limit(told)));
        }
    }

    /// Rule 1: a refused step changes nothing.
    #[test]
    fn a_refused_step_names_its_reason() {
        assert_eq!(word(0, 3, 3).enter(), Err(Refused::Full));
        assert_eq!(word(CLOSED, 3, 1).enter(), Err(Refused::Closed));
        assert_eq!(word(QUEUED, 3, 1).enter(), Err(Refused::Full), "a newcomer never overtakes");
        assert_eq!(word(0, 3, 2).enter(), Ok(word(0, 3, 3)));
        assert_eq!(word(CLOSED, 3, 1).announce(), Err(Refused::Closed));
        assert!(
            word(CLOSED, 1, HALF).has_margin().is_err() && word(CLOSED, 1, 2).has_margin().is_ok()
        );
    }

    /// Two waits may announce themselves between two looks of a server.
    #[test]
    fn an_announcement_takes_a_place_or_marks_the_queue() {
        assert_eq!(word(0, 3, 2).announce(), Ok(Step::PassOn(word(0, 3, 3))));
        let marked = word(QUEUED | FRESH, 3, 3);
        assert_eq!(word(0, 3, 3).announce(), Ok(Step::Done(marked)));
        assert_eq!(marked.announce(), Ok(Step::Done(marked)));
    }

    #[test]
    fn a_place_is_passed_on_only_while_the_door_is_open_and_the_limit_is_kept() {
        assert_eq!(word(QUEUED, 3, 3).leave(), None);
        assert_eq!(word(QUEUED, 3, 4).leave(), Some(word(QUEUED, 3, 3)));
        assert_eq!(word(QUEUED | CLOSED, 3, 1).leave(), Some(word(QUEUED | CLOSED, 3, 0)));
        assert!(word(QUEUED | CLOSED, 3, 0).is_over() && !word(QUEUED, 3, 0).is_over());
    }

    #[test]
    fn a_limit_that_is_raised_lets_the_queue_in_one_by_one() {
        assert_eq!(word(QUEUED, 1, 1).set_limit(limit(3)), Step::PassOn(word(QUEUED, 3, 2)));
        assert_eq!(word(QUEUED, 3, 3).set_limit(limit(3)), Step::Done(word(QUEUED, 3, 3)));
        assert_eq!(word(0, 1, 1).set_limit(limit(3)), Step::Done(word(0, 3, 1)));
        assert_eq!(
            word(QUEUED | CLOSED, 1, 1).set_limit(limit(3)).word(),
            word(QUEUED | CLOSED, 3, 1)
        );
    }
}
