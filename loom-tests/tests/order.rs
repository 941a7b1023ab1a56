//! Models of the order of deferred work (rule 18): first what is our own, then wakers, then callbacks, then
//! finalisers, while another thread does a part of it.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;

use loom::future::block_on;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use winddown::{CancelScope, Signal, TaskGroup};
use winddown_loom_tests::{Turns, check, check_within, lend, poll, unexplored, waker_of};

/// Rule 18: a callback may wait for the drain of an idle group that the same cancellation reaches: whichever
/// thread drains that, the drain does not come behind the callback.
///
/// Edges: B, D.
///
/// Mutants: `deferred-foreign-before-own`.
#[test]
fn a_callback_may_wait_for_an_idle_group() {
    check(|| {
        let scope = CancelScope::new().detach();
        // Hooked in before the group: so its callback is settled before the group's drain.
        let below = scope.token().child().detach();
        let _first = unexplored(|| below.token().on_cancel(|| ()));
        let group = unexplored(|| TaskGroup::builder().parent(scope.token()).build());
        // SAFETY: the thread is joined below, and the callback has run by then.
        let group = unsafe { lend(&group) };
        let wait = move || block_on(group.drained());
        let _registration = unexplored(|| below.token().on_cancel(wait));
        let canceller = thread::spawn(move || scope.cancel());
        group.close();
        canceller.join().unwrap();
        assert!(group.is_drained());
    });
}

/// Rule 18: a callback may wait for a group whose task sleeps until the same cancellation wakes it: the waker of
/// the task does not come behind the callback.
///
/// Edges: B, C, D, K.
///
/// Mutants: `deferred-callbacks-before-wakers`.
#[test]
fn a_callback_may_wait_for_a_task_that_sleeps() {
    check_within(2, || {
        let scope = CancelScope::new().detach();
        let group = TaskGroup::new();
        // SAFETY: the thread is joined below, and the callback has run by then.
        let group = unsafe { lend(&group) };
        let wait = move || block_on(group.join());
        let _registration = unexplored(|| scope.token().on_cancel(wait));
        let (guard, token) = (group.guard().unwrap(), scope.token().clone());
        let sleeper = thread::spawn(move || {
            block_on(token.cancelled());
            drop(guard);
        });
        scope.cancel();
        sleeper.join().unwrap();
        assert!(group.is_drained());
    });
}

/// Rule 18: a thread that blocks is unparked before any foreign waker is woken, also one that was registered
/// earlier: to unpark it is own work.
///
/// Edges: B, C, K.
///
/// Mutants: `task-unparked-late`.
#[test]
fn a_waker_may_wait_for_a_thread_that_blocks() {
    check_within(2, || {
        let lent = (Signal::new(), Signal::new());
        // SAFETY: the threads are joined below, and the waker is gone by then.
        let (signal, seen) = unsafe { lend(&lent) };
        let mut wait = signal.closed();
        let waker = waker_of(move || seen.closed().block(), || {});
        assert!(unexplored(|| poll(&mut wait, &waker)).is_pending());
        drop(waker);
        let blocked = thread::spawn(move || {
            signal.closed().block();
            seen.close();
        });
        let closer = thread::spawn(move || signal.close());
        blocked.join().unwrap();
        assert!(closer.join().unwrap());
    });
}

/// Rule 18: a finaliser may wait for the drain of an idle group that the same cancellation reaches.
///
/// Edges: B, D.
///
/// Mutants: `deferred-finalisers-before-own`, `deferred-not-settled-after-the-finaliser`.
#[test]
fn a_finaliser_may_wait_for_an_idle_group() {
    check(|| {
        let scope = CancelScope::new().detach();
        let idle = Arc::new(Mutex::new(None::<TaskGroup>));
        let wait = {
            let idle = Arc::clone(&idle);
            move || {
                let idle = idle.lock().unwrap().take().unwrap();
                block_on(idle.drained());
            }
        };
        let group = TaskGroup::builder().parent(scope.token()).finally(wait).build();
        let below = TaskGroup::builder().parent(scope.token()).build();
        *idle.lock().unwrap() = Some(below.clone());
        let canceller = thread::spawn(move || scope.cancel());
        below.close();
        canceller.join().unwrap();
        assert!(group.is_drained());
    });
}

