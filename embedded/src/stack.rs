//! How far down the stack has been: it is painted, and later the paint is looked for.

use core::ptr;

use crate::{board, heap};

const PAINT: u32 = 0x5EA1_ED00;
/// For interrupts while painting.
const MARGIN: usize = 256;

/// Paints what the stack has not reached.
#[inline(never)]
pub fn paint() {
    for word in (heap::end()..board::stack_pointer() - MARGIN).step_by(4) {
        // SAFETY: between the end of the heap and the stack nobody keeps anything, and this calls
        //   nobody who would.
        unsafe { ptr::without_provenance_mut::<u32>(word).write_volatile(PAINT) };
    }
}

/// How many bytes of the stack were in use at most since it was painted.
///
/// # Panics
///
/// If the stack came to the heap.
pub fn high_water() -> usize {
    let (bottom, top) = (heap::end(), heap::stack_start());
    let untouched = (bottom..top).step_by(4).take_while(|&word| {
        // SAFETY: memory that this program has.
        unsafe { ptr::without_provenance::<u32>(word).read_volatile() == PAINT }
    });
    let reached = bottom + 4 * untouched.count();
    assert!(reached > bottom, "the stack came to the heap");
    top - reached
}
