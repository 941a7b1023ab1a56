//! What a model frees stays as it is for a while, and is given to nobody else.
//!
//! The crate notices a late touch of an atomic, a cell or an `Arc` by reading a canary beside it. If
//! its block had been freed, that read would be a use after free, and might find anything. Hence the
//! allocator of the models: while one runs, the last [`BLOCKS`] that it freed are kept.

use core::cell::Cell;
use core::ptr;
use std::alloc::{GlobalAlloc, Layout, System};

/// How many are kept: several times what one run of a model frees.
const BLOCKS: usize = 512;

/// Larger blocks are not kept: no object of the crate is one, but the stacks and lists of loom are.
const LARGEST: usize = 4096;

/// A block that was freed, or null.
type Freed = Cell<(*mut u8, Layout)>;

/// The blocks that one thread has freed: loom runs all threads of a model on one.
struct Ring {
    is_on: Cell<bool>,
    blocks: [Freed; BLOCKS],
    oldest: Cell<usize>,
}

std::thread_local! {
    // Without a destructor, it is there until the thread is gone; and using it allocates nothing.
    static RING: Ring = const {
        Ring {
            is_on: Cell::new(false),
            blocks: [const { Cell::new((ptr::null_mut(), Layout::new::<()>())) }; BLOCKS],
            oldest: Cell::new(0),
        }
    };
}

impl Ring {
    /// Keeps `block`, and gives the oldest one, to be freed.
    fn keep(&self, block: *mut u8, layout: Layout) -> (*mut u8, Layout) {
        if !self.is_on.get() || layout.size() > LARGEST {
            return (block, layout);
        }
        let oldest = self.oldest.get();
        self.oldest.set((oldest + 1) % BLOCKS);
        self.blocks[oldest].replace((block, layout))
    }
}

/// Frees late, while a [`Quarantine`] lives.
struct Late;

#[global_allocator]
static LATE: Late = Late;

// SAFETY: all is done by `System`, and what is kept is freed once, later.
unsafe impl GlobalAlloc for Late {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // What is in the block moves, and lives on.
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (block, layout) = RING.with(|ring| ring.keep(block, layout));
        if !block.is_null() {
            // SAFETY: it is the caller's block or one that an earlier caller has given up, with its
            //   layout; and the ring has forgotten it.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

/// While it lives, what this thread frees is kept for a while.
pub(crate) struct Quarantine(());

impl Quarantine {
    pub(crate) fn begin() -> Self {
        RING.with(|ring| ring.is_on.set(true));
        Self(())
    }
}

impl Drop for Quarantine {
    /// Frees what is kept.
    fn drop(&mut self) {
        RING.with(|ring| {
            ring.is_on.set(false);
            for kept in &ring.blocks {
                let (block, layout) = kept.replace((ptr::null_mut(), Layout::new::<()>()));
                if !block.is_null() {
                    // SAFETY: as in `dealloc`.
                    unsafe { System.dealloc(block, layout) }
                }
            }
        });
    }
}
