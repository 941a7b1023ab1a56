//! A line of scopes that is hooked up, asked, cancelled and dropped by several threads at once: no
//! wait is lost, no callback runs twice, nothing is left behind.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock};
use std::thread;

use common::{Act, Bell, Foreign, at_once, look, poll};
use winddown::{CancelScope, CancelToken, Canceller};

const ROUNDS: usize = if cfg!(debug_assertions) { 300 } else { 3000 };
/// Comes only if a wait is lost.
const LONG: Duration = Duration::from_secs(60);

/// A root and what is below it, each below the one before.
struct Line {
    root: CancelScope,
    middle: Canceller,
    leaf: Canceller,
}

impl Line {
    fn new() -> Self {
        let root = CancelScope::new();
        let middle = root.token().with_value("above").child().detach();
        let leaf = middle.token().with_value("between").child().detach();
        Self { root, middle, leaf }
    }
}

fn waits<'a>(token: &'a CancelToken) -> Act<'a> {
    Box::new(|| {
        token.clone().cancelled_owned().block_for(LONG).expect("the wake-up was lost");
        assert!(token.is_cancelled());
    })
}

/// A wait that was there before, given up, and taken up again by a wait for good.
fn selects<'a>(token: &'a CancelToken) -> Act<'a> {
    Box::new(|| {
        let (own, bell) = (token.clone(), Bell::new());
        for _ in 0..20 {
            let _ = poll(&mut own.cancelled(), &bell.waker());
        }
        own.cancelled().block_for(LONG).expect("the wake-up was lost");
    })
}

fn asks<'a>(tokens: [&'a CancelToken; 2]) -> Act<'a> {
    Box::new(move || {
        while tokens.iter().any(|token| token.reason().is_none()) {
            thread::yield_now();
        }
    })
}

/// Rule 7, 8: first waits of several nodes, questions that fix reasons, and one or two cancels.
#[test]
fn no_wait_is_lost_while_a_line_is_hooked_up() {
    for round in 0..ROUNDS {
        let line = Line::new();
        let (root, middle, leaf) = (&line.root, &line.middle, &line.leaf);
        let mut acts = vec![
            waits(leaf.token()),
            selects(leaf.token()),
            waits(middle.token()),
            Box::new(|| assert!(root.cancel_with("the root").is_ok())),
        ];
        match round % 4 {
            0 => {}
            1 => acts.push(asks([leaf.token(), middle.token()])),
            2 => acts.push(Box::new(|| assert!(middle.cancel() || root.token().is_cancelled()))),
            _ => acts.push(Box::new(|| drop(leaf.cancel_with("the leaf")))),
        }
        at_once(acts);
        assert!(look(&mut leaf.token().cancelled()).is_ready());
    }
}

