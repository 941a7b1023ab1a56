//! Rules 9, 17, 18: chains and fans of groups end without recursion, in whatever order.
//!
//! Each test runs on a thread with a stack of 64 KiB. An entry and a close look at each door above, so to
//! build a chain of children takes steps in the square of its length. Chains of children are shorter here
//! than chains of links; `cargo test --release --test group_trees` takes more levels of them.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use common::{Bell, ORDERS, look, on_a_small_stack, poll};
use winddown::{CancelScope, TaskGroup, TaskGroupBuilder};

/// For links.
const GROUPS: usize = 100_000;
/// For children, which look at all above at each step.
const LEVELS: usize = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
/// For fans, which take the most time.
const MANY: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

/// Finalisers that count, and tell the place of the last one.
#[derive(Clone, Debug, Default)]
struct Ends(Arc<AtomicUsize>);

impl Ends {
    fn builder(&self) -> TaskGroupBuilder {
        let ends = Arc::clone(&self.0);
        TaskGroup::builder().finally(move || {
            ends.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Each below the one before.
fn chain(levels: usize, ends: &Ends) -> Vec<TaskGroup> {
    let mut groups = vec![ends.builder().build()];
    for at in 1..levels {
        groups.push(groups[at - 1].child_with(ends.builder()).unwrap());
    }
    groups
}

/// Each linked to the one before.
fn links(groups: usize, ends: &Ends) -> Vec<TaskGroup> {
    let mut all = vec![ends.builder().build()];
    for at in 1..groups {
        all.push(ends.builder().link(&all[at - 1]).build());
    }
    all
}

/// All below one.
fn fan(groups: usize, ends: &Ends) -> Vec<TaskGroup> {
    let root = ends.builder().build();
    let mut all: Vec<_> = (1..groups).map(|_| root.child_with(ends.builder()).unwrap()).collect();
    all.insert(0, root);
    all
}

/// Rules 17, 18: idle, closed at the root, with a wait there.
#[test]
fn a_chain_of_children_is_closed_at_its_root() {
    on_a_small_stack(|| {
        let ends = Ends::default();
        let groups = chain(LEVELS, &ends);
        let bell = Bell::new();
        let mut wait = groups[0].drained();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        assert!(groups[0].close());
        assert_eq!((ends.count(), bell.rings()), (LEVELS, 1));
        assert!(groups.iter().all(TaskGroup::is_drained));
    });
}

/// Rules 17, 18: one task at the bottom holds all up, and its guard's drop drains them all.
#[test]
fn a_chain_of_children_is_drained_by_the_last_guard() {
    on_a_small_stack(|| {
        let ends = Ends::default();
        let groups = chain(LEVELS, &ends);
        let guard = groups[LEVELS - 1].guard().unwrap();
        assert!(groups[0].cancel());
        assert!(guard.token().is_cancelled() && groups[LEVELS / 2].is_closed());
        assert_eq!(ends.count(), 0);
        drop(guard);
        assert_eq!(ends.count(), LEVELS);
    });
}

/// Rule 9: handles are dropped in each order, with and without a task at the bottom.
#[test]
fn a_chain_of_children_is_dropped_in_any_order() {
    on_a_small_stack(|| {
        for order in ORDERS {
            for busy in [false, true] {
                let ends = Ends::default();
                let groups = chain(LEVELS, &ends);
                let guard = busy.then(|| groups[LEVELS - 1].guard().unwrap());
                order.sort(groups).for_each(drop);
                assert_eq!(ends.count(), if busy { 0 } else { LEVELS });
                drop(guard);
                assert_eq!(ends.count(), LEVELS);
            }
        }
    });
}

/// `docs/design.md`, Groups: a chain of a hundred thousand, closed in each order, by closes or by drops.
#[test]
fn a_chain_of_links_ends_in_any_order() {
    on_a_small_stack(|| {
        for order in ORDERS {
            for drops in [false, true] {
                let ends = Ends::default();
                let groups = links(GROUPS, &ends);
                if drops {
                    order.sort(groups).for_each(drop);
                } else {
                    assert!(order.sort(groups.iter().collect()).all(TaskGroup::close));
                    assert!(groups.iter().all(TaskGroup::is_drained));
                }
                assert_eq!(ends.count(), GROUPS);
            }
        }
    });
}

/// Rule 9: a fan of children, and a fan of links.
#[test]
fn a_fan_ends_in_any_order() {
    on_a_small_stack(|| {
        for order in ORDERS {
            let ends = Ends::default();
            order.sort(fan(MANY, &ends)).for_each(drop);
            assert_eq!(ends.count(), MANY);
        }
        let ends = Ends::default();
        let groups = fan(MANY, &ends);
        let guard = groups[MANY / 2].guard().unwrap();
        assert!(groups[0].close());
        assert_eq!((ends.count(), groups[0].len()), (MANY - 2, 1));
        drop(guard);
        assert_eq!(ends.count(), MANY);
        let (root, ends) = (TaskGroup::new(), Ends::default());
        let linked: Vec<_> = (0..MANY).map(|_| ends.builder().link(&root).build()).collect();
        assert!(linked.iter().all(TaskGroup::close));
        assert_eq!(ends.count(), 0);
        root.close();
        assert_eq!(ends.count(), MANY);
    });
}

/// A fan of groups below one token, which is cancelled.
#[test]
fn a_fan_below_a_token_ends_with_it() {
    on_a_small_stack(|| {
        let (scope, ends) = (CancelScope::new(), Ends::default());
        let groups: Vec<_> =
            (0..MANY).map(|_| ends.builder().parent(scope.token()).build()).collect();
        assert!(scope.cancel());
        assert_eq!(ends.count(), MANY);
        assert!(groups.iter().all(|group| look(&mut group.drained()).is_ready()));
    });
}
