//! The critical section of a single core: masks interrupts, and knows for how long at most.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::board;

static SINCE: AtomicU32 = AtomicU32::new(0);
static LONGEST: AtomicU32 = AtomicU32::new(0);
static PAUSED: AtomicBool = AtomicBool::new(false);

struct Section;
critical_section::set_impl!(Section);

// SAFETY: one core, so with interrupts masked nobody else runs.
unsafe impl critical_section::Impl for Section {
    unsafe fn acquire() -> bool {
        let outermost = board::mask();
        if outermost {
            SINCE.store(board::now(), Relaxed);
        }
        outermost
    }

    unsafe fn release(outermost: bool) {
        if outermost {
            if !PAUSED.load(Relaxed) {
                LONGEST.store(LONGEST.load(Relaxed).max(board::since(SINCE.load(Relaxed))), Relaxed);
            }
            // SAFETY: they were not masked when this section began.
            unsafe { board::unmask() };
        }
    }
}

/// Whether interrupts are masked.
pub fn is_masked() -> bool {
    let unmasked = board::mask();
    if unmasked {
        // SAFETY: masked by the line above.
        unsafe { board::unmask() };
    }
    !unmasked
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
