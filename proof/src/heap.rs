//! A global allocator that counts what the calling thread has taken and not given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What a thread has taken and not given back.
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
}

impl Heap {
    /// That of this thread.
    pub(crate) fn now() -> Self {
        HEAP.get()
    }

    fn add(blocks: isize, bytes: usize) {
        let now = HEAP.get();
        // No block is larger than half of the memory.
        let bytes = blocks * isize::try_from(bytes).unwrap_or(isize::MAX);
        HEAP.set(Self { blocks: now.blocks + blocks, bytes: now.bytes + bytes });
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
