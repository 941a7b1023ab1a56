//! Asking whether it is over.

use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use futures_intrusive::sync::ManualResetEvent;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use winddown::{Canceller, Signal, TaskGroup};

use crate::floors::Line;
use crate::harness::{Family, Scale, THREADS, contend, on_main, pin, preemptions};
use crate::results::{FLOOR, thousands};
use crate::subjects::{Event, Token, Tree, Triggered, Waits};
use crate::trees::{chain, fan};

pub(crate) fn ask_an_open_signal(scale: Scale) -> Family {
    let mut family = Family::new(
        "Ask an open signal",
        "ns per question",
        "Timed: a loop that asks sixteen times a turn and counts the answers. Floor: one \
         load of a word that nobody writes.",
    )
    .along("threads");
    for threads in THREADS {
        let column = family.column_of(threads);
        let mut add = |contender, batch| family.add(contender, column, batch);
        // Not fewer with more threads: the start of a thread takes as long as thousands of loads.
        let ops = scale.ops(50_000);
        add(FLOOR, asked(threads, ops, Line::default, Line::is_set));
        add(Signal::NAME, asked(threads, ops, Signal::new, Signal::is_closed));
        let closed = |it: &TaskGroup| it.is_closed();
        add("winddown TaskGroup", asked(threads, ops, TaskGroup::new, closed));
        let cancelled = CancellationToken::is_cancelled;
        add(CancellationToken::NAME, asked(threads, ops, CancellationToken::new, cancelled));
        add(TaskTracker::NAME, asked(threads, ops, TaskTracker::new, TaskTracker::is_closed));
        let triggered = |it: &Triggered| it.listener.is_triggered();
        add(Triggered::NAME, asked(threads, ops, || <Triggered as Event>::new(0), triggered));
        let set = ManualResetEvent::is_set;
        add(ManualResetEvent::NAME, asked(threads, ops, || ManualResetEvent::new(false), set));
    }
    family
}

pub(crate) fn ask_an_open_token(scale: Scale) -> Family {
    let mut family = Family::new(
        "Ask an open token, one level below the root",
        "ns per question",
        "All threads ask one child of a root; timed as above. Floor: a load of a word in each of two \
         lines, which nobody writes.",
    )
    .along("threads");
    for threads in THREADS {
        let column = family.column_of(threads);
        add_depth(&mut family, column, (threads, scale.ops(50_000)), 1);
    }
    family
}

pub(crate) fn ask_a_deep_token(scale: Scale) -> Family {
    let mut family = Family::new(
        "Ask an open token by its depth",
        "ns per question",
        "A chain of scopes, the last of which is asked, on one thread; timed as above. Floor: a load \
         of a word in each of as many lines, which nobody writes.",
    )
    .along("levels");
    let depths = [0, 1, 3].into_iter().chain(scale.decades(10, 100_000));
    for depth in depths {
        // The plot's axis is logarithmic, and has no zero.
        let x = (depth > 0).then_some(depth as f64);
        let column = family.column_at(&format!("depth {}", thousands(depth)), x);
        family.makes(column, depth);
        add_depth(&mut family, column, (1, scale.ops(100_000) / (1 + depth / 10)), depth);
    }
    family
}

fn add_depth(family: &mut Family, column: usize, (threads, ops): (usize, usize), depth: usize) {
    let lines = move || (0..=depth).map(|_| Line::default()).collect::<Vec<_>>();
    let any = |lines: &Vec<Line>| lines.iter().any(Line::is_set);
    family.add(FLOOR, column, asked(threads, ops, lines, any));
    add_token::<Canceller>(family, column, (threads, ops), depth);
    add_token::<CancellationToken>(family, column, (threads, ops), depth);
}

fn add_token<T: Token>(
    family: &mut Family,
    column: usize,
    (threads, ops): (usize, usize),
    depth: usize,
) {
    // The asked one first; all handles live, as those of a program's own scopes do.
    let scopes = move || chain(T::new(0), depth).into_iter().rev().collect::<Vec<T>>();
    family.add(T::NAME, column, asked(threads, ops, scopes, |scopes| scopes[0].is_cancelled()));
}

pub(crate) fn longest_answer(scale: Scale) -> Family {
    let mut family = Family::new(
        "Longest answer while a tree is cancelled",
        "ns of the longest single answer in a round",
        "A root with children, each waited on. One thread cancels the root; meanwhile another asks \
         `is_cancelled`, each question between two readings of the clock; the longest of a round is \
         its number. A try in which the system took the asking thread off its core is repeated, \
         up to eight times; if all were, the shortest counts. Floor: a load of a word in \
         place of the question, while our tree is cancelled: what the clock and the machine add.",
    );
    let children = scale.ops(100_000);
    for (heading, of_root) in [("asking the children in turn", false), ("asking the root", true)] {
        let column = family.column(&format!("{heading}, {} children", thousands(children)));
        family.add(FLOOR, column, move || {
            let line = Line::default();
            on_main(|| longest::<Canceller>(children, |_| line.is_set()))
        });
        add_longest::<Canceller>(&mut family, column, children, of_root);
        add_longest::<CancellationToken>(&mut family, column, children, of_root);
    }
    family
}

fn add_longest<T: Token>(family: &mut Family, column: usize, children: usize, of_root: bool) {
    family.add(T::NAME, column, move || {
        on_main(|| {
            // The children stand behind the root; far apart from one another, so that they are met in
            // all states.
            let nth = AtomicUsize::new(0);
            longest::<T>(children, |scopes| {
                let next = nth.fetch_add(7919, Ordering::Relaxed) % children + 1;
                scopes[if of_root { 0 } else { next }].is_cancelled()
            })
        })
    });
}

/// Tries again where the scheduler, and not the answer, took long; on a machine that is too busy for
/// that, the try that was disturbed least counts.
fn longest<T: Tree>(children: usize, ask: impl Fn(&[T]) -> bool + Sync) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..8 {
        let (longest, disturbed) = one_cancel(children, &ask);
        if !disturbed {
            return longest;
        }
        least = least.min(longest);
    }
    least
}

/// The longest answer, and whether the asking thread was taken off its core.
fn one_cancel<T: Tree>(children: usize, ask: impl Fn(&[T]) -> bool + Sync) -> (f64, bool) {
    let scopes = fan(T::new(children), children);
    let mut waits = Waits::<T>::with_capacity(children);
    scopes[1..].iter().for_each(|scope| waits.park(scope));

    let (asking, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let longest = thread::scope(|scope| {
        let asker = scope.spawn(|| {
            pin(1);
            let preempted = preemptions();
            let mut longest = 0;
            while !over.load(Ordering::Acquire) {
                let begin = Instant::now();
                black_box(ask(&scopes));
                longest = longest.max(begin.elapsed().as_nanos());
                asking.store(true, Ordering::Release);
            }
            (longest as f64, preemptions() != preempted)
        });
        while !asking.load(Ordering::Acquire) {
            spin_loop();
        }
        scopes[0].end();
        over.store(true, Ordering::Release);
        asker.join().expect("a measured thread")
    });
    assert!(waits.are_over(), "nobody is left behind");
    longest
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
