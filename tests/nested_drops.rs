//! Rules 9, 16, 18: what a drop has done when it returns, however deep it is nested in other drops. Foreign code
//! of such drops runs inside of each other up to a depth of eight; from there on it waits for the outer one.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::num::NonZeroUsize;
use core::time::Duration;
use std::sync::mpsc;
use std::thread;

use common::never_but_tell;
use winddown::{CancelScope, TaskGroup};

const DEPTHS: core::ops::Range<usize> = 1..20;
/// Comes only if a wait never ends.
const LONG: Duration = Duration::from_secs(60);

/// Runs `innermost` in a callback of a scope that a callback of a scope owns, and so on.
fn at_depth(depth: usize, innermost: impl FnOnce() + Send + 'static) {
    let scope = CancelScope::new();
    scope.token().on_cancel(innermost).detach();
    let outermost = (1..depth).fold(scope, |inner, _| {
        let scope = CancelScope::new();
        scope.token().on_cancel(move || drop(inner)).detach();
        scope
    });
    drop(outermost);
}

/// What a service does when it is dropped: it cancels its scope, and joins its threads.
#[test]
fn the_drop_of_a_scope_has_unparked_the_threads_that_wait() {
    for depth in DEPTHS {
        let scope = CancelScope::new();
        let child = scope.token().child();
        let (end, ended) = mpsc::channel();
        let waiters = [scope.token(), child.token()].map(|token| {
            let ((tell, sleeps), token, end) = (mpsc::channel(), token.clone(), end.clone());
            let waiter = thread::spawn(move || {
                let _ = token.cancelled().until(never_but_tell(tell)).block();
                end.send(()).unwrap();
            });
            sleeps.recv().unwrap();
            waiter
        });
        at_depth(depth, move || {
            drop(scope);
            for _ in 0..2 {
                assert_eq!(ended.recv_timeout(LONG), Ok(()), "depth {depth}");
            }
        });
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    }
}

/// The last task of a group leaves, and waits for a thread that joins the group.
#[test]
fn the_drop_of_a_guard_has_unparked_the_threads_that_join() {
    for depth in DEPTHS {
        let group = TaskGroup::new();
        let (guard, (tell, sleeps)) = (group.guard().unwrap(), mpsc::channel());
        let (end, ended) = mpsc::channel();
        let waiter = thread::spawn(move || {
            let _ = group.join().until(never_but_tell(tell)).block();
            end.send(()).unwrap();
        });
        sleeps.recv().unwrap();
        at_depth(depth, move || {
            drop(guard);
            assert_eq!(ended.recv_timeout(LONG), Ok(()), "depth {depth}");
        });
        waiter.join().unwrap();
    }
}

/// A scope ends, and with it a full group below: the threads that wait for a place there are sent away.
#[test]
fn the_drop_of_a_scope_has_unparked_the_threads_that_wait_for_a_place() {
    for depth in DEPTHS {
        let scope = CancelScope::new();
        let builder = TaskGroup::builder().parent(scope.token());
        let group = builder.limit(NonZeroUsize::MIN).build();
        let _inside = group.guard().unwrap();
        let (end, ended) = mpsc::channel();
        let waiters = [(); 2].map(|()| {
            let ((tell, waits), group, end) = (mpsc::channel(), group.clone(), end.clone());
            let waiter = thread::spawn(move || {
                let place = group.guard_when_room().until(never_but_tell(tell)).block();
                end.send(place.unwrap().is_err()).unwrap();
            });
            waits.recv().unwrap();
            waiter
        });
        at_depth(depth, move || {
            drop(scope);
            for _ in 0..2 {
                assert_eq!(ended.recv_timeout(LONG), Ok(true), "depth {depth}");
            }
        });
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    }
}

/// Rule 16: a task that leaves may join its group, which has a finaliser.
#[test]
fn a_task_that_leaves_finds_its_group_finalised() {
    for depth in DEPTHS {
        let group = TaskGroup::builder().finally(|| ()).build();
        let guard = group.guard().unwrap();
        group.close();
        at_depth(depth, move || {
            assert!(guard.leave().join().block_for(LONG).is_ok(), "depth {depth}");
        });
        assert!(group.is_drained());
    }
}
