//! A [`TaskGroup`] without a limit: tasks, children, links, and its end.

use std::sync::Arc;

use winddown::{CancelScope, Signal, TaskGroup, TaskGuard};

use super::tally::{Inside, Tally, has_ended};
use super::{Scene, mortality, short};
use crate::random::Random;
use crate::soak::bag::Bag;

/// The group.
pub(super) struct Groups {
    /// What the group is below.
    above: CancelScope,
    group: TaskGroup,
    inside: Arc<Tally>,
    finalised: Arc<Tally>,
    mortality: usize,
}

impl Groups {
    /// A new one.
    pub(super) fn new(random: &mut Random) -> Self {
        let (above, finalised) = (CancelScope::new(), Arc::<Tally>::default());
        let builder = TaskGroup::builder().parent(above.token()).finally({
            let finalised = Arc::clone(&finalised);
            move || {
                finalised.up();
            }
        });
        let group = builder.build();
        Self { above, group, inside: Arc::default(), finalised, mortality: mortality(random) }
    }

    fn end(&self, random: &mut Random, bag: &mut Bag) {
        let group = self.group.clone();
        match random.below(8) {
            0 => _ = self.above.cancel(),
            1 => _ = self.group.cancel(),
            // This closes it.
            4 => _ = self.group.join().block_for(short(random)),
            2 => bag.wait("shutdown", async move {
                group.shutdown(std::future::ready(())).await;
            }),
            3 => bag.wait("shutdown, with grace", async move {
                let never: Signal = Signal::new();
                group.shutdown(never.closed()).await;
                assert!(group.is_drained(), "the grace is never over");
            }),
            _ => {
                self.group.close();
                assert!(self.group.guard().is_err(), "it is closed");
            }
        }
    }

    fn work(&self, guard: TaskGuard, random: &mut Random, bag: &mut Bag) {
        assert!(!self.group.is_drained() && !self.group.is_empty(), "a guard is inside");
        let inside = |guard| Inside::new(&self.inside, guard);
        match random.below(12) {
            0..=4 => drop(inside(guard)),
            5..=7 => bag.keep(inside(guard)),
            8 => {
                let another = inside(guard.clone());
                bag.keep(another);
            }
            9 => drop(guard.label("one of many").leave()),
            10 => {
                let token = guard.token().clone();
                let task = guard.track(async move { token.cancelled().await });
                bag.wait_inside("a task that waits for the cancel", task);
            }
            _ => {
                let (guard, group) = (inside(guard), self.group.clone());
                bag.wait_inside("a task that waits for the close", async move {
                    group.closed().await;
                    guard
                });
            }
        }
    }

    /// A group below this one, or one that waits for it.
    fn relative(&self, random: &mut Random, bag: &mut Bag) {
        if random.one_in(3) {
            let linked = TaskGroup::builder().link(&self.group).build();
            linked.close();
            return bag.wait("the drain of a group with a link", linked.drained_owned());
        }
        let Ok(child) = self.group.child() else { return };
        if let Ok(guard) = child.guard() {
            bag.keep(guard);
        }
        match random.below(4) {
            0 => bag.wait("the drain of a child", child.drained_owned()),
            1 => _ = child.close(),
            _ => bag.keep(child),
        }
    }
}

impl Scene for Groups {
    fn name(&self) -> &'static str {
        "group"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        if random.one_in(self.mortality) {
            return self.end(random, bag);
        }
        let group = &self.group;
        match random.below(20) {
            0..=11 => {
                if let Ok(guard) = group.guard() {
                    self.work(guard, random, bag);
                }
            }
            12..=14 => {
                let mine = group.clone();
                bag.wait("drained", async move {
                    mine.drained().await;
                    assert!(mine.is_drained() && mine.guard().is_err());
                });
            }
            15 => bag.wait("closed", group.closing().clone().cancelled_owned()),
            16 => {
                let _ = group.drained().block_for(short(random));
            }
            17 | 18 => self.relative(random, bag),
            _ => {
                let (drained, len) = (group.is_drained(), group.len());
                assert!(!drained || len == 0, "drained, with {len} inside");
                bag.keep(group.clone());
            }
        }
    }

    fn block(&self, random: &mut Random) {
        match random.below(3) {
            0 => self.group.closed().block(),
            1 => self.group.token().cancelled().block(),
            _ => {
                self.group.drained().block();
                assert!(self.group.is_drained());
            }
        }
    }

    fn finale(&self) {
        self.group.close();
        self.above.cancel();
    }

    fn check(&self) -> Result<(), String> {
        has_ended(&self.group, &self.inside, &self.finalised)
    }

    fn state(&self) -> String {
        format!("{:?}", self.group)
    }
}
