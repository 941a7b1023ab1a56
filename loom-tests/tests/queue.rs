//! Models of the queue of a group with a limit: how a wait is decided, its waker, and the close that meets it.
//! Which wait gets a place is in `limit.rs`, and how such a group ends in `limit_end.rs`.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::task::{Poll, Waker};

use loom::future::block_on;
use loom::thread;
use winddown::{CancelScope, Refused, TaskGroup};
use winddown_loom_tests::{
    Arrival, Finale, Turns, Wakes, Work, check, check_within, lend, limited, nonzero, poll, queued,
    unexplored,
};

/// Rules 4, 7 and 16: a close that meets a grant, on another thread or behind it on the same: the wait
/// gets in or is refused, and either way the group drains.
///
/// Edges: A, C, D.
fn a_close_meets_a_grant(on_one_thread: bool) {
    check_within(2, move || {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).limit(nonzero(1)).build();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let wait = unexplored(|| queued(group));
        let leaver = thread::spawn(move || {
            drop(guard);
            if on_one_thread {
                group.close();
            }
        });
        if !on_one_thread {
            group.close();
        }
        match block_on(wait) {
            Ok(guard) => drop(guard),
            Err(refused) => assert_eq!(refused, Refused::Closed),
        }
        leaver.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Mutants: `limit-place-not-given-back`.
#[test]
fn a_close_behind_a_grant_ends_the_group() {
    a_close_meets_a_grant(true);
}

/// Mutants: `limit-place-not-given-back`.
#[test]
fn a_close_beside_a_grant_ends_the_group() {
    a_close_meets_a_grant(false);
}

/// Rule 7: a close wakes the waits for room, and they are refused.
///
/// Edges: B, C, D.
///
/// Mutants: `limit-close-dismisses-nobody`, `limit-close-does-not-acquire`, `limit-close-ends-no-wait`,
/// `limit-dismissed-before-closed`.
#[test]
fn a_close_wakes_the_waits_for_room() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _guard = group.guard().unwrap();
        let closer = thread::spawn(move || group.close());
        assert_eq!(block_on(group.guard_when_room()).err(), Some(Refused::Closed));
        closer.join().unwrap();
    });
}

/// Rule 7: a close from above wakes them, too.
///
/// Edges: B, C, D.
///
/// Mutants: `follow-does-not-close`, `limit-close-dismisses-nobody`.
#[test]
fn a_close_above_wakes_the_waits_for_room() {
    check_within(2, || {
        let above = TaskGroup::new();
        let full = TaskGroup::builder().limit(nonzero(1));
        let group = unexplored(|| above.child_with(full).unwrap());
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let closer = thread::spawn(move || above.close());
        assert_eq!(block_on(group.guard_when_room()).err(), Some(Refused::Closed));
        closer.join().unwrap();
        drop(guard);
        assert!(group.is_drained());
    });
}

/// Rules 4, 7 and 12: a close dismisses a queue while another thread serves it: whichever of the two fires a
/// wait, all waits are decided, and no place is lost.
///
/// Edges: C, F, L, N.
///
/// Mutants: `limit-dismissed-has-a-place`, `limit-server-drops-the-dismissed`.
#[test]
fn a_close_and_a_grant_share_the_queue() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let wakes = [Wakes::new(), Wakes::new(), Wakes::new()];
        let mut waits = unexplored(|| {
            wakes.each_ref().map(|wakes| {
                let mut wait = group.guard_when_room();
                assert!(poll(&mut wait, &wakes.waker()).is_pending());
                wait
            })
        });
        let leaver = thread::spawn(move || drop(guard));
        group.close();
        leaver.join().unwrap();
        assert_eq!(wakes.map(|wakes| wakes.count()), [1; 3]);
        for wait in &mut waits {
            match poll(wait, Waker::noop()) {
                Poll::Ready(outcome) => assert_eq!(outcome.err(), Some(Refused::Closed)),
                Poll::Pending => panic!("the wait was not decided"),
            }
        }
        assert!(group.is_drained() && group.is_empty());
    });
}

