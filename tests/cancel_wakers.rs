//! Hostile wakers in a tree: they poll, cancel, register, drop and panic, inline.
//!
//! Each test stands for a lock that would be held: event-listener's list lock is not re-entrant, so
//! a waker that runs under it hangs or panics. What all types and methods have in common is in `hostile_world.rs`.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Poll, Waker};
use std::sync::{Arc, Mutex};
use std::thread;

use common::{Bell, Foreign, look, panic_of, panic_quietly, poll};
use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller};

/// A wait that wakers may poll and drop.
#[derive(Clone, Debug)]
struct Slot(Arc<Mutex<Option<WaitCancelled>>>);

impl Slot {
    fn new(token: &CancelToken) -> Self {
        Self(Arc::new(Mutex::new(Some(token.clone().cancelled_owned()))))
    }

    fn poll(&self, waker: &Waker) -> Poll<()> {
        poll(self.0.lock().unwrap().as_mut().expect("not dropped yet"), waker)
    }

    fn drop_it(&self) {
        let wait = self.0.lock().unwrap().take();
        drop(wait);
    }
}

/// A root, a middle and a leaf, and the handles that may cancel them.
#[derive(Debug)]
struct Tree {
    root: CancelScope,
    middle: Canceller,
    leaf: Canceller,
}

impl Tree {
    fn new() -> Self {
        let root = CancelScope::new();
        let middle = root.token().child().detach();
        let leaf = middle.token().with_value("a value").child().detach();
        Self { root, middle, leaf }
    }

    fn tokens(&self) -> [&CancelToken; 3] {
        [self.root.token(), self.middle.token(), self.leaf.token()]
    }

    /// Waits on every node, and some more on the leaf.
    fn slots(&self) -> Vec<Slot> {
        self.tokens().into_iter().cycle().take(9).map(Slot::new).collect()
    }

    /// All at once, or one after the other from below.
    fn cancel(&self, from_below: bool) {
        if from_below {
            assert!(self.leaf.cancel() && self.middle.cancel());
        }
        assert!(self.root.cancel());
    }
}

/// Both ways to cancel.
const WAYS: [bool; 2] = [false, true];

/// Rule 11: some executors poll the woken task inside `wake`; rule 8: and find it over.
#[test]
fn a_waker_that_polls_all_waits_finds_them_over() {
    for level in 0..3 {
        let tree = Tree::new();
        let slots: Arc<Vec<_>> =
            Arc::new((0..12).map(|at| Slot::new(tree.tokens()[level.max(at % 3)])).collect());
        let wakers: Vec<_> = (0..12)
            .map(|_| {
                let slots = Arc::clone(&slots);
                let all_over =
                    move || assert!(slots.iter().all(|slot| slot.poll(Waker::noop()).is_ready()));
                Foreign::new().on_wake(all_over).share()
            })
            .collect();
        for (slot, waker) in slots.iter().zip(&wakers) {
            assert!(slot.poll(&waker.waker()).is_pending());
        }
        match level {
            0 => drop(tree.root),
            1 => assert!(tree.middle.cancel()),
            _ => assert!(tree.leaf.cancel()),
        }
        assert!(wakers.iter().all(|waker| (waker.woken(), waker.alive()) == (1, 0)));
    }
}

/// Rules 11, 12: waits that are woken, about to be woken, and the one that is being woken.
#[test]
fn a_waker_may_drop_every_wait_and_every_handle() {
    for from_below in WAYS {
        for killer in 0..9 {
            let tree = Tree::new();
            let slots = tree.slots();
            let extra: Vec<_> = tree.tokens().map(|token| token.child().detach()).into();
            let condemned = Mutex::new(Some((slots.clone(), extra)));
            let kill = Foreign::new()
                .on_wake(move || {
                    if let Some((slots, extra)) = condemned.lock().unwrap().take() {
                        slots.iter().for_each(Slot::drop_it);
                        drop(extra);
                    }
                })
                .share();
            let others = Foreign::new().share();
            for (at, slot) in slots.iter().enumerate() {
                let waker = if at == killer { kill.waker() } else { others.waker() };
                assert!(slot.poll(&waker).is_pending());
            }
            tree.cancel(from_below);
            assert_eq!(kill.woken(), 1);
            assert!(from_below || others.woken() == 8, "due is due, whether the wait lives or not");
            assert_eq!((kill.alive(), others.alive()), (0, 0));
        }
    }
}

