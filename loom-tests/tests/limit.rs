//! Models of groups with a limit: which wait gets a place, and a limit that changes. Waits that are dismissed,
//! and their wakers, are in `queue.rs`.

#![cfg(loom)]

use core::task::{Poll, Waker};

use loom::future::block_on;
use loom::thread;
use winddown::Refused;
use winddown_loom_tests::{
    Arrival, Turns, Work, assert_full_or_free, check, check_within, leave_a_mark, lend, limited,
    make_queue, nonzero, poll, queued, unexplored,
};

/// A wait for room gets it, whether it comes to the queue before or after a task leaves.
///
/// Edges: B, C.
///
/// Mutants: `limit-announce-without-a-look`, `limit-queued-not-set`,
/// `limit-serve-does-not-acquire`, `limit-step-does-not-release`.
#[test]
fn a_task_that_leaves_lets_a_wait_in() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let leaver = thread::spawn(move || drop(guard));
        let guard = block_on(group.guard_when_room()).unwrap();
        assert_eq!(group.guard().err(), Some(Refused::Full));
        leaver.join().unwrap();
        drop(guard);
        assert!(group.guard().is_ok());
    });
}

/// As above, where the word says already that there is a queue: a server that finds it empty looks again, if a
/// wait has come meanwhile.
///
/// Edges: B, C.
///
/// Mutants: `limit-fresh-cleared-late`, `limit-fresh-not-set`, `limit-queued-cleared-early`,
/// `limit-queued-not-cleared`.
#[test]
fn a_wait_that_registers_late_is_found() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        leave_a_mark(group);
        let leaver = thread::spawn(move || drop(guard));
        drop(block_on(group.guard_when_room()).unwrap());
        leaver.join().unwrap();
        assert!(group.guard().is_ok());
    });
}

/// Two waits register at once while a task leaves: both get in, one after the other.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-step-does-not-release`.
#[test]
fn two_waits_that_register_at_once_get_in() {
    check_within(1, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        make_queue(group);
        let guard = group.guard().unwrap();
        let other = thread::spawn(move || drop(block_on(group.guard_when_room()).unwrap()));
        let wait = queued(group);
        drop(guard);
        drop(block_on(wait).unwrap());
        other.join().unwrap();
        assert!(group.guard().is_ok());
    });
}

/// First come, first served: a place that gets free goes to the first wait, and neither to the one
/// behind it nor to a newcomer.
///
/// Edges: C.
///
/// Mutants: `fire-one-fires-two`, `limit-newcomer-overtakes`.
#[test]
fn a_place_goes_to_the_first_wait() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let (guard, turns) = (group.guard().unwrap(), Turns::default());
        // SAFETY: as above.
        let turns = unsafe { lend(&turns) };
        let [first, mut second] = unexplored(|| [(); 2].map(|()| queued(group)));
        let leaver = turns.spawn(move || drop(guard));
        turns.take();
        assert_eq!(group.guard().err(), Some(Refused::Full));
        assert!(poll(&mut second, Waker::noop()).is_pending());
        let guard = block_on(first).unwrap();
        assert!(poll(&mut second, Waker::noop()).is_pending());
        leaver.join().unwrap();
        drop(guard);
        drop(block_on(second).unwrap());
    });
}

/// A wait that finds room passes it on to one that came before it, and takes its own place in the queue: one of
/// the two is in, the other is next, and no newcomer is before it.
///
/// Edges: B.
///
/// Mutants: `limit-passed-on-once`.
#[test]
fn a_wait_that_passed_room_on_is_next() {
    check_within(2, || {
        let group = limited(2);
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        make_queue(group);
        let [one, other] = [(), ()].map(|()| group.guard().unwrap());
        let late = thread::spawn(move || Arrival::at(group));
        let leaver = thread::spawn(move || drop(one));
        let mut waits = [Some(Arrival::at(group)), None];
        waits[1] = Some(late.join().unwrap());
        leaver.join().unwrap();
        let mut waits = waits.map(Option::unwrap);
        let queued = waits.iter_mut().filter_map(|wait| wait.is_queued().then_some(())).count();
        assert_eq!((queued, group.len()), (1, 2));
        assert_full_or_free(group, 2, 1);
        drop(other);
        let guards = waits.map(|wait| wait.outcome().unwrap());
        assert_full_or_free(group, 2, 0);
        drop(guards);
        assert_full_or_free(group, 2, 0);
    });
}

