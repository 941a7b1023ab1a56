//! Whether a history is one that the model allows (the search of Wing and Gong, with Lowe's memory).

use std::collections::HashSet;

use super::{Event, THREADS};
use crate::model::{Model, Steps, Then};

/// How many calls of each thread are over in an order that is tried, and how far its next call is.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place<M> {
    over: [u8; THREADS],
    /// The number of the next step, plus one, of a call that has begun.
    begun: [u8; THREADS],
    state: M,
}

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Explained,
    /// There is none.
    Wrong,
    /// The search became too long.
    Unknown,
}

/// How many places the search may visit.
const MOST: usize = 2_000_000;

/// Looks for an order of all steps. Calls that return after `end` may be left out, or be made in part.
pub fn check<M: Model>(model: M, events: &[Event<M::Op>], end: u64) -> Verdict {
    let mut calls: [Vec<&Event<M::Op>>; THREADS] = Default::default();
    for event in events.iter().filter(|event| event.called < end) {
        calls[event.thread].push(event);
    }
    for of_thread in &mut calls {
        of_thread.sort_by_key(|event| event.called);
    }
    let first = Place { over: [0; THREADS], begun: [0; THREADS], state: model };
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first];
    let mut steps = Vec::new();
    while let Some(place) = open.pop() {
        // Until this stamp no call may begin whose predecessors are not all over.
        let returns = next_of(&calls, &place).map(|(_, event)| event.returned);
        let limit = returns.min().unwrap_or(end);
        if limit >= end {
            return Verdict::Explained;
        }
        for (thread, event) in next_of(&calls, &place) {
            if event.called < limit {
                advance(&place, thread, event, &mut steps, |next| {
                    if seen.insert(next.clone()) {
                        open.push(next);
                    }
                });
            }
        }
        if seen.len() > MOST {
            return Verdict::Unknown;
        }
    }
    Verdict::Wrong
}

/// The next call of each thread.
fn next_of<'a, M: Model>(
    calls: &'a [Vec<&'a Event<M::Op>>; THREADS],
    place: &'a Place<M>,
) -> impl Iterator<Item = (usize, &'a Event<M::Op>)> + 'a {
    let next = |thread: usize| calls[thread].get(usize::from(place.over[thread]));
    (0..THREADS).filter_map(move |thread| Some((thread, *next(thread)?)))
}

fn advance<M: Model>(
    place: &Place<M>,
    thread: usize,
    event: &Event<M::Op>,
    steps: &mut Steps<M>,
    mut reached: impl FnMut(Place<M>),
) {
    let phase = place.begun[thread].saturating_sub(1);
    place.state.step(&event.op, phase, &event.outcome, steps);
    for (state, then) in steps.drain(..) {
        let mut next = Place { state, over: place.over, begun: place.begun };
        match then {
            Then::Return => {
                next.over[thread] += 1;
                next.begun[thread] = 0;
            }
            Then::Go(phase) => next.begun[thread] = phase + 1,
        }
        reached(next);
    }
}
