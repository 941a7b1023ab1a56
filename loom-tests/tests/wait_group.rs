//! Models of `WaitGroup`.

#![cfg(loom)]

use core::future::{Future as _, poll_fn};
use core::pin::Pin;
use core::task::{Poll, Waker};

use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;
use winddown::model::Arc;
use winddown::{Signal, WaitGroup};
use winddown_loom_tests::{
    Turns, Wakes, Work, alone_and_in_a_crowd, check, check_within, crowd, lend, parked, poll,
    unexplored,
};

fn group() -> Arc<WaitGroup> {
    Arc::new(WaitGroup::new())
}

/// A thread that does `work` and then drops a guard that was taken here.
fn worker(group: &Arc<WaitGroup>, work: &Arc<Work>) -> thread::JoinHandle<()> {
    let guard = WaitGroup::guard_in(Arc::clone(group));
    let work = Arc::clone(work);
    thread::spawn(move || {
        work.finish();
        drop(guard);
    })
}

/// Leaves `WAITERS` set and no wait parked, so that the next zero fires an empty list.
fn abandon_a_wait(group: &WaitGroup) {
    let wakes = Wakes::new();
    assert!(poll(&mut group.wait(), &wakes.waker()).is_pending());
}

/// Rule 5: a wait sees what the last guard's owner did, and is woken, whenever it registers; also
/// where other waits have marked the word before.
///
/// Edges: A, B, C, L, P, S.
///
/// Mutants: `group-end-of-round-does-not-acquire`, `group-announce-once`, `group-announce-relaxed`,
/// `group-fire-before-the-step`, `group-load-relaxed`, `group-no-fire`,
/// `wait-announce-before-registering`, `word-announce-without-a-look`, `word-waiters-not-set`.
fn a_wait_sees_the_work_of_the_last_guard(crowded: bool) {
    check(move || {
        let (group, work) = (group(), Arc::new(Work::default()));
        let guard = WaitGroup::guard_in(Arc::clone(&group));
        let _crowd = crowded.then(|| crowd(|| group.wait()));
        let worker = thread::spawn({
            let work = Arc::clone(&work);
            move || {
                work.finish();
                drop(guard);
            }
        });
        block_on(group.wait());
        work.assert_finished();
        worker.join().unwrap();
    });
}

alone_and_in_a_crowd!(a_wait_sees_the_work_of_the_last_guard);

/// Rule 5: a blocked thread is woken and sees the work, too.
///
/// Edges: A, B, C, K.
///
/// Mutants: `group-no-fire`.
#[test]
fn a_blocked_thread_sees_the_work_of_the_last_guard() {
    check(|| {
        let (group, work) = (group(), Arc::new(Work::default()));
        let worker = worker(&group, &work);
        group.wait().block();
        work.assert_finished();
        worker.join().unwrap();
    });
}

