//! The critical section of a single core, which masks interrupts: plain, or one that knows for how long
//! at most.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::board;

/// Not seen from interrupts that come with the mask set, as RISC-V's do.
static INSIDE: AtomicBool = AtomicBool::new(false);
static SINCE: AtomicU32 = AtomicU32::new(0);
static LONGEST: AtomicU32 = AtomicU32::new(0);
static PAUSED: AtomicBool = AtomicBool::new(false);

/// Masks, and nothing else.
pub struct Plain;

// SAFETY: one core, so with interrupts masked nobody else runs.
unsafe impl critical_section::Impl for Plain {
    unsafe fn acquire() -> bool {
        board::mask()
    }

    unsafe fn release(outermost: bool) {
        if outermost {
            // SAFETY: they were not masked when this section began.
            unsafe { board::unmask() };
        }
    }
}

/// Measures.
pub struct Measuring;

// SAFETY: as above.
unsafe impl critical_section::Impl for Measuring {
    unsafe fn acquire() -> bool {
        let outermost = board::mask();
        if outermost {
            INSIDE.store(true, Relaxed);
            SINCE.store(board::now(), Relaxed);
        }
        outermost
    }

    unsafe fn release(outermost: bool) {
        if !outermost {
            return;
        }
        if !PAUSED.load(Relaxed) {
            LONGEST.store(LONGEST.load(Relaxed).max(board::since(SINCE.load(Relaxed))), Relaxed);
        }
        INSIDE.store(false, Relaxed);
        // SAFETY: they were not masked when this section began.
        unsafe { board::unmask() };
    }
}

/// Whether this is a critical section.
pub fn is_inside() -> bool {
    INSIDE.load(Relaxed)
}

/// The longest time with interrupts masked while `f` ran, in ticks of the clock, which must run.
pub fn longest(f: impl FnOnce()) -> u32 {
    LONGEST.store(0, Relaxed);
    f();
    LONGEST.load(Relaxed)
}

/// Sections within `f` are not measured: they are the heap's.
pub(crate) fn unmeasured<R>(f: impl FnOnce() -> R) -> R {
    let outer = PAUSED.load(Relaxed);
    PAUSED.store(true, Relaxed);
    let output = f();
    PAUSED.store(outer, Relaxed);
    output
}
