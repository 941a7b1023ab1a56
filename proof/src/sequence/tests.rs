//! The sequences can see: what is wrong on purpose is told.

use std::cell::Cell;
use std::mem::forget;
use std::task::Context;

use super::bytes::Bytes;
use super::values::{Value, World};
use super::waits::{Form, Got, Waits, expect};
use super::{Actor, Calls, Wrong, end, one_call, watched};
use crate::model::wait_group::{Op, WAITS, WaitGroup};
use crate::model::{Outcome, Possible};

/// A wait group that says what it is told to say, and wakes nobody.
struct Fake {
    possible: Possible<WaitGroup>,
    waits: Waits<Op>,
    script: Vec<(Op, Outcome)>,
}

/// A wait that is pending for ever, and keeps wakers if it is told to.
struct Stuck {
    keeps: bool,
}

impl Form for Stuck {
    fn poll(&mut self, cx: &mut Context<'_>) -> Got {
        if self.keeps {
            forget(cx.waker().clone());
        }
        Got::Outcome(Outcome::Pending)
    }

    fn block(self: Box<Self>) -> Got {
        Got::Outcome(Outcome::Pending)
    }
}

impl Fake {
    fn new(script: &[(Op, Outcome)], keeps: bool) -> Self {
        let mut waits = Waits::new(WAITS);
        waits.add(0, Op::Poll(0), Box::new(Stuck { keeps }), None);
        let possible = Possible::new(WaitGroup::default());
        Self { possible, waits, script: script.iter().rev().cloned().collect() }
    }
}

impl Actor for Fake {
    fn call(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        match self.script.pop() {
            Some((Op::Poll(_), _)) => {
                // The bytes say: the first wait, polled by the first task.
                let _ = bytes.next();
                self.waits.call(&mut Bytes::new(&[0, 5, 0]), world, &mut self.possible)
            }
            Some((op, outcome)) => expect(&mut self.possible, &op, &outcome),
            None => Ok(()),
        }
    }

    fn wakers(&self, world: &World) -> Result<(), Wrong> {
        self.waits.wakers(world, &self.possible)
    }

    fn end(mut self: Box<Self>, _: &World) -> Result<(), Wrong> {
        self.waits.clear(&mut self.possible)
    }
}

fn run(script: &[(Op, Outcome)], keeps: bool) -> Result<(), Wrong> {
    let world = World::new(false);
    let mut actor = Box::new(Fake::new(script, keeps));
    for _ in script {
        one_call(&mut *actor, &mut Bytes::new(&[]), &world)?;
    }
    end(vec![actor], &world)
}

fn said(result: Result<(), Wrong>, text: &str) {
    let wrong = result.expect_err("it is wrong");
    assert!(wrong.contains(text), "{wrong}");
}

#[test]
fn a_right_script_is_right() {
    let script = [(Op::Guard, Outcome::Ok), (Op::Poll(0), Outcome::Pending)];
    run(&script, false).unwrap();
}

#[test]
fn an_outcome_that_the_model_does_not_allow_is_told() {
    said(run(&[(Op::Count, Outcome::Count(1))], false), "gave Count(1)");
}

#[test]
fn a_lost_wake_is_told() {
    let script =
        [(Op::Guard, Outcome::Ok), (Op::Poll(0), Outcome::Pending), (Op::DropGuard, Outcome::Unit)];
    said(run(&script, false), "was not woken");
}

#[test]
fn a_waker_that_is_never_dropped_is_told() {
    let script = [(Op::Guard, Outcome::Ok), (Op::Poll(0), Outcome::Pending)];
    said(run(&script, true), "1 wakers were never dropped");
}

#[test]
fn a_value_that_is_never_dropped_is_told() {
    let world = World::new(false);
    forget(world.value(1));
    said(world.is_empty(), "1 values");
}

#[test]
#[should_panic(expected = "dropped twice")]
fn a_value_that_is_dropped_twice_is_told() {
    let world = World::new(false);
    let value: Value = world.value(1);
    let copy = value.wrong_copy();
    drop(value);
    drop(copy);
}

#[test]
fn memory_that_is_left_is_told_and_what_a_thread_keeps_is_not() {
    let leak = || {
        forget(std::hint::black_box(Box::new(1_u8)));
        Ok::<(Calls, bool), Wrong>((0, false))
    };
    said(watched(&mut { leak }).map(drop), "1 blocks of memory are left, with 1 bytes");

    let first = Cell::new(true);
    let mut once = || if first.take() { leak() } else { Ok((0, false)) };
    assert_eq!(watched(&mut once), Ok(0));
}
