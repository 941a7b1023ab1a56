//! The model of `Signal`.

use super::{Model, Outcome, Refusal, Steps, Then, Waits};

/// How many waits there may be.
pub const WAITS: usize = 12;

/// A signal, with or without a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signal {
    state: State,
    /// Rule 6: "a `T` without size and without drop is closed in one step".
    in_one_step: bool,
    waits: [Waits; WAITS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Open,
    /// Rule 6: closed from the claim on; the value is not there yet.
    Claimed(u8),
    Published(u8),
}

/// A call of a signal. The values are numbers; a signal without a value is closed with 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after the call that it stands for")]
pub enum Op {
    CloseWith(u8),
    Get,
    IsClosed,
    Poll(usize),
    /// `block_for` a short time.
    BlockFor,
    DropWait(usize),
    /// When nothing else is going on: whether the waker of the last poll was woken.
    Woken(usize),
}

impl Signal {
    /// An open one.
    pub fn new(in_one_step: bool) -> Self {
        Self { state: State::Open, in_one_step, waits: Default::default() }
    }

    /// Whether a wait that was parked is over, so that it must have been woken.
    pub fn must_be_woken(&self, wait: usize) -> bool {
        self.waits[wait] == Waits::Over
    }

    /// Whether a value was put in, and which.
    pub fn value(&self) -> Option<u8> {
        match self.state {
            State::Published(value) => Some(value),
            State::Open | State::Claimed(_) => None,
        }
    }

    fn claim(&self, value: u8) -> (Self, Outcome, Then) {
        match self.state {
            State::Open if self.in_one_step => (self.published(value), Outcome::Ok, Then::Return),
            State::Open => {
                (Self { state: State::Claimed(value), ..self.clone() }, Outcome::Ok, Then::Go(1))
            }
            _ => (self.clone(), Outcome::Refused(Refusal::Closed), Then::Return),
        }
    }

    fn published(&self, value: u8) -> Self {
        let mut next = Self { state: State::Published(value), ..self.clone() };
        for wait in next.waits.iter_mut().filter(|wait| **wait == Waits::Parked) {
            *wait = Waits::Over;
        }
        next
    }
}

impl Model for Signal {
    type Op = Op;

    fn step(&self, op: &Op, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        let same = |outcome| (self.clone(), outcome, Then::Return);
        let is_over = self.value().is_some();
        let (next, allowed, then) = match *op {
            Op::CloseWith(value) if phase == 0 => self.claim(value),
            Op::CloseWith(value) => (self.published(value), Outcome::Ok, Then::Return),
            Op::Get => same(Outcome::Value(self.value())),
            Op::IsClosed => same(Outcome::Bool(self.state != State::Open)),
            Op::Poll(wait) => {
                let mut next = self.clone();
                let (state, outcome) = self.waits[wait].poll(is_over);
                next.waits[wait] = state;
                (next, outcome, Then::Return)
            }
            Op::BlockFor => same(if is_over { Outcome::Ready } else { Outcome::Pending }),
            Op::DropWait(wait) => {
                let mut next = self.clone();
                next.waits[wait] = Waits::New;
                (next, Outcome::Unit, Then::Return)
            }
            Op::Woken(wait) if self.must_be_woken(wait) => same(Outcome::Bool(true)),
            Op::Woken(_) => same(outcome.clone()),
        };
        if allowed == *outcome {
            steps.push((next, then));
        }
    }

    fn only_looks(op: &Op) -> bool {
        matches!(op, Op::Get | Op::IsClosed | Op::BlockFor | Op::Woken(_))
    }
}
