//! Models of the levels of a group: a close or a cancel reaches those below at once, and they end with it.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;

use loom::future::block_on;
use loom::thread;
use winddown::{CancelScope, Refused, TaskGroup};
use winddown_loom_tests::{Finale, Turns, Wakes, Work, check, check_within, lend, poll};

/// A thread that has seen a `sign` of a close of a group enters neither the group nor a child of it.
fn nobody_enters_after(sign: impl Fn(&TaskGroup, &TaskGroup) -> bool + Send + Sync + 'static) {
    check(move || {
        let parent = TaskGroup::new();
        let lent = (parent.child().unwrap(), parent, Turns::default());
        // SAFETY: the thread is joined below.
        let (child, parent, turns) = unsafe { lend(&lent) };
        let closer = turns.spawn(move || parent.close());
        turns.take();
        if sign(parent, child) {
            for group in [child, parent] {
                assert_eq!(group.guard().err(), Some(Refused::Closed));
                assert!(group.is_closed());
            }
        }
        closer.join().unwrap();
        assert!(child.is_drained() && parent.is_drained());
    });
}

/// Rules 4 and 17: a thread that sees a group closed enters neither it nor a child of it.
///
/// Edges: D.
///
/// Mutants: `door-not-below-the-parents`, `enter-does-not-look`, `root-does-not-look`.
#[test]
fn a_group_is_seen_closed() {
    nobody_enters_after(|parent, _| parent.is_closed());
}

/// Rules 4 and 17: a thread that sees a child closed from above enters neither it nor its parent.
///
/// Edges: D.
///
/// Mutants: `enter-does-not-look`, `root-does-not-look`.
#[test]
fn a_child_is_seen_closed() {
    nobody_enters_after(|_, child| child.is_closed());
}

/// Rules 4 and 17: a thread that a group refuses enters none of its children.
///
/// Edges: D.
///
/// Mutants: `close-of-the-population-first`, `door-not-below-the-parents`, `enter-does-not-look`.
#[test]
fn a_group_refuses() {
    nobody_enters_after(|parent, _| parent.guard().is_err());
}

/// Rules 4 and 17: a thread that is refused by a child, which is closed from above, does not enter its parent.
///
/// Edges: D.
///
/// Mutants: `root-does-not-look`.
#[test]
fn a_child_refuses() {
    nobody_enters_after(|_, child| child.guard().is_err());
}

/// Rules 4 and 17: a thread that has waited for a group's door enters none of its children.
///
/// Edges: D.
///
/// Mutants: `door-not-below-the-parents`, `enter-does-not-look`, `root-does-not-look`.
#[test]
fn a_wait_for_the_door_is_over() {
    nobody_enters_after(|parent, _| {
        block_on(parent.closed());
        true
    });
}

/// Rules 4 and 17: a thread whose close came second enters neither the group nor a child of it.
///
/// Edges: D.
///
/// Mutants: `enter-does-not-look`.
#[test]
fn a_second_close_has_returned() {
    nobody_enters_after(|parent, _| {
        parent.close();
        true
    });
}

/// Rules 4, 8 and 17: a thread that sees the drain of a group enters none of its children.
///
/// Edges: D.
///
/// Mutants: `follow-does-not-close`.
#[test]
fn a_group_is_drained() {
    nobody_enters_after(|parent, _| parent.is_drained());
}

/// Rule 6: two threads close a child while a third closes its parent. At most one of the two is the first, and
/// neither is if it found the child closed. The parent's closer is the first there.
///
/// Edges: D.
///
/// Mutants: `node-cancel-does-not-look-up`.
#[test]
fn of_two_closers_of_a_child_at_most_one_is_the_first() {
    check_within(2, || {
        let parent = TaskGroup::new();
        let lent = (parent.child().unwrap(), parent, Turns::default());
        // SAFETY: the threads are joined below.
        let (child, parent, turns) = unsafe { lend(&lent) };
        let above = turns.spawn(move || parent.close());
        let close = move || {
            turns.take();
            let was_closed = child.is_closed();
            let is_first = child.close();
            assert!(!(is_first && was_closed));
            is_first
        };
        let other = thread::spawn(close);
        let mine = close();
        assert!(above.join().unwrap());
        assert!(!(other.join().unwrap() && mine));
        assert!(!child.close() && child.is_drained() && parent.is_drained());
    });
}

