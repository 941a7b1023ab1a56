//! The word of a block: two bits for each seat, and above them the state of the block.
//!
//! | seat         | means                                               | left by                        |
//! |--------------|-----------------------------------------------------|--------------------------------|
//! | 00 free      | any wait may claim it                               | `claim`, `open`                |
//! | 01 claimed   | its owner writes the target                         | the owner's arm                |
//! | 11 armed     | the next notifier fires it                          | `fire`; the owner's free       |
//! | 10 fired     | the target is the deliverer's, which only reads it  | the owner's free               |
//!
//! | block     | means                                                       | step                            |
//! |-----------|-------------------------------------------------------------|---------------------------------|
//! | `OPEN`    | it listens, or a notifier has it and is still to fire it    | `fire`: some armed: `FIRED`; none: `SPENT`, but a front stays open |
//! | `FIRED`   | one delivery has it, with the mask of what was fired        | delivered: `SPENT`; a front: `OPEN` |
//! | `SPENT`   | it does not listen, and is in no list                       | one opener: `OPENING`           |
//! | `OPENING` | one opener has it, and its listener                         | `open`: `OPEN`; `fire`: `MISSED` |
//! | `MISSED`  | the listener was used up; the block is still the opener's   | the opener: `OPENING`           |
//! | `ABANDONED`    | its wait has gone, and a notifier is still to fire it       | `fire`: `SPENT`                 |
//!
//! SeatMask are freed in every state of their block, and claimed in an open one alone. So what a seat holds is
//! written by nobody from its arm until its owner has freed it **and** its delivery is over.

/// How many seats a word has room for.
pub(super) const SEATS: usize = (usize::BITS as usize - 3) / 2;

const SHIFT: u32 = usize::BITS - 3;
/// The low bit of each seat.
const LOW: usize = usize::MAX / 3;
const STATE: usize = 7 << SHIFT;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) usize);

pub(super) const OPEN: usize = 0 << SHIFT;
pub(super) const FIRED: usize = 1 << SHIFT;
pub(super) const SPENT: usize = 2 << SHIFT;
pub(super) const OPENING: usize = 3 << SHIFT;
pub(super) const MISSED: usize = 4 << SHIFT;
pub(super) const ABANDONED: usize = 5 << SHIFT;

/// What an arm adds to a claimed seat.
#[inline]
pub(super) const fn arms(seat: usize) -> usize {
    2 << (2 * seat)
}

/// The bits of a seat.
#[inline]
pub(super) const fn bits(seat: usize) -> usize {
    3 << (2 * seat)
}

/// The seats of a mask, which has their low bits.
#[derive(Clone)]
pub(super) struct SeatMask(pub(super) usize);

impl SeatMask {
    pub(super) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub(super) fn is_one(&self) -> bool {
        self.0.is_power_of_two()
    }
}

impl Iterator for SeatMask {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let mask = self.0;
        self.0 &= mask.wrapping_sub(1);
        (mask != 0).then(|| mask.trailing_zeros() as usize / 2)
    }
}

/// The bit of a seat in a mask.
#[inline]
pub(super) const fn low(seat: usize) -> usize {
    1 << (2 * seat)
}

impl Word {
    #[inline]
    pub(super) fn state(self) -> usize {
        self.0 & STATE
    }

    pub(super) fn with_state(self, state: usize) -> Self {
        Self(self.0 & !STATE | state)
    }

    #[inline]
    pub(super) fn is_armed(self, seat: usize) -> bool {
        self.0 & bits(seat) == bits(seat)
    }

    /// The mask of the seats that are armed.
    #[inline]
    pub(super) fn armed(self) -> usize {
        self.0 & self.0 >> 1 & LOW & !STATE
    }

    /// The mask of those among the first `number` seats that are free.
    #[inline]
    fn free(self, number: usize) -> usize {
        let all = LOW & ((1 << (2 * number)) - 1);
        !(self.0 | self.0 >> 1) & all
    }

    /// The first free seat among the first `number`, claimed.
    #[inline]
    fn take(self, number: usize) -> Option<(Self, usize)> {
        let free = self.free(number);
        let first = free & free.wrapping_neg();
        (free != 0).then(|| (Self(self.0 | first), first.trailing_zeros() as usize / 2))
    }

