//! Rule 11, S3.10: finalisers, callbacks and wakers that end other groups, record errors, and drop the last of
//! everything, inline. What else foreign code may do is in `hostile_world.rs`.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Context;
use std::sync::{Arc, Mutex};

use common::{Bell, Foreign};
use winddown::{ErrGroup, TaskGroup};

/// Rule 18: a finaliser ends other groups, its parent's last task among them, inline.
#[test]
fn a_finaliser_may_end_other_groups() {
    let ends = Arc::new(AtomicUsize::new(0));
    let counts = |ends: &Arc<AtomicUsize>| {
        let ends = Arc::clone(ends);
        move || assert!(ends.fetch_add(1, Ordering::Relaxed) < 2)
    };
    let parent = TaskGroup::builder().finally(counts(&ends)).build();
    let other = TaskGroup::builder().finally(counts(&ends)).build();
    let (parents_last, others_last, handle) =
        (parent.guard().unwrap(), other.guard().unwrap(), parent.clone());
    let mut on_end = Some(move || {
        handle.close();
        drop((parents_last, others_last, other));
    });
    let child = parent.child_with(TaskGroup::builder().finally(move || {
        let end = on_end.take().unwrap();
        end();
    }));
    drop(child.unwrap());
    assert_eq!(ends.load(Ordering::Relaxed), 2);
    assert!(parent.is_drained());
}

/// Rule 11: an error is recorded by a waker that the first error's cancel woke.
#[test]
fn an_error_may_be_recorded_while_another_is() {
    let group = ErrGroup::<u8>::new();
    let guard = group.group().guard().unwrap();
    let other = group.clone();
    guard.token().on_cancel(move || other.record(2).unwrap()).detach();
    group.record(1).unwrap();
    drop(guard);
    let errors = group.join().block().unwrap_err();
    assert_eq!(errors.iter().copied().collect::<Vec<_>>(), [1, 2]);
}

/// Rule 11: a wake that drops its own wait, and the handle that it borrows from, once over.
#[test]
fn the_last_of_everything_may_go_in_a_wake() {
    let bell = Bell::new();
    for of_drain in [false, true] {
        let place = Arc::new(Mutex::new(None));
        let wait = Arc::clone(&place);
        let waker = Foreign::new().on_wake(move || drop(wait.lock().unwrap().take())).share();
        let group = TaskGroup::new();
        let token = group.token().clone();
        let callback = Arc::clone(&bell);
        token.on_cancel(move || callback.waker().wake()).detach();
        let guard = group.guard().unwrap();
        let mut wait: Pin<Box<dyn Future<Output = ()> + Send>> = if of_drain {
            Box::pin(group.clone().drained_owned())
        } else {
            Box::pin(group.closing().clone().cancelled_owned())
        };
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker.waker())).is_pending());
        *place.lock().unwrap() = Some(wait);
        group.close();
        drop(group);
        drop(guard);
        assert!(place.lock().unwrap().is_none());
        assert!(token.is_cancelled(), "the group is gone");
    }
    assert_eq!(bell.rings(), 2);
}
