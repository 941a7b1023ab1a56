//! What the timer's interrupt does, and when it comes; and a lower one, which the timer's may interrupt.
//!
//! Under QEMU's `-icount` a tick of the clock is one instruction or less, so a [`sweep`] has its
//! interrupt between any two instructions of what it sweeps over.

use core::cell::Cell;
use core::hint::spin_loop;
use core::mem;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use critical_section::Mutex;

use crate::{Slot, board, heap};

/// How many ticks a [`sweep`]'s interrupt comes later each time: `WINDDOWN_STEP`, or 1.
const STEP: u32 = match option_env!("WINDDOWN_STEP") {
    None => 1,
    Some(step) => match u32::from_str_radix(step, 10) {
        Ok(step) => step,
        Err(_) => panic!("WINDDOWN_STEP is a number of ticks"),
    },
};

type Handler<'a> = &'a (dyn Fn() + Sync);

type Handlers = Mutex<Cell<Option<Handler<'static>>>>;

static HANDLER: Handlers = Mutex::new(Cell::new(None));
static LOWER: Handlers = Mutex::new(Cell::new(None));
static LAST_WORDS: Slot<fn()> = Slot::new(None);

/// Called by the board, in the timer's interrupt.
pub(crate) fn handle() {
    call(&HANDLER);
}

/// Called by the board, in the interrupt that the timer's may interrupt.
pub(crate) fn handle_lower() {
    call(&LOWER);
}

fn call(handler: &Handlers) {
    if let Some(handler) = critical_section::with(|cs| handler.borrow(cs).get()) {
        handler();
    }
}

/// What is to be done when the program has panicked.
pub fn on_panic(last_words: fn()) {
    LAST_WORDS.set(Some(last_words));
}

pub(crate) fn last_words() {
    if let Some(last_words) = LAST_WORDS.take() {
        last_words();
    }
}

/// Interrupts every `ticks` from now on.
pub fn every(ticks: u32, handler: Handler<'static>) {
    critical_section::with(|cs| HANDLER.borrow(cs).set(Some(handler)));
    board::interrupt_every(ticks);
}

/// `handler` is called while `main` runs.
fn with_handler<R>(handlers: &Handlers, handler: Handler<'_>, main: impl FnOnce() -> R) -> R {
    // SAFETY: only the lifetime is changed; the handler is forgotten below, before it ends, since
    //   nothing here unwinds.
    let handler = unsafe { mem::transmute::<Handler<'_>, Handler<'static>>(handler) };
    critical_section::with(|cs| handlers.borrow(cs).set(Some(handler)));
    let output = main();
    critical_section::with(|cs| handlers.borrow(cs).set(None));
    output
}

/// Interrupts every `ticks` while `main` runs.
pub fn while_running<R>(ticks: u32, handler: Handler<'_>, main: impl FnOnce() -> R) -> R {
    with_handler(&HANDLER, handler, || {
        board::interrupt_every(ticks);
        let output = main();
        board::no_interrupts();
        output
    })
}

/// One of the moments that a [`sweep`] tries.
pub struct Moment {
    delay: u32,
    late: Cell<bool>,
    may_free: usize,
    /// From the lower interrupt to the timer's, which may interrupt it.
    gap: u32,
    /// Whether it did.
    is_nested: Cell<bool>,
}

impl Moment {
    fn new(delay: u32, may_free: usize, gap: u32) -> Self {
        Self { delay, late: Cell::new(false), may_free, gap, is_nested: Cell::new(false) }
    }

    /// Runs `main`, and `handler` once, as an interrupt that comes at this moment of it, or behind it.
    ///
    /// # Panics
    ///
    /// If the handler took memory, or freed more than it may.
    pub fn strike<R>(&self, handler: impl Fn() + Sync, main: impl FnOnce() -> R) -> R {
        let (struck, may_free) = (AtomicBool::new(false), self.may_free);
        let once = || {
            board::no_interrupts();
            watched(may_free, &handler);
            struck.store(true, Relaxed);
        };
        while_running(self.delay, &once, || self.run(main, &struck, &struck))
    }