/// Rule 12: a place that was granted to a wait that gives up goes to the next.
///
/// Edges: C, N.
///
/// Mutants: `limit-place-given-to-who-gave-up`, `limit-place-not-given-back`,
/// `waiter-gone-is-decided`.
#[test]
fn a_wait_that_gives_up_keeps_no_place() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let [first, second] = unexplored(|| [(); 2].map(|()| queued(group)));
        let leaver = thread::spawn(move || drop(guard));
        drop(first);
        drop(block_on(second).unwrap());
        leaver.join().unwrap();
        assert!(group.guard().is_ok());
    });
}

/// Rule 12: as above, where the wait that gives up is the last: the place is free again.
///
/// Edges: B, C.
///
/// Mutants: `limit-place-not-given-back`, `limit-queued-not-cleared`.
#[test]
fn a_place_that_nobody_wants_is_free_again() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let wait = unexplored(|| queued(group));
        let leaver = thread::spawn(move || drop(guard));
        drop(wait);
        leaver.join().unwrap();
        assert!(group.guard().is_ok());
        assert!(group.is_empty());
    });
}

/// Of two tasks that leave at once one may serve for both: no place is lost, and none is given twice. Rule 5: a
/// thread that has heard that both places were taken sees the work of both tasks.
///
/// Edges: C, N, O.
///
/// Mutants: `limit-no-server`, `limit-place-left-relaxed`, `limit-place-taken-over-relaxed`,
/// `limit-places-not-handed-over`, `limit-two-serve-at-once`.
#[test]
fn two_tasks_that_leave_at_once_let_two_waits_in() {
    check_within(2, || {
        let lent = (limited(2), [(); 2].map(|()| Work::default()));
        // SAFETY: the threads are joined below.
        let (group, works) = unsafe { lend(&lent) };
        let mut leaving = works.iter().map(|work| (work, group.guard().unwrap()));
        let leaving = [(); 2].map(|()| leaving.next().unwrap());
        let [first, second, mut third] = unexplored(|| [(); 3].map(|()| queued(group)));
        let leavers = leaving.map(|(work, guard)| {
            thread::spawn(move || {
                work.finish();
                drop(guard);
            })
        });
        let guards = [first, second].map(|wait| block_on(wait).unwrap());
        works.iter().for_each(Work::assert_finished);
        assert_eq!(group.len(), 2);
        assert!(poll(&mut third, Waker::noop()).is_pending());
        leavers.into_iter().for_each(|leaver| leaver.join().unwrap());
        drop(guards);
        drop(block_on(third).unwrap());
        assert!(group.is_empty());
    });
}

/// First come, first served: a wait that gave up leaves no place in the line to one that comes after it.
///
/// Edges: C, L, S.
///
/// Mutants: `ordered-seat-left-in-place`.
#[test]
fn a_newcomer_does_not_get_an_old_place_in_the_line() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let (gone, mut early) = unexplored(|| (queued(group), Arrival::at(group)));
        let leaver = thread::spawn(move || drop(gone));
        let mut late = Arrival::at(group);
        drop(guard);
        leaver.join().unwrap();
        assert!(late.is_queued(), "a newcomer overtakes");
        assert!(!early.is_queued());
        assert_full_or_free(group, 1, 1);
        drop(early);
        drop(late.outcome().unwrap());
        assert_full_or_free(group, 1, 0);
    });
}

