//! A heap that is full when a wait registers: the allocation panics, and that is all that happens. It
//! does so outside of every critical section, and those who wait already are still woken.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use winddown::Signal;
use winddown_embedded::bell::Bell;
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::{image, interrupt, say, section};

#[global_allocator]
static HEAP: Heap = Heap;

static STOP: Signal = Signal::new();
static BELL: Bell = Bell::new();
static WAITING: AtomicU32 = AtomicU32::new(0);

image!(full, measuring);

fn full() {
    heap::start();
    interrupt::on_panic(last_words);
    // Room for the futures of more waiters than the heap can register.
    let most = heap::free() / 64;
    let mut waits: Vec<_> = (0..most).map(|_| STOP.closed()).collect();
    for wait in &mut waits {
        assert!(BELL.poll(Pin::new(wait)).is_pending());
        WAITING.store(WAITING.load(Relaxed) + 1, Relaxed);
    }
}

fn last_words() {
    assert!(!section::is_inside());
    assert!(STOP.close());
    assert_eq!(BELL.rings(), WAITING.load(Relaxed));
    say!("ok full: all {} who waited before were woken", BELL.rings());
}
