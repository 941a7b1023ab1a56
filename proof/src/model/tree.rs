//! The model of the cancellation tree: `CancelScope`, `CancelToken`, `Canceller`, `Registration`.

use super::{Model, Outcome, Refusal, Steps, Then};

/// How many scopes a tree may have.
pub const NODES: usize = 8;
/// How many waits there may be.
pub const WAITS: usize = 12;
/// How many callbacks there may be.
pub const CALLBACKS: usize = 8;

/// `Reason::Cancelled` as a number. A message has the number of its text.
pub const CANCELLED: u8 = 100;
/// `Reason::Dropped` as a number.
pub const DROPPED: u8 = 101;

/// A tree of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tree {
    nodes: [Option<Node>; NODES],
    /// At which scope a wait is parked.
    waits: [Option<u8>; WAITS],
    callbacks: [Callback; CALLBACKS],
    /// How many calls are going on that may run callbacks.
    busy: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Node {
    parent: Option<u8>,
    /// Rule 8: "unless a `shielded` scope cuts it off".
    shielded: bool,
    /// Rule 8: fixed once.
    reason: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Callback {
    #[default]
    None,
    Registered(u8),
    TakenBack,
    Ran,
}

/// A call on a scope of the tree. Scopes, waits and callbacks are named by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after the call that it stands for")]
pub enum Op {
    Child {
        parent: u8,
        id: u8,
    },
    Shielded {
        parent: u8,
        id: u8,
    },
    Cancel {
        node: u8,
        reason: u8,
    },
    DropScope {
        node: u8,
    },
    IsCancelled {
        node: u8,
    },
    Reason {
        node: u8,
    },
    Poll {
        wait: usize,
        node: u8,
    },
    DropWait {
        wait: usize,
    },
    OnCancel {
        callback: usize,
        node: u8,
    },
    Deregister {
        callback: usize,
    },
    /// The drop of the registration.
    DropRegistration {
        callback: usize,
    },
    /// When nothing else is going on: whether the waker of the last poll was woken.
    Woken {
        wait: usize,
    },
    /// When nothing else is going on: how often the callback ran.
    Ran {
        callback: usize,
    },
}

/// The last step of a call that may run callbacks.
const DELIVERED: u8 = 2;

impl Tree {
    /// A root, with the number 0.
    pub fn new() -> Self {
        let mut tree = Self::default();
        tree.nodes[0] = Some(Node::default());
        tree
    }

    /// The tree with one more scope.
    #[must_use]
    pub fn with_child(&self, parent: u8, id: u8) -> Self {
        self.born(parent, id, false)
    }

    /// Whether a wait that was parked is over, so that it must have been woken.
    pub fn must_be_woken(&self, wait: usize) -> bool {
        self.waits[wait].is_some_and(|node| self.is_cancelled(node))
    }

    /// Whether the scope is there.
    pub fn has(&self, node: u8) -> bool {
        self.nodes[usize::from(node)].is_some()
    }

    fn node(&self, node: u8) -> &Node {
        self.nodes[usize::from(node)].as_ref().expect("the scope was made before it is used")
    }

    fn node_mut(&mut self, node: u8) -> &mut Node {
        self.nodes[usize::from(node)].as_mut().expect("the scope was made before it is used")
    }

    /// The scope and those above it, up to one that is shielded.
    fn line(&self, node: u8) -> impl Iterator<Item = u8> + '_ {
        std::iter::successors(Some(node), |&node| {
            let Node { parent, shielded, .. } = *self.node(node);
            parent.filter(|_| !shielded)
        })
    }

    /// The reason of the nearest scope that has one.
    fn found(&self, node: u8) -> Option<u8> {
        self.line(node).find_map(|node| self.node(node).reason)
    }

    fn is_cancelled(&self, node: u8) -> bool {
        self.found(node).is_some()
    }

    /// Rule 8: a question fixes what it finds, in its own scope and in all between.
    fn fixed(&self, node: u8) -> Self {
        let mut next = self.clone();
        if let Some(found) = self.found(node) {
            let open = |node: &u8| self.node(*node).reason.is_none();
            for node in self.line(node).take_while(open) {
                next.node_mut(node).reason = Some(found);
            }
        }
        next
    }

    fn with_reason(&self, node: u8, reason: u8) -> Self {
        let mut next = self.clone();
        next.node_mut(node).reason = Some(reason);
        next
    }

    fn begins(mut self) -> Self {
        self.busy += 1;
        self
    }

    /// Rule 10: a callback runs on the thread whose call delivers the cancellation, which may be any of those
    /// that race. When the last of them returns, all have run.
    fn ends(mut self) -> Self {
        self.busy -= 1;
        if self.busy == 0 {
            for at in 0..CALLBACKS {
                let due = |node| self.is_cancelled(node);
                if matches!(self.callbacks[at], Callback::Registered(node) if due(node)) {
                    self.callbacks[at] = Callback::Ran;
                }
            }
        }
        self
    }

    fn born(&self, parent: u8, id: u8, shielded: bool) -> Self {
        let mut next = self.clone();
        next.nodes[usize::from(id)] = Some(Node { parent: Some(parent), shielded, reason: None });
        next
    }

    /// Rule 8: a cancel looks up first and adopts what it finds; otherwise it settles its own scope. Between the
    /// two an ancestor may be cancelled: "the node and its descendants may have fixed different ones of the two".
    fn cancel(&self, node: u8, reason: u8, phase: u8, steps: &mut Vec<(Self, bool, Then)>) {
        let own = self.node(node).reason;
        match (phase, self.found(node)) {
            (0, Some(_)) => steps.push((self.fixed(node).begins(), false, Then::Go(DELIVERED))),
            (0, None) => steps.push((self.clone().begins(), true, Then::Go(1))),
            (1, _) if own.is_some() => steps.push((self.clone(), false, Then::Go(DELIVERED))),
            (1, above) => {
                steps.push((self.with_reason(node, reason), true, Then::Go(DELIVERED)));
                if above.is_some() {
                    steps.push((self.fixed(node), false, Then::Go(DELIVERED)));
                }
            }
            _ => {
                steps.push((self.clone().ends(), true, Then::Return));
                steps.push((self.clone().ends(), false, Then::Return));
            }
        }
        if phase == 0 {
            // The outcome is known after the next step.
            if let Some((state, true, then)) = steps.first().cloned() {
                steps.push((state, false, then));
            }
        }
    }

    /// Rule 10: on a scope that is cancelled it runs before the registration returns. Otherwise it may have run
    /// by then, if a cancel races with it.
    fn on_cancel(&self, at: usize, node: u8, phase: u8, ran: bool) -> Option<(Self, Then)> {
        let mut next = self.clone();
        match (phase, self.is_cancelled(node)) {
            (0, true) if ran => next.callbacks[at] = Callback::Ran,
            (0, true) => return None,
            (0, false) => next.callbacks[at] = Callback::Registered(node),
            (_, true) if ran => next.callbacks[at] = Callback::Ran,
            (_, _) if ran && self.callbacks[at] != Callback::Ran => return None,
            _ => {}
        }
        if phase == 0 {
            Some((next.begins(), Then::Go(DELIVERED)))
        } else {
            Some((next.ends(), Then::Return))
        }
    }

    /// Rule 10: "`deregister` also tells whether it was in time".
    fn deregister(&self, at: usize, in_time: bool) -> Option<Self> {
        let mut next = self.clone();
        match self.callbacks[at] {
            Callback::Registered(_) if in_time => next.callbacks[at] = Callback::TakenBack,
            Callback::Registered(node) if self.is_cancelled(node) => {
                next.callbacks[at] = Callback::Ran;
            }
            Callback::Ran if !in_time => {}
            _ => return None,
        }
        Some(next)
    }

    fn poll(&self, wait: usize, node: u8, phase: u8) -> (Self, Outcome, Then) {
        if phase == DELIVERED {
            return (self.clone().ends(), Outcome::Unit, Then::Return);
        }
        let mut next = self.clone();
        next.waits[wait] = Some(node);
        let outcome = if self.is_cancelled(node) { Outcome::Ready } else { Outcome::Pending };
        // "Where a cancellation from above meets the first wait below it, the waiting thread may have to
        // deliver it."
        (next.begins(), outcome, Then::Go(DELIVERED))
    }

    /// What has one step, and one outcome.
    fn simple(&self, op: &Op, outcome: &Outcome) -> Option<(Self, Outcome)> {
        let same = |outcome| (self.clone(), outcome);
        Some(match *op {
            Op::Child { parent, id } => (self.born(parent, id, false), Outcome::Unit),
            Op::Shielded { parent, id } => (self.born(parent, id, true), Outcome::Unit),
            Op::IsCancelled { node } => same(Outcome::Bool(self.is_cancelled(node))),
            Op::Reason { node } => {
                let next = self.fixed(node);
                let reason = next.node(node).reason;
                (next, Outcome::Value(reason))
            }
            Op::DropWait { wait } => {
                let mut next = self.clone();
                next.waits[wait] = None;
                (next, Outcome::Unit)
            }
            Op::Deregister { callback } => {
                let in_time = *outcome == Outcome::Bool(true);
                (self.deregister(callback, in_time)?, Outcome::Bool(in_time))
            }
            Op::Woken { wait } if self.must_be_woken(wait) => same(Outcome::Bool(true)),
            Op::Woken { .. } => same(outcome.clone()),
            Op::Ran { callback } => {
                let ran = self.callbacks[callback] == Callback::Ran;
                same(Outcome::Count(usize::from(ran)))
            }
            _ => return None,
        })
    }
}

