//! What the timer's interrupt does, and when it comes.
//!
//! Under QEMU's `-icount` a tick of the clock is one instruction or less, so a [`sweep`] has its
//! interrupt between any two instructions of what it sweeps over.

use core::cell::Cell;
use core::mem;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use critical_section::Mutex;

use crate::{board, heap};

/// How many ticks a [`sweep`]'s interrupt comes later each time: `WINDDOWN_STEP`, or 1.
const STEP: u32 = match option_env!("WINDDOWN_STEP") {
    None => 1,
    Some(step) => match u32::from_str_radix(step, 10) {
        Ok(step) => step,
        Err(_) => panic!("WINDDOWN_STEP is a number of ticks"),
    },
};

type Handler<'a> = &'a (dyn Fn() + Sync);

static HANDLER: Mutex<Cell<Option<Handler<'static>>>> = Mutex::new(Cell::new(None));
static LAST_WORDS: Mutex<Cell<Option<fn()>>> = Mutex::new(Cell::new(None));

/// Called by the board.
pub(crate) fn handle() {
    if let Some(handler) = critical_section::with(|cs| HANDLER.borrow(cs).get()) {
        handler();
    }
}

/// What is to be done when the program has panicked.
pub fn on_panic(last_words: fn()) {
    critical_section::with(|cs| LAST_WORDS.borrow(cs).set(Some(last_words)));
}

pub(crate) fn last_words() {
    if let Some(last_words) = critical_section::with(|cs| LAST_WORDS.borrow(cs).take()) {
        last_words();
    }
}

/// Interrupts every `ticks` from now on.
pub fn every(ticks: u32, handler: Handler<'static>) {
    critical_section::with(|cs| HANDLER.borrow(cs).set(Some(handler)));
    board::interrupt_every(ticks);
}

/// Interrupts every `ticks` while `main` runs.
pub fn while_running<R>(ticks: u32, handler: Handler<'_>, main: impl FnOnce() -> R) -> R {
    // SAFETY: only the lifetime is changed; the handler is forgotten below, before it ends, since
    //   nothing here unwinds.
    every(ticks, unsafe { mem::transmute::<Handler<'_>, Handler<'static>>(handler) });
    let output = main();
    board::no_interrupts();
    critical_section::with(|cs| HANDLER.borrow(cs).set(None));
    output
}

/// One of the moments that a [`sweep`] tries.
pub struct Moment {
    delay: u32,
    late: Cell<bool>,
    may_free: usize,
}

impl Moment {
    /// Runs `main`, and `handler` once, as an interrupt that comes at this moment of it, or behind it.
    ///
    /// # Panics
    ///
    /// If the handler took memory, or freed more than it may.
    pub fn strike<R>(&self, handler: impl Fn() + Sync, main: impl FnOnce() -> R) -> R {
        let (struck, may_free) = (AtomicBool::new(false), self.may_free);
        let once = || {
            board::no_interrupts();
            let before = heap::calls();
            handler();
            let [taken, freed] = heap::calls();
            assert_eq!(taken, before[0], "an interrupt took memory");
            assert!(freed - before[1] <= may_free, "an interrupt freed memory");
            struck.store(true, Relaxed);
        };
        while_running(self.delay, &once, || {
            let output = main();
            self.late.set(!struck.load(Relaxed));
            while !struck.load(Relaxed) {}
            output
        })
    }
}

/// Runs `round` again and again, with its interrupt [`STEP`] ticks later each time, until it comes only
/// behind what it should have struck. Gives the number of rounds.
pub fn sweep(round: impl FnMut(&Moment)) -> u32 {
    sweep_freeing(0, round)
}

/// A [`sweep`] whose interrupt may free so many blocks.
pub fn sweep_freeing(may_free: usize, mut round: impl FnMut(&Moment)) -> u32 {
    /// The last of them might have been late by chance only.
    const LATE: u32 = 8;
    let (mut rounds, mut late) = (0, 0);
    while late < LATE {
        rounds += 1;
        let moment = Moment { delay: rounds * STEP, late: Cell::new(false), may_free };
        round(&moment);
        late = if moment.late.get() { late + 1 } else { 0 };
    }
    rounds
}
