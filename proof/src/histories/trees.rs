//! Histories of the cancellation tree.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller, Reason, Registration};

use super::probe::{Probed, ended};
use super::{Kind, Subject};
use crate::model::tree::{self, CALLBACKS, CANCELLED, DROPPED, NODES, Op};
use crate::model::{Outcome, Refusal};
use crate::random::Random;

/// Trees.
#[derive(Debug)]
pub struct Trees {
    /// How many scopes lie between a scope and its child, that nobody uses. They make each walk up long, so that
    /// other calls begin and end meanwhile.
    pub between: usize,
}

/// How many waits each thread has.
const EACH: usize = 3;
/// How many callbacks each thread may register, one after the other.
const CALLS: usize = 2;
/// Texts of reasons, by number.
pub const TEXTS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A tree that grows while threads use it.
#[derive(Debug)]
pub struct Shared {
    nodes: [Mutex<Slot>; NODES],
    callbacks: [Arc<AtomicUsize>; CALLBACKS],
    between: usize,
    seed: u64,
}

/// What is known of a scope.
#[derive(Debug, Default)]
struct Slot {
    canceller: Option<Canceller>,
    /// A token that nobody can cancel, as that of `shielded`.
    token: Option<CancelToken>,
    /// What cancels when it is dropped.
    scope: Option<CancelScope>,
}

/// What one thread holds.
#[derive(Debug)]
pub struct Local {
    thread: usize,
    waits: [Option<(u8, Probed<WaitCancelled<CancelToken>>)>; EACH],
    registrations: [Option<Registration>; CALLS],
    used: usize,
}

impl Kind for Trees {
    type Subject = Shared;

    fn name(&self) -> &'static str {
        if self.between == 0 { "tree" } else { "deep-tree" }
    }

    fn make(&self, seed: u64) -> Shared {
        let (between, mut random) = (self.between, Random::new(!seed));
        let shared =
            Shared { nodes: Default::default(), callbacks: Default::default(), between, seed };
        shared.nodes[0].lock().unwrap().keep(CancelScope::new());
        for (parent, id) in first(&mut random) {
            let parent = shared.token(parent).expect("it was made before");
            shared.nodes[usize::from(id)].lock().unwrap().keep(shared.below(&parent).child());
        }
        shared
    }

    fn op(&self, _: u64, thread: usize, random: &mut Random) -> Op {
        let node = random.below(4 + thread.min(4)) as u8;
        let wait = thread * EACH + random.below(EACH);
        let callback = thread * CALLS + random.below(CALLS);
        match random.below(20) {
            0..=3 => {
                let id = 1 + random.below(NODES - 1) as u8;
                let parent = random.below(usize::from(id)) as u8;
                if random.one_in(8) {
                    Op::Shielded { parent, id }
                } else {
                    Op::Child { parent, id }
                }
            }
            4 | 5 => Op::Cancel { node, reason: random.below(TEXTS.len()) as u8 },
            6 => Op::DropScope { node },
            7..=9 => Op::IsCancelled { node },
            10..=12 => Op::Reason { node },
            13 => Op::DropWait { wait },
            14 | 15 => Op::OnCancel { callback, node },
            16 if random.one_in(3) => Op::DropRegistration { callback },
            16 => Op::Deregister { callback },
            _ => Op::Poll { wait, node },
        }
    }
}

/// The scopes that are there at first: a chain, or a tree of any form.
fn first(random: &mut Random) -> Vec<(u8, u8)> {
    let (scopes, is_chain) = (random.below(4) as u8, random.one_in(2));
    let mut parent = |id: u8| if is_chain { id - 1 } else { random.below(usize::from(id)) as u8 };
    (1..=scopes).map(|id| (parent(id), id)).collect()
}

impl Slot {
    fn keep(&mut self, scope: CancelScope) {
        self.canceller = Some(scope.canceller());
        self.token = Some(scope.token().clone());
        self.scope = Some(scope);
    }
}

/// A reason as a number.
pub fn number(reason: &Reason) -> u8 {
    match reason {
        Reason::Cancelled => CANCELLED,
        Reason::Dropped => DROPPED,
        Reason::Message(text) => text.parse().unwrap_or(u8::MAX),
        _ => u8::MAX,
    }
}

type Around<'a> = &'a mut dyn FnMut(&mut dyn FnMut() -> Outcome);

impl Shared {
    fn token(&self, node: u8) -> Option<CancelToken> {
        self.nodes[usize::from(node)].lock().unwrap().token.clone()
    }

    /// The lowest of the scopes that lie between this one and its children.
    fn below(&self, token: &CancelToken) -> CancelToken {
        let below = |token: CancelToken, _| token.child().detach().token().clone();
        (0..self.between).fold(token.clone(), below)
    }

    fn grow(&self, op: &Op, around: Around<'_>) {
        let (Op::Child { parent, id } | Op::Shielded { parent, id }) = *op else { return };
        let Some(parent) = self.token(parent) else { return };
        // It stays locked, so that nobody uses the number before the scope is there.
        let mut slot = self.nodes[usize::from(id)].lock().unwrap();
        if slot.token.is_some() {
            return;
        }
        let mut made = Slot::default();
        around(&mut || {
            let parent = self.below(&parent);
            match op {
                Op::Child { .. } => made.keep(parent.child()),
                _ => made.token = Some(parent.shielded()),
            }
            Outcome::Unit
        });
        *slot = made;
    }

