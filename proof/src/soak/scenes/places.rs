//! A [`TaskGroup`] with a limit that changes, and a queue.

use std::num::NonZeroUsize;
use std::sync::Arc;

use winddown::TaskGroup;

use super::tally::{Inside, Tally, has_ended};
use super::{Scene, mortality, short};
use crate::random::Random;
use crate::soak::bag::Bag;

/// The highest limit that the group ever has.
const HIGHEST: usize = 4;

/// The group.
pub(super) struct Places {
    group: TaskGroup,
    inside: Arc<Tally>,
    finalised: Arc<Tally>,
    mortality: usize,
}

fn limit(random: &mut Random) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(random.below(HIGHEST))
}

impl Places {
    /// A new one.
    pub(super) fn new(random: &mut Random) -> Self {
        let finalised = Arc::<Tally>::default();
        let builder = TaskGroup::builder().limit(limit(random)).finally({
            let finalised = Arc::clone(&finalised);
            move || {
                finalised.up();
            }
        });
        let (group, inside) = (builder.build(), Arc::default());
        Self { group, inside, finalised, mortality: mortality(random) }
    }

    /// Counts a guard that came through the door.
    fn seat<G>(inside: &Arc<Tally>, guard: G) -> Inside<G> {
        let seated = Inside::new(inside, guard);
        let now = inside.now();
        assert!(now <= HIGHEST, "{now} are inside, and the limit was never above {HIGHEST}");
        seated
    }
}

impl Scene for Places {
    fn name(&self) -> &'static str {
        "places"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        let group = &self.group;
        if random.one_in(self.mortality) {
            let _ = if random.one_in(2) { group.close() } else { group.cancel() };
            return;
        }
        match random.below(16) {
            0..=4 => {
                if let Ok(guard) = group.guard() {
                    let seated = Self::seat(&self.inside, guard);
                    if random.one_in(2) { bag.keep(seated) } else { drop(seated) }
                }
            }
            5..=8 => {
                let (wait, inside) =
                    (group.clone().guard_when_room_owned(), Arc::clone(&self.inside));
                bag.wait_inside("a place", async move {
                    wait.await.ok().map(|guard| Self::seat(&inside, guard))
                });
            }
            9 => {
                if let Ok(Ok(guard)) = group.guard_when_room().block_for(short(random)) {
                    bag.keep(Self::seat(&self.inside, guard));
                }
            }
            10..=12 => group.set_limit(limit(random)).expect("it has a limit"),
            13 => bag.wait("drained", group.clone().drained_owned()),
            _ => {
                let (drained, len) = (group.is_drained(), group.len());
                assert!(!drained || len == 0, "drained, with {len} inside");
            }
        }
    }

    fn block(&self, random: &mut Random) {
        if random.one_in(3) {
            return self.group.drained().block();
        }
        if let Ok(guard) = self.group.guard_when_room().block() {
            drop(Self::seat(&self.inside, guard));
        }
    }

    fn finale(&self) {
        self.group.close();
    }

    fn check(&self) -> Result<(), String> {
        has_ended(&self.group, &self.inside, &self.finalised)
    }

    fn state(&self) -> String {
        format!("{:?}", self.group)
    }
}
