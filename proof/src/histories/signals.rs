//! Histories of `Signal`, with and without a value.

use std::sync::Arc;
use std::time::Duration;

use winddown::Signal;
use winddown::future::WaitClosed;

use super::probe::{Probed, ended};
use super::{Kind, Subject};
use crate::model::signal::{self, Op};
use crate::model::{Outcome, Refusal};
use crate::random::Random;

/// Signals.
#[derive(Debug)]
pub struct Signals;

/// How many waits each thread has.
const EACH: usize = 3;

/// A signal of either sort.
#[derive(Debug)]
pub enum Shared {
    /// It is closed in one step.
    Plain(Arc<Signal>),
    /// It is closed with a value.
    Typed(Arc<Signal<u8>>),
}

/// The waits of one thread.
#[derive(Debug)]
pub struct Local {
    first: usize,
    waits: [Option<Wait>; EACH],
}

#[derive(Debug)]
enum Wait {
    Plain(Probed<WaitClosed<Arc<Signal>>>),
    Typed(Probed<WaitClosed<Arc<Signal<u8>>>>),
}

impl Kind for Signals {
    type Subject = Shared;

    fn name(&self) -> &'static str {
        "signal"
    }

    fn make(&self, seed: u64) -> Shared {
        match seed % 3 {
            0 => Shared::Plain(Arc::new(Signal::new())),
            _ => Shared::Typed(Arc::new(Signal::typed())),
        }
    }

    fn op(&self, seed: u64, thread: usize, random: &mut Random) -> Op {
        let wait = thread * EACH + random.below(EACH);
        match random.below(16) {
            0 if seed % 3 == 0 => Op::CloseWith(0),
            0 | 1 => Op::CloseWith(if seed % 3 == 0 { 0 } else { random.below(200) as u8 }),
            2..=4 => Op::Get,
            5..=7 => Op::IsClosed,
            8 => Op::BlockFor,
            9 => Op::DropWait(wait),
            _ => Op::Poll(wait),
        }
    }
}

impl Shared {
    fn call(&self, op: &Op) -> Outcome {
        let closed =
            |result: bool| if result { Outcome::Ok } else { Outcome::Refused(Refusal::Closed) };
        let brief = Duration::from_micros(30);
        match (self, op) {
            (Self::Plain(signal), Op::CloseWith(_)) => closed(signal.close()),
            (Self::Typed(signal), Op::CloseWith(value)) => match signal.close_with(*value) {
                Ok(()) => closed(true),
                Err(back) => {
                    assert_eq!(back, *value, "a closer that is refused gets its value back");
                    closed(false)
                }
            },
            (Self::Plain(signal), Op::Get) => Outcome::Value(signal.get().map(|()| 0)),
            (Self::Typed(signal), Op::Get) => Outcome::Value(signal.get().copied()),
            (Self::Plain(signal), Op::IsClosed) => Outcome::Bool(signal.is_closed()),
            (Self::Typed(signal), Op::IsClosed) => Outcome::Bool(signal.is_closed()),
            (Self::Plain(signal), Op::BlockFor) => over(signal.closed().block_for(brief).is_ok()),
            (Self::Typed(signal), Op::BlockFor) => over(signal.value().block_for(brief).is_ok()),
            _ => unreachable!("a call on a wait"),
        }
    }

    fn wait(&self) -> Wait {
        match self {
            Self::Plain(signal) => Wait::Plain(Probed::new(Signal::closed_in(Arc::clone(signal)))),
            Self::Typed(signal) => Wait::Typed(Probed::new(Signal::closed_in(Arc::clone(signal)))),
        }
    }
}

fn over(over: bool) -> Outcome {
    if over { Outcome::Ready } else { Outcome::Pending }
}

impl Wait {
    fn poll(&mut self, renew: bool) -> Outcome {
        match self {
            Self::Plain(wait) => ended(&wait.poll(renew)),
            Self::Typed(wait) => ended(&wait.poll(renew)),
        }
    }

    /// Whether the waker was woken, of a wait that is parked.
    fn woken(&self) -> Option<bool> {
        match self {
            Self::Plain(wait) => wait.is_parked().then(|| wait.is_woken()),
            Self::Typed(wait) => wait.is_parked().then(|| wait.is_woken()),
        }
    }
}

impl Subject for Shared {
    type Model = signal::Signal;
    type Local = Local;

    fn model(&self) -> signal::Signal {
        signal::Signal::new(matches!(self, Self::Plain(_)))
    }

    fn local(&self, thread: usize) -> Local {
        Local { first: thread * EACH, waits: Default::default() }
    }

    fn perform(
        &self,
        local: &mut Local,
        op: &Op,
        around: &mut dyn FnMut(&mut dyn FnMut() -> Outcome),
    ) {
        let (Op::Poll(wait) | Op::DropWait(wait) | Op::Woken(wait)) = *op else {
            return around(&mut || self.call(op));
        };
        let slot = &mut local.waits[wait - local.first];
        match op {
            Op::Poll(_) => {
                let waits = slot.get_or_insert_with(|| self.wait());
                around(&mut || waits.poll(wait % 2 == 0));
            }
            Op::Woken(_) => {
                if let Some(woken) = slot.as_ref().and_then(Wait::woken) {
                    around(&mut || Outcome::Bool(woken));
                }
            }
            _ if slot.is_some() => around(&mut || {
                *slot = None;
                Outcome::Unit
            }),
            _ => {}
        }
    }

    fn finale(&self) -> Vec<(usize, Op)> {
        let waits = (0..signal::WAITS).map(|wait| (wait / EACH, wait));
        let mut calls: Vec<_> =
            waits.clone().map(|(thread, wait)| (thread, Op::Woken(wait))).collect();
        calls.extend([(0, Op::CloseWith(0)), (0, Op::Get)]);
        calls.extend(waits.clone().map(|(thread, wait)| (thread, Op::Woken(wait))));
        calls.extend(waits.map(|(thread, wait)| (thread, Op::Poll(wait))));
        calls
    }
}
