//! What a device brings: start and end, a heap that counts, and the critical section.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::fmt::Write as _;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use core::{fmt, mem, ptr};

#[link(name = "c")]
unsafe extern "C" {
    fn write(file: c_int, text: *const c_void, length: usize) -> isize;
    safe fn exit(code: c_int) -> !;
    fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
}

const STDERR: c_int = 2;

// SAFETY: the C library calls no other function of this name.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    crate::check_everything();
    0
}

struct Stderr;

impl fmt::Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the text is readable for its length.
        unsafe { write(STDERR, text.as_ptr().cast(), text.len()) };
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Stderr, "{info}");
    exit(101)
}

/// The precompiled libraries of the host were made for unwinding and name this, but nothing unwinds.
// SAFETY: std, which has a function of this name, is not in this program.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

/// How many blocks were taken so far.
pub(crate) fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// How many of them were not given back.
pub(crate) fn in_use() -> usize {
    allocated() - FREED.load(Ordering::Relaxed)
}

struct Heap;

// SAFETY: the C library's heap does the work.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
        let alignment = layout.align().max(size_of::<usize>());
        // SAFETY: a power of two that is large enough for a pointer, and a multiple of it.
        unsafe { aligned_alloc(alignment, layout.size().next_multiple_of(alignment)).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        FREED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the block is of `aligned_alloc`.
        unsafe { free(block.cast()) };
    }
}

#[global_allocator]
static HEAP: Heap = Heap;

static DEPTH: AtomicUsize = AtomicUsize::new(0);
static SECTIONS: AtomicUsize = AtomicUsize::new(0);
static UNTIL_INTERRUPT: AtomicUsize = AtomicUsize::new(0);
static INTERRUPT: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Whether interrupts are masked.
pub(crate) fn in_section() -> bool {
    DEPTH.load(Ordering::Relaxed) > 0
}

/// How many critical sections there were.
pub(crate) fn sections() -> usize {
    SECTIONS.load(Ordering::Relaxed)
}

/// Runs `handler` once, at one of the next moments: right before a section, right after it, right
/// before the next one, and so on.
pub(crate) fn interrupt_at(moment: usize, handler: fn()) {
    UNTIL_INTERRUPT.store(moment, Ordering::Relaxed);
    INTERRUPT.store(handler as *mut (), Ordering::Relaxed);
}

/// True if the interrupt has not come; now it never will.
pub(crate) fn cancel_interrupt() -> bool {
    !INTERRUPT.swap(ptr::null_mut(), Ordering::Relaxed).is_null()
}

fn interrupt() {
    if UNTIL_INTERRUPT.load(Ordering::Relaxed) > 0 {
        UNTIL_INTERRUPT.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let handler = INTERRUPT.swap(ptr::null_mut(), Ordering::Relaxed);
    if !handler.is_null() {
        // SAFETY: it came from an `fn()` in `interrupt_at`.
        let handler: fn() = unsafe { mem::transmute(handler) };
        handler();
    }
}

struct OneCore;
critical_section::set_impl!(OneCore);

// SAFETY: this program has one thread, and its interrupts come outside of all sections.
unsafe impl critical_section::Impl for OneCore {
    unsafe fn acquire() {
        if !in_section() {
            interrupt();
        }
        SECTIONS.fetch_add(1, Ordering::Relaxed);
        DEPTH.fetch_add(1, Ordering::Relaxed);
    }

    unsafe fn release((): ()) {
        if DEPTH.fetch_sub(1, Ordering::Relaxed) == 1 {
            interrupt();
        }
    }
}