    /// As [`strike`](Self::strike), with `lower` as the interrupt that comes at this moment, and
    /// `handler` as one that comes a little later and may interrupt it, or `main`.
    pub fn strike_twice<R>(
        &self,
        lower: impl Fn() + Sync,
        handler: impl Fn() + Sync,
        main: impl FnOnce() -> R,
    ) -> R {
        let [begun, lower_struck, struck, nested] = [const { AtomicBool::new(false) }; 4];
        let (gap, may_free) = (self.gap, self.may_free);
        let lower = || {
            begun.store(true, Relaxed);
            watched(may_free, &lower);
            lower_struck.store(true, Relaxed);
        };
        let first = AtomicBool::new(true);
        let both = || {
            if first.load(Relaxed) {
                first.store(false, Relaxed);
                board::pend();
                return board::interrupt_every(gap);
            }
            board::no_interrupts();
            nested.store(begun.load(Relaxed) && !lower_struck.load(Relaxed), Relaxed);
            watched(may_free, &handler);
            struck.store(true, Relaxed);
        };
        let output = with_handler(&LOWER, &lower, || {
            while_running(self.delay, &both, || self.run(main, &begun, &struck))
        });
        assert!(
            lower_struck.load(Relaxed),
            "the timer's interrupt came before the lower one's end"
        );
        self.is_nested.set(nested.load(Relaxed));
        output
    }

    /// Runs `main`, and waits for the last of the interrupts.
    fn run<R>(&self, main: impl FnOnce() -> R, first: &AtomicBool, last: &AtomicBool) -> R {
        let output = main();
        self.late.set(!first.load(Relaxed));
        while !last.load(Relaxed) {
            spin_loop();
        }
        output
    }
}

fn watched(may_free: usize, handler: impl Fn()) {
    let before = heap::calls();
    handler();
    let [taken, freed] = heap::calls();
    assert_eq!(taken, before[0], "an interrupt took memory");
    assert!(freed - before[1] <= may_free, "an interrupt freed memory");
}

/// Runs `round` again and again, with its interrupt [`STEP`] ticks later each time, until it comes only
/// behind what it should have struck. Gives the number of rounds.
pub fn sweep(round: impl FnMut(&Moment)) -> u32 {
    sweep_freeing(0, round)
}

/// A [`sweep`] whose interrupt may free so many blocks.
pub fn sweep_freeing(may_free: usize, round: impl FnMut(&Moment)) -> u32 {
    sweep_with_gaps(may_free, |_| 0, round)
}

fn sweep_with_gaps(
    may_free: usize,
    gap: impl Fn(u32) -> u32,
    mut round: impl FnMut(&Moment),
) -> u32 {
    /// The last of them might have been late by chance only.
    const LATE: u32 = 8;
    let (mut rounds, mut late) = (0, 0);
    while late < LATE {
        rounds += 1;
        let moment = Moment::new(rounds * STEP, may_free, gap(rounds));
        round(&moment);
        late = if moment.late.get() { late + 1 } else { 0 };
    }
    rounds
}

/// Sweeps with two interrupts, again and again, with the second of them later each time, until it comes
/// only behind the first. Gives the number of rounds, and of those in which the second interrupted the
/// first.
pub fn sweep_twice(may_free: usize, mut round: impl FnMut(&Moment)) -> [u32; 2] {
    /// All pairs of instructions would be too many.
    const WINDOW: u32 = 700 + 20 * STEP;
    /// The rounds of a sweep are strewn over the window.
    const STREW: u32 = 367;
    let (mut rounds, mut nested) = (0, 0);
    for window in (1..).step_by(WINDOW as usize) {
        let before = nested;
        let gap = |round| window + round * STREW % WINDOW;
        rounds += sweep_with_gaps(may_free, gap, |now| {
            round(now);
            nested += u32::from(now.is_nested.get());
        });
        if nested > 0 && nested == before {
            break;
        }
    }
    [rounds, nested]
}