/// Rule 10: a callback and its way back, with waits beside it.
#[test]
fn a_callback_runs_or_is_taken_back() {
    for round in 0..ROUNDS {
        let line = Line::new();
        let (root, leaf) = (&line.root, &line.leaf);
        let (ran, taken) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let registers = |keeps: bool| -> Act<'_> {
            let (ran, taken) = (Arc::clone(&ran), &taken);
            Box::new(move || {
                let registration = leaf.token().on_cancel(move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                });
                if keeps {
                    registration.detach();
                } else if registration.deregister() {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        at_once([
            registers(true),
            registers(false),
            registers(round % 2 == 0),
            waits(leaf.token()),
            Box::new(|| assert!(root.cancel())),
        ]);
        assert_eq!(ran.load(Ordering::Relaxed) + taken.into_inner(), 3);
        assert_eq!(Arc::strong_count(&ran), 1);
    }
}

/// How many tokens a thread goes through in one go.
const BATCH: usize = 50;

/// Waits until `count` threads are here.
fn meet(gate: &AtomicUsize, count: usize) {
    gate.fetch_add(1, Ordering::Relaxed);
    while gate.load(Ordering::Relaxed) < count {
        thread::yield_now();
    }
}

/// Registers a callback. Whether it has run on this thread when that returns, and cannot be taken back.
fn runs_at_once(token: &CancelToken) -> bool {
    let ran_on = Arc::new(OnceLock::new());
    let tell = Arc::clone(&ran_on);
    let registration = token.on_cancel(move || tell.set(thread::current().id()).unwrap());
    let has_run = ran_on.get() == Some(&thread::current().id());
    has_run && !registration.deregister()
}

/// Rule 10: on a token that is cancelled a callback runs here and now, also if others do the same at the same
/// time, or if another thread is still to deliver the cancellation to this node.
#[test]
fn a_callback_on_a_cancelled_token_has_run_when_on_cancel_returns() {
    for round in 0..ROUNDS {
        let lines: Vec<_> = (0..BATCH).map(|_| (Line::new(), AtomicUsize::new(0))).collect();
        let is_delivered = round % 2 == 0;
        for (line, _) in &lines {
            let mut wait = line.leaf.token().cancelled();
            // Half of them are hooked up to the root, and half are not.
            let _ = (round % 4 < 2).then(|| look(&mut wait));
            let _ = is_delivered.then(|| line.root.cancel());
        }
        let registers = |of: fn(&Line) -> &CancelToken| -> Act<'_> {
            let lines = &lines;
            Box::new(move || {
                let all_ran = lines.iter().fold(true, |all_ran, (line, gate)| {
                    meet(gate, 4);
                    while !of(line).is_cancelled() {
                        thread::yield_now();
                    }
                    // The others wait for this thread at the next gate, whatever it has found.
                    runs_at_once(of(line)) && all_ran
                });
                assert!(all_ran, "one had not run, or elsewhere");
            })
        };
        at_once([
            registers(|line| line.leaf.token()),
            registers(|line| line.leaf.token()),
            registers(|line| line.middle.token()),
            Box::new(|| {
                for (line, gate) in &lines {
                    meet(gate, 4);
                    assert_eq!(line.root.cancel(), !is_delivered);
                }
            }),
        ]);
    }
}

/// Rules 9, 12: nodes that go while they are hooked up, cancelled and woken.
#[test]
fn nodes_may_go_while_they_are_being_cancelled() {
    for round in 0..ROUNDS {
        let Line { root, middle, leaf } = Line::new();
        let value = Arc::new(round);
        let token = leaf.token().with_value(Arc::clone(&value));
        let (first, second) = (token.clone(), token.child().detach().token().clone());
        drop(token);
        let waker = Foreign::new().share();
        let abandons = |token: CancelToken| -> Act<'_> {
            let waker = waker.waker();
            Box::new(move || {
                for _ in 0..round % 4 {
                    let _ = poll(&mut token.cancelled(), &waker);
                }
                token.on_cancel(|| {}).detach();
                let _ = poll(&mut token.cancelled_owned(), &waker);
            })
        };
        at_once([
            abandons(first),
            abandons(second),
            Box::new(|| drop(middle)),
            Box::new(|| drop(leaf)),
            Box::new(|| drop(root)),
        ]);
        assert_eq!((waker.alive(), Arc::strong_count(&value)), (0, 1));
    }
}

/// Rule 8: children are born, waited on and dropped while their parent is being cancelled.
#[test]
fn children_may_be_born_while_their_parent_is_being_cancelled() {
    for _ in 0..ROUNDS {
        let root = CancelScope::new();
        let births = || -> Act<'_> {
            Box::new(|| {
                loop {
                    let before = root.token().is_cancelled();
                    let child = root.token().child();
                    let below = child.token().child();
                    let ready = look(&mut below.token().cancelled()).is_ready();
                    assert!(ready || !before, "born cancelled");
                    if before {
                        assert_eq!(below.token().reason().unwrap().to_string(), "the root");
                        break;
                    }
                }
            })
        };
        at_once([births(), births(), Box::new(|| root.cancel_with("the root").unwrap())]);
    }
}
