//! The model of `WaitGroup`.

use super::{Model, Outcome, Refusal, Steps, Then, Waits};

/// Half of the range of the count: "it counts to 2,147,483,648".
pub const MOST: u64 = 1 << 31;

/// How many waits there may be.
pub const WAITS: usize = 12;

/// A wait group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WaitGroup {
    /// How many pieces of work are in flight.
    count: u64,
    /// The waits that were polled.
    waits: [Waits; WAITS],
}

/// A call of a wait group. A wait is named by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after the call that it stands for")]
pub enum Op {
    Add(u64),
    Done,
    Guard,
    DropGuard,
    Count,
    IsIdle,
    Poll(usize),
    /// `block_for` a short time.
    BlockFor,
    DropWait(usize),
    /// When nothing else is going on: whether the waker of the last poll was woken.
    Woken(usize),
}

impl WaitGroup {
    /// Whether a wait that was parked is over, so that it must have been woken.
    pub fn must_be_woken(&self, wait: usize) -> bool {
        self.waits[wait] == Waits::Over
    }

    /// Whether nobody may enter any more.
    pub fn is_full(&self) -> bool {
        self.count >= MOST
    }

    fn enter(&self, n: u64) -> (Self, Outcome) {
        // Rule 1: an `add` that would pass half of the range is an error that changes nothing.
        match self.count.checked_add(n) {
            Some(count) if count <= MOST => (Self { count, ..self.clone() }, Outcome::Ok),
            _ => (self.clone(), Outcome::Refused(Refusal::Full)),
        }
    }

    /// Rule 1: a `done` beyond the `add`s takes the count of a guard, whose drop then changes nothing.
    fn leave(&self) -> (Self, Outcome) {
        let Some(count) = self.count.checked_sub(1) else {
            return (self.clone(), Outcome::Refused(Refusal::Unbalanced));
        };
        let mut next = Self { count, ..self.clone() };
        if count == 0 {
            // Rule 3: a wait is over if the count was zero at any moment after its first poll.
            for wait in next.waits.iter_mut().filter(|wait| **wait == Waits::Parked) {
                *wait = Waits::Over;
            }
        }
        (next, Outcome::Ok)
    }

    fn poll(&self, wait: usize) -> (Self, Outcome) {
        let mut next = self.clone();
        let (state, outcome) = match self.waits[wait] {
            // It has seen no zero, or it would be over.
            Waits::Parked => (Waits::Parked, Outcome::Pending),
            other => other.poll(self.count == 0),
        };
        next.waits[wait] = state;
        (next, outcome)
    }

    fn block(&self, outcome: &Outcome) -> Option<Outcome> {
        match outcome {
            // Rule 3: never without a zero between the call and the return.
            Outcome::Ready => (self.count == 0).then_some(Outcome::Ready),
            // It registered, so there was no zero then. What it says of the count is of a later moment.
            Outcome::Count(left) => (self.count > 0).then_some(Outcome::Count(*left)),
            _ => None,
        }
    }
}

impl Model for WaitGroup {
    type Op = Op;

    fn step(&self, op: &Op, _: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        let same = |outcome| (self.clone(), outcome);
        let (next, allowed) = match *op {
            Op::Add(n) => self.enter(n),
            Op::Guard => self.enter(1),
            Op::Done => self.leave(),
            Op::DropGuard => (self.leave().0, Outcome::Unit),
            Op::Count => same(Outcome::Count(usize::try_from(self.count).unwrap_or(usize::MAX))),
            Op::IsIdle => same(Outcome::Bool(self.count == 0)),
            Op::Poll(wait) => self.poll(wait),
            Op::BlockFor => match self.block(outcome) {
                Some(allowed) => same(allowed),
                None => return,
            },
            Op::DropWait(wait) => {
                let mut next = self.clone();
                next.waits[wait] = Waits::New;
                (next, Outcome::Unit)
            }
            Op::Woken(wait) if self.must_be_woken(wait) => same(Outcome::Bool(true)),
            Op::Woken(_) => same(outcome.clone()),
        };
        if allowed == *outcome {
            steps.push((next, Then::Return));
        }
    }

    fn only_looks(op: &Op) -> bool {
        matches!(op, Op::Count | Op::IsIdle | Op::BlockFor | Op::Woken(_))
    }
}
