//! Makes a wrong history small: first by calling less, then by leaving out what the report does not need.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::check::{Verdict, check};
use super::run::{Plan, Shape, line_of, run};
use super::{Event, History, Kind, Subject};
use crate::model::Model;

/// How long a plan is made smaller.
const TIME: Duration = Duration::from_secs(20);
/// How many histories show that a smaller plan does not fail.
const TRIES: usize = 1500;

type ModelOf<K> = <<K as Kind>::Subject as Subject>::Model;

/// The smallest wrong history that can be found from `plan`, whose history was `history`.
pub fn shrink<K: Kind + ?Sized>(
    kind: &K,
    shape: Shape,
    plan: Plan<K>,
    history: History<K>,
) -> (Plan<K>, History<K>) {
    let mut least = (plan, history);
    let end = Instant::now() + TIME;
    'smaller: while Instant::now() < end {
        for smaller in smaller(&least.0) {
            if Instant::now() > end {
                break 'smaller;
            }
            if let Some(history) = fails(kind, shape, &smaller) {
                least = (smaller, history);
                continue 'smaller;
            }
        }
        break;
    }
    least
}

/// All plans with one thread or one call less.
fn smaller<K: Kind + ?Sized>(plan: &Plan<K>) -> Vec<Plan<K>> {
    let mut all = Vec::new();
    for thread in (0..plan.scripts.len()).filter(|&thread| !plan.scripts[thread].is_empty()) {
        // A thread keeps its number: it stays, and calls nothing.
        let mut without = plan.clone();
        without.scripts[thread].clear();
        all.push(without);
    }
    for thread in 0..plan.scripts.len() {
        for call in (0..plan.scripts[thread].len()).rev() {
            let mut without = plan.clone();
            without.scripts[thread].remove(call);
            all.push(without);
        }
    }
    all
}

fn fails<K: Kind + ?Sized>(kind: &K, shape: Shape, plan: &Plan<K>) -> Option<History<K>> {
    let mut tries = 0;
    while tries < TRIES {
        let plans = vec![plan.clone(); 100];
        tries += plans.len();
        let mut histories = run(kind, shape, plans).into_iter();
        if let Some((history, _)) = histories.find(|(_, verdict)| *verdict == Verdict::Wrong) {
            return Some(history);
        }
    }
    None
}

/// What a reader has to see: the history up to the first return that cannot be explained, without the calls that
/// only look and are not needed.
pub fn essence<M: Model>(model: &M, history: &[Event<M::Op>]) -> Vec<Event<M::Op>> {
    let wrong = |events: &[Event<M::Op>], end| check(model.clone(), events, end) == Verdict::Wrong;
    let mut ends: Vec<u64> = history.iter().map(|event| event.returned + 1).collect();
    ends.sort_unstable();
    let end = ends.into_iter().find(|&end| wrong(history, end)).unwrap_or(u64::MAX);
    // What still goes on at the end stays: it may explain what the others saw.
    let mut events = history.to_vec();
    events.retain(|event| event.called < end);
    for at in (0..events.len()).rev() {
        if M::only_looks(&events[at].op) && events[at].returned < end {
            let mut without = events.clone();
            without.remove(at);
            if wrong(&without, end) {
                events = without;
            }
        }
    }
    events
}

/// The report of a wrong history.
pub fn report<K: Kind + ?Sized>(kind: &K, seed: u64, plan: Plan<K>, history: History<K>) -> String {
    let shape = Shape::of(seed);
    let (plan, history) = shrink(kind, shape, plan, history);
    let model: ModelOf<K> = kind.make(plan.seed).model();
    let mut text = format!(
        "{}: a history that the model does not allow, with seed {seed}, {} threads, pinned: {:?}.\n\
         To make more like it: cargo xtask proof histories --kind {} --seed {seed} --count 1 --tries 10000\n\
         The model at first: {model:?}\n\
         Each line: [stamp of the call, stamp of the return] thread: call -> outcome\n",
        kind.name(),
        shape.threads,
        shape.pinned,
        kind.name(),
    );
    let events = match kind.make(plan.seed).contradicted(&history) {
        Some(at) => {
            let _ = writeln!(text, "Contradicted by all others:\n{}\n", line_of(&history[at]));
            history
        }
        None => essence(&model, &history),
    };
    for event in events {
        let _ = writeln!(text, "{}", line_of(&event));
    }
    text
}
