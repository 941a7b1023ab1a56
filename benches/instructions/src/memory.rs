//! An allocator that takes about the same few instructions each time, and counts.
//!
//! With a real allocator the instructions of one call depend on all calls before it, so a change to one row
//! would change other rows. This one hands out a block from its beginning to its end and takes nothing back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

#[global_allocator]
static MEMORY: Memory = Memory {
    next: AtomicPtr::new(ptr::null_mut()),
    left: AtomicUsize::new(0),
    allocations: AtomicUsize::new(0),
};

/// More than all rows need; a larger allocation fails.
const BLOCK: usize = 1 << 26;

/// For a program with one thread: two threads that allocate at once could be given the same memory.
struct Memory {
    /// Where the free part of the block begins.
    next: AtomicPtr<u8>,
    /// How many bytes that is.
    left: AtomicUsize,
    allocations: AtomicUsize,
}

/// How many allocations were made.
pub(crate) fn allocations() -> usize {
    MEMORY.allocations.load(Ordering::Relaxed)
}

impl Memory {
    /// What is left of the block before is lost.
    #[cold]
    fn refill(&self) {
        const LAYOUT: Layout = match Layout::from_size_align(BLOCK, 4096) {
            Ok(layout) => layout,
            Err(_) => unreachable!(),
        };
        // SAFETY: the size is not zero.
        let block = unsafe { System.alloc(LAYOUT) };
        self.next.store(block, Ordering::Relaxed);
        self.left.store(if block.is_null() { 0 } else { BLOCK }, Ordering::Relaxed);
    }
}

// SAFETY: while the program has one thread, each part of a block is given out once, and is never taken back;
//   it is aligned and as large as asked for, or null is returned.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocations.store(allocations() + 1, Ordering::Relaxed);
        for _ in 0..2 {
            let next = self.next.load(Ordering::Relaxed);
            let left = self.left.load(Ordering::Relaxed);
            let padding = next.align_offset(layout.align());
            let taken = padding.saturating_add(layout.size());
            if taken <= left {
                self.left.store(left - taken, Ordering::Relaxed);
                self.next.store(next.wrapping_add(taken), Ordering::Relaxed);
                return next.wrapping_add(padding);
            }
            self.refill();
        }
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
