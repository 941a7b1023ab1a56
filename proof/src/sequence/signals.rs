//! Sequences of calls of a `Signal`, with a value that has a drop, and without any.

use std::sync::Arc;

use winddown::Signal;
use winddown::future::{WaitClosed, WaitValue, WaitValueIn};

use super::bytes::Bytes;
use super::values::{Told, Value, World};
use super::waits::{Form, Names, Waits, expect, plain, stoppable};
use super::{Actor, Wrong};
use crate::histories::probe::Lent;
use crate::model::signal::{self, Op, WAITS};
use crate::model::{Outcome, Possible, Refusal};

/// What a signal is closed with.
pub(super) trait Content: Sized + 'static {
    const IN_ONE_STEP: bool;

    fn make(number: u8, world: &World) -> Self;

    fn number(&self) -> u8;
}

impl Content for () {
    const IN_ONE_STEP: bool = true;

    fn make(_: u8, _: &World) {}

    fn number(&self) -> u8 {
        0
    }
}

impl Content for Value {
    const IN_ONE_STEP: bool = false;

    fn make(number: u8, world: &World) -> Self {
        world.value(number)
    }

    fn number(&self) -> u8 {
        self.number
    }
}

pub(super) struct Signals<T: Content> {
    signal: Arc<Signal<T>>,
    possible: Possible<signal::Signal>,
    waits: Waits<Op>,
}

impl Names for signal::Signal {
    fn drop_wait(id: usize) -> Op {
        Op::DropWait(id)
    }

    fn must_be_woken(&self, id: usize) -> bool {
        self.must_be_woken(id)
    }
}

impl<T: Content> Signals<T> {
    pub(super) fn new() -> Self {
        Self {
            signal: Arc::new(Signal::typed()),
            possible: Possible::new(signal::Signal::new(T::IN_ONE_STEP)),
            waits: Waits::new(WAITS),
        }
    }

    fn expect(&mut self, op: &Op, outcome: &Outcome) -> Result<(), Wrong> {
        expect(&mut self.possible, op, outcome)
    }

    fn close(&mut self, number: u8, world: &World) -> Result<(), Wrong> {
        let number = if T::IN_ONE_STEP { 0 } else { number };
        let outcome = match self.signal.close_with(T::make(number, world)) {
            Ok(()) => Outcome::Ok,
            Err(back) if back.number() == number => Outcome::Refused(Refusal::Closed),
            Err(back) => {
                return Err(format!("a closer gave {number} and got {} back", back.number()));
            }
        };
        self.expect(&Op::CloseWith(number), &outcome)
    }

    fn wait(&mut self, bytes: &mut Bytes<'_>) {
        let Some(id) = self.waits.number() else { return };
        let (signal, limit) = (Arc::clone(&self.signal), Told::default());
        let owned = || Signal::closed_in(Arc::clone(&signal));
        let over = |()| Outcome::Ready;
        let (form, limit): (Box<dyn Form>, _) = match bytes.below(5) {
            0 => (plain(owned(), over, WaitClosed::block_for), None),
            1 => (stoppable(owned().until(limit.clone()), over), Some(limit)),
            2 => {
                let meaning = |value: winddown::future::Value<Arc<Signal<T>>>| {
                    value.number();
                    Outcome::Ready
                };
                (plain(Signal::value_in(signal), meaning, WaitValueIn::block_for), None)
            }
            3 => {
                // SAFETY: the wait alone keeps the reference.
                let wait = unsafe { Lent::new(signal, |signal| signal.value()) };
                let meaning = |value: &'static T| {
                    value.number();
                    Outcome::Ready
                };
                let block = |wait: Lent<WaitValue<'static, T>, _>, limit| {
                    wait.with(|wait| wait.block_for(limit))
                };
                (plain(wait, meaning, block), None)
            }
            _ => {
                // SAFETY: as above.
                let wait = unsafe { Lent::new(signal, |signal| signal.closed()) };
                let block = |wait: Lent<WaitClosed<&'static Signal<T>>, _>, limit| {
                    wait.with(|wait| wait.block_for(limit))
                };
                (plain(wait, over, block), None)
            }
        };
        self.waits.add(id, Op::Poll(id), form, limit);
    }

    /// Opens the signal again, if nobody else has it.
    fn reset(&mut self) -> Result<(), Wrong> {
        let Some(signal) = Arc::get_mut(&mut self.signal) else { return Ok(()) };
        let value = signal.reset().map(|value| value.number());
        self.expect(&Op::Get, &Outcome::Value(value))?;
        self.possible = Possible::new(signal::Signal::new(T::IN_ONE_STEP));
        Ok(())
    }
}

impl<T: Content> Actor for Signals<T> {
    fn call(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        match bytes.below(16) {
            0 => self.close(bytes.next(), world),
            1 => {
                let value = self.signal.get().map(T::number);
                self.expect(&Op::Get, &Outcome::Value(value))
            }
            2 => self.expect(&Op::IsClosed, &Outcome::Bool(self.signal.is_closed())),
            3 => self.reset(),
            4..=6 => {
                self.wait(bytes);
                Ok(())
            }
            _ => self.waits.call(bytes, world, &mut self.possible),
        }
    }

    fn wakers(&self, world: &World) -> Result<(), Wrong> {
        self.waits.wakers(world, &self.possible)
    }

    fn end(mut self: Box<Self>, world: &World) -> Result<(), Wrong> {
        self.close(1, world)?;
        self.wakers(world)?;
        self.waits.clear(&mut self.possible)
    }
}
