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
        "Timed: a loop that asks and uses the answer. Floor: one load of a word that nobody writes.",
    );
    for (threads, heading) in [(1, "1 thread"), (2, "2 threads")] {
        let column = family.column(heading);
        let ops = scale.ops(100_000);
        family.add(FLOOR, column, move || {
            let line = Box::new(Line::default());
            contend(threads, ops, |gate, ops| gate.time(ops, || black_box(&*line).load()))
        });
        let mut add = |contender, batch| family.add(contender, column, batch);
        add(Signal::NAME, asked::<Signal>(threads, ops, Signal::is_closed));
        add(
            CancellationToken::NAME,
            asked::<CancellationToken>(threads, ops, CancellationToken::is_cancelled),
        );
        add(Triggered::NAME, asked::<Triggered>(threads, ops, |it| it.listener.is_triggered()));
        add(
            ManualResetEvent::NAME,
            asked::<ManualResetEvent>(threads, ops, ManualResetEvent::is_set),
        );
    }
    family
}

type Batch = Box<dyn FnMut() -> f64>;

fn asked<E: Event>(threads: usize, ops: usize, ask: impl Fn(&E) -> bool + Sync + 'static) -> Batch {
    Box::new(move || {
        let event = Box::new(E::new(0));
        contend(threads, ops, |gate, ops| {
            gate.time(ops, || {
                black_box(ask(black_box(&event)));
            })
        })
    })
}