/// Rule 5: a blocked thread that is woken while its last wake is still unused sees what came before
/// the second wake, too: it is not unparked a second time.
///
/// Edges: B, C, K.
///
/// Mutants: `parker-park-relaxed`, `parker-wake-relaxed`, `parker-wake-unless-woken`.
#[test]
fn a_blocked_thread_that_is_woken_twice_misses_nothing() {
    check(|| {
        let (group, work) = (group(), Arc::new(Work::default()));
        let guard = WaitGroup::guard_in(Arc::clone(&group));
        let other = Arc::new(Mutex::new(None::<Waker>));
        let worker = thread::spawn({
            let (work, other) = (Arc::clone(&work), Arc::clone(&other));
            move || {
                let other = other.lock().unwrap().take();
                if let Some(other) = other {
                    other.wake();
                }
                work.finish();
                drop(guard);
            }
        });
        // A thread of its own, since loom takes a late unpark for the end of a join.
        let blocked = thread::spawn(move || {
            let never = poll_fn(|cx| {
                *other.lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            group.wait().until(never).block().unwrap();
            work.assert_finished();
        });
        worker.join().unwrap();
        blocked.join().unwrap();
    });
}

/// Rule 5: a blocked thread that is woken by two threads before it polls again sees what came before either wake.
///
/// Edges: B, C, K (its release sequence).
///
/// Mutants: `parker-wake-by-a-store`.
#[test]
fn a_blocked_thread_that_two_threads_wake_misses_nothing() {
    check_within(2, || {
        let lent = (WaitGroup::new(), Signal::new(), Work::default());
        // SAFETY: the threads are joined below.
        let (group, signal, work) = unsafe { lend(&lent) };
        let guard = group.guard();
        let worker = thread::spawn(move || {
            work.finish();
            drop(guard);
        });
        // A thread of its own, as above. It takes no lock, since loom takes a late unpark for the end of that, too.
        let blocked = thread::spawn(move || {
            let mut closed = signal.closed();
            let never = poll_fn(|cx| {
                let _ = Pin::new(&mut closed).poll(cx);
                Poll::<()>::Pending
            });
            group.wait().until(never).block().unwrap();
            work.assert_finished();
        });
        assert!(signal.close());
        worker.join().unwrap();
        blocked.join().unwrap();
    });
}

/// Rule 5: a wait sees the work of the guards that were not the last one, and so does a look.
///
/// Edges: A (its release sequence), B, C.
///
/// Mutants: `group-leave-believes-its-guess`, `group-leave-relaxed`.
#[test]
fn a_wait_sees_the_work_of_every_guard() {
    check_within(2, || {
        let group = group();
        let works = [Arc::new(Work::default()), Arc::new(Work::default())];
        let workers = works.clone().map(|work| worker(&group, &work));
        block_on(group.wait());
        works.iter().for_each(|work| work.assert_finished());
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Rule 5: `is_idle` sees the work that led to the zero.
///
/// Edges: A.
///
/// Mutants: `group-leave-relaxed`, `group-load-relaxed`.
#[test]
fn a_look_that_finds_zero_sees_the_work() {
    check(|| {
        let group = WaitGroup::new();
        let (work, turns) = (Work::default(), Turns::default());
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&group) };
        // SAFETY: as above.
        let work = unsafe { lend(&work) };
        // SAFETY: as above.
        let turns = unsafe { lend(&turns) };
        let guard = shared.guard();
        let worker = thread::spawn(move || {
            work.finish();
            drop(guard);
            turns.take();
        });
        turns.take();
        if group.is_idle() {
            work.assert_finished();
        }
        worker.join().unwrap();
    });
}

/// Rule 7 of waking: the last guard wakes a task and a blocked thread alike.
///
/// Edges: A, B, C, F, K, L, P.
///
/// Mutants: `group-no-fire`.
#[test]
fn the_last_guard_wakes_a_task_and_a_blocked_thread() {
    check_within(1, || {
        let lent = (WaitGroup::new(), Work::default());
        // SAFETY: the threads are joined below.
        let (group, work) = unsafe { lend(&lent) };
        let guard = group.guard();
        // The list is there.
        drop(parked(group.wait(), Waker::noop()));
        let worker = thread::spawn(move || {
            work.finish();
            drop(guard);
        });
        let blocked = thread::spawn(move || {
            group.wait().block();
            work.assert_finished();
        });
        block_on(group.wait());
        work.assert_finished();
        blocked.join().unwrap();
        worker.join().unwrap();
    });
}

/// Rule 5: two finishers and two waiters: each waiter is woken and sees both works.
///
/// Edges: A, B, C, F, K, L, P.
///
/// Mutants: `group-no-fire`.
#[test]
fn two_finishers_wake_two_waiters() {
    check_within(1, || {
        let group = WaitGroup::new();
        let works = [Work::default(), Work::default()];
        // SAFETY: all threads are joined below.
        let lent = unsafe { lend(&group) };
        // SAFETY: as above.
        let works = unsafe { lend(&works) };
        let here = Wakes::new();
        let mut wait = lent.wait();
        let guards = works.each_ref().map(|work| (work, lent.guard()));
        assert!(poll(&mut wait, &here.waker()).is_pending());
        let workers = guards.map(|(work, guard)| {
            thread::spawn(move || {
                work.finish();
                drop(guard);
            })
        });
        let waiter = thread::spawn(move || {
            lent.wait().block();
            works.iter().for_each(Work::assert_finished);
        });
        waiter.join().unwrap();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(here.count(), 1);
        assert!(poll(&mut wait, &here.waker()).is_ready());
    });
}

/// Rule 3: a finisher of an old round, stalled between its zero and its notify, may wake a wait of
/// the new round, which registers again and is woken by its own round; it never completes it.
///
/// Edges: A, B, C, F, L.
///
/// Mutants: `group-announce-failure-relaxed`.
#[test]
fn a_finisher_of_an_old_round_does_not_complete_or_lose_a_wait_of_the_new_one() {
    check_within(2, || {
        let group = group();
        let (old, new) = (Arc::new(Work::default()), Arc::new(Work::default()));
        let first = worker(&group, &old);
        abandon_a_wait_if_busy(&group);
        let second = worker(&group, &new);
        block_on(group.wait());
        new.assert_finished();
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// As [`abandon_a_wait`], where a finisher may have been faster.
fn abandon_a_wait_if_busy(group: &WaitGroup) {
    let wakes = Wakes::new();
    let _ = poll(&mut group.wait(), &wakes.waker());
}

/// Rule 3: a zero that a parked wait has not looked at yet completes it, even if the count rises at
/// once; also where the wait registers another waker in between.
///
/// Edges: B.
///
/// Mutants: `wait-round-remembered-anew`, `word-round-ignored`, `word-round-not-bumped`.
fn a_wait_misses_no_zero(crowded: bool) {
    check(move || {
        let group = group();
        group.add(1).unwrap();
        let _crowd = crowded.then(|| crowd(|| group.wait()));
        let (before, after) = (Wakes::new(), Wakes::new());
        let mut wait = group.wait();
        assert!(poll(&mut wait, &before.waker()).is_pending());
        let finisher = thread::spawn({
            let group = Arc::clone(&group);
            move || {
                group.done().unwrap();
                group.add(1).unwrap();
            }
        });
        let ready = poll(&mut wait, &after.waker()).is_ready();
        finisher.join().unwrap();
        assert!(ready || before.count() + after.count() > 0, "the zero woke no wait");
        assert_eq!(poll(&mut wait, &after.waker()), Poll::Ready(()));
        assert_eq!(group.count(), 1);
    });
}

alone_and_in_a_crowd!(a_wait_misses_no_zero);

/// Rule 3: a wait that registers while a notifier of an old round is under way finds itself notified
/// already, or fired, and registers again: its own round still wakes it.
///
/// Edges: B, C, L.
///
/// Mutants: `group-leave-in-two-steps`, `wait-fired-not-checked`.
fn a_registration_that_is_notified_already_is_made_again(crowded: bool) {
    check(move || {
        let group = group();
        let guard = WaitGroup::guard_in(Arc::clone(&group));
        let _crowd = crowded.then(|| crowd(|| group.wait()));
        abandon_a_wait(&group);
        let waiter = thread::spawn({
            let group = Arc::clone(&group);
            move || {
                let guard = WaitGroup::guard_in(Arc::clone(&group));
                let (wakes, mut wait) = (Wakes::new(), WaitGroup::wait_in(group));
                assert!(poll(&mut wait, &wakes.waker()).is_pending());
                (guard, wakes, wait)
            }
        });
        // This thread stalls after its zero, and the other one while it registers.
        drop(guard);
        let (guard, wakes, mut wait) = waiter.join().unwrap();
        // As an executor would: a wake is answered by a poll.
        assert!(poll(&mut wait, &wakes.waker()).is_pending());
        let before = wakes.count();
        drop(guard);
        assert_eq!(wakes.count(), before + 1, "the wait's own round did not wake it");
        assert!(poll(&mut wait, &wakes.waker()).is_ready());
    });
}

alone_and_in_a_crowd!(a_registration_that_is_notified_already_is_made_again);

/// Rule 1: of two `done`s for one count one is an error, and nothing wraps or sticks.
///
/// Edges: B.
///
/// Mutants: `group-leave-in-two-steps`.
#[test]
fn an_unbalanced_done_is_an_error_for_exactly_one() {
    check(|| {
        let group = group();
        group.add(1).unwrap();
        let other = thread::spawn({
            let group = Arc::clone(&group);
            move || group.done().is_ok()
        });
        let here = group.done().is_ok();
        assert_ne!(here, other.join().unwrap());
        assert_eq!(group.count(), 0);
    });
}

/// Rule 1: an unbalanced `done` beside a guard is an error, or takes that guard's count; either way
/// the group is idle afterwards and a wait completes.
///
/// Edges: B.
///
/// Mutants: `group-done-undone`.
#[test]
fn an_unbalanced_done_leaves_no_count_behind() {
    check(|| {
        let group = group();
        let other = thread::spawn({
            let group = Arc::clone(&group);
            move || {
                let _ = group.done();
            }
        });
        let guard = group.guard();
        assert!(group.count() <= 1);
        drop(guard);
        block_on(group.wait());
        other.join().unwrap();
        assert_eq!(group.count(), 0);
    });
}

/// Rules 1 and 3: an entry into a full group is refused, and taken back while all others leave; so it may be
/// the last to leave. The wait hears of the zero, once, and the group is idle.
///
/// Edges: B, C.
///
/// Mutants: `group-refused-by-a-subtraction`, `group-refused-does-not-fire`,
/// `group-refused-not-undone`.
#[test]
fn a_refused_entry_may_be_the_last_to_leave() {
    check(|| {
        let (group, wakes) = (group(), Wakes::new());
        let mut inside = 0;
        let mut wait = group.wait();
        unexplored(|| {
            while group.add(1).is_ok() {
                inside += 1;
            }
            assert!(poll(&mut wait, &wakes.waker()).is_pending());
        });
        let entrant = thread::spawn({
            let group = Arc::clone(&group);
            move || {
                if group.add(1).is_ok() {
                    group.done().unwrap();
                }
            }
        });
        (0..inside).for_each(|_| group.done().unwrap());
        entrant.join().unwrap();
        assert_eq!(group.count(), 0);
        assert_eq!(wakes.count(), 1);
        assert!(poll(&mut wait, &wakes.waker()).is_ready());
    });
}

/// Rule 12: a wait that is dropped after it was notified, or before, takes no other wait's wake with it.
///
/// Edges: B, C, F, L.
///
/// Mutants: `group-announce-failure-relaxed`.
#[test]
fn a_dropped_wait_swallows_nothing() {
    check_within(2, || {
        let (group, work) = (group(), Arc::new(Work::default()));
        let wakes = Wakes::new();
        let worker = worker(&group, &work);
        let mut dropped = group.wait();
        let _ = poll(&mut dropped, &wakes.waker());
        let waiter = thread::spawn({
            let group = Arc::clone(&group);
            move || block_on(group.wait())
        });
        drop(dropped);
        waiter.join().unwrap();
        work.assert_finished();
        worker.join().unwrap();
    });
}

/// Rule 12: a wait that is dropped while it is fired frees everything (loom reports what leaks) and
/// is woken at most once.
///
/// Edges: F, L.
///
/// Mutants: `delivery-keeps-its-reference`.
fn a_wait_dropped_while_it_is_fired_leaves_nothing(crowded: bool) {
    check(move || {
        let group = group();
        let guard = WaitGroup::guard_in(Arc::clone(&group));
        let _crowd = crowded.then(|| crowd(|| group.wait()));
        let wakes = Wakes::new();
        let mut wait = group.wait();
        assert!(poll(&mut wait, &wakes.waker()).is_pending());
        let finisher = thread::spawn(move || drop(guard));
        drop(wait);
        finisher.join().unwrap();
        assert!(wakes.count() <= 1);
        assert!(group.is_idle());
    });
}

alone_and_in_a_crowd!(a_wait_dropped_while_it_is_fired_leaves_nothing);
