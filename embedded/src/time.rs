//! The clock of embassy: an interrupt each millisecond.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_queue_utils::Queue;

use crate::{Slot, interrupt};

struct Clock {
    now: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
    /// Run by the next tick, once.
    next: Slot<fn()>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    now: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
    next: Slot::new(None),
});

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.now.borrow(cs).get())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| self.queue.borrow(cs).borrow_mut().schedule_wake(at, waker));
    }
}

/// Starts the clock. What a tick is in real time does not matter here.
pub fn start() {
    interrupt::every(10_000, &tick);
}

fn tick() {
    critical_section::with(|cs| {
        let now = CLOCK.now.borrow(cs).get() + 1;
        CLOCK.now.borrow(cs).set(now);
        CLOCK.queue.borrow(cs).borrow_mut().next_expiration(now);
    });
    if let Some(next) = CLOCK.next.take() {
        next();
    }
}

/// Runs `action` in the next tick's interrupt.
pub fn in_next_tick(action: fn()) {
    CLOCK.next.set(Some(action));
}
