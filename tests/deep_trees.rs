//! Rule 9: no recursion over a tree, whatever is done to it and in whatever order.
//!
//! Each test runs on a thread with a stack of 64 KiB, where one call for each node of a chain would
//! overflow after some hundred nodes. A build without optimisation takes a hundred thousand nodes,
//! so that the whole suite stays quick: `cargo test --release --test deep_trees` takes the million.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use std::sync::Arc;
use std::thread;

use common::{Bell, ORDERS, Order, SMALL_STACK, look, on_a_small_stack, poll};
use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller, Registration};

const NODES: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// The shape of a tree below its root.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Chain,
    Fan,
}

const SHAPES: [Shape; 2] = [Shape::Chain, Shape::Fan];

/// The root first, then all others, none of which is cancelled by its drop.
fn build(shape: Shape) -> Vec<Canceller> {
    let mut nodes = vec![CancelScope::new().detach()];
    for _ in 1..NODES {
        let above = match shape {
            Shape::Chain => nodes.last().expect("a root"),
            Shape::Fan => &nodes[0],
        };
        nodes.push(above.token().child().detach());
    }
    nodes
}

/// The waits of some nodes, all of a fan and a few of a chain: one look at a node of a chain takes a
/// step for each node above it.
fn wait(shape: Shape, nodes: &[Canceller], waker: &Waker) -> Vec<WaitCancelled> {
    let every = match shape {
        Shape::Chain => NODES / 7,
        Shape::Fan => 1,
    };
    let waited = nodes.iter().rev().step_by(every);
    waited
        .map(|node| {
            let mut wait = node.token().clone().cancelled_owned();
            assert!(poll(&mut wait, waker).is_pending());
            wait
        })
        .collect()
}

/// Rule 9: idle, in each order.
#[test]
fn an_idle_tree_is_dropped_in_any_order() {
    on_a_small_stack(|| {
        for shape in SHAPES {
            for order in ORDERS {
                order.sort(build(shape)).for_each(drop);
            }
        }
    });
}

/// Rule 9: nodes that are hooked into their parents.
#[test]
fn a_tree_that_was_waited_on_is_dropped_in_any_order() {
    on_a_small_stack(|| {
        for shape in SHAPES {
            for order in ORDERS {
                let nodes = build(shape);
                drop(wait(shape, &nodes, Waker::noop()));
                order.sort(nodes).for_each(drop);
            }
        }
    });
}

/// Rule 9: the waits go last, or first.
#[test]
fn a_tree_is_dropped_around_its_waits() {
    on_a_small_stack(|| {
        for shape in SHAPES {
            for order in ORDERS {
                let nodes = build(shape);
                let bell = Bell::new();
                let waits = wait(shape, &nodes, &bell.waker());
                order.sort(nodes).for_each(drop);
                assert_eq!(bell.rings(), 0);
                order.sort(waits).for_each(drop);
                assert_eq!(Arc::strong_count(&bell), 1);
            }
        }
    });
}

/// Rules 8, 9: cancelled at the root, with and without waits, and dropped afterwards.
#[test]
fn a_tree_is_cancelled_at_its_root() {
    on_a_small_stack(|| {
        for shape in SHAPES {
            for order in ORDERS {
                for waits in [false, true] {
                    let nodes = build(shape);
                    let bell = Bell::new();
                    let mut waits =
                        if waits { wait(shape, &nodes, &bell.waker()) } else { Vec::new() };
                    assert!(nodes[0].cancel());
                    assert_eq!(bell.rings(), waits.len());
                    assert!(nodes[NODES - 1].token().is_cancelled());
                    assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
                    assert!(!nodes[NODES / 2].cancel());
                    order.sort(nodes).for_each(drop);
                }
            }
        }
    });
}

/// Rules 8, 9: half of a chain is cancelled by its middle, the rest by its root.
#[test]
fn a_chain_is_cancelled_in_its_middle() {
    on_a_small_stack(|| {
        for order in ORDERS {
            let nodes = build(Shape::Chain);
            let bell = Bell::new();
            let waits = wait(Shape::Chain, &nodes, &bell.waker());
            nodes[NODES / 2].cancel_with("the middle").unwrap();
            let below = bell.rings();
            assert!((1..waits.len()).contains(&below));
            assert!(!nodes[NODES / 2 - 1].token().is_cancelled());
            assert!(nodes[0].cancel());
            assert_eq!(bell.rings(), waits.len());
            let why = |at: usize| nodes[at].token().reason().unwrap().to_string();
            assert_eq!((why(0), why(NODES / 2 - 1)), ("cancelled".into(), "cancelled".into()));
            assert_eq!(
                (why(NODES / 2), why(NODES - 1)),
                ("the middle".into(), "the middle".into())
            );
            order.sort(nodes).for_each(drop);
        }
    });
}

