//! What all programs share, `empty` too: a start, an allocator, a panic handler and a poll.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

use core::hint::black_box;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// Polls with a waker that the compiler does not know.
#[inline(never)]
pub fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    let waker = black_box(Waker::noop());
    future.poll(&mut Context::from_waker(waker))
}

/// What a program without any type does: it allocates and polls.
pub fn nothing() {
    drop(black_box(alloc::boxed::Box::new(1_u8)));
    let ready = core::pin::pin!(core::future::ready(()));
    assert!(poll(black_box(ready)).is_ready());
}

/// Makes the function the program.
#[macro_export]
macro_rules! program {
    ($run:ident) => {
        #[cfg(feature = "std")]
        fn main() {
            $crate::nothing();
            $run();
        }

        #[cfg(not(feature = "std"))]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> i32 {
            $crate::nothing();
            $run();
            0
        }
    };
}

#[cfg(not(feature = "std"))]
mod bare {
    use core::alloc::{GlobalAlloc, Layout};
    use core::panic::PanicInfo;

    // What starts the program, and what ends it.
    #[link(name = "c")]
    unsafe extern "C" {
        safe fn abort() -> !;
        fn aligned_alloc(align: usize, size: usize) -> *mut u8;
        fn free(block: *mut u8);
    }

    struct FromC;

    #[global_allocator]
    static ALLOCATOR: FromC = FromC;

    // SAFETY: the C library keeps the promises of an allocator.
    unsafe impl GlobalAlloc for FromC {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: it takes any power of two, and a size that is a multiple of it.
            unsafe { aligned_alloc(layout.align(), layout.pad_to_align().size()) }
        }

        unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
            // SAFETY: the block came from `alloc`.
            unsafe { free(block) }
        }
    }

    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        abort()
    }
}
