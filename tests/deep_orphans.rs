//! Rule 9: no recursion over tasks that only the wakers own which their own waits registered. Each holds
//! what the next one waits for; so one end frees the first, which ends the wait of the second, and so on.
//!
//! Each test runs on a thread with a stack of 64 KiB, where a call for each task would overflow after some
//! hundred.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{Future, pending};
use std::sync::Arc;

use common::{Drops, Fault, abandon, limited, on_a_small_stack};
use winddown::{CancelScope, ErrGroup, TaskGroup, TaskGuard, WaitGroup};

const TASKS: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };

/// Makes a chain of tasks out of `link`, and ends it by `end`. A link makes what the next task waits for, and the
/// task, which is to hold the fault.
fn assert_freed<W, T: Future<Output = ()> + Send + 'static>(
    first: W,
    link: fn(W, Fault) -> (W, T),
    end: impl FnOnce(),
) {
    let drops = Drops::default();
    let mut waits_for = first;
    for _ in 0..TASKS {
        let (next, task) = link(waits_for, drops.calm());
        let _ = abandon(task);
        waits_for = next;
    }
    assert_eq!(drops.count(), 0);
    end();
    drops.assert_all_gone(TASKS);
    drop(waits_for);
}

#[test]
fn tasks_that_own_each_others_scopes_are_freed() {
    let ends: [fn(CancelScope); 3] = [
        drop,
        |scope| assert!(scope.cancel()),
        |scope| scope.cancel_with("for a reason of its own").unwrap(),
    ];
    on_a_small_stack(move || {
        for end in ends {
            let first = CancelScope::new();
            assert_freed(
                first.token().clone(),
                |token, fault| {
                    let next = CancelScope::new();
                    let of_next = next.token().clone();
                    let task = async move {
                        let _held = (next, fault);
                        token.cancelled().await;
                    };
                    (of_next, task)
                },
                || end(first),
            );
        }
    });
}

/// Each waits below the scope of the one before, with work in between.
#[test]
fn tasks_with_scopes_below_each_others_are_freed() {
    on_a_small_stack(|| {
        let first = CancelScope::new();
        assert_freed(
            first.token().clone(),
            |token, fault| {
                let (next, own) = (CancelScope::new(), token.with_value(7).child());
                let of_next = next.token().clone();
                let task = async move {
                    let _held = (next, fault);
                    own.token().run_until_cancelled(pending::<()>()).await.unwrap_err();
                };
                (of_next, task)
            },
            || drop(first),
        );
    });
}

/// By the guard of a wait group, and by a `done`.
#[test]
fn tasks_that_hold_guards_of_each_others_wait_groups_are_freed() {
    on_a_small_stack(|| {
        for by_guard in [true, false] {
            let first = Arc::new(WaitGroup::new());
            let guard = WaitGroup::guard_in(Arc::clone(&first));
            assert_freed(
                Arc::clone(&first),
                |group, fault| {
                    let next = Arc::new(WaitGroup::new());
                    let guard = WaitGroup::guard_in(Arc::clone(&next));
                    let task = async move {
                        let _held = (guard, fault);
                        group.wait().await;
                    };
                    (next, task)
                },
                || if by_guard { drop(guard) } else { first.done().unwrap() },
            );
        }
    });
}

/// A group, with one task inside.
fn entered(group: TaskGroup) -> (TaskGroup, TaskGuard) {
    let guard = group.guard().unwrap();
    (group, guard)
}

#[test]
fn tasks_that_join_each_others_groups_are_freed() {
    on_a_small_stack(|| {
        let (first, guard) = entered(TaskGroup::new());
        assert_freed(
            first,
            |group, fault| {
                let (next, guard) = entered(TaskGroup::new());
                let task = async move {
                    let _held = (guard, fault);
                    group.join().await;
                };
                (next, task)
            },
            || drop(guard),
        );
    });
}

#[test]
fn tasks_that_wait_for_each_others_errors_are_freed() {
    on_a_small_stack(|| {
        let first = ErrGroup::<&str>::new();
        let guard = first.group().guard().unwrap();
        assert_freed(
            first,
            |group, fault| {
                let next = ErrGroup::new();
                let guard = next.group().guard().unwrap();
                let task = async move {
                    let _held = (guard, fault);
                    group.join().await.unwrap();
                };
                (next, task)
            },
            || drop(guard),
        );
    });
}

/// A place is granted to a task that no executor runs. It comes back with the task.
#[test]
fn tasks_that_wait_for_each_others_places_are_freed() {
    on_a_small_stack(|| {
        for closes in [false, true] {
            let (first, guard) = entered(limited(1));
            let handle = first.clone();
            assert_freed(
                first,
                |group, fault| {
                    let (next, guard) = entered(limited(1));
                    let task = async move {
                        let _held = (guard, fault);
                        drop(group.guard_when_room().await);
                    };
                    (next, task)
                },
                || if closes { drop((handle.close(), guard)) } else { drop(guard) },
            );
        }
    });
}

/// Tracked tasks, each of which has the last handle of the group before: it is cancelled with the group above.
#[test]
fn tracked_tasks_that_cancel_each_other_are_freed() {
    on_a_small_stack(|| {
        let first = TaskGroup::new();
        let handle = first.clone();
        assert_freed(
            first,
            |group, fault| {
                let (next, guard) = entered(TaskGroup::new());
                let token = group.token().clone();
                let task = guard.cancel_on_drop().track(async move {
                    let _held = (group, fault);
                    token.cancelled().await;
                });
                (next, task)
            },
            || assert!(handle.cancel()),
        );
    });
}

/// A finaliser that owns a group, whose last task waits for nothing but the finaliser's scope.
#[test]
fn tasks_that_hold_guards_of_groups_with_finalisers_are_freed() {
    on_a_small_stack(|| {
        let first = CancelScope::new();
        assert_freed(
            first.token().clone(),
            |token, fault| {
                let next = CancelScope::new();
                let of_next = next.token().clone();
                let finaliser = move || drop(next);
                let (_, guard) = entered(TaskGroup::builder().finally(finaliser).build());
                let task = async move {
                    let _held = (guard, fault);
                    token.cancelled().await;
                };
                (of_next, task)
            },
            || drop(first),
        );
    });
}
