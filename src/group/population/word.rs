//! The state of a population in one word; no atomics here.
//!
//! | bits | name      | set by          | cleared by | while set                  |
//! |------|-----------|-----------------|------------|----------------------------|
//! | 0    | `CLOSED`  | the first close | never      | nobody enters from outside |
//! | 1..  | `ONE` × n | entering        | leaving    | n are inside               |
//!
//! | from         | step    | to                            |
//! |--------------|---------|-------------------------------|
//! | `CLOSED`     | enter   | refused (closed), unchanged   |
//! | count ≥ half | enter   | refused (full), unchanged     |
//! | else         | enter   | count + 1                     |
//! | count < half | join in | count + 1, whatever the door  |
//! | any          | leave   | count − 1                     |
//! | any          | close   | `CLOSED`                      |
//! | open         | fold    | `CLOSED`, count + `BIAS`      |
//!
//! The last row is a close of a count that is spread over shards, see `count.rs`.
//!
//! Only a task that is counted joins another one in. So `CLOSED` with a count of zero is reached by exactly
//! one step, and is final.

use crate::error::Refused;

/// The door is closed.
pub(super) const CLOSED: usize = 1;
/// One task inside.
pub(super) const ONE: usize = 1 << 1;

/// Where entering is refused. The other half of the range is the margin for threads that all looked
/// before any of them was counted.
#[cfg(not(winddown_small_word))]
const HALF: usize = usize::MAX / ONE / 2 + 1;
/// Enough for tests to reach the limit by a few calls.
#[cfg(winddown_small_word)]
const HALF: usize = 8;

/// In the count from the close of a spread population until all its shards are folded into the word, so that
/// the count cannot reach zero too early. It is below `HALF`, so nobody is refused for its sake.
pub(super) const BIAS: usize = usize::MAX / ONE / 4;

/// One value of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) usize);

impl Word {
    pub(super) const EMPTY: Self = Self(0);

    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(super) fn count(self) -> usize {
        self.0 / ONE
    }

    /// Closed and empty.
    pub(super) fn is_over(self) -> bool {
        self.0 == CLOSED
    }

    pub(super) fn enter(self) -> Result<Self, Refused> {
        if self.is_closed() {
            return Err(Refused::Closed);
        }
        self.has_margin()?;
        Ok(Self(self.0 + ONE))
    }

    /// One task less.
    pub(super) fn leave(self) -> Self {
        Self(self.0 - ONE)
    }

    pub(super) fn close(self) -> Self {
        Self(self.0 | CLOSED)
    }

    /// Closed, with shards that are still to be folded.
    pub(super) fn fold(self) -> Self {
        Self(self.0 + BIAS * ONE).close()
    }

    /// All shards are folded.
    pub(super) fn folded(self) -> Self {
        Self(self.0 - BIAS * ONE)
    }

    /// Whether one more may join in.
    pub(super) fn has_margin(self) -> Result<(), Refused> {
        if self.count() < HALF { Ok(()) } else { Err(Refused::Full) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 1: a refused step changes nothing.
    #[test]
    fn a_refused_step_names_its_reason() {
        assert_eq!(Word(CLOSED | ONE).enter(), Err(Refused::Closed));
        assert_eq!(Word(HALF * ONE).enter(), Err(Refused::Full));
        assert_eq!(Word(CLOSED | (HALF * ONE)).enter(), Err(Refused::Closed));
        assert_eq!(Word(2 * ONE).enter(), Ok(Word(3 * ONE)));
    }

    /// Rule 4.
    #[test]
    fn only_a_closed_and_empty_word_is_over() {
        assert!(Word(CLOSED).is_over());
        assert!(!Word::EMPTY.is_over() && !Word(CLOSED | ONE).is_over());
        assert!(!Word::EMPTY.fold().is_over() && Word::EMPTY.fold().folded().is_over());
        assert_eq!(Word(2 * ONE).fold().folded(), Word(2 * ONE).close());
    }
}
