//! The allocator of the models, which frees late.
//!
//! The crate notices a touch of an object that is gone by a canary inside the object. If the block of the
//! object had been freed by then, this look at the canary would itself be a use after free, and another
//! object might lie there. Hence, while a model runs, the last [`BLOCKS`] that it freed are kept as they
//! are, and are not given out again.

use core::cell::Cell;
use core::ptr;
use std::alloc::{GlobalAlloc, Layout, System};

/// How many blocks are kept. One run of a model frees fewer.
const BLOCKS: usize = 512;

/// Larger blocks are freed at once: they are lists of loom, and no object of the crate is so large.
const LARGEST: usize = 4096;

/// A block that was freed, or null.
type Freed = Cell<(*mut u8, Layout)>;

/// The blocks that a thread has freed. loom runs all threads of a model on one thread of the system.
struct Ring {
    /// Set while a [`Quarantine`] lives.
    is_on: Cell<bool>,
    blocks: [Freed; BLOCKS],
    oldest: Cell<usize>,
}

std::thread_local! {
    // The allocator may use it at any time: it allocates nothing, and has no destructor.
    static RING: Ring = const {
        Ring {
            is_on: Cell::new(false),
            blocks: [const { Cell::new((ptr::null_mut(), Layout::new::<()>())) }; BLOCKS],
            oldest: Cell::new(0),
        }
    };
}

impl Ring {
    /// Keeps `block`, and returns the block to be freed in its place, or null.
    fn keep(&self, block: *mut u8, layout: Layout) -> (*mut u8, Layout) {
        if !self.is_on.get() || layout.size() > LARGEST {
            return (block, layout);
        }
        let oldest = self.oldest.get();
        self.oldest.set((oldest + 1) % BLOCKS);
        self.blocks[oldest].replace((block, layout))
    }
}

/// The system's allocator, which frees late while a [`Quarantine`] lives.
struct Late;

#[global_allocator]
static LATE: Late = Late;

// SAFETY: `System` does all the work. A block that is kept was given up by its owner, and is freed once.
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
        // The contents move and live on, so nothing in the old block is gone.
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (block, layout) = RING.with(|ring| ring.keep(block, layout));
        if !block.is_null() {
            // SAFETY: a block that this caller or an earlier one gave up, with its layout. The ring does
            //   not have it any more.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

/// While it lives, the blocks that this thread frees are kept for a while.
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
