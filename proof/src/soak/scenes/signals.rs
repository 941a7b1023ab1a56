//! A [`Signal`] that any thread closes.

use std::sync::Arc;

use winddown::Signal;

use super::tally::{Tally, same};
use super::{Scene, mortality, short};
use crate::random::Random;
use crate::soak::bag::Bag;

/// A signal with a value on the heap, and one without.
#[derive(Debug)]
pub(super) struct Signals {
    valued: Arc<Signal<Box<u64>>>,
    plain: Arc<Signal>,
    mortality: usize,
    /// How many closes were the first.
    firsts: Tally,
}

impl Signals {
    /// A new one.
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            valued: Arc::new(Signal::typed()),
            plain: Arc::default(),
            mortality: mortality(random),
            firsts: Tally::default(),
        }
    }

    fn close(&self, value: u64) {
        if self.valued.close_with(Box::new(value)).is_ok() {
            self.firsts.up();
            assert_eq!(self.valued.get().map(|it| **it), Some(value), "its first closer's value");
        }
        assert!(self.valued.is_closed());
        if self.plain.close() {
            self.firsts.up();
        }
        assert!(self.plain.is_closed());
    }
}

impl Scene for Signals {
    fn name(&self) -> &'static str {
        "signal"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        if random.one_in(self.mortality) {
            return self.close(random.number());
        }
        let (valued, plain) = (&self.valued, &self.plain);
        match random.below(16) {
            0..=4 => bag.wait("closed", Signal::closed_in(Arc::clone(plain))),
            5..=7 => {
                let valued = Arc::clone(valued);
                bag.wait("value", async move {
                    let value = **Signal::value_in(Arc::clone(&valued)).await;
                    assert_eq!(valued.get().map(|it| **it), Some(value), "it never changes");
                });
            }
            8 => bag.wait("closed, with a value", Signal::closed_in(Arc::clone(valued))),
            9..=10 => {
                // Whichever comes first: the other is abandoned.
                let wait = Signal::closed_in(Arc::clone(plain));
                let wait = wait.until(Signal::closed_in(Arc::clone(valued)));
                bag.wait("one of two", async move {
                    let _ = wait.await;
                });
            }
            11 => {
                let _ = plain.closed().block_for(short(random));
            }
            12 => bag.keep(Arc::clone(valued)),
            _ => {
                let value = valued.get().map(|it| **it);
                assert!(value.is_none() || valued.is_closed());
                assert!(value.is_none() || valued.get().map(|it| **it) == value);
            }
        }
    }

    fn block(&self, random: &mut Random) {
        if random.one_in(2) {
            self.plain.closed().block();
        } else {
            let _ = self.valued.value().block();
        }
    }

    fn finale(&self) {
        self.close(0);
    }

    fn check(&self) -> Result<(), String> {
        same("first closers", self.firsts.now(), 2)
    }

    fn state(&self) -> String {
        format!("{:?}, {:?}", self.valued, self.plain)
    }
}
