//! What the firmware images share: a small board layer, a heap and a critical section that measure, and
//! interrupts that come when they hurt.
//!
//! An image prints one line for each scenario, `ok <scenario>: <what was measured>`, and exits with
//! status 0; or it panics, prints why, and exits with status 1. `xtask/src/embedded/images.rs` has the scenarios that must
//! come.

#![no_std]

extern crate alloc;

#[cfg_attr(target_arch = "arm", path = "board/cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "board/riscv.rs")]
pub mod board;

pub mod bell;
pub mod heap;
pub mod interrupt;
pub mod section;
pub mod stack;
pub mod time;
pub mod waits;

use core::cell::Cell;
use core::fmt::Write as _;
use core::panic::PanicInfo;

use critical_section::Mutex;

/// Prints a line.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::print(format_args!($($text)*)) };
}

/// Makes `run` what the image does; it passes when that returns. One that is `measuring` has the critical
/// section that measures; a `quiet` one is smaller, and does not say why it fails.
#[macro_export]
macro_rules! image {
    ($run:expr) => {
        $crate::image!($run, |info| $crate::fail(info), $crate::section::Plain);
    };
    ($run:expr, measuring) => {
        $crate::image!($run, |info| $crate::fail(info), $crate::section::Measuring);
    };
    ($run:expr, quiet) => {
        $crate::image!($run, |_| $crate::board::exit(false), $crate::section::Plain);
    };
    ($run:expr, $panic:expr, $section:ty) => {
        critical_section::set_impl!($section);

        #[$crate::board::runtime::entry]
        fn main() -> ! {
            $crate::board::start();
            $run();
            $crate::board::exit(true)
        }

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            let panic: fn(&core::panic::PanicInfo<'_>) -> ! = $panic;
            panic(info)
        }
    };
}

/// What is handed to an interrupt, or taken back.
pub struct Slot<T>(Mutex<Cell<Option<T>>>);

impl<T> Slot<T> {
    /// With `content` in it.
    pub const fn new(content: Option<T>) -> Self {
        Self(Mutex::new(Cell::new(content)))
    }

    /// Puts `content` in.
    pub fn set(&self, content: Option<T>) {
        critical_section::with(|cs| self.0.borrow(cs).set(content));
    }

    /// Puts `content` in, or gives it back if there is something in it.
    pub fn fill(&self, content: T) -> Result<(), T> {
        critical_section::with(|cs| {
            let before = self.0.borrow(cs).take();
            let (kept, outcome) = match before {
                Some(before) => (before, Err(content)),
                None => (content, Ok(())),
            };
            self.0.borrow(cs).set(Some(kept));
            outcome
        })
    }

    /// Takes out what is in it.
    pub fn take(&self) -> Option<T> {
        critical_section::with(|cs| self.0.borrow(cs).take())
    }
}

/// Prints a line; see [`say!`].
pub fn print(text: core::fmt::Arguments<'_>) {
    let _ = writeln!(board::Console, "{text}");
}

/// Goes on with `next`, and never comes back to what was done before: for a program that has panicked.
pub fn start_over(next: fn() -> !) -> ! {
    board::jump(next, heap::stack_start())
}

/// Says why the image fails, and ends it.
pub fn fail(info: &PanicInfo<'_>) -> ! {
    say!("{info}");
    interrupt::last_words();
    board::exit(false)
}