/// A wait gives up and another one comes while a task leaves: the one that came gets in. When all calls have
/// returned, `Full` means that the limit is reached.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-fresh-not-set`, `waiter-gone-is-decided`.
#[test]
fn full_is_said_of_a_full_group_alone() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let gone = unexplored(|| queued(group));
        let leaver = thread::spawn(move || drop(guard));
        let quitter = thread::spawn(move || drop(gone));
        let wait = Arrival::at(group);
        leaver.join().unwrap();
        quitter.join().unwrap();
        let guard = wait.outcome().unwrap();
        assert_full_or_free(group, 1, 0);
        drop(guard);
        assert!(group.is_empty());
        assert_full_or_free(group, 1, 0);
    });
}

/// A limit that is raised while waits come lets in as many as there is room for, though no task leaves.
///
/// Edges: B, C.
///
/// Mutants: `limit-raise-compares-the-old-limit`, `limit-raise-passes-nothing-on`,
/// `limit-raise-passes-one-on`.
#[test]
fn a_limit_that_is_raised_lets_in_as_many_as_there_is_room_for() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _guard = group.guard().unwrap();
        let early = unexplored(|| Arrival::at(group));
        let raiser = thread::spawn(move || group.set_limit(nonzero(3)).unwrap());
        let late = Arrival::at(group);
        raiser.join().unwrap();
        let guards = [early, late].map(|wait| wait.outcome().unwrap());
        assert_eq!(group.len(), 3);
        assert_full_or_free(group, 3, 0);
        drop(guards);
        assert_full_or_free(group, 3, 0);
    });
}

/// A limit is raised while a task leaves that is inside beyond it: no step decides by the limit that was.
///
/// Edges: B.
///
/// Mutants: `limit-leave-by-an-old-limit`, `limit-raise-compares-the-old-limit`,
/// `limit-raise-passes-nothing-on`.
#[test]
fn a_limit_is_raised_beside_a_leaver() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let beyond = guard.clone();
        let wait = unexplored(|| Arrival::at(group));
        let raiser = thread::spawn(move || group.set_limit(nonzero(2)).unwrap());
        drop(beyond);
        raiser.join().unwrap();
        let other = wait.outcome().unwrap();
        assert_eq!(group.len(), 2);
        assert_full_or_free(group, 2, 0);
        drop((guard, other));
        assert_full_or_free(group, 2, 0);
    });
}

/// A limit that was lowered sends no task away, and lets no wait in before fewer tasks are inside.
///
/// Edges: B.
///
/// Mutants: `limit-passed-on-beyond-the-limit`.
#[test]
fn a_limit_that_was_lowered_is_kept() {
    check(|| {
        let group = limited(2);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let [one, other] = [(); 2].map(|()| group.guard().unwrap());
        let mut wait = unexplored(|| queued(group));
        group.set_limit(nonzero(1)).unwrap();
        let leaver = thread::spawn(move || drop(one));
        drop(other);
        let early = match poll(&mut wait, Waker::noop()) {
            Poll::Ready(entered) => Some(entered.unwrap()),
            Poll::Pending => None,
        };
        assert!(early.is_none() || group.len() == 1, "let in beyond the limit");
        leaver.join().unwrap();
        let guard = early.unwrap_or_else(|| block_on(wait).unwrap());
        assert_eq!(group.len(), 1);
        assert_full_or_free(group, 1, 0);
        drop(guard);
        assert_full_or_free(group, 1, 0);
    });
}

/// Rule 12: a wait that was granted a place is dropped while the limit is raised: the one behind it gets in,
/// once.
///
/// Edges: B, C, N.
///
/// Mutants: `waiter-granted-taken-for-gone`.
#[test]
fn a_granted_wait_is_dropped_beside_a_raise() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let (granted, behind) = unexplored(|| (queued(group), Arrival::at(group)));
        unexplored(|| drop(guard));
        let raiser = thread::spawn(move || group.set_limit(nonzero(2)).unwrap());
        drop(granted);
        raiser.join().unwrap();
        let guard = behind.outcome().unwrap();
        assert_eq!(group.len(), 1);
        assert_full_or_free(group, 2, 0);
        drop(guard);
        assert!(group.is_empty());
    });
}