/// Rules 4, 5, 16 and 17: two threads close on two levels while the last task below them leaves: each group ends
/// once, after those below it, and the highest sees the work of the lowest.
///
/// Edges: A, D, E, Q.
///
/// Mutants: `end-of-the-population-not-counted`.
#[test]
fn two_closers_and_a_task_on_three_levels() {
    check_within(2, || {
        let work = Arc::new(Work::default());
        let finales = Arc::new([(); 3].map(|()| Arc::new(Finale::default())));
        let builder = |level: usize| {
            let (work, all) = (Arc::clone(&work), Arc::clone(&finales));
            finales[level].builder(move || {
                work.assert_finished();
                all[level + 1..].iter().for_each(|below| below.assert_over());
            })
        };
        let root = builder(0).build();
        let middle = root.child_with(builder(1)).unwrap();
        let leaf = middle.child_with(builder(2)).unwrap();
        let guard = leaf.guard().unwrap();
        let lent = (root, middle);
        // SAFETY: the threads are joined below.
        let (root, middle) = unsafe { lend(&lent) };
        let upper = thread::spawn(move || root.close());
        let lower = thread::spawn(move || middle.close());
        work.finish();
        drop(guard);
        upper.join().unwrap();
        lower.join().unwrap();
        assert!(root.is_drained() && middle.is_drained() && leaf.is_drained());
        finales.iter().for_each(|finale| finale.assert_over());
    });
}

/// Rules 4 and 17: a close above that meets one in between leaves a part of its delivery to that one,
/// and nobody enters below before both are done.
///
/// Edges: D.
///
/// Mutants: `follow-announces-nothing`.
#[test]
fn a_close_above_may_leave_its_delivery_to_one_in_between() {
    check(|| {
        let root = TaskGroup::new();
        let middle = root.child().unwrap();
        let leaf = middle.child().unwrap();
        let turns = Turns::default();
        let lent = (middle, turns);
        // SAFETY: the thread is joined below.
        let (middle, turns) = unsafe { lend(&lent) };
        let closer = turns.spawn(move || middle.close());
        turns.take();
        root.close();
        assert_eq!(leaf.guard().err(), Some(Refused::Closed));
        closer.join().unwrap();
        assert!(root.is_drained());
    });
}

/// Rules 4 and 8: cancelled implies closed: a thread that sees a group cancelled enters neither it nor its
/// children, and finds those cancelled.
///
/// Edges: D.
///
/// Mutants: `cancel-before-the-close`, `token-not-below-the-parents`.
#[test]
fn a_thread_that_sees_a_group_cancelled_does_not_enter() {
    check(|| {
        let (group, turns) = (TaskGroup::new(), Turns::default());
        let child = group.child().unwrap();
        let lent = (group, turns);
        // SAFETY: the thread is joined below.
        let (group, turns) = unsafe { lend(&lent) };
        let canceller = turns.spawn(move || group.cancel());
        turns.take();
        if group.token().is_cancelled() {
            assert_eq!(group.guard().err(), Some(Refused::Closed));
            assert_eq!(child.guard().err(), Some(Refused::Closed));
            assert!(child.token().is_cancelled());
        }
        canceller.join().unwrap();
    });
}

/// Rules 4 and 8: a thread that has seen the token above a group cancelled enters neither it nor a child of it,
/// though the delivery is on its way.
///
/// Edges: D.
///
/// Mutants: `door-not-below-the-token`.
#[test]
fn a_group_below_a_token_is_closed_when_that_is_seen_cancelled() {
    check(|| {
        let (scope, turns) = (CancelScope::new().detach(), Turns::default());
        let group = TaskGroup::builder().parent(scope.token()).build();
        let child = group.child().unwrap();
        let lent = (scope, turns);
        // SAFETY: the thread is joined below.
        let (scope, turns) = unsafe { lend(&lent) };
        let canceller = turns.spawn(move || scope.cancel());
        turns.take();
        if scope.token().is_cancelled() {
            assert_eq!(group.guard().err(), Some(Refused::Closed));
            assert_eq!(child.guard().err(), Some(Refused::Closed));
        }
        canceller.join().unwrap();
    });
}