    /// Claims a seat of an open block.
    #[inline]
    pub(super) fn claim(self, number: usize) -> Option<(Self, usize)> {
        if self.state() == OPEN { self.take(number) } else { None }
    }

    /// Takes a spent block to be opened, if it is worth the listener: if half of its seats are free.
    pub(super) fn reopen(self, number: usize) -> Option<Self> {
        let free = self.free(number).count_ones() as usize;
        (self.state() == SPENT && 2 * free >= number).then(|| self.with_state(OPENING))
    }

    /// Opens the block with a seat claimed. None if the listener was used up meanwhile.
    pub(super) fn open(self, number: usize) -> Option<(Self, usize)> {
        if self.state() == OPENING { self.with_state(OPEN).take(number) } else { None }
    }

    /// What a notifier does to a front, and the mask of the targets that it gets. None if nothing is armed, or
    /// another delivery has it.
    #[inline]
    pub(super) fn fire_front(self) -> Option<(Self, usize)> {
        let armed = self.armed();
        let fires = self.state() == OPEN && armed != 0;
        fires.then(|| (Self(self.0 & !armed).with_state(FIRED), armed))
    }

    /// What a notifier does to a further block whose listener it used up, and the mask of the targets that it gets.
    pub(super) fn fire(self) -> (Self, usize) {
        match self.state() {
            OPEN => self.fire_front().unwrap_or((self.with_state(SPENT), 0)),
            OPENING => (self.with_state(MISSED), 0),
            ABANDONED => (self.with_state(SPENT), 0),
            state => unreachable!("a block that listened is open or being opened, not {state:#x}"),
        }
    }

    /// Frees the seat of a block of one, and takes the block from the list, unless it was fired.
    pub(super) fn leave(self) -> Option<Self> {
        let leaves = self.state() == OPEN && self.is_armed(0);
        leaves.then(|| Self(self.0 & !bits(0)).with_state(OPENING))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn seats_are_claimed_in_order_and_each_once() {
        for number in [0, 1, 4, SEATS] {
            let mut word = Word(OPEN);
            for expected in 0..number {
                let (next, seat) = word.claim(number).unwrap();
                assert_eq!(seat, expected);
                assert_eq!(next.armed(), 0);
                word = next;
            }
            assert_eq!(word.claim(number), None);
            assert_eq!(word.state(), OPEN);
        }
    }

    #[test]
    fn a_fire_takes_what_is_armed_and_nothing_else() {
        // Free, claimed, armed, fired.
        let word = Word(OPEN | 0b10_11_01_00);
        let (next, mask) = word.fire();
        assert_eq!((next, mask), (Word(FIRED | 0b10_10_01_00), 0b01_00_00));
        assert_eq!(SeatMask(mask).collect::<alloc::vec::Vec<_>>(), [2]);
        assert_eq!(next.fire_front(), None, "a delivery has it");
        assert_eq!(Word(OPEN | 0b10_01).fire(), (Word(SPENT | 0b10_01), 0));
        assert_eq!(Word(OPENING | 0b10).fire(), (Word(MISSED | 0b10), 0));
        assert_eq!(Word(ABANDONED).fire(), (Word(SPENT), 0));
    }

    #[test]
    fn every_seat_fits_beside_the_state() {
        let all = (0..SEATS).fold(0, |all, seat| all | bits(seat));
        assert_eq!(all & STATE, 0);
        assert_eq!(Word(ABANDONED | all).armed(), (0..SEATS).map(low).sum());
        assert_eq!(Word(SPENT | all).reopen(SEATS), None);
        assert_eq!(Word(SPENT).reopen(SEATS), Some(Word(OPENING)));
    }

    #[test]
    fn a_block_of_one_is_left_by_its_armed_seat_alone() {
        assert_eq!(Word(OPEN | 0b11).leave(), Some(Word(OPENING)));
        assert_eq!(Word(OPEN | 0b10).leave(), None);
        assert_eq!(Word(SPENT | 0b11).leave(), None);
    }

    #[test]
    fn a_block_is_opened_again_when_half_of_it_is_free() {
        assert_eq!(Word(SPENT | 0b10_10).reopen(4), Some(Word(OPENING | 0b10_10)));
        assert_eq!(Word(SPENT | 0b10_10_10).reopen(4), None);
        assert_eq!(Word(SPENT | 0b10).reopen(1), None);
        assert_eq!(Word(FIRED).reopen(4), None);
    }
}
