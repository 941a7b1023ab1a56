//! A global allocator that counts what the calling thread, and what all threads, have taken and not given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// What a thread, or all threads, have taken and not given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    /// How many blocks.
    pub(crate) blocks: isize,
    /// How many bytes.
    pub(crate) bytes: isize,
}

std::thread_local! {
    // Constant and without a drop: a look at it allocates nothing, at any time of a thread's life.
    static HEAP: Cell<Heap> = const { Cell::new(Heap { blocks: 0, bytes: 0 }) };
    // From 1 on; 0 is not assigned yet.
    static PART: Cell<usize> = const { Cell::new(0) };
}

/// What some of the threads have taken. On a cache line of its own, so that counting does not order the threads.
#[repr(align(64))]
struct Part {
    blocks: AtomicIsize,
    bytes: AtomicIsize,
}

const PARTS: usize = 64;
static ALL: [Part; PARTS] =
    [const { Part { blocks: AtomicIsize::new(0), bytes: AtomicIsize::new(0) } }; PARTS];

impl Part {
    /// That of the calling thread.
    fn mine() -> &'static Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        if PART.get() == 0 {
            PART.set(1 + NEXT.fetch_add(1, Ordering::Relaxed) % PARTS);
        }
        &ALL[PART.get() - 1]
    }
}

impl Heap {
    /// That of this thread.
    pub(crate) fn now() -> Self {
        HEAP.get()
    }

    /// That of all threads. Exact only if the others do nothing meanwhile and this thread knows of what they did.
    pub(crate) fn of_all() -> Self {
        let sum = |count: fn(&Part) -> &AtomicIsize| {
            ALL.iter().map(|part| count(part).load(Ordering::Relaxed)).sum()
        };
        Self { blocks: sum(|part| &part.blocks), bytes: sum(|part| &part.bytes) }
    }

    fn add(blocks: isize, bytes: usize) {
        let now = HEAP.get();
        // No block is larger than half of the memory.
        let bytes = blocks * isize::try_from(bytes).unwrap_or(isize::MAX);
        HEAP.set(Self { blocks: now.blocks + blocks, bytes: now.bytes + bytes });
        let part = Part::mine();
        part.blocks.fetch_add(blocks, Ordering::Relaxed);
        part.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Counting;

// SAFETY: the system's allocator does the work, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Heap::add(1, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Heap::add(-1, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
