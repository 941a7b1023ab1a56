//! Tasks in the event loop of a host without threads, with its timers as limits.
//!
//! Whatever the host calls ends with a turn of the pool, so nobody has to wake the host.

use std::cell::{Cell, RefCell};
use std::future::ready;
use std::num::NonZeroUsize;
use std::panic;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_executor::{LocalPool, LocalSpawner};
use futures_util::FutureExt as _;
use futures_util::task::LocalSpawnExt as _;
use winddown::future::WaitClosed;
use winddown::{CancelScope, Reason, Refused, Signal, Stopped, TaskGroup, TaskGuard, WaitGroup};

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Calls `fired` after that time.
    safe fn start_timer(id: usize, milliseconds: u32);
    /// The scenarios are through.
    safe fn done();
    fn complain(text: *const u8, length: usize);
}

const TASKS: usize = 6;

thread_local! {
    static POOL: RefCell<LocalPool> = RefCell::default();
    static SPAWNER: LocalSpawner = POOL.with_borrow(LocalPool::spawner);
    static TIMERS: RefCell<Vec<Arc<Signal>>> = RefCell::default();
}

/// Starts the scenarios.
#[unsafe(no_mangle)]
pub extern "C" fn start() {
    panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        // SAFETY: the text is readable for its length.
        unsafe { complain(text.as_ptr(), text.len()) };
    }));
    what_is_over_needs_no_clock();
    a_limit_that_has_come_needs_no_clock();
    an_expiry_is_driven_by_any_timer();
    a_guard_is_taken_without_a_clock();
    spawn(async {
        a_group_of_guards_drains().await;
        abandoned_waits_wake_nobody().await;
        a_tree_is_cancelled().await;
        idle_tasks_leave_within_the_grace().await;
        the_hosts_timer_ends_the_grace().await;
        done();
    });
    turn();
}

/// A timer of the host has fired.
#[unsafe(no_mangle)]
pub extern "C" fn fired(id: usize) {
    TIMERS.with_borrow(|timers| timers[id].close());
    turn();
}

fn turn() {
    POOL.with_borrow_mut(LocalPool::run_until_stalled);
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    SPAWNER.with(|spawner| spawner.spawn_local(task).unwrap());
}

/// A timer is a signal that the host closes.
fn sleep(milliseconds: u32) -> WaitClosed<Arc<Signal>> {
    let timer = Arc::new(Signal::new());
    let id = TIMERS.with_borrow_mut(|timers| {
        timers.push(Arc::clone(&timer));
        timers.len() - 1
    });
    start_timer(id, milliseconds);
    Signal::closed_in(timer)
}

/// `Instant::now` panics on this target, so a thread that does not have to park reads no clock.
fn what_is_over_needs_no_clock() {
    let limit = Duration::from_secs(1);
    let group = TaskGroup::builder().limit(NonZeroUsize::MIN).build();
    drop(group.guard_when_room().block_for(limit).unwrap().unwrap());
    group.guard_when_room().block_for(Duration::ZERO).unwrap_err();
    group.close();
    group.join().block_for(limit).unwrap();
    WaitGroup::new().wait().block_for(Duration::ZERO).unwrap();
    let scope = CancelScope::new();
    scope.cancel();
    scope.token().cancelled().block_for(Duration::MAX).unwrap();
}

fn a_limit_that_has_come_needs_no_clock() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    let unfinished = group.join().until(ready(7)).block_for(Duration::from_secs(1)).unwrap();
    assert_eq!(unfinished.unwrap_err().by, 7);
    drop(guard);
}

/// A deadline is any future, and no clock is asked.
fn an_expiry_is_driven_by_any_timer() {
    let (scope, timer) = (CancelScope::new(), Signal::new());
    let mut expiry = pin!(scope.cancel_after(timer.closed()));
    assert!(expiry.as_mut().now_or_never().is_none() && !scope.token().is_cancelled());
    timer.close();
    assert!(expiry.now_or_never().is_some());
    assert!(matches!(scope.token().reason(), Some(Reason::Deadline)));
}

