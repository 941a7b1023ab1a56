//! The state of a population in one word; no atomics and no wake-ups here.
//!
//! | bits | name      | set by                  | cleared by                     | while set                     |
//! |------|-----------|-------------------------|--------------------------------|-------------------------------|
//! | 0    | `CLOSED`  | the first close         | never                          | nobody enters from outside    |
//! | 1    | `QUEUED`  | a wait for room         | who serves and finds nobody    | who leaves passes his place on, and nobody else enters |
//! | 2    | `FRESH`   | a wait for room         | who serves, before he looks    | (somebody sat down since)     |
//! | 3..  | `ONE` × n | entering                | leaving                        | n are inside                  |
//!
//! | from                            | step      | to                                              |
//! |---------------------------------|-----------|-------------------------------------------------|
//! | `CLOSED`                        | enter     | refused (closed), unchanged                     |
//! | `QUEUED`, or count ≥ limit      | enter     | refused (full), unchanged                       |
//! | else                            | enter     | count + 1                                       |
//! | count < half                    | join in   | count + 1, whatever the limit and the door      |
//! | `QUEUED`, open, count ≤ limit   | leave     | unchanged: the place is passed on               |
//! | else                            | leave     | count − 1                                       |
//! | any                             | close     | `CLOSED`                                        |
//! | `CLOSED`                        | announce  | refused, unchanged                              |
//! | count < limit                   | announce  | count + 1: a place, to be passed on             |
//! | count ≥ limit                   | announce  | `QUEUED`, `FRESH`                               |
//! | `FRESH`                         | give back | unchanged: look again                           |
//! | else                            | give back | count − 1, no `QUEUED`                          |
//!
//! Who joins in is asked by one who is inside, so closed with a count of zero is reached once, by one
//! step, and left never. `QUEUED` implies count ≥ limit.

use crate::error::Refused;

/// The door is closed.
pub(super) const CLOSED: usize = 1;
/// Somebody waits for room.
const QUEUED: usize = 1 << 1;
/// Somebody waits for room who was not there when the queue was looked at last.
pub(super) const FRESH: usize = 1 << 2;
/// One who is inside.
pub(super) const ONE: usize = 1 << 3;

/// Where entering is refused whatever the limit. The other half of the range is the margin for
/// threads that all looked before any of them was counted.
#[cfg(not(winddown_small_word))]
pub(super) const HALF: usize = usize::MAX / ONE / 2 + 1;
/// Enough for tests to reach the limit by a few calls.
#[cfg(winddown_small_word)]
pub(super) const HALF: usize = 8;

/// Kept in the count of a sharded population until all shards are folded into it, so that it cannot
/// look like none too early.
pub(super) const BIAS: usize = usize::MAX / ONE / 4;

/// One value of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) usize);

/// What an entry that waits for room leads to.
pub(super) enum Announced {
    /// There is room: the place goes to whoever is first in the queue.
    PassOn(Word),
    /// There is none: the word says that somebody waits.
    Waits(Word),
}

impl Word {
    pub(super) const EMPTY: Self = Self(0);
    pub(super) const BIASED: Self = Self(BIAS * ONE);

    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    fn is_queued(self) -> bool {
        self.0 & QUEUED != 0
    }

    pub(super) fn count(self) -> usize {
        self.0 / ONE
    }

    /// Closed and empty.
    pub(super) fn is_over(self) -> bool {
        self.0 & !(QUEUED | FRESH) == CLOSED
    }

    pub(super) fn enter(self, limit: usize) -> Result<Self, Refused> {
        if self.is_closed() {
            Err(Refused::Closed)
        } else if self.is_queued() || self.count() >= limit {
            Err(Refused::Full)
        } else {
            Ok(Self(self.0 + ONE))
        }
    }

    /// Whether one more may join in.
    pub(super) fn has_margin(self) -> Result<(), Refused> {
        if self.count() < HALF { Ok(()) } else { Err(Refused::Full) }
    }

    /// None if the place is to be passed on.
    pub(super) fn leave(self, limit: usize) -> Option<Self> {
        let pass_on = self.is_queued() && !self.is_closed() && self.count() <= limit;
        (!pass_on).then(|| Self(self.0 - ONE))
    }

    pub(super) fn announce(self, limit: usize) -> Result<Announced, Refused> {
        if self.is_closed() {
            Err(Refused::Closed)
        } else if self.count() < limit {
            Ok(Announced::PassOn(Self(self.0 + ONE)))
        } else {
            Ok(Announced::Waits(Self(self.0 | QUEUED | FRESH)))
        }
    }

    /// None if the queue is to be looked at again.
    pub(super) fn give_back(self) -> Option<Self> {
        (self.0 & FRESH == 0).then(|| Self((self.0 & !QUEUED) - ONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_step_changes_nothing_and_names_its_reason() {
        let full = Word(3 * ONE);
        assert_eq!(full.enter(3), Err(Refused::Full));
        assert_eq!(Word(CLOSED | ONE).enter(3), Err(Refused::Closed));
        assert_eq!(Word(QUEUED | ONE).enter(3), Err(Refused::Full), "a newcomer never overtakes");
        assert_eq!(Word(2 * ONE).enter(3), Ok(full));
    }

    #[test]
    fn a_place_is_passed_on_only_while_the_door_is_open_and_the_limit_is_kept() {
        assert_eq!(Word(QUEUED | (3 * ONE)).leave(3), None);
        assert_eq!(Word(QUEUED | (4 * ONE)).leave(3), Some(Word(QUEUED | (3 * ONE))));
        assert_eq!(Word(QUEUED | CLOSED | ONE).leave(3), Some(Word(QUEUED | CLOSED)));
        assert!(Word(QUEUED | CLOSED).is_over() && !Word(QUEUED).is_over());
    }
}
