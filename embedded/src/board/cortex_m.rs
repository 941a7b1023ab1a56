//! Cortex-M: SysTick is the timer, or the clock, and interrupts PendSV; semihosting is console and exit.

use core::arch::asm;
use core::fmt;

use cortex_m::peripheral::scb::SystemHandler;
use cortex_m::peripheral::{Peripherals, SCB, SYST};
use cortex_m_semihosting::{debug, hio};

pub use cortex_m_rt as runtime;

const ENABLE: u32 = 1;
const INTERRUPT: u32 = 1 << 1;
const CORE_CLOCK: u32 = 1 << 2;
const CLEAR_PENDING: u32 = 1 << 25;
const MAX: u32 = 0x00FF_FFFF;
/// Of all that a core may have.
const LOWEST: u8 = 0xFF;

/// Interrupts are on, and none is enabled.
pub fn start() {
    // SAFETY: only this function has it, once.
    let mut core = unsafe { Peripherals::steal() };
    // SAFETY: no critical section masks by priority.
    unsafe { core.SCB.set_priority(SystemHandler::PendSV, LOWEST) };
}

/// Has the lower interrupt come when the timer's, which may interrupt it, has returned.
pub fn pend() {
    SCB::set_pendsv();
}

/// Ends the run.
pub fn exit(good: bool) -> ! {
    debug::exit(if good { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// What [`say!`](crate::say) writes to.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        hio::hstdout().and_then(|mut out| out.write_all(text.as_bytes())).map_err(|_| fmt::Error)
    }
}

/// Interrupts once every `ticks`.
pub fn interrupt_every(ticks: u32) {
    set_timer(ticks, ENABLE | INTERRUPT | CORE_CLOCK);
}

/// No more interrupts of the timer.
pub fn no_interrupts() {
    set_timer(MAX, 0);
    // SAFETY: the write clears the pending SysTick and nothing else.
    unsafe { (*SCB::PTR).icsr.write(CLEAR_PENDING) };
}

/// Lets the timer be the clock of [`since`], instead of interrupting.
pub fn start_clock() {
    set_timer(MAX, ENABLE | CORE_CLOCK);
}

fn set_timer(reload: u32, mode: u32) {
    let timer = SYST::PTR;
    // SAFETY: registers of a timer that nobody else has; its handler expects any mode.
    unsafe {
        (*timer).csr.write(0);
        (*timer).rvr.write(reload);
        (*timer).cvr.write(0);
        (*timer).csr.write(mode);
    }
}

/// The clock.
#[inline]
pub fn now() -> u32 {
    SYST::get_current()
}

/// How many ticks ago `then` was.
#[inline]
pub fn since(then: u32) -> u32 {
    then.wrapping_sub(now()) & MAX
}

/// A loop of `2 * n` instructions.
pub fn spend(n: u32) {
    // SAFETY: counts a register down.
    unsafe { asm!("1: subs {n}, {n}, #1", "bne 1b", n = inout(reg) n => _, options(nomem)) };
}

/// Masks interrupts. True if they were not masked.
#[inline]
pub fn mask() -> bool {
    let unmasked = cortex_m::register::primask::read().is_active();
    cortex_m::interrupt::disable();
    unmasked
}

/// # Safety
///
/// As for enabling interrupts: the caller masked them.
#[inline]
pub unsafe fn unmask() {
    // SAFETY: as above.
    unsafe { cortex_m::interrupt::enable() };
}

/// Sleeps until the next interrupt.
pub fn sleep() {
    cortex_m::asm::wfi();
}

/// How far down the stack is.
pub fn stack_pointer() -> usize {
    let here;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) here, options(nomem, nostack)) };
    here
}

/// Calls `next` on a stack that is empty again.
pub(crate) fn jump(next: fn() -> !, stack: usize) -> ! {
    // SAFETY: it never returns, so nobody misses what was on the stack.
    unsafe { asm!("mov sp, {}", "bx {}", in(reg) stack, in(reg) next, options(noreturn)) }
}

#[cortex_m_rt::exception]
fn SysTick() {
    crate::interrupt::handle();
}

#[cortex_m_rt::exception]
fn PendSV() {
    crate::interrupt::handle_lower();
}
