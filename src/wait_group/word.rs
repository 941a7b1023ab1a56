//! The whole state of a wait group in one word; no atomics and no wake-ups here.
//!
//! | bits | name      | set by                  | cleared by      | while set                      |
//! |------|-----------|-------------------------|-----------------|--------------------------------|
//! | 0    | `WAITERS` | a wait about to park    | the step to zero| the step to zero must fire     |
//! | 1..  | `ROUND`   | that same step, plus 1  | never           | (counts zeros that were awaited)|
//! | top  | `ONE` × n | `add`, `guard`          | `done`, `Drop`  | n pieces of work are in flight |
//!
//! | from                      | step     | to                                        | fires |
//! |---------------------------|----------|-------------------------------------------|-------|
//! | count < half              | enter    | count + 1                                 |       |
//! | count ≥ half              | enter    | count + 1, refused: leaves again          |       |
//! | count = 0                 | leave    | refused, unchanged                        |       |
//! | count > 1                 | leave    | count − 1                                 |       |
//! | count = 1, no `WAITERS`   | leave    | count = 0, same `ROUND`                   |       |
//! | count = 1, `WAITERS`      | leave    | count = 0, no `WAITERS`, `ROUND` + 1      | yes   |
//! | count = 0, or other round | announce | the wait is over, unchanged               |       |
//! | count > 0, same round     | announce | `WAITERS`                                 |       |
//!
//! So while a wait is parked `WAITERS` is set, every zero bumps `ROUND`, and a wait that finds
//! another round has missed a zero. `ROUND` wraps: a wait that was not polled for a whole turn of
//! zeros takes the last of them for none at all, and completes at the next zero. Late, never early.

use crate::error::{Overflow, Unbalanced};
use crate::sync::WordBits as Bits;

/// Enough for tests to reach the limits by a few calls.
#[cfg(winddown_small_word)]
mod width {
    pub(super) const ROUND: u32 = 2;
    pub(super) const COUNT: u32 = 4;
}
#[cfg(not(winddown_small_word))]
mod width {
    pub(super) const ROUND: u32 = super::Bits::BITS / 2 - 1;
    /// Half of the range is as much as a model can have in flight, so that it may be left meanwhile.
    pub(super) const COUNT: u32 = if cfg!(loom) { 3 } else { super::Bits::BITS / 2 };
}

const WAITERS: Bits = 1;
const ROUND_SHIFT: u32 = 1;
const COUNT_SHIFT: u32 = ROUND_SHIFT + width::ROUND;
const ROUND_STEP: Bits = 1 << ROUND_SHIFT;
const ROUND_MASK: Bits = ((1 << width::ROUND) - 1) << ROUND_SHIFT;
const COUNT_MASK: Bits = ((1 << width::COUNT) - 1) << COUNT_SHIFT;
/// One piece of work.
pub(super) const ONE: Bits = 1 << COUNT_SHIFT;
/// Where entering is refused. The other half of the range is the margin for threads that have counted
/// themselves in at the same time, are refused, and have not left again.
const HALF: Bits = 1 << (width::COUNT - 1);

/// One value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) Bits);

/// The zeros that were awaited so far, modulo the width of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round(Bits);

impl Word {
    pub(super) const IDLE: Self = Self(0);

    #[inline]
    fn count_bits(self) -> Bits {
        (self.0 & COUNT_MASK) >> COUNT_SHIFT
    }

    #[inline]
    pub(super) fn count(self) -> usize {
        // At most 32 bits, and a usize has at least as many wherever the word is 64 bits wide.
        self.count_bits() as usize
    }

    #[inline]
    pub(super) fn round(self) -> Round {
        Round(self.0 & ROUND_MASK)
    }

    /// One more piece of work, and whether there was room for it.
    #[inline]
    pub(super) fn entered(self) -> (Self, bool) {
        (Self(self.0.wrapping_add(ONE)), self.count_bits() < HALF)
    }

