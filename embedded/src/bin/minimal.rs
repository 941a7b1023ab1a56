//! The least that waits: a signal, a group, an interrupt, and a loop that polls. For its size.

#![no_std]
#![no_main]

extern crate alloc;

use core::pin::pin;

use winddown::{Guard, Signal, WaitGroup};
use winddown_embedded::bell::Bell;
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::{board, image, interrupt};

#[global_allocator]
static HEAP: Heap = Heap;

static STOP: Signal = Signal::new();
static IN_FLIGHT: WaitGroup = WaitGroup::new();
static BELL: Bell = Bell::new();

image!(minimal, quiet);

fn minimal() {
    heap::start();
    IN_FLIGHT.add(1).unwrap();
    interrupt::every(10_000, &|| {
        // The first interrupt says stop, and the second is the last piece of work.
        if !STOP.close() {
            let _ = IN_FLIGHT.done();
            board::no_interrupts();
        }
    });
    let guard: Guard = IN_FLIGHT.guard();
    BELL.block_on(pin!(STOP.closed()));
    drop(guard);
    BELL.block_on(pin!(IN_FLIGHT.wait()));
}
