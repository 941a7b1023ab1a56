//! RISC-V, QEMU's `virt`: the machine timer is timer and clock, a UART the console, and a device of the
//! machine ends the run.

use core::arch::asm;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use riscv::interrupt::Interrupt;
use riscv::register::{mie, mstatus};

pub use riscv_rt as runtime;

const TEST: *mut u32 = ptr::without_provenance_mut(0x10_0000);
const PASS: u32 = 0x5555;
const FAIL: u32 = 0x1_3333;
const UART: *mut u8 = ptr::without_provenance_mut(0x1000_0000);
const TIME: *mut [u32; 2] = ptr::without_provenance_mut(0x0200_BFF8);
const COMPARE: *mut [u32; 2] = ptr::without_provenance_mut(0x0200_4000);
const NEVER: u32 = u32::MAX;

/// Ticks between interrupts.
static PERIOD: AtomicU32 = AtomicU32::new(0);

/// Whether the lower interrupt comes next.
static PENDING: AtomicBool = AtomicBool::new(false);

/// Lets interrupts in; none is due.
pub fn start() {
    no_interrupts();
    // SAFETY: there is a handler, and no critical section to break.
    unsafe {
        mie::set_mtimer();
        mstatus::set_mie();
    }
}

/// Has the lower interrupt come when the timer's, which may interrupt it, has returned.
pub fn pend() {
    PENDING.store(true, Ordering::Relaxed);
}

/// Ends the run.
pub fn exit(good: bool) -> ! {
    // SAFETY: the device ends the machine.
    unsafe { TEST.write_volatile(if good { PASS } else { FAIL }) };
    loop {
        sleep();
    }
}

/// What [`say!`](crate::say) writes to.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the data register of a UART that is always ready here.
            unsafe { UART.write_volatile(byte) };
        }
        Ok(())
    }
}

/// Interrupts once every `ticks`.
pub fn interrupt_every(ticks: u32) {
    PERIOD.store(ticks, Ordering::Relaxed);
    let [low, high] = time();
    let (low, carry) = low.overflowing_add(ticks);
    set_compare([low, high + u32::from(carry)]);
}

/// No more interrupts of the timer.
pub fn no_interrupts() {
    set_compare([NEVER, NEVER]);
}

fn set_compare([low, high]: [u32; 2]) {
    // SAFETY: registers of a timer that nobody else has.
    unsafe {
        (&raw mut (*COMPARE)[1]).write_volatile(NEVER);
        (&raw mut (*COMPARE)[0]).write_volatile(low);
        (&raw mut (*COMPARE)[1]).write_volatile(high);
    }
}

/// The clock always runs.
pub fn start_clock() {}

/// The clock.
#[inline]
pub fn now() -> u32 {
    half_of_time(0)
}

/// Both halves of the clock: a sweep at every tick takes longer than the lower one counts.
fn time() -> [u32; 2] {
    loop {
        let (high, low) = (half_of_time(1), half_of_time(0));
        if half_of_time(1) == high {
            return [low, high];
        }
    }
}

#[inline]
fn half_of_time(half: usize) -> u32 {
    // SAFETY: a register that counts.
    unsafe { (&raw const (*TIME)[half]).read_volatile() }
}

/// How many ticks ago `then` was.
#[inline]
pub fn since(then: u32) -> u32 {
    now().wrapping_sub(then)
}

/// A loop of `2 * n` instructions.
pub fn spend(n: u32) {
    // SAFETY: counts a register down.
    unsafe { asm!("1: addi {n}, {n}, -1", "bnez {n}, 1b", n = inout(reg) n => _, options(nomem)) };
}

/// Masks interrupts. True if they were not masked.
#[inline]
pub fn mask() -> bool {
    let before: usize;
    // SAFETY: clears one bit, MIE.
    unsafe { asm!("csrrci {}, mstatus, 8", out(reg) before) };
    before & 8 != 0
}

/// # Safety
///
/// As for enabling interrupts: the caller masked them.
#[inline]
pub unsafe fn unmask() {
    // SAFETY: as above.
    unsafe { riscv::interrupt::enable() };
}

/// Sleeps until the next interrupt.
pub fn sleep() {
    riscv::asm::wfi();
}

/// How far down the stack is.
pub fn stack_pointer() -> usize {
    let here;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, sp", out(reg) here, options(nomem, nostack)) };
    here
}

/// Calls `next` on a stack that is empty again.
pub(crate) fn jump(next: fn() -> !, stack: usize) -> ! {
    // SAFETY: it never returns, so nobody misses what was on the stack.
    unsafe { asm!("mv sp, {}", "jr {}", in(reg) stack, in(reg) next, options(noreturn)) }
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn machine_timer() {
    interrupt_every(PERIOD.load(Ordering::Relaxed));
    crate::interrupt::handle();
    if PENDING.load(Ordering::Relaxed) {
        PENDING.store(false, Ordering::Relaxed);
        // SAFETY: this is a handler, in no critical section, and the timer is set to a later time.
        unsafe { riscv::interrupt::nested(crate::interrupt::handle_lower) };
    }
}
