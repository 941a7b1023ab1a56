//! Waits of one task: the first poll, and the polls after it.

use core::hint::black_box;
use core::pin::pin;

use futures_intrusive::sync::ManualResetEvent;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use winddown::{Canceller, Signal, WaitGroup};

use crate::floors::Line;
use crate::harness::{FLOOR, Family, Gate, Scale, Span, contend, cores};
use crate::subjects::{Event, Token, Triggered, Waits, poll};

const THREADS: [(usize, &str); 2] = [(1, "1 thread"), (2, "2 threads")];
const BESIDE: &str = "1 thread, beside a parked wait";

pub(crate) fn poll_a_fresh_wait(scale: Scale) -> Family {
    let mut family = Family::new(
        "Poll a fresh wait once and drop it, pending",
        "ns per wait",
        "What a turn of a `select!` loop does. Timed: a loop that makes a wait, polls it once and \
         drops it; all threads wait for one object. In the last column another wait is parked all the \
         while. Floor: two read-modify-writes of one word.",
    );
    let ops = scale.ops(20_000);
    for (threads, heading) in THREADS {
        let column = family.column(heading);
        floor(&mut family, column, threads, ops, Line::two_rmws);
    }
    let beside = family.column(BESIDE);
    floor(&mut family, beside, 1, ops, Line::two_rmws);
    each_event(&mut family, ops, Fresh);
    family
}

pub(crate) fn poll_a_pending_wait_again(scale: Scale) -> Family {
    let mut family = Family::new(
        "Poll a pending wait again with the same waker",
        "ns per poll",
        "Each thread has one wait for the one object, polled once before the clock starts. Timed: a \
         loop that polls it. Floor: one load of a word that nobody writes.",
    );
    let ops = scale.ops(50_000);
    for (threads, heading) in THREADS {
        let column = family.column(heading);
        floor(&mut family, column, threads, ops, Line::load);
    }
    each_event(&mut family, ops, Again);
    family
}

pub(crate) fn a_turn_of_select(scale: Scale) -> Family {
    let family = Family::new(
        "A turn of `select!` over a token",
        "ns per turn",
        "Timed: a loop that makes `token.cancelled()` anew, polls it once, pending, and drops it. \
         With a handle each, every thread waits on a clone of its own, as tasks do; with one handle, \
         all threads wait on the same by reference. Floor: two read-modify-writes of a line that the \
         thread has to itself.",
    );
    each_token(family, scale.ops(20_000), Fresh, Line::two_rmws)
}

pub(crate) fn poll_a_token_again(scale: Scale) -> Family {
    let family = Family::new(
        "Poll a pending wait for a token again",
        "ns per poll",
        "Each thread has one wait, polled once before the clock starts. Timed: a loop that polls it. \
         Floor: one load of a line that the thread has to itself.",
    );
    each_token(family, scale.ops(50_000), Again, Line::load)
}

fn each_token(mut family: Family, ops: usize, measure: impl Measure, op: fn(&Line)) -> Family {
    for threads in [1, 2, 4, 8, 16].into_iter().filter(|it| *it <= cores().max(2)) {
        let handles: &[(&str, bool)] = match threads {
            1 => &[("1 thread", true)],
            _ => &[(" threads, a handle each", true), (" threads, one handle", false)],
        };
        for (heading, own) in handles {
            let heading =
                if threads == 1 { (*heading).to_owned() } else { format!("{threads}{heading}") };
            let column = family.column(&heading);
            family.add(FLOOR, column, move || {
                contend(threads, ops, |gate, ops| {
                    let line = Box::new(Line::default());
                    gate.time(ops, || op(&line))
                })
            });
            add_token::<Canceller>(&mut family, column, threads, *own, ops, measure);
            add_token::<CancellationToken>(&mut family, column, threads, *own, ops, measure);
        }
    }
    family
}

fn add_token<T: Token>(
    family: &mut Family,
    column: usize,
    threads: usize,
    own: bool,
    ops: usize,
    measure: impl Measure,
) {
    family.add(T::NAME, column, move || {
        let token = Box::new(T::new(0));
        contend(threads, ops, |gate, ops| {
            let handle = own.then(|| Box::new(token.another()));
            measure.thread(handle.as_deref().unwrap_or(&*token), gate, ops)
        })
    });
}

fn floor(family: &mut Family, column: usize, threads: usize, ops: usize, op: fn(&Line)) {
    family.add(FLOOR, column, move || {
        let line = Box::new(Line::default());
        contend(threads, ops, |gate, ops| gate.time(ops, || op(&line)))
    });
}

/// A measurement that is the same for every contender.
trait Measure: Copy + Send + Sync + 'static {
    fn thread<E: Event>(self, event: &E, gate: &Gate, ops: usize) -> Span;
}

#[derive(Clone, Copy)]
struct Fresh;

impl Measure for Fresh {
    fn thread<E: Event>(self, event: &E, gate: &Gate, ops: usize) -> Span {
        gate.time(ops, || {
            let wait = pin!(black_box(event).wait());
            assert!(poll(wait).is_pending());
        })
    }
}

#[derive(Clone, Copy)]
struct Again;

impl Measure for Again {
    fn thread<E: Event>(self, event: &E, gate: &Gate, ops: usize) -> Span {
        let mut wait = pin!(event.wait());
        assert!(poll(wait.as_mut()).is_pending());
        gate.time(ops, || assert!(poll(black_box(wait.as_mut())).is_pending()))
    }
}

fn each_event(family: &mut Family, ops: usize, measure: impl Measure) {
    add::<Signal>(family, ops, measure);
    add::<WaitGroup>(family, ops, measure);
    add::<Canceller>(family, ops, measure);
    add::<CancellationToken>(family, ops, measure);
    add::<TaskTracker>(family, ops, measure);
    add::<event_listener::Event>(family, ops, measure);
    add::<wg::future::WaitGroup>(family, ops, measure);
    add::<Triggered>(family, ops, measure);
    add::<ManualResetEvent>(family, ops, measure);
}

fn add<E: Event>(family: &mut Family, ops: usize, measure: impl Measure) {
    for (threads, heading) in THREADS {
        let column = family.column(heading);
        family.add(E::NAME, column, move || {
            let event = Box::new(E::new(0));
            contend(threads, ops, |gate, ops| measure.thread(&*event, gate, ops))
        });
    }
    // Only where the family has it.
    if let Some(column) = family.find_column(BESIDE) {
        family.add(E::NAME, column, move || {
            let event = Box::new(E::new(0));
            let mut parked = Waits::<E>::with_capacity(1);
            parked.park(&event);
            contend(1, ops, |gate, ops| measure.thread(&*event, gate, ops))
        });
    }
}
