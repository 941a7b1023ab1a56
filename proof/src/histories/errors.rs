//! Histories of `ErrGroup`.

use super::Kind;
use super::family::Shared;
use crate::model::group::{Built, Op};
use crate::random::Random;

/// Groups whose tasks may fail.
#[derive(Debug)]
pub struct ErrGroups;

impl Kind for ErrGroups {
    type Subject = Shared;

    fn name(&self) -> &'static str {
        "errors"
    }

    fn make(&self, seed: u64) -> Shared {
        let (keeps, cancels) = ((seed % 4) as usize, seed % 8 < 5);
        Shared::new(&[Built { errors: Some((keeps, cancels)), ..Built::default() }])
    }

    fn op(&self, _: u64, thread: usize, random: &mut Random) -> Op {
        let wait = super::family::wait_of(thread, random);
        match random.below(20) {
            0..=3 => Op::Guard(0),
            4 | 5 => Op::DropGuard(0),
            6..=8 => Op::Fail(0, random.below(200) as u8),
            9..=11 => Op::Record(0, random.below(200) as u8),
            12 => Op::Close(0),
            13 => Op::IsClosed(0),
            14 => Op::IsCancelled(0),
            15 => Op::IsDrained(0),
            16 => Op::DropWait(wait),
            _ => Op::PollErrors(wait, 0),
        }
    }
}
