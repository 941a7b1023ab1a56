//! Models of the end of a group with a limit: which thread makes the last step, and what that sees.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::task::{Poll, Waker};

use loom::thread;
use winddown::{Refused, TaskGroup};
use winddown_loom_tests::{
    Arrival, Finale, Work, assert_refusal_sees_the_close, check, check_within, leave_a_mark, lend,
    limited, nonzero, numbered, poll, queued, unexplored,
};

/// Rule 5: the thread that ends a group with a limit sees what was done inside.
///
/// Edges: A.
///
/// Mutants: `limit-close-does-not-acquire`, `limit-close-forgets-the-end`, `limit-leave-forgets-the-end`,
/// `limit-leave-relaxed`.
#[test]
fn the_last_guard_of_a_full_group_publishes_its_work() {
    check(|| {
        let works = Arc::new([Work::default()]);
        let (finale, builder) = Finale::after(&works);
        let group = builder.limit(nonzero(1)).build();
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            works[0].finish();
            drop(guard);
        });
        group.close();
        worker.join().unwrap();
        finale.assert_over();
    });
}

/// Rule 4: a task that would pass its place on finds the queue empty and the door closed meanwhile: it ends the
/// group.
///
/// Edges: A.
///
/// Mutants: `limit-end-forgotten`.
#[test]
fn a_place_given_back_at_a_closed_door_ends_the_group() {
    check(|| {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).limit(nonzero(1)).build();
        let guard = group.guard().unwrap();
        leave_a_mark(&group);
        let leaver = thread::spawn(move || drop(guard));
        group.close();
        leaver.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 4: a wait that comes to a closed door gives back a place that it was granted all the same.
///
/// Edges: A, D.
///
/// Mutants: `limit-end-forgotten`, `limit-place-not-given-back`.
#[test]
fn a_wait_that_comes_to_a_closed_door_keeps_no_place() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        leave_a_mark(group);
        let other = thread::spawn(move || {
            drop(guard);
            group.close();
        });
        if let Poll::Ready(Err(refused)) = poll(&mut group.guard_when_room(), Waker::noop()) {
            assert_eq!(refused, Refused::Closed);
        }
        other.join().unwrap();
        assert!(group.is_drained());
    });
}

/// Rule 4: a wait takes room to pass it on, and finds the queue dismissed: giving the place back may be the end.
///
/// Edges: A, B, D.
///
/// Mutants: `limit-end-while-queueing-forgotten`.
#[test]
fn a_place_that_was_taken_for_the_queue_may_be_the_last() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let other = thread::spawn(move || {
            drop(guard);
            let wait = Arrival::at(group);
            group.close();
            wait
        });
        let mine = Arrival::at(group);
        let theirs = other.join().unwrap();
        drop([mine, theirs].map(Arrival::outcome));
        assert!(group.is_drained());
    });
}

/// Rules 5 and 16: of two tasks that leave at once one may pass on the place of the other, which no wait takes.
/// The thread that ends the group sees the work of both.
///
/// Edges: A, N.
///
/// Mutants: `limit-last-does-not-acquire`, `limit-place-left-relaxed`.
#[test]
fn the_end_sees_the_work_of_all_whose_places_were_passed_on() {
    check_within(2, || {
        let works = Arc::new([(); 2].map(|()| Work::default()));
        let (finale, builder) = Finale::after(&works);
        let group = builder.limit(nonzero(2)).build();
        let guards = [(); 2].map(|()| group.guard().unwrap());
        leave_a_mark(&group);
        let leavers = numbered(guards).map(|(index, guard)| {
            let works = Arc::clone(&works);
            thread::spawn(move || {
                works[index].finish();
                drop(guard);
            })
        });
        group.close();
        leavers.into_iter().for_each(|leaver| leaver.join().unwrap());
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rules 5, 12 and 16: a place that was granted to a wait that goes is counted out by it, with the work of the
/// task that left it.
///
/// Edges: A, O.
///
/// Mutants: `limit-place-not-given-back`.
#[test]
fn a_wait_that_goes_hands_on_the_work_of_the_place_that_it_got() {
    check_within(2, || {
        let works = Arc::new([Work::default()]);
        let (finale, builder) = Finale::after(&works);
        let group = builder.limit(nonzero(1)).build();
        // SAFETY: the threads are joined below.
        let shared = unsafe { lend(&group) };
        let guard = shared.guard().unwrap();
        let wait = unexplored(|| queued(shared));
        let leaver = thread::spawn(move || {
            works[0].finish();
            drop(guard);
        });
        let closer = thread::spawn(move || shared.close());
        drop(wait);
        closer.join().unwrap();
        leaver.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 4: a raise that takes a place for a queue that is empty gives it back; at a door that was closed
/// meanwhile that may be the end.
///
/// Edges: A, B.
///
/// Mutants: `limit-end-while-raising-forgotten`.
#[test]
fn a_raise_that_finds_nobody_may_end_the_group() {
    check(|| {
        let finale = Arc::new(Finale::default());
        let group = finale.builder(|| ()).limit(nonzero(1)).build();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&group) };
        let guard = shared.guard().unwrap();
        leave_a_mark(shared);
        let raiser = thread::spawn(move || shared.set_limit(nonzero(2)).unwrap());
        shared.close();
        drop(guard);
        raiser.join().unwrap();
        assert!(group.is_drained());
        finale.assert_over();
    });
}

/// Rule 5: a thread that a group with a limit refuses sees what came before the close, also where the word of
/// the population alone refused it.
///
/// Edges: D.
///
/// Mutants: `limit-close-does-not-publish`, `limit-load-relaxed`, `limit-step-failure-relaxed`.
#[test]
fn a_refused_entry_sees_what_came_before_the_close() {
    check(|| {
        let enter = |group: &TaskGroup| matches!(group.guard(), Err(Refused::Closed));
        assert_refusal_sees_the_close(limited(1), enter);
    });
}