/// Rule 18: a finaliser that runs on the thread which cancels comes behind all callbacks there.
///
/// Edges: B, D.
///
/// Mutants: `deferred-finalisers-before-foreign`.
#[test]
fn a_finaliser_comes_behind_the_callbacks() {
    check(|| {
        let scope = CancelScope::new().detach();
        let canceller = Arc::new(Mutex::new(None));
        let (called, finalised) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let finaliser = {
            let (canceller, called) = (Arc::clone(&canceller), Arc::clone(&called));
            let finalised = Arc::clone(&finalised);
            move || {
                let is_here = *canceller.lock().unwrap() == Some(thread::current().id());
                assert!(!is_here || called.load(Ordering::Relaxed));
                finalised.store(true, Ordering::Release);
            }
        };
        let group = TaskGroup::builder().parent(scope.token()).finally(finaliser).build();
        let callback = move || called.store(true, Ordering::Relaxed);
        let _registration = unexplored(|| scope.token().on_cancel(callback));
        let delivery = thread::spawn(move || {
            *canceller.lock().unwrap() = Some(thread::current().id());
            scope.cancel()
        });
        group.close();
        delivery.join().unwrap();
        assert!(group.is_drained() && finalised.load(Ordering::Acquire));
    });
}

/// Rules 9 and 18: a group whose last handle goes while the group above is closed is freed by the delivery
/// only when all below are closed: what hangs at its token is foreign code.
///
/// Edges: C, L, S.
///
/// Mutants: `below-keeps-nothing`.
#[test]
fn a_group_that_goes_in_a_delivery_goes_when_all_below_are_drained() {
    check_within(2, || {
        let parent = TaskGroup::new();
        let [going, sibling] = [(); 2].map(|()| parent.child().unwrap());
        let closer = Arc::new(Mutex::new(None));
        let callback = {
            let (closer, sibling) = (Arc::clone(&closer), sibling.clone());
            move || {
                let is_here = *closer.lock().unwrap() == Some(thread::current().id());
                assert!(!is_here || sibling.is_drained());
            }
        };
        unexplored(|| going.token().on_cancel(callback).detach());
        let delivery = thread::spawn(move || {
            *closer.lock().unwrap() = Some(thread::current().id());
            assert!(parent.close());
        });
        drop(going);
        delivery.join().unwrap();
        assert!(sibling.is_drained());
    });
}

/// Rule 10: a callback that is registered on a cancelled token has run when it is registered, though another
/// thread registers one there, which began before the cancel.
///
/// Edges: B, C, D, G, R.
///
/// Mutants: `register-without-a-first-look`.
#[test]
fn a_callback_on_a_cancelled_token_has_run_when_it_is_registered() {
    check_within(2, || {
        let root = CancelScope::new().detach();
        let lent = (root.token().child().detach(), root, Turns::default());
        // SAFETY: the thread is joined below.
        let (leaf, root, turns) = unsafe { lend(&lent) };
        let register = move || {
            turns.take();
            let (runs, was_cancelled) =
                (Arc::new(AtomicUsize::new(0)), leaf.token().is_cancelled());
            let registration = leaf.token().on_cancel({
                let runs = Arc::clone(&runs);
                move || {
                    runs.fetch_add(1, Ordering::Release);
                }
            });
            assert!(!was_cancelled || runs.load(Ordering::Acquire) == 1);
            (runs, registration)
        };
        let other = thread::spawn(register);
        turns.take();
        assert!(root.cancel());
        let (mine, _mine) = register();
        let (theirs, _theirs) = other.join().unwrap();
        assert_eq!([mine, theirs].map(|runs| runs.load(Ordering::Acquire)), [1, 1]);
    });
}
