//! Histories of groups with a limit, and of the queue before them.

use super::Kind;
use super::family::Shared;
use crate::model::group::{Built, Op};
use crate::random::Random;

/// Groups with a limit.
#[derive(Debug)]
pub struct Places;

impl Kind for Places {
    type Subject = Shared;

    fn name(&self) -> &'static str {
        "places"
    }

    fn make(&self, seed: u64) -> Shared {
        Shared::new(&[Built { limit: Some(1 + (seed % 2) as u16), ..Built::default() }])
    }

    fn op(&self, _: u64, thread: usize, random: &mut Random) -> Op {
        let wait = super::family::wait_of(thread, random);
        match random.below(21) {
            0..=2 => Op::Guard(0),
            3..=6 => Op::DropGuard(0),
            7 | 8 => Op::SetLimit(0, 1 + random.below(3) as u16),
            9 => Op::Len(0),
            10 => Op::IsDrained(0),
            11 if random.one_in(2) => Op::Close(0),
            12 | 13 => Op::DropWait(wait),
            14 => Op::Limit(0),
            _ => Op::PollRoom(wait, 0),
        }
    }
}
