//! Models of a group's door: who enters, who is refused, and who ends the group.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;

use loom::future::block_on;
use loom::thread;
use winddown::{CancelScope, Refused, TaskGroup};
use winddown_loom_tests::{Finale, Turns, Work, check, check_within, lend};

/// A group that ends with a finale, after `work`.
fn group_with(work: &Arc<Work>) -> (TaskGroup, Arc<Finale>) {
    let (finale, work) = (Arc::new(Finale::default()), Arc::clone(work));
    (finale.builder(move || work.assert_finished()).build(), finale)
}

/// Rule 4: once a close has returned, to either of two closers, nobody enters; who entered before is
/// waited for, and the group drains once.
///
/// Edges: A, D.
///
/// Mutants: `population-close-forgets-the-end`, `population-enter-in-two-steps`,
/// `population-enter-undone`, `population-enters-when-closed`.
#[test]
fn nobody_enters_once_a_close_has_returned() {
    check(|| {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).build();
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let closer = thread::spawn(move || group.close());
        let entrant = thread::spawn(move || {
            let guard = group.guard();
            assert!(guard.is_err() || !group.is_drained());
        });
        let first = group.close();
        assert_eq!(group.guard().err(), Some(Refused::Closed));
        assert!(first != closer.join().unwrap());
        entrant.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 5: who is refused sees what came before the close; also who was refused by the word of the
/// population alone.
///
/// Edges: D.
///
/// Mutants: `population-close-does-not-publish`, `population-enter-failure-relaxed`,
/// `population-load-relaxed`.
#[test]
fn who_is_refused_sees_what_came_before_the_close() {
    check(|| {
        let (group, work, turns) = (TaskGroup::new(), Work::default(), Turns::default());
        let lent = (group, work, turns);
        // SAFETY: the thread is joined below.
        let (group, work, turns) = unsafe { lend(&lent) };
        let closer = thread::spawn(move || {
            turns.take();
            work.finish();
            group.close();
        });
        turns.take();
        if group.guard().is_err() {
            work.assert_finished();
        }
        closer.join().unwrap();
    });
}

/// Rules 4, 5 and 16: a close and the last guard meet: one of the two ends the group, and the finaliser
/// sees the work.
///
/// Edges: A.
///
/// Mutants: `population-close-forgets-the-end`, `population-close-in-two-steps`,
/// `population-leave-forgets-the-end`, `population-leave-relaxed`.
#[test]
fn the_last_guard_or_the_close_ends_the_group() {
    check(|| {
        let work = Arc::new(Work::default());
        let (group, finale) = group_with(&work);
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            work.finish();
            drop(guard);
        });
        group.close();
        worker.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rules 5 and 16: of two guards either is the last, and sees the work of the other.
///
/// Edges: A.
///
/// Mutants: `population-last-does-not-acquire`, `population-leave-relaxed`.
#[test]
fn the_last_guard_sees_the_work_of_all() {
    check(|| {
        let works = Arc::new([(); 2].map(|()| Work::default()));
        let finale = Arc::new(Finale::default());
        let group = finale
            .builder({
                let works = Arc::clone(&works);
                move || works.iter().for_each(Work::assert_finished)
            })
            .build();
        let guards = [(); 2].map(|()| group.guard().unwrap());
        group.close();
        let mut index = 0;
        let [one, other] = guards.map(|guard| {
            let (works, work) = (Arc::clone(&works), index);
            index += 1;
            thread::spawn(move || {
                works[work].finish();
                drop(guard);
            })
        });
        block_on(group.drained());
        finale.assert_over();
        works.iter().for_each(Work::assert_finished);
        one.join().unwrap();
        other.join().unwrap();
    });
}

/// Rule 4: a clone of a guard enters past a door that is being closed, and is waited for.
///
/// Edges: A.
///
/// Mutants: `population-joins-in-by-the-door`, `population-joins-in-in-two-steps`.
#[test]
fn who_is_inside_brings_others_in_while_the_door_closes() {
    check(|| {
        let work = Arc::new(Work::default());
        let (group, finale) = group_with(&work);
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            let clone = guard.clone();
            drop(guard);
            assert!(!clone.group().is_drained());
            work.finish();
            drop(clone);
        });
        block_on(group.join());
        finale.assert_over();
        worker.join().unwrap();
    });
}

/// Rules 4 and 5: the last handle closes the door, whichever it is, after what was done with all; the
/// guard that is inside frees the group.
///
/// Mutants: `handle-dropped-relaxed`, `handle-last-does-not-acquire`, `handle-last-does-not-close`.
#[test]
fn the_last_handle_closes_the_door() {
    check_within(2, || {
        let works = [(); 2].map(|()| Work::default());
        // SAFETY: the threads are joined below.
        let works = unsafe { lend(&works) };
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let handles = [group.clone(), group];
        let mut index = 0;
        let [one, other] = handles.map(|handle| {
            let work = &works[index];
            index += 1;
            thread::spawn(move || {
                work.finish();
                drop(handle);
            })
        });
        block_on(guard.closed());
        works.iter().for_each(Work::assert_finished);
        drop(guard);
        one.join().unwrap();
        other.join().unwrap();
    });
}

/// Rules 4 and 16: the last guard, a handle and a join: the group ends once, and nothing is left.
///
/// Edges: A.
///
/// Mutants: `drain-keeps-its-reference`, `population-leave-forgets-the-end`.
#[test]
fn a_guard_a_handle_and_a_join_end_one_group() {
    check(|| {
        let work = Arc::new(Work::default());
        let (group, finale) = group_with(&work);
        let guard = group.guard().unwrap();
        let other = group.clone();
        let leaver = thread::spawn(move || {
            work.finish();
            drop(guard);
        });
        let dropper = thread::spawn(move || drop(other));
        block_on(group.join());
        finale.assert_over();
        drop(group);
        leaver.join().unwrap();
        dropper.join().unwrap();
    });
}

/// Rule 4: the last guard and the last handle go at once, and with them the group.
///
/// Edges: A.
///
/// Mutants: `drain-keeps-its-reference`, `handle-last-does-not-close`.
#[test]
fn the_last_guard_and_the_last_handle_go_at_once() {
    check(|| {
        let work = Arc::new(Work::default());
        let (group, finale) = group_with(&work);
        let guard = group.guard().unwrap();
        let leaver = thread::spawn(move || {
            work.finish();
            drop(guard);
        });
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}

/// A child must be closed as soon as `sign` tells that its parent is.
fn a_child_is_closed_when(sign: impl Fn(&TaskGroup) -> bool + Send + Sync + 'static) {
    check(move || {
        let (parent, turns) = (TaskGroup::new(), Turns::default());
        let child = parent.child().unwrap();
        let lent = (parent, turns);
        // SAFETY: the thread is joined below.
        let (parent, turns) = unsafe { lend(&lent) };
        let closer = thread::spawn(move || {
            turns.take();
            parent.close();
        });
        turns.take();
        if sign(parent) {
            assert_eq!(child.guard().err(), Some(Refused::Closed));
            assert!(child.is_closed());
        }
        closer.join().unwrap();
        assert!(parent.is_drained());
    });
}

/// Rules 4 and 17: who sees a group closed enters none of its children.
///
/// Edges: D.
///
/// Mutants: `enter-does-not-look`.
#[test]
fn its_parent_is_seen_closed() {
    a_child_is_closed_when(TaskGroup::is_closed);
}

/// Rules 4 and 17: who is refused by a group enters none of its children.
///
/// Edges: D.
///
/// Mutants: `close-of-the-population-first`, `enter-does-not-look`.
#[test]
fn its_parent_refuses() {
    a_child_is_closed_when(|parent| parent.guard().is_err());
}

/// Rules 4 and 17: who has waited for a group's door enters none of its children.
///
/// Edges: D.
///
/// Mutants: `enter-does-not-look`.
#[test]
fn its_parents_wait_for_the_door_is_over() {
    a_child_is_closed_when(|parent| {
        block_on(parent.closed());
        true
    });
}

/// Rules 4 and 17: who comes second with a close of a group enters none of its children.
///
/// Edges: D.
///
/// Mutants: `enter-does-not-look`.
#[test]
fn a_second_close_has_returned() {
    a_child_is_closed_when(|parent| {
        parent.close();
        true
    });
}

/// Rules 4, 8 and 17: who sees a parent's drain enters none of its children.
///
/// Edges: D.
///
/// Mutants: `follow-does-not-close`.
#[test]
fn its_parent_is_drained() {
    a_child_is_closed_when(TaskGroup::is_drained);
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
        let closer = thread::spawn(move || {
            turns.take();
            middle.close();
        });
        turns.take();
        root.close();
        assert_eq!(leaf.guard().err(), Some(Refused::Closed));
        closer.join().unwrap();
        assert!(root.is_drained());
    });
}

/// Rule 4: cancelled implies closed: who sees a group cancelled enters neither it nor its children.
///
/// Edges: D.
///
/// Mutants: `cancel-before-the-close`.
#[test]
fn who_sees_a_group_cancelled_does_not_enter() {
    check(|| {
        let (group, turns) = (TaskGroup::new(), Turns::default());
        let child = group.child().unwrap();
        let lent = (group, turns);
        // SAFETY: the thread is joined below.
        let (group, turns) = unsafe { lend(&lent) };
        let canceller = thread::spawn(move || {
            turns.take();
            group.cancel()
        });
        turns.take();
        if group.token().is_cancelled() {
            assert_eq!(group.guard().err(), Some(Refused::Closed));
            assert_eq!(child.guard().err(), Some(Refused::Closed));
        }
        canceller.join().unwrap();
    });
}

/// Rules 4 and 8: who has seen the token above a group cancelled does not enter it, or a child of it,
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
        let canceller = thread::spawn(move || {
            turns.take();
            scope.cancel()
        });
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
/// `follow-not-hooked-up`.
#[test]
fn a_child_that_is_born_while_its_parent_closes_follows() {
    check(|| {
        let parent = TaskGroup::new();
        let turns = Turns::default();
        let lent = (parent, turns);
        // SAFETY: the thread is joined below.
        let (parent, turns) = unsafe { lend(&lent) };
        let closer = thread::spawn(move || {
            turns.take();
            parent.close();
        });
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
