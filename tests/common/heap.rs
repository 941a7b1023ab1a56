//! A global allocator that counts what the calling thread does, so that tests run side by side.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

/// What one thread did with the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    /// Blocks that were asked for, or asked to change their size.
    pub(crate) allocations: usize,
    /// Blocks that were taken and not given back.
    pub(crate) blocks: isize,
    /// Bytes that were taken and not given back.
    pub(crate) bytes: isize,
}

std::thread_local! {
    // Constant and without a drop: looking at it allocates nothing, at any time of a thread's life.
    static HEAP: Cell<Heap> = const { Cell::new(Heap { allocations: 0, blocks: 0, bytes: 0 }) };
}

impl Heap {
    pub(crate) fn now() -> Self {
        HEAP.get()
    }

    fn took(layout: Layout) {
        let mut heap = HEAP.get();
        heap.allocations += 1;
        heap.blocks += 1;
        heap.bytes += signed(layout.size());
        HEAP.set(heap);
    }

    fn gave(layout: Layout) {
        let mut heap = HEAP.get();
        heap.blocks -= 1;
        heap.bytes -= signed(layout.size());
        HEAP.set(heap);
    }
}

/// No block is larger than this.
fn signed(size: usize) -> isize {
    size as isize
}

/// How often `f` allocates.
pub(crate) fn allocations<R>(f: impl FnOnce() -> R) -> usize {
    let before = Heap::now().allocations;
    let _ = f();
    Heap::now().allocations - before
}

/// Bytes and blocks that `f` leaves behind.
pub(crate) fn leaked<R>(f: impl FnOnce() -> R) -> (isize, isize) {
    let before = Heap::now();
    drop(f());
    let after = Heap::now();
    (after.bytes - before.bytes, after.blocks - before.blocks)
}

#[derive(Debug)]
pub(crate) struct Counting;

// SAFETY: the system's allocator does the work, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Heap::took(layout);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Heap::gave(layout);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
