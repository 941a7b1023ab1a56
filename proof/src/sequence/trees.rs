//! Sequences of calls of a cancellation tree.

use std::mem::forget;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller, Reason, Registration};

use super::bytes::Bytes;
use super::values::{Told, World};
use super::waits::{Form, Names, Waits, expect, plain, stoppable};
use super::{Actor, Wrong};
use crate::histories::probe::Lent;
use crate::histories::trees::{TEXTS, number};
use crate::model::tree::{self, CALLBACKS, CANCELLED, NODES, Op, WAITS};
use crate::model::{Outcome, Possible, Refusal};

pub(super) struct Trees {
    possible: Possible<tree::Tree>,
    nodes: Vec<Option<Scope>>,
    waits: Waits<Op>,
    registrations: Vec<(usize, Registration)>,
    runs: Vec<Arc<AtomicUsize>>,
}

/// The handles of one scope.
struct Scope {
    owner: Owner,
    /// Of one of them each wait is made, so that it may find what an abandoned one has left.
    tokens: Vec<Arc<CancelToken>>,
}

enum Owner {
    /// Cancels when it is dropped.
    Scope(CancelScope),
    Detached(Canceller),
    /// Of `shielded` and `with_value`, and of a scope that was dropped.
    Nobody,
}

impl Names for tree::Tree {
    fn drop_wait(wait: usize) -> Op {
        Op::DropWait { wait }
    }

    fn must_be_woken(&self, id: usize) -> bool {
        self.must_be_woken(id)
    }
}

impl Trees {
    pub(super) fn new() -> Self {
        let root = Scope::of(CancelScope::new());
        let mut nodes: Vec<Option<Scope>> = (0..NODES).map(|_| None).collect();
        nodes[0] = Some(root);
        Self {
            possible: Possible::new(tree::Tree::new()),
            nodes,
            waits: Waits::new(WAITS),
            registrations: Vec::new(),
            runs: Vec::new(),
        }
    }

    fn expect(&mut self, op: &Op, outcome: &Outcome) -> Result<(), Wrong> {
        expect(&mut self.possible, op, outcome)
    }

    /// A scope that is there, and its number.
    fn pick(&self, bytes: &mut Bytes<'_>) -> usize {
        let there: Vec<_> = (0..NODES).filter(|&node| self.nodes[node].is_some()).collect();
        there[bytes.below(there.len())]
    }

    fn node(&mut self, node: usize) -> &mut Scope {
        self.nodes[node].as_mut().expect("it was picked from those that are there")
    }

    fn grow(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let parent = self.pick(bytes);
        let Some(id) = (0..NODES).find(|&id| self.nodes[id].is_none()) else { return Ok(()) };
        let token = &self.node(parent).tokens[0];
        let (scope, op) = {
            let (parent, id) = (parent as u8, id as u8);
            match bytes.below(5) {
                0 => (Scope::nobodys(token.shielded()), Op::Shielded { parent, id }),
                1 => {
                    let value = world.value(id);
                    (Scope::nobodys(token.with_value(value)), Op::Child { parent, id })
                }
                _ => (Scope::of(token.child()), Op::Child { parent, id }),
            }
        };
        self.nodes[id] = Some(scope);
        self.expect(&op, &Outcome::Unit)
    }

    fn cancel(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        let node = self.pick(bytes);
        let text = bytes.below(2 * TEXTS.len());
        let canceller = match &self.node(node).owner {
            Owner::Scope(scope) => scope.canceller(),
            Owner::Detached(canceller) => canceller.clone(),
            Owner::Nobody => return Ok(()),
        };
        let (first, reason) = match TEXTS.get(text) {
            Some(said) => (canceller.cancel_with(Reason::Message(said)).is_ok(), text as u8),
            None => (canceller.cancel(), CANCELLED),
        };
        let outcome = if first { Outcome::Ok } else { Outcome::Refused(Refusal::Closed) };
        self.expect(&Op::Cancel { node: node as u8, reason }, &outcome)
    }

    /// Changes what owns the scope.
    fn own(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let node = self.pick(bytes);
        let owner = std::mem::replace(&mut self.node(node).owner, Owner::Nobody);
        let (owner, dropped) = match (owner, bytes.below(4)) {
            (Owner::Scope(scope), 0) => (Owner::Detached(scope.detach()), false),
            (Owner::Detached(canceller), 0 | 1) => (Owner::Scope(canceller.into_scope()), false),
            (Owner::Scope(scope), 1) if world.leaks => {
                forget(scope);
                (Owner::Nobody, false)
            }
            (Owner::Scope(scope), 2) => {
                drop(scope);
                (Owner::Nobody, true)
            }
            (owner, _) => (owner, false),
        };
        self.node(node).owner = owner;
        if !dropped {
            return Ok(());
        }
        self.expect(&Op::DropScope { node: node as u8 }, &Outcome::Unit)
    }

    fn looks(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        let node = self.pick(bytes);
        let id = node as u8;
        let token = Arc::clone(&self.node(node).tokens[0]);
        match bytes.below(4) {
            0 => self.expect(&Op::IsCancelled { node: id }, &Outcome::Bool(token.is_cancelled())),
            1 => {
                let reason = token.reason().map(number);
                self.expect(&Op::Reason { node: id }, &Outcome::Value(reason))
            }
            2 => {
                let reason = token.check().err().map(|cancelled| number(cancelled.reason()));
                self.expect(&Op::Reason { node: id }, &Outcome::Value(reason))
            }
            _ => {
                // It is drawn from the token that is lent, and forgets what that has kept.
                token.forget_wait();
                Ok(())
            }
        }
    }