/// Rules 4 and 17: a child that is born while its parent closes is refused, or follows: it is closed
/// when the close has returned and the child is there.
///
/// Edges: B, D.
///
/// Mutants: `follow-announces-nothing`, `follow-does-not-close`, `follow-does-not-drain`,
/// `follow-finds-and-does-nothing`, `follow-without-a-hook`, `parent-held-up-too-late`.
#[test]
fn a_child_that_is_born_while_its_parent_closes_follows() {
    check(|| {
        let parent = TaskGroup::new();
        let turns = Turns::default();
        let lent = (parent, turns);
        // SAFETY: the thread is joined below.
        let (parent, turns) = unsafe { lend(&lent) };
        let closer = turns.spawn(move || parent.close());
        turns.take();
        let child = parent.child();
        closer.join().unwrap();
        if let Ok(child) = child {
            assert_eq!(child.guard().err(), Some(Refused::Closed));
            assert!(child.is_drained());
        }
        assert!(parent.is_drained());
    });
}

/// Rules 4, 8 and 16: a group that is born while the token above it is cancelled ends with that, or at once.
///
/// Edges: B, D.
///
/// Mutants: `follow-finds-and-does-nothing`, `follow-without-a-hook`, `token-not-below-the-token`.
#[test]
fn a_group_that_is_born_while_the_token_above_is_cancelled_follows() {
    check(|| {
        let lent = (CancelScope::new().detach(), Turns::default());
        // SAFETY: the thread is joined below.
        let (scope, turns) = unsafe { lend(&lent) };
        let canceller = turns.spawn(move || assert!(scope.cancel()));
        turns.take();
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).parent(scope.token()).build();
        canceller.join().unwrap();
        assert_eq!(group.guard().err(), Some(Refused::Closed));
        assert!(group.token().is_cancelled() && group.is_drained());
        finale.assert_over();
    });
}

/// Rules 8 and 16: a group that is built under a cancelled token has come to its end when it is there, though
/// another one is being built there by a thread that has stalled.
///
/// Edges: B, D, G.
///
/// Mutants: `born-without-a-look`, `follow-finds-and-does-nothing`, `follow-not-hooked-up`.
#[test]
fn a_group_that_is_built_under_a_cancelled_token_ends_at_once() {
    check_within(2, || {
        let root = CancelScope::new().detach();
        let lent = (root.token().child().detach(), root, Turns::default());
        // SAFETY: the thread is joined below.
        let (scope, root, turns) = unsafe { lend(&lent) };
        let build = move || {
            turns.take();
            let was_cancelled = scope.token().is_cancelled();
            let finale = Arc::new(Finale::default());
            let group = finale.builder(|| ()).parent(scope.token()).build();
            if was_cancelled {
                assert!(group.is_drained());
                finale.assert_over();
            }
            group
        };
        let other = thread::spawn(build);
        turns.take();
        assert!(root.cancel());
        assert!(build().is_drained());
        assert!(other.join().unwrap().is_drained());
    });
}

/// Rules 7 and 17: a wait for the door of a child does not take the child's own place in the list of its
/// parent: both hear of the close.
///
/// Edges: B, C, G.
///
/// Mutants: `follower-overwritten-by-its-node`.
#[test]
fn a_wait_for_the_door_of_a_child_leaves_the_child_its_place() {
    check(|| {
        let parent = TaskGroup::new();
        let lent = (parent.child().unwrap(), parent, Turns::default());
        // SAFETY: the thread is joined below.
        let (child, parent, turns) = unsafe { lend(&lent) };
        let closer = turns.spawn(move || parent.close());
        turns.take();
        let (wakes, mut wait) = (Wakes::new(), child.closed());
        let is_early = poll(&mut wait, &wakes.waker()).is_ready();
        closer.join().unwrap();
        assert!(is_early || wakes.count() == 1);
        assert!(child.is_drained() && parent.is_drained());
    });
}
