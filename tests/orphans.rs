//! Tasks whose executor is gone: nothing owns them but the wakers that their own waits registered.
//!
//! Whatever ends the wait frees the task, its future, and what that held. (One that waits for two things
//! has registered two wakers: both have to be used.)

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::pending;
use std::sync::{Arc, Weak};

use common::{Orphan, abandon, limited};
use winddown::{CancelScope, ErrGroup, Signal, TaskGroup, WaitGroup};

/// Three of them: the first is in the list's slot, and the others listen.
fn three(task: impl Fn() -> Weak<Orphan>) -> Vec<Weak<Orphan>> {
    (0..3).map(|_| task()).collect()
}

/// Asserts that `orphans` live until `end`, and no longer.
fn assert_freed_by(orphans: &[Weak<Orphan>], end: impl FnOnce()) {
    let alive = || orphans.iter().filter(|it| it.strong_count() > 0).count();
    assert_eq!(alive(), orphans.len(), "some did not wait");
    end();
    assert_eq!(alive(), 0, "some are there still");
}

/// Rule 12.
#[test]
fn a_close_frees_the_tasks_that_only_it_would_wake() {
    let signal = Arc::new(Signal::new());
    let orphans = three(|| {
        let signal = Arc::clone(&signal);
        abandon(async move { signal.closed().await })
    });
    assert_freed_by(&orphans, || assert!(signal.close()));
    assert_eq!(Arc::strong_count(&signal), 1);
}

/// Rule 12.
#[test]
fn a_zero_frees_the_tasks_that_only_it_would_wake() {
    let group = Arc::new(WaitGroup::new());
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    let orphans = three(|| {
        let group = Arc::clone(&group);
        abandon(async move { group.wait().await })
    });
    assert_freed_by(&orphans, || drop(guard));
    assert_eq!(Arc::strong_count(&group), 1);
}

/// Rule 12. A task owns its token, and the token keeps the registration.
#[test]
fn a_cancellation_frees_the_tasks_that_only_it_would_wake() {
    let scope = CancelScope::new();
    let mut orphans = three(|| {
        let token = scope.token().clone();
        abandon(async move { token.cancelled().await })
    });
    orphans.extend(three(|| {
        let child = scope.token().child();
        abandon(async move {
            let stopped = child.token().run_until_cancelled(pending::<()>()).await;
            stopped.expect_err("only a cancellation ends it");
        })
    }));
    assert_freed_by(&orphans, || assert!(scope.cancel()));
}

/// Rule 12. The guards of tracked tasks go with them: the group drains though no executor runs a task.
#[test]
fn a_cancelled_group_frees_its_tasks_and_the_tasks_that_wait_for_it() {
    let group = TaskGroup::new();
    let mut orphans = three(|| {
        let token = group.token().clone();
        let task = group.track(async move { token.cancelled().await });
        abandon(task.expect("the group is open"))
    });
    orphans.extend(three(|| {
        let group = group.clone();
        abandon(async move {
            group.closed().await;
        })
    }));
    orphans.extend(three(|| {
        let group = group.clone();
        abandon(async move {
            group.drained_owned().await;
        })
    }));
    assert_freed_by(&orphans, || assert!(group.cancel()));
    assert!(group.is_drained());
}

async fn wait_for_a_place(group: TaskGroup) {
    group.guard_when_room().await.expect_err("nobody runs this line");
}

/// Rule 12.
#[test]
fn a_close_frees_the_tasks_that_wait_for_a_place() {
    let group = limited(1);
    let inside = group.guard().expect("there is a place");
    let orphans = three(|| abandon(wait_for_a_place(group.clone())));
    assert_freed_by(&orphans, || assert!(group.close()));
    drop(inside);
    assert!(group.is_drained());
}

/// Rule 12. A place that goes to a task that no executor runs comes back with it, and goes to the next.
#[test]
fn a_place_frees_the_task_that_it_is_for_and_goes_to_the_next() {
    let group = limited(1);
    let inside = group.guard().expect("there is a place");
    let orphans = three(|| abandon(wait_for_a_place(group.clone())));
    assert_freed_by(&orphans, || drop(inside));
    assert!(group.guard().is_ok(), "the place is lost");
}

/// Rule 12.
#[test]
fn a_drain_frees_the_tasks_that_wait_for_its_errors() {
    let errors = ErrGroup::<String>::new();
    let inside = errors.group().guard().expect("it is open");
    let orphans = three(|| {
        let errors = errors.clone();
        abandon(async move { errors.join().await.expect("nothing failed") })
    });
    assert_freed_by(&orphans, || drop(inside));
}
