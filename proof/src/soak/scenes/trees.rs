//! A tree of scopes: some nodes live as long as the tree, others come and go below them.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use winddown::{CancelScope, CancelToken, FutureUntil as _, Reason, Registration};

use super::tally::{Tally, same};
use super::{Scene, mortality, short};
use crate::random::Random;
use crate::soak::bag::Bag;

/// The tree.
pub(super) struct Trees {
    /// The first is the root.
    nodes: Vec<Node>,
    mortality: usize,
    calls: Arc<Calls>,
}

/// A node that lives as long as the tree.
struct Node {
    scope: CancelScope,
    /// The nodes above it, up to one that is shielded.
    above: Vec<usize>,
    /// The first reason that a thread saw.
    reason: OnceLock<u64>,
}

/// What became of the callbacks on these nodes, each of which is cancelled in the end.
#[derive(Default)]
struct Calls {
    registered: Tally,
    ran: Tally,
    taken_back: Tally,
}

/// A registration that is taken back at its drop.
struct Hook {
    registration: Option<Registration>,
    /// How often its callback ran.
    ran: Arc<AtomicUsize>,
    calls: Arc<Calls>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        let in_time = self.registration.take().is_some_and(Registration::deregister);
        if in_time {
            self.calls.taken_back.up();
            assert_eq!(self.ran.load(Ordering::Relaxed), 0, "a callback that was taken back ran");
        }
    }
}

/// Different reasons have different numbers.
fn number(reason: &Reason) -> u64 {
    match reason {
        Reason::Message(text) => text.len() as u64,
        Reason::Deadline => 100,
        Reason::Dropped => 101,
        Reason::Cancelled => 102,
        other => panic!("nothing gives the reason {other:?}"),
    }
}

/// Texts with different lengths.
const TEXTS: [&str; 3] = ["a", "no", "end"];

impl Trees {
    /// A tree of up to nine nodes.
    pub(super) fn new(random: &mut Random) -> Self {
        let root = Node { scope: CancelScope::new(), above: Vec::new(), reason: OnceLock::new() };
        let mut nodes = vec![root];
        for at in 1..1 + random.below(9) {
            let parent = random.below(at);
            let token = nodes[parent].scope.token();
            let (scope, above) = match random.below(8) {
                0 => (token.shielded().child(), Vec::new()),
                1 => (token.with_value(at).child(), [&nodes[parent].above[..], &[parent]].concat()),
                _ => (token.child(), [&nodes[parent].above[..], &[parent]].concat()),
            };
            nodes.push(Node { scope, above, reason: OnceLock::new() });
        }
        Self { nodes, mortality: mortality(random), calls: Arc::default() }
    }

    /// Asks, and compares with what is known.
    fn look(&self, node: &Node) {
        let above = node.above.iter().any(|&at| self.nodes[at].scope.token().is_cancelled());
        let token = node.scope.token();
        assert!(!above || token.is_cancelled(), "an ancestor was seen cancelled");
        if let Some(reason) = token.reason() {
            let now = number(reason);
            assert_eq!(*node.reason.get_or_init(|| now), now, "a node has one reason");
            assert!(token.is_cancelled());
        }
    }

    fn hook(&self, token: &CancelToken, random: &mut Random, bag: &mut Bag) {
        let (ran, calls) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&self.calls));
        self.calls.registered.up();
        let registration = token.on_cancel({
            let (ran, calls) = (Arc::clone(&ran), Arc::clone(&calls));
            move || {
                assert_eq!(ran.fetch_add(1, Ordering::Relaxed), 0, "a callback runs once");
                calls.ran.up();
            }
        });
        if random.one_in(3) {
            return registration.detach();
        }
        let hook = Hook { registration: Some(registration), ran, calls };
        if random.one_in(2) { bag.keep(hook) } else { drop(hook) }
    }

    /// A scope that comes and goes.
    fn child(token: &CancelToken, random: &mut Random, bag: &mut Bag) {
        let scope = token.child();
        bag.wait("a child's cancel", scope.token().clone().cancelled_owned());
        match random.below(4) {
            0 => drop(scope),
            1 => {
                // The drop of this cancels nothing: the cancel comes from above.
                bag.keep(scope.detach());
            }
            2 => assert!(scope.cancel() || scope.token().is_cancelled()),
            _ => bag.keep(scope),
        }
    }

    /// A scope with a deadline, which a poll, a blocked thread or a look at birth finds past.
    fn deadline(token: &CancelToken, random: &mut Random, bag: &mut Bag) {
        let at = Instant::now() + short(random);
        let (scope, expiry) = token.child_until(at, pending::<()>());
        match random.below(4) {
            0 => scope.token().cancelled().block(),
            1 => bag.keep(scope.token().child_until(at, pending::<()>())),
            2 => bag.wait("a child's expiry", async move { drop(expiry.await) }),
            _ => drop(async {}.until(expiry)),
        }
        bag.keep(scope);
    }
}

impl Scene for Trees {
    fn name(&self) -> &'static str {
        "tree"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        let node = &self.nodes[random.below(self.nodes.len())];
        let token = node.scope.token();
        if random.one_in(self.mortality) {
            drop(node.scope.cancel_with(Reason::Message(random.of(&TEXTS))));
        }
        match random.below(20) {
            0..=4 => self.look(node),
            5..=8 => bag.wait("cancelled", token.clone().cancelled_owned()),
            9 => {
                // The wait is abandoned if the root's comes first, and then its registration is given up.
                let (token, root) = (token.clone(), self.nodes[0].scope.token().clone());
                bag.wait("cancelled until the root is", async move {
                    let _ = token.cancelled().until(root.cancelled()).await;
                    token.forget_wait();
                });
            }
            10 => {
                // A registration that is kept with a handle for its next wait.
                let mine = token.clone();
                drop(async {}.until(mine.cancelled()));
                let _ = mine.cancelled().block_for(short(random));
                bag.keep(mine);
            }
            11 => {
                let (one, two) = (token.clone(), self.nodes[0].scope.token().clone());
                bag.wait("any of two", async move { drop(CancelToken::any([&one, &two]).await) });
            }
            12..=14 => self.hook(token, random, bag),
            15..=17 => Self::child(token, random, bag),
            18 => Self::deadline(token, random, bag),
            _ => drop(token.with_value(7_u8).child().token().value::<usize>().copied()),
        }
    }

    fn block(&self, random: &mut Random) {
        let node = &self.nodes[random.below(self.nodes.len())];
        if random.one_in(2) {
            node.scope.token().cancelled().block();
        } else {
            let cancelled = node.scope.token().into_future().block();
            let now = number(cancelled.reason());
            assert_eq!(*node.reason.get_or_init(|| now), now, "a node has one reason");
        }
    }

    fn finale(&self) {
        for node in &self.nodes {
            node.scope.cancel();
            assert!(node.scope.token().is_cancelled());
        }
    }

    fn check(&self) -> Result<(), String> {
        self.nodes.iter().for_each(|node| self.look(node));
        let Calls { registered, ran, taken_back } = &*self.calls;
        same(
            "callbacks that ran or were taken back",
            ran.now() + taken_back.now(),
            registered.now(),
        )
    }

    fn state(&self) -> String {
        let tokens = self.nodes.iter().map(|node| format!("{:?}", node.scope.token()));
        tokens.collect::<Vec<_>>().join(", ")
    }
}
