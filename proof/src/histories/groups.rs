//! Histories of `TaskGroup`: a parent and a child, or a group and one that is linked to it.

use super::Kind;
use super::family::Shared;
use crate::model::group::{Built, Op};
use crate::random::Random;

/// Groups without a limit.
#[derive(Debug)]
pub struct Groups;

impl Kind for Groups {
    type Subject = Shared;

    fn name(&self) -> &'static str {
        "group"
    }

    fn make(&self, seed: u64) -> Shared {
        let root = Built::default();
        match seed % 3 {
            0 => Shared::new(&[root]),
            1 => Shared::new(&[root, Built { parent: Some(0), ..Built::default() }]),
            _ => Shared::new(&[root, Built { links: vec![0], ..Built::default() }]),
        }
    }

    fn op(&self, seed: u64, thread: usize, random: &mut Random) -> Op {
        let groups = if seed % 3 == 0 { 1 } else { 2 };
        let group = random.below(groups) as u8;
        let wait = super::family::wait_of(thread, random);
        match random.below(24) {
            0..=4 => Op::Guard(group),
            5..=7 => Op::DropGuard(group),
            8 => Op::CloneGuard(group),
            9 => Op::Leave(group),
            10 | 11 => Op::Close(group),
            12 => Op::Cancel(group, random.below(10) as u8),
            13 | 14 => Op::Len(group),
            15 => Op::IsClosed(group),
            16 => Op::IsCancelled(group),
            17 if random.one_in(2) => Op::IsFinalised(group),
            17 => Op::IsDrained(group),
            18 => Op::BlockFor(group),
            19 => Op::DropWait(wait),
            20 => Op::PollClosed(wait, group),
            21 if random.one_in(3) => Op::PollJoin(wait, group),
            _ => Op::PollDrained(wait, group),
        }
    }
}