/// Rule 9: a scope that is dropped cancels what is below, which is dropped next.
#[test]
fn scopes_are_dropped_in_any_order() {
    on_a_small_stack(|| {
        for order in [Order::ParentsFirst, Order::MiddleFirst, Order::Random] {
            let bell = Bell::new();
            let mut scopes = vec![CancelScope::new()];
            // A cancel looks at all scopes above first: so the chain is shorter here, and the fan is not.
            for at in 1..NODES {
                let above = if at < 1000 { at - 1 } else { 999 };
                let scope = scopes[above].token().child();
                scopes.push(scope);
            }
            let mut wait = scopes[NODES - 1].token().clone().cancelled_owned();
            assert!(poll(&mut wait, &bell.waker()).is_pending());
            order.sort(scopes).for_each(drop);
            assert_eq!((bell.rings(), look(&mut wait).is_ready()), (1, true));
        }
    });
}

/// Rule 9: every question, at the far end of the chain.
#[test]
fn a_chain_answers_every_question() {
    on_a_small_stack(|| {
        let root = CancelScope::new();
        let mut leaf = root.token().with_value("far away");
        for at in 0..NODES {
            leaf = if at % 2 == 0 {
                leaf.with_value(at)
            } else {
                leaf.child().detach().token().clone()
            };
        }
        assert!(!leaf.is_cancelled() && leaf.reason().is_none() && leaf.check().is_ok());
        assert_eq!((leaf.value(), leaf.deadline()), (Some(&"far away"), None));
        assert_eq!(leaf.value::<u8>(), None);
        let open = format!("{leaf:?} {root:?} {:?}", leaf.cancelled());
        assert!(open.len() < 1000, "not the whole chain");
        let shielded = leaf.shielded();
        let callback = leaf.on_cancel(|| {});
        assert!(!format!("{callback:?}").is_empty());
        root.cancel_with("the root").unwrap();
        let why = leaf.check().unwrap_err();
        assert!(leaf.is_cancelled() && !shielded.is_cancelled());
        assert_eq!(why.to_string(), "the root");
        assert!(format!("{leaf:?} {why:?}").contains("the root"));
        assert!(!callback.deregister());
        drop((root, leaf, shielded));
        assert_eq!(why.reason().to_string(), "the root", "it holds the whole chain, and drops it");
    });
}

/// Rules 9, 10: as many callbacks, run and taken back.
#[test]
fn a_fan_of_callbacks_runs_or_goes() {
    on_a_small_stack(|| {
        for order in ORDERS {
            let root = CancelScope::new();
            let ran = Arc::new(AtomicUsize::new(0));
            let register = |token: &CancelToken| -> Registration {
                let ran = Arc::clone(&ran);
                token.on_cancel(move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                })
            };
            let own: Vec<_> = (0..NODES / 2).map(|_| register(root.token())).collect();
            let below: Vec<_> =
                (0..NODES / 2).map(|_| register(root.token().child().detach().token())).collect();
            let mut gone = 0;
            for registration in order.sort(own).take(NODES / 4) {
                gone += usize::from(registration.deregister());
            }
            assert_eq!(gone, NODES / 4);
            assert!(root.cancel());
            assert_eq!(ran.load(Ordering::Relaxed), below.len());
            assert!(order.sort(below).all(|registration| !registration.deregister()));
        }
    });
}

/// Rule 9: callbacks that nobody can take back are freed with their node.
#[test]
fn a_million_detached_callbacks_are_dropped_with_their_node() {
    on_a_small_stack(|| {
        let held = Arc::new(());
        let scope = CancelScope::new().detach();
        for _ in 0..NODES {
            let held = Arc::clone(&held);
            scope.token().on_cancel(move || drop(held)).detach();
        }
        assert_eq!(Arc::strong_count(&held), NODES + 1);
        drop(scope);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

/// Rule 9: threads take a chain apart from both ends at once.
#[test]
fn a_chain_is_dropped_by_several_threads() {
    let mut nodes = build(Shape::Chain);
    drop(wait(Shape::Chain, &nodes, Waker::noop()));
    let lower = nodes.split_off(NODES / 2);
    thread::scope(|threads| {
        for (nodes, order) in [(nodes, Order::Random), (lower, Order::LeavesFirst)] {
            let thread = thread::Builder::new().stack_size(SMALL_STACK);
            thread.spawn_scoped(threads, move || order.sort(nodes).for_each(drop)).unwrap();
        }
    });
}

/// Rule 9: scopes that cancel when they are dropped, from any end, in a time that grows with their
/// number alone; with and without a wait that was there before.
#[test]
fn a_chain_of_scopes_is_dropped_in_each_order() {
    on_a_small_stack(|| {
        for (order, waited) in ORDERS.into_iter().flat_map(|order| [(order, false), (order, true)])
        {
            let mut scopes = vec![CancelScope::new()];
            for at in 1..NODES {
                scopes.push(scopes[at - 1].token().child());
            }
            if waited {
                let mut wait = scopes[NODES - 1].token().cancelled();
                assert!(poll(&mut wait, Waker::noop()).is_pending());
            }
            order.sort(scopes).for_each(drop);
        }
    });
}
