//! Models of a group's end: its finaliser, its waits, and the groups that it holds up.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::future::{pending, ready};
use core::task::Waker;

use loom::future::block_on;
use loom::thread;
use winddown::{CancelScope, Stopped, TaskGroup};
use winddown_loom_tests::{Finale, Turns, Work, check, check_within, lend, parked};

/// Rule 16: a wait or a look hears of the drain when the finaliser has run, not before.
///
/// Edges: A, D.
///
/// Mutants: `deferred-not-settled-after-the-finaliser`, `drain-ends-the-waits-first`.
#[test]
fn the_finaliser_comes_before_every_wait() {
    check(|| {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).build();
        let turns = Turns::default();
        // SAFETY: the thread is joined below.
        let turns = unsafe { lend(&turns) };
        let guard = group.guard().unwrap();
        group.close();
        let worker = turns.spawn(move || drop(guard));
        turns.take();
        if group.is_drained() {
            finale.assert_over();
        }
        block_on(group.drained());
        finale.assert_over();
        worker.join().unwrap();
    });
}

/// Rules 5, 16 and 17: a parent that joins while the last task of its child leaves ends after the child,
/// and sees its work.
///
/// Edges: A, E, Q.
///
/// Mutants: `deferred-settle-one-dropped`, `drain-forgets-who-ended`, `drain-releases-nobody`.
#[test]
fn a_parent_ends_after_its_child() {
    check(|| {
        let (work, below, above) =
            (Arc::new(Work::default()), Arc::new(Finale::default()), Arc::new(Finale::default()));
        let parent = {
            let below = Arc::clone(&below);
            above.builder(move || below.assert_over()).build()
        };
        let inside = Arc::clone(&work);
        let child = parent.child_with(below.builder(move || inside.assert_finished())).unwrap();
        let guard = child.guard().unwrap();
        let worker = thread::spawn(move || {
            work.finish();
            drop(guard);
        });
        block_on(parent.join());
        above.assert_over();
        assert!(child.is_drained());
        worker.join().unwrap();
    });
}

/// Rules 16, 17: an idle child that is closed by its own last handle and from above ends once, and its
/// parent after it; nothing of either is left.
///
/// Edges: B, E.
///
/// Mutants: `below-settled-without-a-reference`, `follow-does-not-drain`.
#[test]
fn a_child_that_is_closed_from_both_sides_ends_once() {
    check(|| {
        let (below, above) = (Arc::new(Finale::default()), Arc::new(Finale::default()));
        let parent = {
            let below = Arc::clone(&below);
            above.builder(move || below.assert_over()).build()
        };
        let child = parent.child_with(below.builder(|| ())).unwrap();
        let dropper = thread::spawn(move || drop(child));
        parent.close();
        dropper.join().unwrap();
        assert!(parent.is_drained());
        above.assert_over();
    });
}

/// Rules 8, 16: a group below a token that is cancelled while the last handle goes ends once, and
/// nothing of it is left.
///
/// Edges: B.
///
/// Mutants: `follow-does-not-drain`.
#[test]
fn a_group_whose_handle_goes_while_it_is_cancelled_from_above_ends_once() {
    check(|| {
        let scope = CancelScope::new().detach();
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).parent(scope.token()).build();
        let canceller = thread::spawn(move || scope.cancel());
        drop(group);
        canceller.join().unwrap();
        finale.assert_over();
    });
}

/// Rule 16: a link that is made while the other group drains holds the new group up, or finds the other
/// drained.
///
/// Edges: E, Q.
///
/// Mutants: `drain-releases-nobody`, `link-that-came-late-not-ended`, `sealable-late-refusal-relaxed`,
/// `sealable-refusal-relaxed`, `sealable-seal-does-not-release`.
#[test]
fn a_link_that_meets_a_drain_is_kept_or_over() {
    check(|| {
        let (work, other) = (Arc::new(Work::default()), TaskGroup::new());
        let guard = other.guard().unwrap();
        other.close();
        let worker = thread::spawn({
            let work = Arc::clone(&work);
            move || {
                work.finish();
                drop(guard);
            }
        });
        let finale = Arc::new(Finale::default());
        let group = finale.builder(move || work.assert_finished()).link(&other).build();
        group.close();
        block_on(group.drained());
        finale.assert_over();
        assert!(other.is_drained());
        worker.join().unwrap();
    });
}