/// With the feature `holders` each guard says since when it is held, where there is a clock.
fn a_guard_is_taken_without_a_clock() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap().label("a task");
    assert_eq!(group.len(), 1);
    #[cfg(feature = "holders")]
    {
        let holders = group.holders();
        assert!(matches!(holders.as_ref(), [holder] if holder.since.is_none()));
        assert!(holders.to_string().contains("a task") && !holders.to_string().contains(", for "));
    }
    drop(guard);
    assert!(group.is_empty());
}

/// Rules 3, 7.
async fn a_group_of_guards_drains() {
    static IN_FLIGHT: WaitGroup = WaitGroup::new();
    static STOP: Signal<&str> = Signal::typed();
    for _ in 0..TASKS {
        spawn(IN_FLIGHT.guard().track(async { assert_eq!(*STOP.value().await, "enough") }));
    }
    assert_eq!(IN_FLIGHT.wait().until(sleep(1)).await.unwrap_err().left, TASKS);
    assert_eq!(STOP.close_with("enough"), Ok(()));
    IN_FLIGHT.wait().await;
    assert!(IN_FLIGHT.is_idle());
}

/// Rule 12.
async fn abandoned_waits_wake_nobody() {
    let (group, scope) = (WaitGroup::new(), CancelScope::new());
    let guard = group.guard();
    for _ in 0..100 {
        assert!(group.wait().now_or_never().is_none());
        assert!(scope.token().cancelled().now_or_never().is_none());
    }
    let mut last = pin!(group.wait());
    assert!(last.as_mut().now_or_never().is_none());
    drop(guard);
    last.await;
}

/// Rules 8, 10.
async fn a_tree_is_cancelled() {
    let scope = CancelScope::new();
    let tasks = Arc::new(WaitGroup::new());
    let called = Arc::new(AtomicUsize::new(0));
    for _ in 0..TASKS {
        let child = scope.token().child();
        let of_child = Arc::clone(&called);
        child
            .token()
            .on_cancel(move || {
                of_child.fetch_add(1, Ordering::Relaxed);
            })
            .detach();
        spawn(WaitGroup::guard_in(Arc::clone(&tasks)).track(async move {
            child.token().cancelled().await;
            assert_eq!(child.token().reason().unwrap().to_string(), "shutdown");
        }));
    }
    sleep(1).await;
    assert_eq!((tasks.count(), called.load(Ordering::Relaxed)), (TASKS, 0));
    scope.canceller().cancel_with("shutdown").unwrap();
    tasks.wait().await;
    assert_eq!(called.load(Ordering::Relaxed), TASKS);
}

async fn be_idle(guard: TaskGuard) {
    guard.closed().until(sleep(1)).await.unwrap_err();
    guard.closed().await;
}

/// Rule 16.
async fn idle_tasks_leave_within_the_grace() {
    let finalised = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&finalised);
    let finally = move || {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let group = TaskGroup::builder().finally(finally).build();
    for _ in 0..TASKS {
        spawn(be_idle(group.guard().unwrap()));
    }
    sleep(20).await;
    assert_eq!(group.shutdown(sleep(60_000)).await, Stopped::Gracefully);
    assert_eq!(finalised.load(Ordering::Relaxed), 1);
    assert_eq!(group.guard().unwrap_err(), Refused::Closed);
}

/// Rule 4: nothing here is `Send`, but the group.
async fn the_hosts_timer_ends_the_grace() {
    let group = TaskGroup::new();
    let slices = std::rc::Rc::new(Cell::new(0));
    for _ in 0..TASKS {
        let (guard, slices) = (group.guard().unwrap(), slices.clone());
        spawn(async move {
            while guard.token().check().is_ok() {
                sleep(1).await;
                slices.set(slices.get() + 1);
            }
        });
    }
    assert_eq!(group.shutdown(sleep(5)).await, Stopped::Forced);
    assert!(slices.get() >= TASKS);
    assert!(matches!(group.token().reason(), Some(Reason::Cancelled)));
}
