//! What every runtime must do with groups.

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use winddown::{CancelToken, ErrGroup, Reason, Refused, Signal, Stopped, TaskGroup, TaskGuard};

use super::scenarios::{Stop, Tasks, nothing_stays};
use super::{run, sleep, spawn};
use crate::report::Report;

const SHORT: Duration = Duration::from_millis(1);
/// Never comes.
const LONG: Duration = Duration::from_secs(60);
const TASKS: usize = 6;

pub(super) fn check(report: &mut Report) {
    crate::report::check!(report:
        idle_tasks_leave_within_the_grace,
        the_runtimes_timer_ends_the_grace,
        a_drain_with_a_limit_says_who_is_left,
        nobody_enters_behind_a_foreign_close,
        a_group_drains_behind_its_children_and_finalises_once,
        a_task_that_has_left_waits_for_its_group,
        the_first_error_cancels_the_rest,
        no_more_tasks_run_than_there_is_room_for,
    );
    for tasks in [Tasks::Idle, Tasks::Busy] {
        report.check(
            &format!("a_runtime_goes_and_then_its_group_is_cancelled: {tasks:?}"),
            move || {
                a_runtime_goes(tasks, Stop::Later);
            },
        );
        report.check(
            &format!("a_runtime_goes_while_its_group_is_cancelled: {tasks:?}"),
            move || {
                for _ in 0..10 {
                    a_runtime_goes(tasks, Stop::Meanwhile);
                }
            },
        );
    }
}

/// A group that counts how often it is finalised.
fn finalised() -> (TaskGroup, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let of_group = Arc::clone(&count);
    let finally = move || {
        of_group.fetch_add(1, Ordering::Relaxed);
    };
    (TaskGroup::builder().finally(finally).build(), count)
}

/// Some work, and then idle until the door is closed.
async fn be_idle(guard: TaskGuard) {
    for _ in 0..3 {
        if guard.closed().until(sleep(SHORT)).await.is_ok() {
            return;
        }
    }
    guard.closed().await;
}

/// Rules 3, 16, 18.
async fn idle_tasks_leave_within_the_grace() {
    let (group, finalised) = finalised();
    for _ in 0..TASKS {
        spawn(be_idle(group.guard().unwrap()));
    }
    sleep(5 * SHORT).await;
    assert_eq!(group.len(), TASKS);
    assert_eq!(group.shutdown(sleep(LONG)).await, Stopped::Gracefully);
    assert_eq!(finalised.load(Ordering::Relaxed), 1);
    assert!(!group.token().is_cancelled());
    assert_eq!(group.guard().unwrap_err(), Refused::Closed);
}

/// Works on, whatever the door says, and finishes its slice when it is cancelled.
async fn be_busy(token: CancelToken, slices: Arc<AtomicUsize>) {
    loop {
        sleep(SHORT).await;
        slices.fetch_add(1, Ordering::Relaxed);
        if token.is_cancelled() {
            return;
        }
    }
}

async fn the_runtimes_timer_ends_the_grace() {
    let group = TaskGroup::new();
    let slices = Arc::new(AtomicUsize::new(0));
    for _ in 0..TASKS {
        let task = be_busy(group.token().clone(), Arc::clone(&slices));
        spawn(group.track(task).unwrap());
    }
    assert_eq!(group.shutdown(sleep(SHORT)).await, Stopped::Forced);
    assert!(slices.load(Ordering::Relaxed) >= TASKS, "each has finished its slice");
    assert!(matches!(group.token().reason(), Some(Reason::Cancelled)));
}

/// One task hears of nothing.
async fn a_drain_with_a_limit_says_who_is_left() {
    let group = TaskGroup::new();
    let wake_up = Arc::new(Signal::new());
    for _ in 1..TASKS {
        spawn(be_idle(group.guard().unwrap()));
    }
    spawn(group.track(Signal::closed_in(Arc::clone(&wake_up))).unwrap());
    let told = group.shutdown(sleep(SHORT));
    // The limit ends when nobody else is left.
    let only_one = async {
        while group.len() > 1 || !group.token().is_cancelled() {
            sleep(SHORT).await;
        }
    };
    let unfinished = told.until(only_one).await.unwrap_err();
    assert_eq!(unfinished.left, 1);
    assert!(!group.is_drained());
    wake_up.close();
    group.join().await;
}

/// Rule 4: a guard that was refused is no task, and every other one is waited for.
async fn nobody_enters_behind_a_foreign_close() {
    let group = TaskGroup::new();
    let finished = Arc::new(AtomicUsize::new(0));
    let (handle, open) = (group.clone(), Arc::new(Signal::new()));
    let go = Arc::clone(&open);
    let closer = thread::spawn(move || {
        go.closed().block();
        assert!(handle.close());
        handle.drained().block();
    });
    let mut entered = 0;
    while let Ok(guard) = group.guard() {
        let finished = Arc::clone(&finished);
        spawn(guard.track(async move {
            finished.fetch_add(1, Ordering::Relaxed);
        }));
        entered += 1;
        if entered == 20 {
            open.close();
        }
        if entered % 20 == 0 {
            sleep(SHORT).await;
        }
    }
    group.drained().await;
    assert_eq!(finished.load(Ordering::Relaxed), entered);
    closer.join().unwrap();
}

