//! A [`WaitGroup`] whose count rises and falls, and whose waits are abandoned.

use std::sync::Arc;

use winddown::WaitGroup;

use super::tally::same;
use super::{Scene, short};
use crate::random::Random;
use crate::soak::bag::Bag;

/// The wait group.
#[derive(Debug)]
pub(super) struct WaitGroups {
    group: Arc<WaitGroup>,
    /// One piece of work is there until the finale, so that no wait is over before.
    is_busy: bool,
}

/// What `add` has added. Its drop takes it away again.
struct Added(Arc<WaitGroup>, usize);

impl Drop for Added {
    fn drop(&mut self) {
        for _ in 0..self.1 {
            self.0.done().expect("it was added");
        }
    }
}

impl WaitGroups {
    /// A new one.
    pub(super) fn new(random: &mut Random) -> Self {
        let (group, is_busy) = (Arc::<WaitGroup>::default(), random.one_in(2));
        group.add(is_busy.into()).expect("a small count");
        Self { group, is_busy }
    }
}

impl Scene for WaitGroups {
    fn name(&self) -> &'static str {
        "wait-group"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        let group = &self.group;
        match random.below(24) {
            0..=7 => drop(group.guard()),
            8..=10 => bag.keep(WaitGroup::guard_in(Arc::clone(group))),
            11 => {
                let guard = WaitGroup::guard_in(Arc::clone(group));
                bag.keep(guard.clone());
            }
            12 => {
                let many = 1 + random.below(3);
                group.add(many).expect("a small count");
                assert!(group.count() >= many);
                bag.keep(Added(Arc::clone(group), many));
            }
            13..=16 => bag.wait("wait", WaitGroup::wait_in(Arc::clone(group))),
            17 => {
                let group = Arc::clone(group);
                let other = WaitGroup::wait_in(Arc::clone(&self.group));
                bag.wait("wait until another", async move {
                    let _ = group.wait().until(other).await;
                });
            }
            18 => drop(group.wait().block_for(short(random))),
            19..=20 => {
                let (count, idle) = (group.count(), group.is_idle());
                assert!(count < 1 << 20, "a count of {count}, idle: {idle}");
            }
            _ => {
                let guard = group.guard();
                assert!(!group.is_idle(), "a guard is there");
                drop(guard);
            }
        }
    }

    fn block(&self, _: &mut Random) {
        self.group.wait().block();
    }

    fn finale(&self) {
        if self.is_busy {
            self.group.done().expect("it was added");
        }
    }

    fn check(&self) -> Result<(), String> {
        same("pieces of work", self.group.count(), 0)
    }

    fn state(&self) -> String {
        format!("{:?}", self.group)
    }
}
