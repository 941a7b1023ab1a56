//! A program that counts, closes and looks, with a heap that panics.

#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::pin::pin;
use core::task::Poll;

use winddown::{Guard, Signal, WaitGroup};
use winddown_embedded::bell::Bell;
use winddown_embedded::{image, interrupt, say};

struct NoHeap;

// SAFETY: it never gives memory.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        panic!("{} bytes were allocated", layout.size())
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;

static IN_FLIGHT: WaitGroup = WaitGroup::new();
static STOP: Signal<u32> = Signal::typed();
static BELL: Bell = Bell::new();

image!(count);

/// Rule 13.
fn count() {
    let guard: Guard = IN_FLIGHT.guard();
    IN_FLIGHT.add(2).unwrap();
    let clone = guard.clone();
    assert_eq!(IN_FLIGHT.count(), 4);
    let out = || {
        let _ = IN_FLIGHT.done();
        if IN_FLIGHT.count() == 2 {
            STOP.close_with(7).unwrap();
        }
    };
    interrupt::while_running(1000, &out, || while !STOP.is_closed() {});
    assert_eq!(STOP.close_with(8), Err(8));
    drop((guard, clone));
    assert!(IN_FLIGHT.is_idle() && IN_FLIGHT.done().is_err());
    assert!(BELL.poll(pin!(IN_FLIGHT.wait())).is_ready());
    assert!(BELL.poll(pin!(STOP.closed())).is_ready());
    assert_eq!(BELL.poll(pin!(STOP.value())), Poll::Ready(&7));
    assert_eq!(BELL.rings(), 0);
    say!("ok count: counted, closed by an interrupt and polled without a heap");
}
