//! Histories of `WaitGroup`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use winddown::future::Wait;
use winddown::{Guard, WaitGroup};

use super::probe::{Probed, ended};
use super::{Kind, Subject};
use crate::model::wait_group::{self, Op};
use crate::model::{Outcome, Refusal};
use crate::random::Random;

/// Wait groups.
#[derive(Debug)]
pub struct WaitGroups;

/// How many waits each thread has.
const EACH: usize = 3;

/// One group, and the guards that its threads hold together.
#[derive(Debug)]
pub struct Shared {
    group: Arc<WaitGroup>,
    guards: Mutex<Vec<Guard<Arc<WaitGroup>>>>,
}

/// The waits of one thread.
#[derive(Debug)]
pub struct Local {
    first: usize,
    waits: [Option<Probed<Wait<Arc<WaitGroup>>>>; EACH],
}

impl Kind for WaitGroups {
    type Subject = Shared;

    fn name(&self) -> &'static str {
        "wait-group"
    }

    fn make(&self, _: u64) -> Shared {
        Shared { group: Arc::new(WaitGroup::new()), guards: Mutex::default() }
    }

    fn op(&self, _: u64, thread: usize, random: &mut Random) -> Op {
        let wait = thread * EACH + random.below(EACH);
        match random.below(20) {
            0 | 1 => Op::Add(1 + random.below(2) as u64),
            2..=4 => Op::Done,
            5..=7 => Op::Guard,
            8..=10 => Op::DropGuard,
            11 => Op::Count,
            12 => Op::IsIdle,
            13 => Op::BlockFor,
            14 => Op::DropWait(wait),
            _ => Op::Poll(wait),
        }
    }
}

impl Subject for Shared {
    type Model = wait_group::WaitGroup;
    type Local = Local;

    fn model(&self) -> wait_group::WaitGroup {
        wait_group::WaitGroup::default()
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
        match *op {
            Op::Guard => {
                let mut taken = None;
                around(&mut || {
                    taken = Some(WaitGroup::guard_in(Arc::clone(&self.group)));
                    Outcome::Ok
                });
                self.guards.lock().unwrap().extend(taken);
            }
            Op::DropGuard => {
                let mut guard = self.guards.lock().unwrap().pop();
                if guard.is_some() {
                    around(&mut || {
                        drop(guard.take());
                        Outcome::Unit
                    });
                }
            }
            Op::Poll(_) | Op::DropWait(_) | Op::Woken(_) => local.perform(&self.group, op, around),
            _ => around(&mut || call(&self.group, op)),
        }
    }

    fn finale(&self) -> Vec<(usize, Op)> {
        let mut calls = Vec::new();
        let guards = self.guards.lock().unwrap().len();
        calls.extend((0..self.group.count().max(guards)).map(|_| (0, Op::Done)));
        calls.extend((0..guards).map(|_| (0, Op::DropGuard)));
        calls.push((0, Op::Count));
        let waits = (0..wait_group::WAITS).map(|wait| (wait / EACH, wait));
        calls.extend(waits.clone().map(|(thread, wait)| (thread, Op::Woken(wait))));
        calls.extend(waits.map(|(thread, wait)| (thread, Op::Poll(wait))));
        calls
    }
}

fn call(group: &WaitGroup, op: &Op) -> Outcome {
    match *op {
        Op::Add(n) => match group.add(n as usize) {
            Ok(()) => Outcome::Ok,
            Err(_) => Outcome::Refused(Refusal::Full),
        },
        Op::Done => match group.done() {
            Ok(()) => Outcome::Ok,
            Err(_) => Outcome::Refused(Refusal::Unbalanced),
        },
        Op::Count => Outcome::Count(group.count()),
        Op::IsIdle => Outcome::Bool(group.is_idle()),
        Op::BlockFor => match group.wait().block_for(Duration::from_micros(50)) {
            Ok(()) => Outcome::Ready,
            Err(unfinished) => Outcome::Count(unfinished.left),
        },
        _ => unreachable!("made elsewhere"),
    }
}

impl Local {
    fn perform(
        &mut self,
        group: &Arc<WaitGroup>,
        op: &Op,
        around: &mut dyn FnMut(&mut dyn FnMut() -> Outcome),
    ) {
        let (Op::Poll(wait) | Op::DropWait(wait) | Op::Woken(wait)) = *op else { return };
        let at = wait - self.first;
        match op {
            Op::Poll(_) => {
                let make = || Probed::new(WaitGroup::wait_in(Arc::clone(group)));
                let probed = self.waits[at].get_or_insert_with(make);
                around(&mut || ended(&probed.poll(wait % 2 == 0)));
            }
            Op::DropWait(_) if self.waits[at].is_some() => {
                around(&mut || {
                    self.waits[at] = None;
                    Outcome::Unit
                });
            }
            Op::Woken(_) => {
                if let Some(probed) = self.waits[at].as_ref().filter(|probed| probed.is_parked()) {
                    around(&mut || Outcome::Bool(probed.is_woken()));
                }
            }
            _ => {}
        }
    }
}