impl Model for Tree {
    type Op = Op;

    fn step(&self, op: &Op, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        match *op {
            Op::Cancel { node, .. } | Op::DropScope { node } => {
                let reason = if let Op::Cancel { reason, .. } = *op { reason } else { DROPPED };
                let mut ways = Vec::new();
                self.cancel(node, reason, phase, &mut ways);
                let allowed = |won| match (op, won) {
                    (Op::DropScope { .. }, _) => *outcome == Outcome::Unit,
                    (_, true) => *outcome == Outcome::Ok,
                    (_, false) => *outcome == Outcome::Refused(Refusal::Closed),
                };
                steps.extend(
                    ways.into_iter().filter_map(|(s, won, then)| allowed(won).then_some((s, then))),
                );
            }
            Op::OnCancel { callback, node } => {
                steps.extend(self.on_cancel(
                    callback,
                    node,
                    phase,
                    *outcome == Outcome::Bool(true),
                ));
            }
            Op::DropRegistration { callback } => {
                let ways = [true, false].into_iter();
                let ways = ways.filter_map(|in_time| self.deregister(callback, in_time));
                steps.extend(ways.map(|next| (next, Then::Return)));
            }
            Op::Poll { wait, node } => {
                let (next, allowed, then) = self.poll(wait, node, phase);
                if phase == DELIVERED || allowed == *outcome {
                    steps.push((next, then));
                }
            }
            _ => {
                if let Some((next, allowed)) = self.simple(op, outcome) {
                    if allowed == *outcome {
                        steps.push((next, Then::Return));
                    }
                }
            }
        }
    }

    fn only_looks(op: &Op) -> bool {
        matches!(op, Op::IsCancelled { .. } | Op::Woken { .. } | Op::Ran { .. })
    }
}
