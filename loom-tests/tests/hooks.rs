//! Models of the bridge to event-listener: the wait list, its hooks, and the delivery.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;

use loom::alloc::Track;
use loom::sync::Mutex;
use loom::thread;
use winddown::future::WaitClosed;
use winddown::{Signal, WaitGroup, model};
use winddown_loom_tests::{
    Wakes, Work, alone_and_in_a_crowd, check, check_within, crowd, lend, old_crowd, poll,
    unexplored, waker_of,
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
        let _crowd = crowded.then(|| old_crowd(&group));
        let guard = shared.guard();
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
        let _crowd = crowded.then(|| old_crowd(&group));
        let guard = shared.guard();
        let mut notified = group.wait();
        assert!(poll(&mut notified, Waker::noop()).is_pending());
        let finisher = thread::spawn(move || drop(guard));
        // Never done, since the next zero would take what was left behind.
        group.add(1).unwrap();
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

/// Where a waker finds another wait, to poll it or drop it.
type Slot = Mutex<Option<WaitClosed<&'static Signal>>>;

/// Rule 11: a waker that polls, closes and drops inline works, since it runs with no lock held.
///
/// Edges: B, F, L.
///
/// Mutants: `hook-wakes-under-the-lock`.
fn a_waker_may_poll_close_and_drop_inline(crowded: bool) {
    check(move || {
        let signal = Signal::new();
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        // SAFETY: the thread is joined below, and the wakers are gone before the signal.
        let shared = unsafe { lend(&signal) };
        let slot: Arc<Slot> = Arc::default();
        let wakes = Wakes::new();
        let inline = waker_of(
            {
                let (slot, wakes) = (Arc::clone(&slot), Arc::clone(&wakes));
                move || {
                    assert!(!shared.close());
                    assert!(poll(&mut shared.closed(), Waker::noop()).is_ready());
                    drop(slot.lock().unwrap().take());
                    wakes.waker().wake();
                }
            },
            || {},
        );
        let mut wait = shared.closed();
        assert!(poll(&mut wait, &inline).is_pending());
        let mut other = shared.closed();
        assert!(poll(&mut other, &inline).is_pending());
        *slot.lock().unwrap() = Some(other);
        let closer = thread::spawn(move || shared.close());
        let over = poll(&mut wait, &inline).is_ready();
        assert!(closer.join().unwrap());
        assert!(over || wakes.count() > 0);
        assert!(poll(&mut wait, &inline).is_ready());
    });
}

alone_and_in_a_crowd!(a_waker_may_poll_close_and_drop_inline);

/// A task whose executor is gone: nothing owns it but the waker that its own wait has registered.
struct Orphan {
    wait: Mutex<WaitClosed<Arc<Signal>>>,
    /// Fails the model if the task stays.
    _leak_check: Track<()>,
}

impl Wake for Orphan {
    fn wake(self: Arc<Self>) {}
}

/// A task that only the waker of its wait owns goes with the wake: the hook gives its waker up. (That no
/// waker is dropped twice is for `tests/wakers.rs`, which counts them.)
///
/// Edges: B, F, L, S.
///
/// Mutants: `hook-keeps-its-waker`.
fn a_task_that_its_waker_owns_goes_with_the_wake(crowded: bool) {
    check(move || {
        let signal = Arc::new(Signal::new());
        let _crowd =
            crowded.then(|| unexplored(|| crowd(|| Signal::closed_in(Arc::clone(&signal)))));
        let wait = Mutex::new(Signal::closed_in(Arc::clone(&signal)));
        let task = Arc::new(Orphan { wait, _leak_check: Track::new(()) });
        let closer = thread::spawn(move || signal.close());
        let waker = Waker::from(Arc::clone(&task));
        let _ = poll(&mut *task.wait.lock().unwrap(), &waker);
        drop((waker, task));
        assert!(closer.join().unwrap());
    });
}

alone_and_in_a_crowd!(a_task_that_its_waker_owns_goes_with_the_wake);

/// Rule 11: a waker that ends another round of the same group inline delivers within the delivery.
///
/// Edges: A, B, F, L.
///
/// Mutants: `hook-wakes-under-the-lock`.
fn a_waker_may_end_another_round_inline(crowded: bool) {
    check(move || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below, and the wakers are gone before the group.
        let shared = unsafe { lend(&group) };
        let wakes = Wakes::new();
        let inline = waker_of(
            {
                let wakes = Arc::clone(&wakes);
                move || {
                    let guard = shared.guard();
                    let mut next = shared.wait();
                    let parked = poll(&mut next, &wakes.waker()).is_pending();
                    drop(guard);
                    assert!(parked);
                    assert!(poll(&mut next, Waker::noop()).is_ready());
                }
            },
            || {},
        );
        let _crowd = crowded.then(|| old_crowd(&group));
        let guard = shared.guard();
        let mut wait = shared.wait();
        assert!(poll(&mut wait, &inline).is_pending());
        let finisher = thread::spawn(move || drop(guard));
        let _ = poll(&mut wait, &inline);
        finisher.join().unwrap();
        assert!(poll(&mut wait, &inline).is_ready());
        assert!(group.is_idle());
    });
}

alone_and_in_a_crowd!(a_waker_may_end_another_round_inline);

/// Rule 11, hook condition 5: a waker's own drop may use what it waited for: it never runs under
/// event-listener's lock, whoever drops the last clone.
///
/// Edges: F, L.
///
/// Mutants: `hook-keeps-its-waker`, `hook-wakes-under-the-lock`.
fn a_waker_may_use_the_signal_when_it_is_dropped(crowded: bool) {
    check(move || {
        let signal = Signal::new();
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        // SAFETY: the thread is joined below, and the wakers are gone before the signal.
        let shared = unsafe { lend(&signal) };
        let wakes = Wakes::new();
        let mut wait = shared.closed();
        {
            let wakes = Arc::clone(&wakes);
            let waker = waker_of(
                || {},
                move || {
                    let _ = poll(&mut shared.closed(), Waker::noop());
                    wakes.waker().wake();
                },
            );
            assert!(poll(&mut wait, &waker).is_pending());
        }
        let closer = thread::spawn(move || shared.close());
        drop(wait);
        assert!(closer.join().unwrap());
        assert_eq!(wakes.count(), 1, "the waker was dropped once");
    });
}

alone_and_in_a_crowd!(a_waker_may_use_the_signal_when_it_is_dropped);

/// Rule 12: a wait that owns the last handle of its group may be dropped by the last guard's
/// delivery, and the group and its list go once.
///
/// Edges: A, F, L.
///
/// Mutants: `condition-6-list-not-counted`.
#[test]
fn a_waker_may_drop_the_last_handle() {
    check_within(2, || {
        let group = model::Arc::new(WaitGroup::new());
        let guard = WaitGroup::guard_in(model::Arc::clone(&group));
        let slot = Arc::new(Mutex::new(None));
        let waker = waker_of(
            {
                let slot = Arc::clone(&slot);
                move || drop(slot.lock().unwrap().take())
            },
            || {},
        );
        let mut wait = WaitGroup::wait_in(group);
        assert!(poll(&mut wait, &waker).is_pending());
        *slot.lock().unwrap() = Some(wait);
        let finisher = thread::spawn(move || drop(guard));
        if let Some(mut wait) = slot.lock().unwrap().take() {
            let _ = poll(&mut wait, &waker);
        }
        finisher.join().unwrap();
    });
}
