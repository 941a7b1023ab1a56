//! A group that threads contend for goes on in one word where there is no memory to spread its count.

#![cfg(all(feature = "std", not(feature = "holders"), not(loom), not(winddown_born_sharded)))]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::alloc::System;
use std::thread;
use std::time::Instant;

use winddown::TaskGroup;

thread_local! {
    // Constant and without a drop: looking at it allocates nothing.
    static HAS_MEMORY: Cell<bool> = const { Cell::new(true) };
}

/// How often an allocation was refused.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which refuses threads that have no memory.
struct Scarce;

// SAFETY: the system's allocator does the work, with the same arguments; null says that there is no memory.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if HAS_MEMORY.get() {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.alloc(layout) };
        }
        REFUSED.fetch_add(1, Ordering::Relaxed);
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// Entries, clones and exits of two threads, and the drain, are as with memory.
#[test]
fn a_group_that_cannot_spread_its_count_counts_on() {
    if thread::available_parallelism().map_or(1, usize::from) == 1 {
        return;
    }
    let group = TaskGroup::new();
    let stays = group.guard().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let contend = || {
        HAS_MEMORY.set(false);
        let turn = |_| drop(group.guard().unwrap().clone());
        while REFUSED.load(Ordering::Relaxed) < 10 && Instant::now() < deadline {
            (0..1_000).for_each(turn);
        }
        HAS_MEMORY.set(true);
    };
    thread::scope(|threads| {
        threads.spawn(contend);
        contend();
    });
    assert!(REFUSED.load(Ordering::Relaxed) >= 10, "no entry has tried to spread the count");
    assert_eq!(group.len(), 1);
    assert!(group.close());
    assert!(!group.is_drained());
    drop(stays);
    assert!(group.is_drained());
}
