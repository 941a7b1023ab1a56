//! Models of limits that are changed while tasks run.

#![cfg(loom)]

use core::task::{Poll, Waker};

use loom::future::block_on;
use loom::thread;
use winddown::{Refused, TaskGroup};
use winddown_loom_tests::{check_within, lend, limited, nonzero, parked, poll};

/// A group whose places are all taken by the guard that comes with it.
fn full(group: &TaskGroup) -> (&'static TaskGroup, winddown::TaskGuard) {
    // SAFETY: all threads are joined before the group goes.
    let group = unsafe { lend(group) };
    (group, group.guard().unwrap())
}

/// Asserts that nobody is inside, and that `most` may be, as the group tells.
fn assert_lets_in(group: &TaskGroup, most: usize) {
    assert_eq!(group.limit(), Some(nonzero(most)));
    assert_eq!(group.len(), 0, "a place is lost");
    let guards: Vec<_> = (0..most).map(|_| group.guard().unwrap()).collect();
    assert_eq!(group.guard().err(), Some(Refused::Full));
    drop(guards);
}

/// Of two limits the later one stays, also where the call that gave the first one still lets the queue in.
///
/// Edges: B, C.
///
/// Mutants: `limit-raise-writes-again`.
#[test]
fn a_later_limit_wins() {
    check_within(2, || {
        let group = limited(1);
        let (group, inside) = full(&group);
        let mut wait = parked(group.guard_when_room(), Waker::noop());
        let raiser = thread::spawn(move || group.set_limit(nonzero(3)).unwrap());
        let entered = poll(&mut wait, Waker::noop());
        let is_later = matches!(entered, Poll::Ready(_));
        if is_later {
            group.set_limit(nonzero(1)).unwrap();
        }
        raiser.join().unwrap();
        drop((wait, entered, inside));
        assert_lets_in(group, if is_later { 1 } else { 3 });
    });
}

/// A limit is raised while a task leaves and a wait registers: the wait gets in.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-queued-not-cleared`.
#[test]
fn a_raised_limit_meets_a_leave_and_a_wait() {
    check_within(2, || {
        let group = limited(1);
        let (group, inside) = full(&group);
        let raiser = thread::spawn(move || group.set_limit(nonzero(2)).unwrap());
        let leaver = thread::spawn(move || drop(inside));
        drop(block_on(group.guard_when_room()).unwrap());
        raiser.join().unwrap();
        leaver.join().unwrap();
        assert_lets_in(group, 2);
    });
}

/// Rule 12: a limit that is raised while the first in the queue gives up lets in the one behind.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-raise-passes-nothing-on`.
#[test]
fn a_raised_limit_meets_a_wait_that_gives_up() {
    check_within(2, || {
        let group = limited(1);
        let (group, inside) = full(&group);
        let first = parked(group.guard_when_room(), Waker::noop());
        let raiser = thread::spawn(move || group.set_limit(nonzero(2)).unwrap());
        let quitter = thread::spawn(move || drop(first));
        let second = block_on(group.guard_when_room()).unwrap();
        raiser.join().unwrap();
        quitter.join().unwrap();
        drop((second, inside));
        assert_lets_in(group, 2);
    });
}
