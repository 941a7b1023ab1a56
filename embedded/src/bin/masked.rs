//! How long interrupts are masked, in instructions, against the number of waiters; and how much heap a
//! waiter takes.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use winddown::{CancelScope, Signal, WaitGroup};
use winddown_embedded::bell::Bell;
use winddown_embedded::heap::{self, Heap};
use winddown_embedded::{board, image, say, section, stack};

#[global_allocator]
static HEAP: Heap = Heap;

static BELL: Bell = Bell::new();

/// One in the slot, and a full batch.
const BATCH: usize = 17;
const SIZES: [usize; 7] = [1, 2, 10, BATCH, 100, 400, 1000];

image!(masked, measuring);

fn masked() {
    heap::start();
    stack::paint();
    board::start_clock();
    let clock = Clock::calibrate();
    let subjects: [(&str, Measure); 3] = [("signal", signal), ("group", group), ("tree", tree)];
    for (name, measure) in subjects {
        let mut batch = None;
        for size in SIZES {
            let Some(now) = measure(size, &clock) else {
                say!("note {name}: no room for {size} waiters");
                break;
            };
            let Masked { wait, end, drop, bytes } = now;
            say!(
                "ok {name}, {size} waiting: wait {wait}, end {end}, drop {drop}; heap {bytes} each"
            );
            // The first full batch is the longest there is, but for what a step of the clock may add.
            let bound = batch.get_or_insert(now);
            if size <= BATCH {
                *bound = now;
            }
            for (now, bound) in [(wait, bound.wait), (end, bound.end), (drop, bound.drop)] {
                assert!(size <= BATCH || now <= bound + bound / 8 + 8, "grows with the waiters");
            }
        }
    }
    assert_eq!(heap::in_use(), 0);
    say!("ok heap: nothing left; stack {} bytes at most", stack::high_water());
}

type Measure = fn(usize, &Clock) -> Option<Masked>;

/// The longest masked time of each step, in instructions, and heap bytes for each waiter.
#[derive(Clone, Copy)]
struct Masked {
    wait: u32,
    end: u32,
    drop: u32,
    bytes: usize,
}

struct Clock {
    /// Ticks for 10,000 instructions.
    rate: u32,
}

impl Clock {
    fn calibrate() -> Self {
        let then = board::now();
        board::spend(5_000);
        Self { rate: board::since(then) }
    }

    fn longest(&self, f: impl FnOnce()) -> u32 {
        section::longest(f) * 10_000 / self.rate
    }
}

/// None if the heap is too small: a waiter takes less than `room`, with its future.
fn measure<W: Future + Unpin>(
    clock: &Clock,
    room: usize,
    size: usize,
    wait: impl Fn() -> W,
    end: impl FnOnce(),
) -> Option<Masked> {
    if heap::free() < size * room {
        return None;
    }
    // Their list comes first, as it must not count.
    let mut waits: Vec<W> = (0..size).map(|_| wait()).collect();
    let before = heap::in_use();
    let parked = clock.longest(|| {
        for wait in &mut waits {
            assert!(BELL.poll(Pin::new(wait)).is_pending());
        }
    });
    let bytes = (heap::in_use() - before) / size;
    let dropped = clock.longest(|| waits.truncate(size / 2));
    for _ in waits.len()..size {
        waits.push(wait());
        assert!(BELL.poll(Pin::new(waits.last_mut()?)).is_pending());
    }
    BELL.take();
    let ended = clock.longest(end);
    assert_eq!(BELL.rings() as usize, size);
    let gone = clock.longest(|| drop(waits));
    Some(Masked { wait: parked, end: ended, drop: dropped.max(gone), bytes })
}

fn signal(size: usize, clock: &Clock) -> Option<Masked> {
    let stop = Signal::new();
    measure(clock, 100, size, || stop.closed(), || _ = stop.close())
}

fn group(size: usize, clock: &Clock) -> Option<Masked> {
    let group = WaitGroup::new();
    let guard = group.guard();
    measure(clock, 100, size, || group.wait(), || drop(guard))
}

/// Each waits on a child of its own.
fn tree(size: usize, clock: &Clock) -> Option<Masked> {
    let root = CancelScope::new();
    let wait = || root.token().child().detach().token().clone().cancelled_owned();
    measure(clock, 250, size, wait, || _ = root.cancel())
}
