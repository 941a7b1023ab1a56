//! Models of foreign wakers that poll, close, end rounds and drop inline, and of tasks that their wakers own.

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
    Wakes, alone_and_in_a_crowd, check, check_within, crowd, lend, poll, unexplored, waker_of,
};

/// Where a waker finds another wait, to poll it or drop it.
type Slot = Mutex<Option<WaitClosed<&'static Signal>>>;

/// Rule 11: a waker that polls, closes and drops inline works, since it runs with no lock held.
///
/// Edges: B, F, L.
///
/// Mutants: `signal-fire-before-the-close`.
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

/// A task that only the waker of its wait owns goes with the wake: the seat gives its waker up. (That no
/// waker is dropped twice is for `tests/wakers.rs`, which counts them.)
///
/// Edges: B, F, L, S.
///
/// Mutants: `task-keeps-its-waker`.
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
/// Mutants: `block-run-under-the-lock`, `group-fire-before-the-step`.
fn a_waker_may_end_another_round_inline(crowded: bool) {
    check_within(2, move || {
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
        let guard = shared.guard();
        let _crowd = crowded.then(|| crowd(|| group.wait()));
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

/// Rule 11: a waker's own drop may use what it waited for: it never runs under
/// event-listener's lock, whichever thread drops the last clone.
///
/// Edges: F, L.
///
/// Mutants: `task-keeps-its-waker`.
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
/// Mutants: `delivery-keeps-its-reference`.
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
