//! Asking whether it is over.

use core::hint::black_box;

use futures_intrusive::sync::ManualResetEvent;
use tokio_util::sync::CancellationToken;
use winddown::Signal;

use crate::floors::Line;
use crate::harness::{FLOOR, Family, Scale, contend};
use crate::subjects::{Event, Triggered};

pub(crate) fn ask_an_open_signal(scale: Scale) -> Family {
    let mut family = Family::new(
        "Ask an open signal",
        "ns per question",
        "Timed: a loop that asks sixteen times a turn and counts the answers. Floor: one \
         load of a word that nobody writes.",
    );
    for (threads, heading) in [(1, "1 thread"), (2, "2 threads")] {
        let column = family.column(heading);
        let mut add = |contender, batch| family.add(contender, column, batch);
        let ops = scale.ops(100_000);
        add(FLOOR, asked(threads, ops, Line::default, Line::is_set));
        add(Signal::NAME, asked(threads, ops, Signal::new, Signal::is_closed));
        let cancelled = CancellationToken::is_cancelled;
        add(CancellationToken::NAME, asked(threads, ops, CancellationToken::new, cancelled));
        let triggered = |it: &Triggered| it.listener.is_triggered();
        add(Triggered::NAME, asked(threads, ops, || <Triggered as Event>::new(0), triggered));
        let set = ManualResetEvent::is_set;
        add(ManualResetEvent::NAME, asked(threads, ops, || ManualResetEvent::new(false), set));
    }
    family
}

/// How often a turn of the loop asks. What a turn costs by itself, and `black_box` with its way
/// through memory, is more than the load that is measured, so it is paid once for all of them.
const QUESTIONS: usize = 16;

fn asked<E: Sync>(
    threads: usize,
    ops: usize,
    make: impl Fn() -> E + 'static,
    ask: impl Fn(&E) -> bool + Sync + 'static,
) -> Box<dyn FnMut() -> f64> {
    Box::new(move || {
        let it = Box::new(make());
        let turn = contend(threads, ops / QUESTIONS + 1, |gate, turns| {
            gate.time(turns, || {
                let it: &E = black_box(&it);
                // Atomic loads are never merged: each answer may be another.
                black_box((0..QUESTIONS).filter(|_| ask(it)).count());
            })
        });
        turn / QUESTIONS as f64
    })
}