/// Rules 16, 17.
async fn a_group_drains_behind_its_children_and_finalises_once() {
    let (group, finalised) = finalised();
    for _ in 0..TASKS {
        let child = group.child().unwrap();
        spawn(be_idle(child.guard().unwrap()));
        spawn(child.track(be_busy(child.token().clone(), Arc::default())).unwrap());
    }
    let unfinished = group.drained().until(sleep(SHORT)).await.unwrap_err();
    assert_eq!(unfinished.left, TASKS, "a child counts as one");
    let handle = group.clone();
    let canceller = thread::spawn(move || handle.cancel_with("enough").unwrap());
    group.drained().await;
    assert_eq!(finalised.load(Ordering::Relaxed), 1);
    assert_eq!(group.token().reason().unwrap().to_string(), "enough");
    assert_eq!(group.child().unwrap_err(), Refused::Closed);
    canceller.join().unwrap();
}

/// Rule 16.
async fn a_task_that_has_left_waits_for_its_group() {
    let (group, finalised) = finalised();
    let seen = Arc::new(Signal::typed());
    let guards: Vec<_> = (0..TASKS).map(|_| group.guard().unwrap()).collect();
    for (id, guard) in guards.into_iter().enumerate() {
        let (seen, finalised) = (Arc::clone(&seen), Arc::clone(&finalised));
        spawn(async move {
            if id > 0 {
                return be_idle(guard).await;
            }
            guard.leave().join().await;
            seen.close_with(finalised.load(Ordering::Relaxed)).unwrap();
        });
    }
    drop(group);
    assert_eq!(seen.value().await, &1);
}

/// Rule 15, S2.15.
async fn the_first_error_cancels_the_rest() {
    let group = ErrGroup::new();
    for id in 0..TASKS {
        let token = group.group().token().clone();
        let task = async move {
            if id == 4 {
                sleep(SHORT).await;
                return Err(format!("task {id} failed"));
            }
            token.cancelled().await;
            Ok(())
        };
        spawn(group.try_track(task).unwrap());
    }
    let errors = group.join().await.unwrap_err();
    assert!(errors.iter().eq(["task 4 failed"]));
    assert!(matches!(group.group().token().reason(), Some(Reason::Failed)));
}

/// Whoever waits for room gets it when another leaves, and is refused when the door is closed.
async fn no_more_tasks_run_than_there_is_room_for() {
    const ROOM: usize = 2;
    let group = TaskGroup::builder().limit(NonZeroUsize::new(ROOM).unwrap()).build();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..5 * ROOM {
        let guard = group.guard_when_room().await.unwrap();
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        spawn(guard.track(async move {
            most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            sleep(SHORT).await;
            running.fetch_sub(1, Ordering::Relaxed);
        }));
    }
    assert!(most.load(Ordering::Relaxed) <= ROOM);
    let handle = group.clone();
    let stay: Vec<_> =
        (0..ROOM).map(|_| async { group.guard_when_room().await.unwrap() }).collect();
    let stay = futures_util::future::join_all(stay).await;
    let closer = thread::spawn(move || handle.close());
    let refused = group.guard_when_room().await;
    assert_eq!(refused.unwrap_err(), Refused::Closed);
    assert!(closer.join().unwrap());
    drop(stay);
    group.join().await;
}

/// Rules 2, 12, 16: tasks that go with their runtime have left, and the last one out finalises.
fn a_runtime_goes(tasks: Tasks, stop: Stop) {
    let (group, finalised) = finalised();
    let leaving = Arc::new(Signal::new());
    let gone = Arc::new(Signal::new());
    let closer = {
        let handle = group.clone();
        let signal = Arc::clone(if stop == Stop::Meanwhile { &leaving } else { &gone });
        thread::spawn(move || {
            signal.closed().block();
            handle.cancel()
        })
    };
    let of_main = group.clone();
    run(move || async move {
        for _ in 0..TASKS {
            let guard = of_main.guard().unwrap();
            match tasks {
                Tasks::Idle => spawn(async move { guard.closed().await }),
                Tasks::Busy => {
                    let token = guard.token().clone();
                    spawn(guard.track(be_busy(token, Arc::default())));
                }
            }
        }
        sleep(SHORT).await;
        leaving.close();
    });
    gone.close();
    assert!(closer.join().unwrap());
    let of_runtime = group.clone();
    if nothing_stays(tasks, stop, async move { of_runtime.drained().await }) {
        group.drained().block();
        assert_eq!(finalised.load(Ordering::Relaxed), 1);
    }
}