/// Rules 4, 7 and 16: a close and a leaver meet a wait that polls meanwhile: it gets in, is refused, or is
/// woken. The group ends once.
///
/// Edges: A, C, D, O.
///
/// Mutants: `limit-close-forgets-the-end`,
/// `limit-looks-at-the-door-first`.
#[test]
fn a_wait_polls_while_a_close_and_a_leaver_meet() {
    check_within(2, || {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).limit(nonzero(1)).build();
        // SAFETY: the threads are joined below.
        let shared = unsafe { lend(&group) };
        let guard = shared.guard().unwrap();
        let (wakes, mut wait) = (Wakes::new(), shared.guard_when_room());
        unexplored(|| assert!(poll(&mut wait, &wakes.waker()).is_pending()));
        let leaver = thread::spawn(move || drop(guard));
        let closer = thread::spawn(move || shared.close());
        let early = poll(&mut wait, &wakes.waker());
        leaver.join().unwrap();
        closer.join().unwrap();
        match early {
            Poll::Ready(entered) => drop(entered),
            Poll::Pending => {
                assert_eq!(wakes.count(), 1);
                let late = poll(&mut wait, &wakes.waker());
                assert!(matches!(late, Poll::Ready(Err(Refused::Closed))));
            }
        }
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rules 4, 7 and 12: a wait that was granted a place is dropped while the door closes: the one behind it is
/// woken and refused, and the group ends once.
///
/// Edges: A, C, D, N.
///
/// Mutants: `waiter-granted-taken-for-gone`.
#[test]
fn a_granted_wait_is_dropped_beside_a_close() {
    check_within(2, || {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).limit(nonzero(1)).build();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&group) };
        let guard = shared.guard().unwrap();
        let (granted, behind) = unexplored(|| (queued(shared), Arrival::at(shared)));
        unexplored(|| drop(guard));
        let closer = thread::spawn(move || shared.close());
        drop(granted);
        closer.join().unwrap();
        assert_eq!(behind.outcome().err(), Some(Refused::Closed));
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Another waker is given to a wait while it is decided: its own poll sees that, or the new waker is woken,
/// and the old one is not.
///
/// Edges: O.
fn a_waker_is_replaced_while_the_wait_is_decided(by_a_close: bool) {
    check(move || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let (old, new, mut wait) = (Wakes::new(), Wakes::new(), group.guard_when_room());
        unexplored(|| assert!(poll(&mut wait, &old.waker()).is_pending()));
        let other = thread::spawn(move || {
            if by_a_close {
                group.close();
            }
            drop(guard);
        });
        let mut polled = poll(&mut wait, &new.waker());
        other.join().unwrap();
        if polled.is_pending() {
            assert_eq!((old.count(), new.count()), (0, 1));
            polled = poll(&mut wait, &new.waker());
        }
        match polled {
            Poll::Ready(entered) => assert_eq!(entered.is_err(), by_a_close),
            Poll::Pending => panic!("the wait was not decided"),
        }
    });
}

/// Mutants: `waiter-busy-is-passed-by`, `waiter-busy-is-woken`, `waiter-decide-does-not-acquire`,
/// `waiter-keeps-the-old-waker`, `waiter-left-busy`, `waiter-restored-relaxed`,
/// `waiter-written-while-waiting`.
#[test]
fn a_waker_is_replaced_beside_a_grant() {
    a_waker_is_replaced_while_the_wait_is_decided(false);
}

/// Mutants: `waiter-busy-is-passed-by`, `waiter-busy-is-woken`, `waiter-decide-does-not-acquire`,
/// `waiter-keeps-the-old-waker`, `waiter-left-busy`, `waiter-restored-relaxed`,
/// `waiter-written-while-waiting`.
#[test]
fn a_waker_is_replaced_beside_a_dismissal() {
    a_waker_is_replaced_while_the_wait_is_decided(true);
}

/// Rule 5: a wait that is let in, by a task that leaves or by a higher limit, sees what came before, also if
/// it looks before it is woken.
///
/// Edges: O.
fn a_wait_that_is_let_in_sees_what_came_before(by_a_raise: bool) {
    check(move || {
        let (group, work, turns) = (limited(1), Work::default(), Turns::default());
        let lent = (group, work, turns);
        // SAFETY: the thread is joined below.
        let (group, work, turns) = unsafe { lend(&lent) };
        let guard = group.guard().unwrap();
        let mut wait = unexplored(|| queued(group));
        let other = turns.spawn(move || {
            work.finish();
            if by_a_raise {
                group.set_limit(nonzero(2)).unwrap();
            }
            drop(guard);
        });
        turns.take();
        if let Poll::Ready(entered) = poll(&mut wait, Waker::noop()) {
            work.assert_finished();
            drop(entered.unwrap());
        }
        other.join().unwrap();
    });
}

/// Mutants: `waiter-decide-does-not-release`, `waiter-outcome-relaxed`.
#[test]
fn a_wait_that_is_let_in_sees_what_a_task_did() {
    a_wait_that_is_let_in_sees_what_came_before(false);
}

/// Mutants: `waiter-decide-does-not-release`, `waiter-outcome-relaxed`.
#[test]
fn a_wait_that_is_let_in_sees_what_came_before_a_raise() {
    a_wait_that_is_let_in_sees_what_came_before(true);
}

/// Rule 20: a limit that came before the place was free keeps a wait from taking it, whenever the wait looks; the place
/// is free for others.
///
/// Edges: A, D, O.
///
/// Mutants: `until-looks-at-its-limit-once`.
#[test]
fn a_place_that_gets_free_behind_the_limit_is_not_taken() {
    check(|| {
        let (group, scope) = (limited(1), CancelScope::new());
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let mut wait = group.guard_when_room().until(scope.token().clone());
        let leaver = thread::spawn(move || {
            scope.cancel();
            drop(guard);
        });
        // The second look is one of a wait that sits in the queue.
        for _ in 0..2 {
            match poll(&mut wait, Waker::noop()) {
                Poll::Pending => {}
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(_)) => panic!("the work began behind its limit"),
            }
        }
        leaver.join().unwrap();
        drop(wait);
        assert!(group.guard().is_ok(), "the place is lost");
    });
}