    fn cancel(&self, node: u8, reason: u8, around: Around<'_>) {
        let canceller = self.nodes[usize::from(node)].lock().unwrap().canceller.clone();
        let Some(canceller) = canceller else { return };
        around(&mut || match canceller.cancel_with(Reason::Message(TEXTS[usize::from(reason)])) {
            Ok(()) => Outcome::Ok,
            Err(_) => Outcome::Refused(Refusal::Closed),
        });
    }

    fn drop_scope(&self, node: u8, around: Around<'_>) {
        let mut scope = self.nodes[usize::from(node)].lock().unwrap().scope.take();
        if scope.is_some() {
            around(&mut || {
                drop(scope.take());
                Outcome::Unit
            });
        }
    }
}

impl Local {
    fn on_cancel(&mut self, shared: &Shared, callback: usize, node: u8, around: Around<'_>) {
        let at = callback - self.thread * CALLS;
        let Some(token) = shared.token(node) else { return };
        if self.used & (1 << at) != 0 {
            return;
        }
        self.used |= 1 << at;
        let slot = &mut self.registrations[at];
        let ran = &shared.callbacks[callback];
        around(&mut || {
            let runs = Arc::clone(ran);
            *slot = Some(token.on_cancel(move || {
                runs.fetch_add(1, Ordering::AcqRel);
            }));
            Outcome::Bool(ran.load(Ordering::Acquire) > 0)
        });
    }

    fn poll(&mut self, shared: &Shared, wait: usize, node: u8, around: Around<'_>) {
        let at = wait - self.thread * EACH;
        let Some(token) = shared.token(node) else { return };
        let make = || (node, Probed::new(token.cancelled_owned()));
        let (of, probed) = self.waits[at].get_or_insert_with(make);
        if *of == node {
            around(&mut || ended(&probed.poll(wait % 2 == 0)));
        }
    }
}

impl Subject for Shared {
    type Model = tree::Tree;
    type Local = Local;

    fn model(&self) -> tree::Tree {
        let first = first(&mut Random::new(!self.seed));
        first.into_iter().fold(tree::Tree::new(), |tree, (parent, id)| tree.with_child(parent, id))
    }

    fn local(&self, thread: usize) -> Local {
        Local { thread, waits: Default::default(), registrations: Default::default(), used: 0 }
    }

    fn perform(&self, local: &mut Local, op: &Op, around: Around<'_>) {
        match *op {
            Op::Child { .. } | Op::Shielded { .. } => self.grow(op, around),
            Op::Cancel { node, reason } => self.cancel(node, reason, around),
            Op::DropScope { node } => self.drop_scope(node, around),
            Op::IsCancelled { node } => {
                if let Some(token) = self.token(node) {
                    around(&mut || Outcome::Bool(token.is_cancelled()));
                }
            }
            Op::Reason { node } => {
                if let Some(token) = self.token(node) {
                    around(&mut || Outcome::Value(token.reason().map(number)));
                }
            }
            Op::OnCancel { callback, node } => local.on_cancel(self, callback, node, around),
            Op::Poll { wait, node } => local.poll(self, wait, node, around),
            Op::DropRegistration { callback } => {
                let slot = &mut local.registrations[callback - local.thread * CALLS];
                if slot.is_some() {
                    around(&mut || {
                        *slot = None;
                        Outcome::Unit
                    });
                }
            }
            Op::Deregister { callback } => {
                let mut registration = local.registrations[callback - local.thread * CALLS].take();
                if registration.is_some() {
                    around(&mut || {
                        Outcome::Bool(registration.take().is_some_and(Registration::deregister))
                    });
                }
            }
            Op::DropWait { wait } => {
                let slot = &mut local.waits[wait - local.thread * EACH];
                if slot.is_some() {
                    around(&mut || {
                        *slot = None;
                        Outcome::Unit
                    });
                }
            }
            Op::Woken { wait } => {
                let slot = &local.waits[wait - local.thread * EACH];
                if let Some((_, probed)) = slot.as_ref().filter(|(_, probed)| probed.is_parked()) {
                    around(&mut || Outcome::Bool(probed.is_woken()));
                }
            }
            Op::Ran { callback } if local.used & (1 << (callback - local.thread * CALLS)) != 0 => {
                around(&mut || Outcome::Count(self.callbacks[callback].load(Ordering::Acquire)));
            }
            Op::Ran { .. } => {}
        }
    }

    fn finale(&self) -> Vec<(usize, Op)> {
        let waits = (0..tree::WAITS).map(|wait| (wait / EACH, Op::Woken { wait }));
        let ran = (0..CALLBACKS).map(|callback| (callback / CALLS, Op::Ran { callback }));
        let mut calls: Vec<_> = waits.clone().chain(ran.clone()).collect();
        calls.extend((0..NODES as u8).map(|node| (0, Op::Reason { node })));
        calls.push((0, Op::Cancel { node: 0, reason: 0 }));
        calls.extend(waits.chain(ran));
        calls.extend((0..NODES as u8).map(|node| (0, Op::Reason { node })));
        calls
    }
}