    fn handles(&mut self, bytes: &mut Bytes<'_>) {
        let node = self.pick(bytes);
        let at = bytes.below(8);
        let tokens = &mut self.node(node).tokens;
        match tokens.len() {
            many if many > 1 && at < many => drop(tokens.swap_remove(at)),
            many if many < 4 => tokens.push(Arc::new(CancelToken::clone(&tokens[0]))),
            _ => {}
        }
    }

    fn wait(&mut self, bytes: &mut Bytes<'_>) {
        let Some(id) = self.waits.number() else { return };
        let node = self.pick(bytes);
        let tokens = &self.node(node).tokens;
        let token = Arc::clone(&tokens[bytes.below(tokens.len())]);
        let limit = Told::default();
        let over = |()| Outcome::Ready;
        let owned = || CancelToken::clone(&token).cancelled_owned();
        let (form, limit): (Box<dyn Form>, _) = match bytes.below(4) {
            0 => (plain(owned(), over, WaitCancelled::block_for), None),
            1 => (stoppable(owned().until(limit.clone()), over), Some(limit)),
            2 => {
                let wait = IntoFuture::into_future(CancelToken::clone(&token));
                let meaning = |cancelled: winddown::Cancelled| {
                    number(cancelled.reason());
                    Outcome::Ready
                };
                (plain(wait, meaning, |wait, limit| wait.block_for(limit)), None)
            }
            _ => {
                // SAFETY: the wait alone keeps the reference.
                let wait = unsafe { Lent::new(token, |token| token.cancelled()) };
                let block = |wait: Lent<WaitCancelled<&'static CancelToken>, _>, limit| {
                    wait.with(|wait| wait.block_for(limit))
                };
                (plain(wait, over, block), None)
            }
        };
        self.waits.add(id, Op::Poll { wait: id, node: node as u8 }, form, limit);
    }

    fn on_cancel(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let (node, callback) = (self.pick(bytes), self.runs.len());
        if callback == CALLBACKS {
            return Ok(());
        }
        let (runs, value) = (Arc::new(AtomicUsize::new(0)), world.value(0));
        let ran = Arc::clone(&runs);
        let token = &self.node(node).tokens[0];
        let registration = token.on_cancel(move || {
            ran.fetch_add(1, Ordering::Relaxed);
            drop(value);
        });
        let outcome = Outcome::Bool(runs.load(Ordering::Relaxed) > 0);
        self.runs.push(runs);
        self.registrations.push((callback, registration));
        self.expect(&Op::OnCancel { callback, node: node as u8 }, &outcome)
    }

    fn registration(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let Some(at) = bytes.of(&self.registrations) else { return Ok(()) };
        let (callback, registration) = self.registrations.swap_remove(at);
        match bytes.below(5) {
            // The scopes of a tree all have a handle until the end, so it stays.
            0 => registration.detach(),
            1 if world.leaks => forget(registration),
            2 => {
                drop(registration);
                return self.expect(&Op::DropRegistration { callback }, &Outcome::Unit);
            }
            _ => {
                let in_time = Outcome::Bool(registration.deregister());
                return self.expect(&Op::Deregister { callback }, &in_time);
            }
        }
        Ok(())
    }

    fn callbacks(&mut self) -> Result<(), Wrong> {
        for callback in 0..self.runs.len() {
            let runs = self.runs[callback].load(Ordering::Relaxed);
            self.expect(&Op::Ran { callback }, &Outcome::Count(runs))?;
        }
        Ok(())
    }
}

impl Scope {
    fn of(scope: CancelScope) -> Self {
        let tokens = vec![Arc::new(scope.token().clone())];
        Self { owner: Owner::Scope(scope), tokens }
    }

    fn nobodys(token: CancelToken) -> Self {
        Self { owner: Owner::Nobody, tokens: vec![Arc::new(token)] }
    }
}

impl Actor for Trees {
    fn call(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        match bytes.below(20) {
            0..=2 => self.grow(bytes, world),
            3 => self.cancel(bytes),
            4 => self.own(bytes, world),
            5 | 6 => self.looks(bytes),
            7 => {
                self.handles(bytes);
                Ok(())
            }
            8 | 9 => self.on_cancel(bytes, world),
            10 => self.registration(bytes, world),
            11..=13 => {
                self.wait(bytes);
                Ok(())
            }
            _ => self.waits.call(bytes, world, &mut self.possible),
        }?;
        self.callbacks()
    }

    fn wakers(&self, world: &World) -> Result<(), Wrong> {
        self.waits.wakers(world, &self.possible)
    }

    fn end(mut self: Box<Self>, world: &World) -> Result<(), Wrong> {
        for node in 0..NODES {
            if let Some(Scope { owner: Owner::Scope(scope), .. }) = self.nodes[node].as_ref() {
                let first = scope.cancel();
                let outcome = if first { Outcome::Ok } else { Outcome::Refused(Refusal::Closed) };
                self.expect(&Op::Cancel { node: node as u8, reason: CANCELLED }, &outcome)?;
                self.callbacks()?;
                self.wakers(world)?;
            }
        }
        self.waits.clear(&mut self.possible)
    }
}