    /// `n` more pieces of work.
    pub(super) fn enter_many(self, n: usize) -> Result<Self, Overflow> {
        let n = Bits::try_from(n).map_err(|_| Overflow(()))?;
        match self.count_bits().checked_add(n) {
            Some(count) if count <= HALF => Ok(Self(self.0 + (n << COUNT_SHIFT))),
            _ => Err(Overflow(())),
        }
    }

    /// One piece of work less; and whether the count reached zero while somebody waits.
    #[inline]
    pub(super) fn leave(self) -> Result<(Self, bool), Unbalanced> {
        match (self.count_bits(), self.0 & WAITERS) {
            (0, _) => Err(Unbalanced(())),
            (1, WAITERS) => {
                let round = self.0.wrapping_add(ROUND_STEP) & ROUND_MASK;
                Ok((Self(round), true))
            }
            _ => Ok((Self(self.0 - ONE), false)),
        }
    }

    /// Whether a wait that announced itself in `seen`, or not at all yet, is over.
    #[inline]
    pub(super) fn is_over(self, seen: Option<Round>) -> bool {
        self.count_bits() == 0 || seen.is_some_and(|seen| seen != self.round())
    }

    /// Somebody is parked; `None` if the wait is over.
    pub(super) fn announce(self, seen: Option<Round>) -> Option<Self> {
        if self.is_over(seen) { None } else { Some(Self(self.0 | WAITERS)) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn word(count: Bits, round: Bits, waiters: bool) -> Word {
        Word(count << COUNT_SHIFT | round << ROUND_SHIFT | Bits::from(waiters))
    }

    #[test]
    fn the_fields_do_not_overlap_and_fit() {
        assert_eq!(WAITERS & ROUND_MASK, 0);
        assert_eq!(ROUND_MASK & COUNT_MASK, 0);
        assert_eq!(COUNT_MASK.count_ones(), width::COUNT);
        assert_eq!(ROUND_MASK.count_ones(), width::ROUND);
    }

    #[test]
    fn the_last_to_leave_fires_only_if_somebody_waits() {
        assert_eq!(word(1, 3, false).leave(), Ok((word(0, 3, false), false)));
        assert_eq!(word(1, 2, true).leave(), Ok((word(0, 3, false), true)));
        assert_eq!(word(2, 2, true).leave(), Ok((word(1, 2, true), false)));
    }

    /// Rule 1: an unbalanced `done` is an error and changes nothing.
    #[test]
    fn nobody_leaves_an_idle_word() {
        assert_eq!(word(0, 1, false).leave(), Err(Unbalanced(())));
    }

    /// Rule 1: no count ever wraps.
    #[test]
    fn half_the_range_is_full() {
        assert_eq!(word(HALF - 1, 0, true).entered(), (word(HALF, 0, true), true));
        assert_eq!(word(HALF, 0, true).entered(), (word(HALF + 1, 0, true), false));
        assert!(word(HALF, 0, true).enter_many(0).is_ok());
        assert!(word(HALF, 0, true).enter_many(1).is_err());
        assert!(word(1, 0, true).enter_many(usize::MAX).is_err());
        let full = word(1, 3, true).enter_many(HALF as usize - 1).unwrap();
        assert_eq!(full, word(HALF, 3, true));
    }

    /// Rule 3: a wrap of the round completes late, never early.
    #[test]
    fn the_round_wraps_inside_its_field() {
        let last = ROUND_MASK >> ROUND_SHIFT;
        assert_eq!(word(1, last, true).leave(), Ok((word(0, 0, false), true)));
        let seen = word(1, 0, true).round();
        assert!(!word(1, 0, true).is_over(Some(seen)), "a whole turn looks like none");
        assert!(word(0, 0, false).is_over(Some(seen)), "and the next zero ends the wait");
    }

    #[test]
    fn an_announcement_finds_the_end_or_marks_the_word() {
        let here = word(2, 1, false);
        assert_eq!(here.announce(None), Some(word(2, 1, true)));
        assert_eq!(here.announce(Some(here.round())), Some(word(2, 1, true)));
        assert_eq!(here.announce(Some(word(0, 0, false).round())), None);
        assert_eq!(word(0, 1, false).announce(None), None);
    }
}
