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

/// The step of a call that has looked up and found nothing.
const OPEN: u8 = 1;
/// The last step of a call that may run callbacks.
const DELIVERED: u8 = 2;
/// The step of a call that has found a cancelled scope: this and the number of that scope. It takes that reason for
/// its own scope, if it has none by then.
const FOUND: u8 = 16;
/// The step of a question that gives what it has found to the scopes between: this and the number of the scope.
const FIXED: u8 = 32;

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

    /// The nearest scope that has a reason of its own.
    fn nearest(&self, node: u8) -> Option<u8> {
        self.line(node).find(|&node| self.node(node).reason.is_some())
    }

    fn is_cancelled(&self, node: u8) -> bool {
        self.nearest(node).is_some()
    }

    /// Rule 8: the scope, and all between it and that one, have its reason from now on, as far as they are open.
    fn fixed(&self, node: u8, found: u8) -> Self {
        let mut next = self.clone();
        let open = |node: &u8| self.node(*node).reason.is_none();
        for node in self.line(node).take_while(open) {
            next.node_mut(node).reason = self.node(found).reason;
        }
        next
    }

    /// The scope alone has the reason of that one, if it is open.
    fn adopted(&self, node: u8, found: u8) -> Self {
        let reason = self.node(node).reason.or(self.node(found).reason);
        let mut next = self.clone();
        next.node_mut(node).reason = reason;
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
    fn cancel(&self, node: u8, reason: u8, phase: u8, won: bool) -> Steps<Self> {
        let (own, found) = (self.node(node).reason, self.nearest(node));
        let mut steps = Steps::new();
        match (phase, found) {
            (0, Some(found)) if !won => {
                steps.push((self.clone().begins(), Then::Go(FOUND + found)));
            }
            (0, None) => steps.push((self.clone().begins(), Then::Go(OPEN))),
            (OPEN, _) if own.is_some() && !won => steps.push((self.clone(), Then::Go(DELIVERED))),
            (OPEN, _) if own.is_none() && won => {
                steps.push((self.with_reason(node, reason), Then::Go(DELIVERED)));
            }
            // The delivery from above came first.
            (OPEN, Some(found)) if !won => {
                steps.push((self.fixed(node, found), Then::Go(DELIVERED)));
            }
            _ => {}
        }
        steps
    }

    /// Rule 10: on a scope that is cancelled it runs before the registration returns. Otherwise it may have run
    /// by then, if a cancel races with it.
    fn on_cancel(&self, at: usize, node: u8, phase: u8, ran: bool) -> Steps<Self> {
        let mut next = self.clone();
        match (phase, self.nearest(node)) {
            (0, Some(found)) if ran => {
                next.callbacks[at] = Callback::Ran;
                return vec![(next.begins(), Then::Go(FOUND + found))];
            }
            (0, None) => {
                next.callbacks[at] = Callback::Registered(node);
                return vec![(next.begins(), Then::Go(OPEN))];
            }
            (OPEN, found) => {
                let is_ran = self.callbacks[at] == Callback::Ran || found.is_some();
                if ran && is_ran {
                    next.callbacks[at] = Callback::Ran;
                }
                return if ran && !is_ran { Vec::new() } else { next.delivers(found) };
            }
            _ => {}
        }
        Steps::new()
    }

    /// "Where a cancellation from above meets the first wait below it, the waiting thread may have to deliver it."
    fn delivers(self, found: Option<u8>) -> Steps<Self> {
        let mut steps = Steps::new();
        steps.extend(found.map(|found| (self.clone(), Then::Go(FOUND + found))));
        steps.push((self, Then::Go(DELIVERED)));
        steps
    }

    /// The steps that all calls share which look for a cancelled scope.
    fn shared(&self, node: u8, phase: u8) -> Option<Steps<Self>> {
        Some(vec![match phase {
            DELIVERED => (self.clone().ends(), Then::Return),
            FOUND..FIXED => (self.adopted(node, phase - FOUND), Then::Go(DELIVERED)),
            _ => return None,
        }])
    }

    /// Rule 8: a question finds the nearest, fixes it for its own scope, which is the answer, and then for those
    /// between.
    fn question(&self, node: u8, phase: u8, answer: Option<u8>) -> Steps<Self> {
        match phase {
            0 => match self.nearest(node) {
                Some(found) if answer.is_some() => vec![(self.clone(), Then::Go(FOUND + found))],
                None if answer.is_none() => vec![(self.clone(), Then::Return)],
                _ => Steps::new(),
            },
            FOUND..FIXED => {
                let next = self.adopted(node, phase - FOUND);
                let is_it = next.node(node).reason == answer;
                let between = Then::Go(FIXED + phase - FOUND);
                if is_it { vec![(next, between)] } else { Steps::new() }
            }
            _ => {
                let above = self.line(node).nth(1).filter(|_| phase - FIXED != node);
                let next = above.map(|above| self.fixed(above, phase - FIXED));
                vec![(next.unwrap_or_else(|| self.clone()), Then::Return)]
            }
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

    fn poll(&self, wait: usize, node: u8, phase: u8, outcome: &Outcome) -> Steps<Self> {
        let found = self.nearest(node);
        if phase == OPEN {
            return self.clone().delivers(found);
        }
        let mut next = self.clone();
        next.waits[wait] = Some(node);
        let allowed = if found.is_some() { Outcome::Ready } else { Outcome::Pending };
        if *outcome == allowed { vec![(next.begins(), Then::Go(OPEN))] } else { Steps::new() }
    }

    /// What has one step, and one outcome.
    fn simple(&self, op: &Op, outcome: &Outcome) -> Option<(Self, Outcome)> {
        let same = |outcome| (self.clone(), outcome);
        Some(match *op {
            Op::Child { parent, id } => (self.born(parent, id, false), Outcome::Unit),
            Op::Shielded { parent, id } => (self.born(parent, id, true), Outcome::Unit),
            Op::IsCancelled { node } => same(Outcome::Bool(self.is_cancelled(node))),
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
            Op::Cancel { node, .. }
            | Op::DropScope { node }
            | Op::OnCancel { node, .. }
            | Op::Poll { node, .. }
                if self.shared(node, phase).is_some() =>
            {
                steps.extend(self.shared(node, phase).into_iter().flatten());
            }
            Op::Cancel { node, reason } => {
                let won = *outcome == Outcome::Ok;
                if won || *outcome == Outcome::Refused(Refusal::Closed) {
                    steps.extend(self.cancel(node, reason, phase, won));
                }
            }
            Op::DropScope { node } => {
                let ways = [true, false].map(|won| self.cancel(node, DROPPED, phase, won));
                steps.extend(ways.into_iter().flatten());
            }
            Op::OnCancel { callback, node } => {
                let ran = *outcome == Outcome::Bool(true);
                steps.extend(self.on_cancel(callback, node, phase, ran));
            }
            Op::Poll { wait, node } => steps.extend(self.poll(wait, node, phase, outcome)),
            Op::Reason { node } => {
                if let Outcome::Value(answer) = *outcome {
                    steps.extend(self.question(node, phase, answer));
                }
            }
            Op::DropRegistration { callback } => {
                let ways = [true, false].into_iter();
                let ways = ways.filter_map(|in_time| self.deregister(callback, in_time));
                steps.extend(ways.map(|next| (next, Then::Return)));
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
