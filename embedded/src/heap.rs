//! The heap, from the end of the statics to what the stack may need.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use embedded_alloc::LlffHeap;

use crate::section;

/// What the stacks of all cores may need. Every image for one core looks whether it did.
pub const STACK: usize = if cfg!(feature = "two-cores") { 16 << 10 } else { 4 << 10 };

// The linker script's. The stack begins where the memory ends, and grows towards the heap.
unsafe extern "C" {
    static __sheap: u8;
    static _stack_start: u8;
}

static INNER: LlffHeap = LlffHeap::empty();
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

/// `#[global_allocator] static HEAP: Heap = Heap;`
pub struct Heap;

/// To be called once, before anything allocates.
pub fn start() {
    let (first, end) = ((&raw const __sheap).addr().next_multiple_of(8), end());
    // SAFETY: nobody else has this memory, and this is called once.
    unsafe { INNER.init(first, end - first) };
}

/// Where the heap ends and the stack must not come to.
pub(crate) fn end() -> usize {
    stack_start() - STACK
}

pub(crate) fn stack_start() -> usize {
    (&raw const _stack_start).addr()
}

/// How many bytes are in use, with what the heap adds to each block.
pub fn in_use() -> usize {
    INNER.used()
}

/// How many bytes are not in use.
pub fn free() -> usize {
    INNER.free()
}

/// How many blocks were taken so far, and how many were freed.
pub fn calls() -> [usize; 2] {
    [TAKEN.load(Relaxed), FREED.load(Relaxed)]
}

// SAFETY: the inner heap's.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        section::unmeasured(|| {
            count(&TAKEN);
            // SAFETY: the caller's.
            unsafe { INNER.alloc(layout) }
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        section::unmeasured(|| {
            count(&FREED);
            // SAFETY: the caller's.
            unsafe { INNER.dealloc(block, layout) };
        });
    }
}

fn count(calls: &AtomicUsize) {
    critical_section::with(|_| calls.store(calls.load(Relaxed) + 1, Relaxed));
}
