//! Statics shared by tasks of embassy, a tree of scopes, a task that finishes its slice, the drain of a
//! group, timers as limits; and neither heap nor stack grows.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use critical_section::Mutex;
use embassy_executor::{Executor, Spawner};
use embassy_time::Timer;
use winddown::{CancelScope, CancelToken, Cancelled, Canceller, Guard, Signal, WaitGroup};
use winddown::{Stopped, TaskGroup, TaskGuard};
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::{board, image, say, stack, time};

#[global_allocator]
static HEAP: Heap = Heap;

static IN_FLIGHT: WaitGroup = WaitGroup::new();
static STOP: Signal = Signal::new();
static CANCELLER: Mutex<RefCell<Option<Canceller>>> = Mutex::new(RefCell::new(None));

image!(tasks);

fn tasks() {
    heap::start();
    stack::paint();
    time::start();
    Box::leak(Box::new(Executor::new())).run(|spawner| spawner.spawn(scenarios(spawner).unwrap()))
}

#[embassy_executor::task]
async fn scenarios(spawner: Spawner) {
    shared(&spawner).await;
    slice(&spawner).await;
    tree(&spawner).await;
    say!("ok tree: one branch, and then the rest from an interrupt");
    drain(&spawner).await;
    say!("ok drain: in time, and forced by a timer");
    let before = heap::in_use();
    for _ in 0..200 {
        tree(&spawner).await;
        drain(&spawner).await;
    }
    assert_eq!(heap::in_use(), before);
    say!("ok heap: {before} bytes in use before and after 200 more");
    say!("ok stack: {} bytes at most", stack::high_water());
    board::exit(true)
}

/// A timer as the limit of the wait for what is in flight.
async fn everybody_left(ticks: u64) -> Result<(), usize> {
    let limit = Timer::after_ticks(ticks);
    IN_FLIGHT.wait().until(limit).await.map_err(|unfinished| unfinished.left)
}

static WORKED: AtomicU32 = AtomicU32::new(0);

fn count(counter: &AtomicU32) -> u32 {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
    counter.load(Relaxed)
}

#[embassy_executor::task(pool_size = 3)]
async fn worker(_guard: Guard) {
    while STOP.closed().until(Timer::after_ticks(1)).await.is_err() {
        count(&WORKED);
    }
}

/// Rules 3 and 7, with a limit that comes first and one that does not.
async fn shared(spawner: &Spawner) {
    for _ in 0..3 {
        spawner.spawn(worker(IN_FLIGHT.guard()).unwrap());
    }
    assert_eq!(everybody_left(10).await, Err(3));
    time::in_next_tick(|| _ = STOP.close());
    assert_eq!(everybody_left(10).await, Ok(()));
    assert!(STOP.is_closed());
    say!("ok shared: three tasks worked {} times until an interrupt", WORKED.load(Relaxed));
}

const SLICE: u32 = 4;
static STEPS: AtomicU32 = AtomicU32::new(0);

#[embassy_executor::task]
async fn slices(_guard: Guard, token: CancelToken) {
    async fn work(token: &CancelToken) -> Result<(), Cancelled> {
        loop {
            token.check()?;
            for _ in 0..SLICE {
                Timer::after_ticks(1).await;
                if count(&STEPS) == 2 * SLICE + 1 {
                    time::in_next_tick(cancel);
                }
            }
        }
    }
    assert_eq!(work(&token).await.unwrap_err(), token.check().unwrap_err());
}

/// The interrupt.
fn cancel() {
    let canceller = critical_section::with(|cs| CANCELLER.borrow_ref_mut(cs).take());
    assert!(canceller.is_some_and(|canceller| canceller.cancel()));
}

/// Cancelled behind the first step of a slice, a task finishes it.
async fn slice(spawner: &Spawner) {
    let scope = CancelScope::new();
    critical_section::with(|cs| CANCELLER.replace(cs, Some(scope.canceller())));
    spawner.spawn(slices(IN_FLIGHT.guard(), scope.token().clone()).unwrap());
    assert_eq!(everybody_left(100).await, Ok(()));
    assert_eq!(STEPS.load(Relaxed), 3 * SLICE);
    say!("ok slice: cancelled in the third slice, which was finished");
}

#[embassy_executor::task(pool_size = 4)]
async fn leaf(_guard: Guard, token: CancelToken) {
    token.cancelled_owned().await;
}

/// Rule 8: two branches of two leaves each. One branch is cancelled, and then, by an interrupt, the rest.
async fn tree(spawner: &Spawner) {
    let root = CancelScope::new();
    let branches = [root.token().child(), root.token().child()];
    for branch in &branches {
        for _ in 0..2 {
            let token = branch.token().child().detach().token().clone();
            spawner.spawn(leaf(IN_FLIGHT.guard(), token).unwrap());
        }
    }
    branches[0].cancel();
    assert_eq!(everybody_left(2).await, Err(2));
    critical_section::with(|cs| CANCELLER.replace(cs, Some(root.canceller())));
    time::in_next_tick(cancel);
    assert_eq!(everybody_left(10).await, Ok(()));
}

#[embassy_executor::task(pool_size = 2)]
async fn member(guard: TaskGuard, is_polite: bool) {
    if is_polite {
        guard.closed().await;
    } else {
        guard.token().cancelled().await;
    }
}

/// Rule 4, with timers of embassy as grace and as limit.
async fn drain(spawner: &Spawner) {
    let group = TaskGroup::new();
    for _ in 0..2 {
        spawner.spawn(member(group.guard().unwrap(), true).unwrap());
    }
    assert_eq!(group.shutdown(Timer::after_ticks(10)).await, Stopped::Gracefully);
    let group = TaskGroup::new();
    spawner.spawn(member(group.guard().unwrap(), false).unwrap());
    let hasty = group.shutdown(Timer::after_ticks(10)).until(Timer::after_ticks(2)).await;
    assert_eq!(hasty.unwrap_err().left, 1);
    assert_eq!(group.shutdown(Timer::after_ticks(2)).await, Stopped::Forced);
    assert!(group.is_drained());
}
