//! Models of a group's door: which entries are let in, which are refused, and which thread ends the group. Groups
//! that are below others are in `levels.rs`.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;

use loom::future::block_on;
use loom::thread;
use winddown::{Refused, TaskGroup};
use winddown_loom_tests::{
    Finale, Work, assert_refusal_sees_the_close, check, check_within, lend, numbered,
};

/// A group that ends with a finale, after all `works`.
fn group_with<const N: usize>(works: &Arc<[Work; N]>) -> (TaskGroup, Arc<Finale>) {
    let (finale, builder) = Finale::after(works);
    (builder.build(), finale)
}

/// Rule 4: once a close has returned, to either of two closers, nobody enters. A task that entered before is
/// waited for, and the group drains once.
///
/// Edges: A, D.
///
/// Mutants: `population-close-forgets-the-end`, `population-enter-in-two-steps`,
/// `population-enter-undone`, `population-enters-when-over`.
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

/// Rule 5: an entry that is refused sees what came before the close, also if only the word of the population
/// refused it.
///
/// Edges: D.
///
/// Mutants: `population-close-does-not-publish`, `population-enter-failure-relaxed`,
/// `population-load-relaxed`.
#[test]
fn a_refused_entry_sees_what_came_before_the_close() {
    check(|| {
        assert_refusal_sees_the_close(TaskGroup::new(), |group| group.guard().is_err());
    });
}

/// Rules 4, 5 and 16: a close and the last guard meet: one of the two ends the group, and the finaliser
/// sees the work.
///
/// Edges: A.
///
/// Mutants: `deferred-settle-one-dropped`, `population-close-does-not-acquire`,
/// `population-close-forgets-the-end`, `population-close-in-two-steps`,
/// `population-leave-forgets-the-end`, `population-leave-relaxed`.
#[test]
fn the_last_guard_or_the_close_ends_the_group() {
    check(|| {
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            works[0].finish();
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
        let (group, finale) = group_with(&works);
        let guards = [(); 2].map(|()| group.guard().unwrap());
        group.close();
        let [one, other] = numbered(guards).map(|(index, guard)| {
            let works = Arc::clone(&works);
            thread::spawn(move || {
                works[index].finish();
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
fn a_task_inside_brings_others_in_while_the_door_closes() {
    check(|| {
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guard = group.guard().unwrap();
        let worker = thread::spawn(move || {
            let clone = guard.clone();
            drop(guard);
            assert!(!clone.group().is_drained());
            works[0].finish();
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
        let [one, other] = numbered(handles).map(|(index, handle)| {
            thread::spawn(move || {
                works[index].finish();
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
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guard = group.guard().unwrap();
        let other = group.clone();
        let leaver = thread::spawn(move || {
            works[0].finish();
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
        let works = Arc::new([Work::default()]);
        let (group, finale) = group_with(&works);
        let guard = group.guard().unwrap();
        let leaver = thread::spawn(move || {
            works[0].finish();
            drop(guard);
        });
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}