/// Rules 5 and 16: the tasks of a group and what it is linked to end at once: one of the two is last,
/// and the finaliser sees the work of both.
///
/// Edges: A, E, Q.
///
/// Mutants: `end-of-the-population-not-counted`, `ends-in-two-steps`, `ends-not-acquired`,
/// `ends-not-published`, `ends-without-links`.
#[test]
fn tasks_and_a_link_end_at_once() {
    check(|| {
        let works = Arc::new([(); 2].map(|()| Work::default()));
        let other = TaskGroup::new();
        let (finale, builder) = Finale::after(&works);
        let group = builder.link(&other).build();
        let guards = [other.guard().unwrap(), group.guard().unwrap()];
        other.close();
        group.close();
        let [linked, own] = guards;
        let worker = thread::spawn({
            let works = Arc::clone(&works);
            move || {
                works[0].finish();
                drop(linked);
            }
        });
        works[1].finish();
        drop(own);
        worker.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 4: two threads close a group that is empty and that a link holds up. They end it once, and not before the
/// link.
///
/// Edges: E.
///
/// Mutants: `ends-without-links`, `population-closed-by-each-closer`.
#[test]
fn two_closes_do_not_end_a_link() {
    check(|| {
        let (other, finale) = (TaskGroup::new(), Arc::new(Finale::default()));
        let group = finale.builder(|| ()).link(&other).build();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let closer = thread::spawn(move || group.close());
        group.close();
        closer.join().unwrap();
        assert!(!group.is_drained());
        other.close();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 16: two threads end a group at once, from inside and from outside: one leaves and joins, the other closes
/// and shuts down. Both return, after the one finale.
///
/// Edges: A, B, C, D.
///
/// Mutants: `drain-ends-the-waits-first`.
#[test]
fn close_join_leave_and_shutdown_at_once() {
    check(|| {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).build();
        let lent = (group, finale);
        // SAFETY: the thread is joined below.
        let (group, finale) = unsafe { lend(&lent) };
        let guard = group.guard().unwrap();
        let inside = thread::spawn(move || {
            block_on(guard.leave().join());
            finale.assert_over();
        });
        group.close();
        block_on(group.shutdown(ready(())));
        finale.assert_over();
        inside.join().unwrap();
    });
}

/// Rule 16: as above, with a third thread that joins.
///
/// Edges: A, B, C, D.
///
/// Mutants: `drain-ends-the-waits-first`.
#[test]
fn two_joins_and_a_leave_at_once() {
    check_within(1, || {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).build();
        let lent = (group, finale);
        // SAFETY: the threads are joined below.
        let (group, finale) = unsafe { lend(&lent) };
        let guard = group.guard().unwrap();
        group.close();
        // The list is there.
        drop(parked(group.drained(), Waker::noop()));
        let inside = thread::spawn(move || drop(guard.leave()));
        let outside = thread::spawn(move || {
            block_on(group.join());
            finale.assert_over();
        });
        block_on(group.join());
        finale.assert_over();
        inside.join().unwrap();
        outside.join().unwrap();
    });
}

/// Two shutdowns, one with a grace that is over and one with a grace without end, give the same answer about
/// the end of the group.
///
/// Edges: A, D.
///
/// Mutants: `stopped-asked-late`.
#[test]
fn two_shutdowns_give_the_same_answer() {
    check(|| {
        let group = TaskGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let other = thread::spawn(move || block_on(group.shutdown(ready(()))));
        drop(guard);
        let stopped = block_on(group.shutdown(pending::<()>()));
        assert_eq!(other.join().unwrap(), stopped);
    });
}

/// A group whose last task leaves because it was cancelled was forced, also if the cancel came from the
/// token above.
///
/// Edges: A, D.
fn a_task_that_heard_of_the_cancel_was_forced(from_above: bool) {
    check(move || {
        let scope = CancelScope::new().detach();
        let group = TaskGroup::builder().parent(scope.token()).build();
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            block_on(guard.token().cancelled());
            drop(guard);
        });
        if from_above {
            scope.cancel();
        } else {
            group.cancel();
        }
        assert_eq!(block_on(group.shutdown(pending::<()>())), Stopped::Forced);
        worker.join().unwrap();
    });
}

/// Mutants: `forced-not-noted`.
#[test]
fn a_task_that_heard_of_the_groups_cancel_was_forced() {
    a_task_that_heard_of_the_cancel_was_forced(false);
}

/// Mutants: `cancel-above-not-asked`.
#[test]
fn a_task_that_heard_of_a_cancel_above_was_forced() {
    a_task_that_heard_of_the_cancel_was_forced(true);
}
