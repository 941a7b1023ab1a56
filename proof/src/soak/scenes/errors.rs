//! An [`ErrGroup`] whose tasks fail.

use winddown::{ErrGroup, TaskGroup};

use super::tally::{Tally, same};
use super::{Scene, mortality, short};
use crate::random::Random;
use crate::soak::bag::Bag;

/// An error on the heap.
type Error = Box<u64>;

/// The group.
pub(super) struct Errors {
    errors: ErrGroup<Error>,
    /// How many errors were taken, kept or not.
    recorded: Tally,
    mortality: usize,
}

impl Errors {
    /// A new one.
    pub(super) fn new(random: &mut Random) -> Self {
        let builder = TaskGroup::builder().keep_errors(random.below(5));
        let builder = builder.cancel_on_error(random.one_in(4));
        let errors = builder.build_err();
        Self { errors, recorded: Tally::default(), mortality: mortality(random) }
    }

    fn task(&self, random: &mut Random, bag: &mut Bag) {
        let (fails, number) = (random.one_in(4), random.number());
        let outcome = move || if fails { Err(Box::new(number)) } else { Ok(()) };
        if random.one_in(2) {
            // It ends here, so what it gives is counted.
            let task = self.errors.try_track(std::future::ready(outcome()));
            if let (Ok(mut task), true) = (task, fails) {
                self.recorded.up();
                let _ = std::pin::Pin::new(&mut task)
                    .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            }
        } else {
            // It ends well, once it is told.
            let token = self.errors.group().token().clone();
            let task = self.errors.try_track(async move {
                token.cancelled().await;
                Ok(())
            });
            if let Ok(task) = task {
                bag.wait_inside("a task that waits for the cancel", task);
            }
        }
    }
}

impl Scene for Errors {
    fn name(&self) -> &'static str {
        "err-group"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        let group = self.errors.group();
        if random.one_in(self.mortality) {
            match random.below(3) {
                0 => _ = group.close(),
                1 => _ = group.cancel(),
                // This closes it.
                _ => drop(self.errors.join().block_for(short(random))),
            }
            return;
        }
        match random.below(16) {
            0..=5 => self.task(random, bag),
            6 => {
                if self.errors.record(Box::new(random.number())).is_ok() {
                    self.recorded.up();
                }
            }
            7..=9 => {
                let errors = self.errors.clone();
                bag.wait("the errors", async move {
                    errors.group().drained().await;
                    drop(errors.join().await);
                });
            }
            10 => {
                let _ = group.drained().block_for(short(random));
            }
            11 => bag.wait("drained", group.clone().drained_owned()),
            12 => bag.keep(self.errors.clone()),
            _ => {
                if let Ok(guard) = group.guard() {
                    bag.keep(guard);
                }
            }
        }
    }

    fn block(&self, _: &mut Random) {
        self.errors.group().drained().block();
        drop(self.errors.join().block());
    }

    fn finale(&self) {
        self.errors.group().close();
        self.errors.group().cancel();
    }

    fn check(&self) -> Result<(), String> {
        let given = match self.errors.join().block() {
            Ok(()) => 0,
            Err(errors) => errors.iter().count() + errors.dropped(),
        };
        same("errors", given, self.recorded.now())?;
        same("length", self.errors.group().len(), 0)
    }

    fn state(&self) -> String {
        format!("{:?}", self.errors)
    }
}
