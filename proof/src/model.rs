//! Sequential models of the public types, written from the rules of `docs/design.md` and from the rustdoc.
//!
//! A model is a value: what the object is, as far as a caller can tell. [`Model::step`] says what one
//! operation with one outcome makes of it, and so also which outcomes are allowed.
//!
//! **More than one step.** Where the documents promise less than "all at one instant", the operation has
//! several steps ([`Then::Go`]), each of which happens at an instant of its own between the call and the
//! return. The first closer of a signal with a value claims it and then publishes it (rule 6); the call that
//! ends a group may drain it a moment later (rule 16). Each such place names its rule. Where two states are
//! possible after a step, the model gives both, and it has to be wrong in both to refuse an outcome.
//!
//! A sequence of calls by one thread is the history without overlap, so the same models serve for that:
//! [`Possible`] keeps all states that explain what was seen so far.

pub mod group;
pub mod signal;
pub mod tree;
pub mod wait_group;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What a call gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that says anything.
    Unit,
    /// A plain answer.
    Bool(bool),
    /// A number of things in flight, or of how many may be; if there is none, [`Refused`](Self::Refused) says what is
    /// missing.
    Count(usize),
    /// The call did what it says.
    Ok,
    /// The call was refused, and gave back what it was given, if anything.
    Refused(Refusal),
    /// A value or a reason, if there is one.
    Value(Option<u8>),
    /// A wait is over.
    Ready,
    /// A wait goes on.
    Pending,
    /// The errors that were kept, in order, and how many were not.
    Errors(Vec<u8>, usize),
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `Overflow`, and `Refused::Full`.
    Full,
    /// `Refused::Closed`, and what a close, a cancel or a record gives that came too late.
    Closed,
    /// `Unbalanced`.
    Unbalanced,
    /// `Unlimited`.
    Unlimited,
}

/// What comes after a step of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The operation has no more steps: it may return.
    Return,
    /// It has another step, with this number.
    Go(u8),
}

/// The possible results of one step.
pub type Steps<M> = Vec<(M, Then)>;

/// What an object is, as far as its callers can tell.
pub trait Model: Clone + Debug + Eq + Hash {
    /// A call, with its arguments.
    type Op: Clone + Debug;

    /// Adds to `steps` what the step `phase` of `op`, whose outcome is known, may make of the object. Adds
    /// nothing if this step cannot happen now, or never gives that outcome. The first step has the number 0.
    fn step(&self, op: &Self::Op, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>);

    /// Whether the outcome of `op` tells something and changes nothing. A history that is wrong without it is
    /// wrong with it, so a report leaves out those that are not needed.
    fn only_looks(op: &Self::Op) -> bool;
}

/// The states that an object may be in after the calls of one thread.
#[derive(Clone, Debug)]
pub struct Possible<M> {
    states: HashSet<M>,
}

impl<M: Model> Possible<M> {
    /// One state.
    pub fn new(model: M) -> Self {
        Self { states: HashSet::from([model]) }
    }

    /// Takes in what a call gave, from its first step to its last. False if no state explains it.
    #[must_use]
    pub fn explains(&mut self, op: &M::Op, outcome: &Outcome) -> bool {
        let mut open: Vec<(M, u8)> = self.states.drain().map(|state| (state, 0)).collect();
        let mut seen: HashSet<(M, u8)> = open.iter().cloned().collect();
        let mut steps = Vec::new();
        while let Some((state, phase)) = open.pop() {
            state.step(op, phase, outcome, &mut steps);
            for (next, then) in steps.drain(..) {
                match then {
                    Then::Return => drop(self.states.insert(next)),
                    Then::Go(phase) if seen.insert((next.clone(), phase)) => {
                        open.push((next, phase));
                    }
                    Then::Go(_) => {}
                }
            }
        }
        !self.states.is_empty()
    }

    /// Whether `holds` is true of each state.
    pub fn all(&self, holds: impl Fn(&M) -> bool) -> bool {
        self.states.iter().all(holds)
    }

    /// Whether `holds` is true of some state.
    pub fn any(&self, holds: impl Fn(&M) -> bool) -> bool {
        self.states.iter().any(holds)
    }
}

/// Where a wait is, of those that are over once and for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Waits {
    /// Not polled yet, or not there.
    #[default]
    New,
    /// Polled and pending. Whatever ends it must wake it.
    Parked,
    /// Over, whether it was polled since or not: "ready again after it was ready".
    Over,
}

impl Waits {
    /// What a poll gives while the thing that is waited for is `over` (rule 7).
    pub fn poll(self, over: bool) -> (Self, Outcome) {
        match self {
            Self::Over => (self, Outcome::Ready),
            _ if over => (Self::Over, Outcome::Ready),
            _ => (Self::Parked, Outcome::Pending),
        }
    }
}
