//! Models of the bridge to event-listener: the wait list, its hooks, and the delivery. Wakers that do things of
//! their own are in `wakers.rs`.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::task::Waker;

use loom::sync::Mutex;
use loom::thread;
use winddown::{Signal, WaitGroup};
use winddown_loom_tests::{
    Wakes, Work, alone_and_in_a_crowd, check, check_within, crowd, lend, poll, unexplored, waker_of,
};

/// Polls a new wait and drops it: if the group is busy, `WAITERS` stays set with nobody parked, and
/// the next zero delivers to whoever is registered by then.
fn abandon_a_wait(group: &WaitGroup) {
    let _ = poll(&mut group.wait(), Waker::noop());
}

/// Two first waiters make one wait list between them, and each may use it.
///
/// Edges: P.
///
/// Mutants: `list-get-or-make-relaxed`, `list-publish-relaxed`.
#[test]
fn two_first_waiters_share_one_list() {
    check(|| {
        let signal = Signal::new();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&signal) };
        let (here, there) = (Wakes::new(), Wakes::new());
        let other = thread::spawn({
            let waker = there.waker();
            move || {
                let mut wait = shared.closed();
                assert!(poll(&mut wait, &waker).is_pending());
                wait
            }
        });
        let mut wait = signal.closed();
        assert!(poll(&mut wait, &here.waker()).is_pending());
        let mut other = other.join().unwrap();
        signal.close();
        assert_eq!((here.count(), there.count()), (1, 1));
        assert!(poll(&mut wait, &here.waker()).is_ready());
        assert!(poll(&mut other, &there.waker()).is_ready());
    });
}

/// Rule 7: every announced wait is delivered to, though another one that stands before it in the
/// list is registering, or leaving, at the same time.
///
/// Edges: B, C, L, S.
///
/// Mutants: `listening-counted-down-early`, `listening-counted-late`, `notify-slot-or-listeners`.
fn a_wait_that_comes_and_goes_takes_no_place_in_a_delivery(crowded: bool) {
    check(move || {
        let signal = Signal::new();
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&signal) };
        let passing = thread::spawn(move || {
            let _ = poll(&mut shared.closed(), Waker::noop());
        });
        let wakes = Wakes::new();
        let mut wait = signal.closed();
        let pending = poll(&mut wait, &wakes.waker()).is_pending();
        signal.close();
        assert!(pending);
        assert_eq!(wakes.count(), 1);
        passing.join().unwrap();
    });
}

alone_and_in_a_crowd!(a_wait_that_comes_and_goes_takes_no_place_in_a_delivery);

/// Rule 18: hooks run first in, first out.
///
/// Edges: F, L.
///
/// Mutants: `notify-only-one`, `notify-slot-or-listeners`, `stack-not-turned`.
#[test]
fn waits_are_woken_in_the_order_of_their_registration() {
    check(|| {
        let signal = Signal::new();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&signal) };
        let order = Arc::new(Mutex::new(Vec::new()));
        let waits = [1, 2, 3].map(|place| {
            let order = Arc::clone(&order);
            let waker = waker_of(move || order.lock().unwrap().push(place), || {});
            let mut wait = signal.closed();
            assert!(poll(&mut wait, &waker).is_pending());
            wait
        });
        let closer = thread::spawn(move || shared.close());
        let _ = poll(&mut signal.closed(), Waker::noop());
        closer.join().unwrap();
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        drop(waits);
    });
}

/// Rule 7, hook condition 7: a list that is longer than one batch is fired to its end, in order.
///
/// Edges: F, L.
///
/// Mutants: `notify-not-additional`, `notify-one-batch`.
#[test]
fn a_long_list_is_fired_to_its_end() {
    const LONG: usize = 18;
    check_within(1, || {
        let signal = Signal::new();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&signal) };
        let order = Arc::new(Mutex::new(Vec::new()));
        let waits = Vec::from_iter((0..LONG).map(|place| {
            let order = Arc::clone(&order);
            let waker = waker_of(move || order.lock().unwrap().push(place), || {});
            let mut wait = signal.closed();
            assert!(poll(&mut wait, &waker).is_pending());
            wait
        }));
        let closer = thread::spawn(move || shared.close());
        closer.join().unwrap();
        assert!(order.lock().unwrap().iter().copied().eq(0..LONG));
        unexplored(|| drop(waits));
    });
}

/// Rule 18: the slot of a lone waiter is not for one who comes while somebody listens.
///
/// Edges: S, F, L.
///
/// Mutants: `slot-for-late-comers`, `slot-kept-by-the-dead`.
#[test]
fn a_late_wait_is_not_woken_before_an_earlier_one() {
    check(|| {
        let signal = Signal::new();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&signal) };
        let order = Arc::new(Mutex::new(Vec::new()));
        let park = |place| {
            let order = Arc::clone(&order);
            let waker = waker_of(move || order.lock().unwrap().push(place), || {});
            let mut wait = shared.closed();
            assert!(poll(&mut wait, &waker).is_pending());
            wait
        };
        let (gone, early) = (park(0), park(1));
        drop(gone);
        let late = park(2);
        let closer = thread::spawn(move || shared.close());
        let _ = poll(&mut signal.closed(), Waker::noop());
        closer.join().unwrap();
        assert_eq!(*order.lock().unwrap(), [1, 2]);
        drop((early, late));
    });
}

