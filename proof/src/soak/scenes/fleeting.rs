//! Groups that come and go: each is replaced, and so freed, while tasks are inside it and others enter.

use std::mem;
use std::sync::{Arc, Mutex};

use winddown::TaskGroup;

use super::tally::{Tally, same};
use super::{Scene, mortality};
use crate::random::Random;
use crate::soak::bag::Bag;

/// A place with a group in it.
pub(super) struct Fleeting {
    group: Mutex<TaskGroup>,
    built: Tally,
    finalised: Arc<Tally>,
    mortality: usize,
}

fn build(finalised: &Arc<Tally>) -> TaskGroup {
    let finalised = Arc::clone(finalised);
    let count = move || {
        finalised.up();
    };
    TaskGroup::builder().finally(count).build()
}

impl Fleeting {
    /// A new one.
    pub(super) fn new(random: &mut Random) -> Self {
        let (finalised, built) = (Arc::default(), Tally::default());
        let group = Mutex::new(build(&finalised));
        built.up();
        Self { group, built, finalised, mortality: mortality(random).min(200) / 10 }
    }

    fn now(&self) -> TaskGroup {
        self.group.lock().unwrap().clone()
    }

    /// The last handle of the old group may be gone behind this, or a guard is its last holder.
    fn replace(&self) {
        self.built.up();
        let next = build(&self.finalised);
        drop(mem::replace(&mut *self.group.lock().unwrap(), next));
    }
}

impl Scene for Fleeting {
    fn name(&self) -> &'static str {
        "fleeting"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        if random.one_in(self.mortality) {
            return self.replace();
        }
        let group = self.now();
        match random.below(12) {
            0..=4 => drop(group.guard()),
            5..=7 => bag.keep(group.guard()),
            8 => bag.keep(group.guard().map(|guard| (guard.clone(), guard.leave()))),
            9 => {
                let never = group.closing().clone();
                bag.wait("closed", never.cancelled_owned());
            }
            10 => {
                // Closes it under the others.
                group.close();
                bag.wait("drained", group.drained_owned());
            }
            _ => bag.keep(group),
        }
    }

    fn block(&self, _: &mut Random) {
        // The wait lends the door alone: the group may be freed meanwhile.
        let closing = self.now().closing().clone();
        closing.cancelled().block();
    }

    fn finale(&self) {
        self.replace();
        self.now().close();
    }

    fn check(&self) -> Result<(), String> {
        same("runs of finalisers", self.finalised.now(), self.built.now())
    }

    fn state(&self) -> String {
        format!("{:?}", self.now())
    }
}