/// Rule 11: what is cancelled has no other handle than the wait that is woken.
#[test]
fn a_waker_may_drop_the_last_handle_of_its_node() {
    let root = CancelScope::new();
    let value = Arc::new(());
    let slots: Vec<_> = (0..5)
        .map(|_| Slot::new(root.token().with_value(Arc::clone(&value)).child().detach().token()))
        .collect();
    let wakers: Vec<_> = slots
        .iter()
        .map(|slot| {
            let slot = slot.clone();
            Foreign::new().on_wake(move || slot.drop_it()).share()
        })
        .collect();
    for (slot, waker) in slots.iter().zip(&wakers) {
        assert!(slot.poll(&waker.waker()).is_pending());
    }
    assert_eq!(Arc::strong_count(&value), 6);
    drop(root);
    assert!(wakers.iter().all(|waker| (waker.woken(), waker.alive()) == (1, 0)));
    assert_eq!(Arc::strong_count(&value), 1);
}

/// Rule 11: the same tree again, one above, one below, one beside, and others.
#[test]
fn a_waker_may_cancel_any_tree() {
    let chain: Vec<_> = (0..50).map(|_| Tree::new()).collect();
    let wakers: Vec<_> = (0..50)
        .map(|at| {
            let next = chain.get(at + 1).map(|next| next.root.canceller());
            let own =
                [chain[at].root.canceller(), chain[at].middle.clone(), chain[at].leaf.clone()];
            let act = move || {
                assert!(own.iter().skip(1).all(|own| !own.cancel()));
                let _ = own[0].cancel();
                if let Some(next) = &next {
                    assert!(next.cancel());
                }
            };
            Foreign::new().on_wake(act).share()
        })
        .collect();
    let slots: Vec<_> = chain.iter().map(|tree| Slot::new(tree.leaf.token())).collect();
    for (slot, waker) in slots.iter().zip(&wakers) {
        assert!(slot.poll(&waker.waker()).is_pending());
    }
    assert!(chain[0].middle.cancel());
    assert!(wakers.iter().all(|waker| waker.woken() == 1));
    assert!(slots.iter().all(|slot| slot.poll(Waker::noop()).is_ready()));
}

/// Rule 8: by the time that the first waker runs, the whole tree is cancelled, for all threads, and
/// a waker that comes from below may cancel above.
#[test]
fn a_waker_may_cancel_upward() {
    let tree = Tree::new();
    let (root, told) = (tree.root.canceller(), Foreign::new().share());
    let upward = Foreign::new().on_wake(move || assert!(root.cancel())).share();
    let (low, high) = (Slot::new(tree.leaf.token()), Slot::new(tree.root.token()));
    let beside = Slot::new(tree.root.token().child().detach().token());
    assert!(low.poll(&upward.waker()).is_pending());
    assert!(high.poll(&told.waker()).is_pending() && beside.poll(&told.waker()).is_pending());
    tree.leaf.cancel_with("from below").unwrap();
    assert_eq!((upward.woken(), told.woken()), (1, 2));
    assert_eq!(tree.leaf.token().reason().unwrap().to_string(), "from below");
    assert_eq!(tree.middle.token().reason().unwrap().to_string(), "cancelled");
}

/// Rule 11: a panic while the thread unwinds already must not abort.
#[test]
fn a_panicking_waker_does_not_abort_an_unwinding_thread() {
    let tree = Tree::new();
    let slots = tree.slots();
    let bad = Foreign::new().on_wake(|| panic_quietly("the waker")).share();
    assert!(slots.iter().all(|slot| slot.poll(&bad.waker()).is_pending()));
    let root = tree.root;
    let text = panic_of(|| {
        let _root = root;
        panic_quietly("the owner");
    });
    assert_eq!((text.as_str(), bad.woken()), ("the owner", 9));
}

/// Rule 11: nothing is registered by the poll that panics, and the next one works.
#[test]
fn a_panic_in_clone_leaves_nothing_behind() {
    let tree = Tree::new();
    let bad = Foreign::new().on_clone(|| panic_quietly("the clone")).share();
    let bell = Bell::new();
    let mut waits = Vec::new();
    for token in tree.tokens() {
        let (mut fresh, mut parked) = (token.cancelled(), token.cancelled());
        assert!(poll(&mut parked, &bell.waker()).is_pending());
        assert_eq!(panic_of(|| poll(&mut fresh, &bad.waker())), "the clone");
        assert_eq!(panic_of(|| poll(&mut parked, &bad.waker())), "the clone");
        assert_eq!(bad.alive(), 0);
        assert!(poll(&mut fresh, &bell.waker()).is_pending());
        waits.extend([fresh, parked]);
    }
    tree.root.cancel();
    assert_eq!(bell.rings(), 6, "the old waker is kept");
    assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
}