/// Two closers of a reusable group may share a delivery: whoever takes a hook from the stack, also
/// one that the other has pushed, sees it and its waker, and each is woken.
///
/// Edges: F, L.
///
/// Mutants: `slot-put-relaxed`, `slot-take-relaxed`, `stack-push-relaxed`, `stack-take-relaxed`.
fn a_hook_may_be_run_by_another_closer_than_the_one_that_fired_it(crowded: bool) {
    check(move || {
        let group = WaitGroup::new();
        // SAFETY: the threads are joined below.
        let shared = unsafe { lend(&group) };
        let guard = shared.guard();
        let _crowd = crowded.then(|| crowd(|| group.wait()));
        abandon_a_wait(&group);
        let waiter = thread::spawn(move || {
            shared.add(1).unwrap();
            let seen = Arc::new(Work::default());
            seen.finish();
            let waker = waker_of(move || seen.assert_finished(), || {});
            let mut wait = shared.wait();
            let _ = poll(&mut wait, &waker);
            wait
        });
        let closer = thread::spawn(move || {
            unexplored(|| {
                shared.add(1).unwrap();
                abandon_a_wait(shared);
            });
            shared.done().unwrap();
        });
        // This thread stalls after its zero, the other one after its notify; so the switches that
        // matter take three preemptions.
        drop(guard);
        let mut wait = waiter.join().unwrap();
        closer.join().unwrap();
        shared.done().unwrap();
        assert!(poll(&mut wait, Waker::noop()).is_ready());
    });
}

alone_and_in_a_crowd!(a_hook_may_be_run_by_another_closer_than_the_one_that_fired_it);

/// Hook condition 4: a poll that finds its hook fired, while the notifier has not taken it from the
/// stack yet, registers a new one; the old one is on one stack only.
///
/// Edges: F, L.
///
/// Mutants: `condition-4-hook-registered-again`.
fn a_fired_hook_is_replaced(crowded: bool) {
    check(move || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&group) };
        let guard = shared.guard();
        let _crowd = crowded.then(|| crowd(|| group.wait()));
        abandon_a_wait(&group);
        let waiter = thread::spawn(move || {
            let guard = shared.guard();
            let wakes = Wakes::new();
            let waker = wakes.waker();
            let mut wait = shared.wait();
            assert!(poll(&mut wait, &waker).is_pending());
            assert!(poll(&mut wait, &waker).is_pending());
            drop(guard);
            (wait, wakes)
        });
        drop(guard);
        let (mut wait, wakes) = waiter.join().unwrap();
        assert!((1..=2).contains(&wakes.count()));
        assert!(poll(&mut wait, &wakes.waker()).is_ready());
    });
}

alone_and_in_a_crowd!(a_fired_hook_is_replaced);

/// Hook condition 1: a wait that was notified and is dropped passes its notification on to nobody:
/// a hook that was fired that way would stay on the stack for ever (loom reports it as leaked).
///
/// Edges: L.
///
/// Mutants: `condition-1-dropped-not-discarded`, `slot-kept-by-the-dead`.
fn a_dropped_wait_passes_no_notification_on(crowded: bool) {
    check(move || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&group) };
        let guard = shared.guard();
        let _crowd = crowded.then(|| crowd(|| group.wait()));
        let mut notified = group.wait();
        assert!(poll(&mut notified, Waker::noop()).is_pending());
        let finisher = thread::spawn(move || drop(guard));
        // Never done, since the next zero would take what was left behind.
        group.add(1).unwrap();
        let _new_crowd = crowded.then(|| crowd(|| group.wait()));
        let wakes = Wakes::new();
        let mut wait = group.wait();
        let _ = poll(&mut wait, &wakes.waker());
        finisher.join().unwrap();
        drop(notified);
        drop(wait);
    });
}

alone_and_in_a_crowd!(a_dropped_wait_passes_no_notification_on);

/// Hook condition 6: the list lives as long as whoever is registered in it, also if the primitive
/// goes first, as it may where a wait is forgotten. (The wait is dropped later here, since loom
/// would report what a forgotten one leaks; its drop does not touch the primitive.)
///
/// Edges: none.
///
/// Mutants: `condition-6-list-not-counted`, `slot-kept-by-the-dead`.
#[test]
fn the_list_outlives_the_primitive() {
    check(|| {
        let signal = Box::new(Signal::new());
        // SAFETY: all that is done with the wait after the signal has gone is to drop it.
        let shared = unsafe { lend(&*signal) };
        let wakes = Wakes::new();
        let forgotten = [shared.closed(), shared.closed()].map(|mut wait| {
            assert!(poll(&mut wait, &wakes.waker()).is_pending());
            wait
        });
        let late = thread::spawn(move || drop(forgotten));
        drop(signal);
        late.join().unwrap();
        assert_eq!(wakes.count(), 0);
    });
}

/// Rule 7: hooks that were fired in an old round, and go when they like, count for nothing in a new one: all its
/// waits are woken.
///
/// Edges: C, L, S.
///
/// Mutants: `listening-counted-down-twice`.
#[test]
fn old_waits_take_nobodys_place_in_a_new_round() {
    check_within(2, || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let shared = unsafe { lend(&group) };
        let busy = shared.guard();
        let old = crowd(|| group.wait());
        unexplored(|| drop(busy));
        let guard = shared.guard();
        let wakes = [(); 3].map(|()| Wakes::new());
        let mut waits = wakes.each_ref().map(|wakes| {
            let mut wait = shared.wait();
            unexplored(|| assert!(poll(&mut wait, &wakes.waker()).is_pending()));
            wait
        });
        let finisher = thread::spawn(move || drop(guard));
        drop(old);
        finisher.join().unwrap();
        assert_eq!(wakes.map(|wakes| wakes.count()), [1; 3]);
        assert!(waits.iter_mut().all(|wait| poll(wait, Waker::noop()).is_ready()));
    });
}