/// Rule 11: a clone that cancels what it is cloned for, or what is above, or registers there.
#[test]
fn a_clone_may_cancel_and_register() {
    for level in 0..3 {
        let tree = Tree::new();
        let other = Slot::new(tree.leaf.token());
        let bell = Bell::new();
        assert!(other.poll(&bell.waker()).is_pending());
        let target = [tree.root.canceller(), tree.middle.clone(), tree.leaf.clone()][level].clone();
        let act = move || {
            let _registration = target.token().on_cancel(|| {});
            let mut inner = target.token().cancelled();
            let _ = look(&mut inner);
            let _ = target.cancel();
        };
        let waker = Foreign::new().on_clone(act).share();
        let mut wait = tree.leaf.token().cancelled();
        assert_eq!(poll(&mut wait, &waker.waker()), Poll::Ready(()));
        assert_eq!((bell.rings(), waker.woken(), waker.alive()), (1, 0, 0));
    }
}

/// Rule 11: a waker's drop may use the handle that kept it, and panic.
#[test]
fn a_drop_may_use_the_handle_that_kept_the_waker() {
    let scope = CancelScope::new();
    let token = scope.token().clone();
    let own = token.clone();
    let drops = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&drops);
    let waker = move || {
        let (own, count) = (own.clone(), Arc::clone(&count));
        Foreign::new().on_drop(move || {
            count.fetch_add(1, Ordering::Relaxed);
            own.forget_wait();
            assert!(look(&mut own.cancelled()).is_pending());
            drop(own.on_cancel(|| {}));
        })
    };
    for _ in 0..10 {
        let mut wait = token.cancelled();
        assert!(poll(&mut wait, &waker().into_waker()).is_pending());
        assert!(poll(&mut wait, &waker().into_waker()).is_pending());
    }
    token.forget_wait();
    assert_eq!(drops.load(Ordering::Relaxed), 40, "the clones, and what was cloned");
    let bad = Foreign::new().on_drop(|| {
        if !thread::panicking() {
            panic_quietly("the drop");
        }
    });
    let bad = bad.share();
    let waker = core::mem::ManuallyDrop::new(bad.waker());
    assert!(poll(&mut token.cancelled(), &waker).is_pending());
    assert_eq!(panic_of(|| token.forget_wait()), "the drop");
    assert!(poll(&mut token.cancelled(), &waker).is_pending());
    // Taken out by the next wait of another task.
    let bell = Bell::new();
    let mut wait = token.cancelled();
    assert_eq!(panic_of(|| poll(&mut wait, &bell.waker())), "the drop");
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    scope.cancel();
    assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
    assert_eq!(bad.alive(), 1, "the one that the test keeps");
    assert_eq!(panic_of(|| drop(core::mem::ManuallyDrop::into_inner(waker))), "the drop");
}

/// Rule 18: the wakers of a node run in the order of registration.
#[test]
fn wakers_of_a_node_run_in_order() {
    for below in [false, true] {
        let tree = Tree::new();
        let token = if below { tree.leaf.token() } else { tree.root.token() };
        let order = Arc::new(Mutex::new(Vec::new()));
        let slots: Vec<_> = (0..100).map(|_| Slot::new(token)).collect();
        for (at, slot) in slots.iter().enumerate() {
            let order = Arc::clone(&order);
            let note = Foreign::new().on_wake(move || order.lock().unwrap().push(at));
            assert!(slot.poll(&note.into_waker()).is_pending());
        }
        tree.root.cancel();
        assert!(order.lock().unwrap().iter().copied().eq(0..100));
    }
}

/// Rule 9: an error whose drop, and a value whose drop, use the tree that they are in.
#[test]
fn what_a_node_holds_may_use_the_tree_while_it_is_dropped() {
    struct Uses(Option<CancelToken>, Arc<AtomicUsize>);
    impl Drop for Uses {
        fn drop(&mut self) {
            if let Some(above) = &self.0 {
                let child = above.child();
                assert!(look(&mut child.token().cancelled()).is_pending() != above.is_cancelled());
                drop(above.on_cancel(|| {}));
            }
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    for cancelled in [false, true] {
        let root = CancelScope::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let uses = || Uses(Some(root.token().clone()), Arc::clone(&drops));
        let lower = root.token().with_value(uses()).child().detach();
        let lowest = lower.token().with_value(uses());
        assert!(look(&mut lowest.clone().cancelled_owned()).is_pending());
        if cancelled {
            assert!(root.cancel());
        }
        drop(lower);
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        drop(lowest);
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    }
}
