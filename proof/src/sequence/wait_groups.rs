//! Sequences of calls of a `WaitGroup`.

use std::mem::forget;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use winddown::future::{Tracked, Wait};
use winddown::{Guard, WaitGroup};

use super::bytes::Bytes;
use super::values::{Told, Value, World};
use super::waits::{Form, Names, Waits, expect, plain, stoppable};
use super::{Actor, Wrong};
use crate::histories::probe::Lent;
use crate::model::wait_group::{self, MOST, Op, WAITS};
use crate::model::{Outcome, Possible, Refusal};

/// What keeps the count above zero.
enum Inside {
    Guard(Guard<Arc<WaitGroup>>),
    Tracked(Pin<Box<Tracked<Work, Guard<Arc<WaitGroup>>>>>, Told),
}

/// A future with a value, which must be dropped before the guard counts out.
pub(super) struct Work(
    pub(super) Told,
    #[expect(dead_code, reason = "it is there to be dropped")] pub(super) Value,
);

impl Future for Work {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> std::task::Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

pub(super) struct WaitGroups {
    group: Arc<WaitGroup>,
    possible: Possible<wait_group::WaitGroup>,
    inside: Vec<Inside>,
    waits: Waits<Op>,
}

impl Names for wait_group::WaitGroup {
    fn drop_wait(id: usize) -> Op {
        Op::DropWait(id)
    }

    fn must_be_woken(&self, id: usize) -> bool {
        self.must_be_woken(id)
    }
}

impl WaitGroups {
    pub(super) fn new() -> Self {
        Self {
            group: Arc::new(WaitGroup::new()),
            possible: Possible::new(wait_group::WaitGroup::default()),
            inside: Vec::new(),
            waits: Waits::new(WAITS),
        }
    }

    fn expect(&mut self, op: &Op, outcome: &Outcome) -> Result<(), Wrong> {
        expect(&mut self.possible, op, outcome)
    }

    fn add(&mut self, n: u64) -> Result<(), Wrong> {
        let outcome = entered(self.group.add(usize::try_from(n).unwrap_or(usize::MAX)).is_ok());
        self.expect(&Op::Add(n), &outcome)
    }

    fn guard(&mut self) -> Result<(), Wrong> {
        let guard = WaitGroup::try_guard_in(Arc::clone(&self.group));
        let outcome = entered(guard.is_ok());
        self.inside.extend(guard.ok().map(Inside::Guard));
        self.expect(&Op::Guard, &outcome)
    }

    /// Takes a guard away, in one of the ways.
    fn ends(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let Some(at) = bytes.of(&self.inside) else { return Ok(()) };
        let inside = self.inside.swap_remove(at);
        match (inside, bytes.below(6)) {
            (inside, 0) if world.leaks => {
                forget(inside);
                return Ok(());
            }
            (Inside::Guard(guard), 1 | 2) => drop(guard.leave()),
            (Inside::Guard(guard), 3) => {
                let told = Told::default();
                let work = Work(told.clone(), world.value(0));
                self.inside.push(Inside::Tracked(Box::pin(guard.track(work)), told));
                return Ok(());
            }
            (Inside::Tracked(mut tracked, told), 1..=4) => {
                told.tell();
                let poll = tracked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if poll.is_pending() {
                    return Err("a tracked future that is ready is pending".into());
                }
                // Counted out before this drop.
                self.expect(&Op::DropGuard, &Outcome::Unit)?;
                return self.expect(&Op::Count, &Outcome::Count(self.group.count()));
            }
            (inside, _) => drop(inside),
        }
        self.expect(&Op::DropGuard, &Outcome::Unit)
    }

    fn clone_guard(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        let Some(at) = bytes.of(&self.inside) else { return Ok(()) };
        let Inside::Guard(guard) = &self.inside[at] else { return Ok(()) };
        // A clone of a guard of a full group panics.
        if self.possible.any(|model| model.is_full()) {
            return Ok(());
        }
        let clone = guard.clone();
        self.inside.push(Inside::Guard(clone));
        self.expect(&Op::Guard, &Outcome::Ok)
    }

    fn wait(&mut self, bytes: &mut Bytes<'_>) {
        let Some(id) = self.waits.number() else { return };
        let (group, limit) = (Arc::clone(&self.group), Told::default());
        let owned = || WaitGroup::wait_in(Arc::clone(&group));
        let over = |()| Outcome::Ready;
        let (form, limit): (Box<dyn Form>, _) = match bytes.below(3) {
            0 => (plain(owned(), over, Wait::block_for), None),
            1 => (stoppable(owned().until(limit.clone()), over), Some(limit)),
            // SAFETY: the wait alone keeps the reference.
            _ => (lent(unsafe { Lent::new(group, |group| group.wait()) }), None),
        };
        self.waits.add(id, Op::Poll(id), form, limit);
    }

    fn looks(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        match bytes.below(3) {
            0 => self.expect(&Op::Count, &Outcome::Count(self.group.count())),
            1 => self.expect(&Op::IsIdle, &Outcome::Bool(self.group.is_idle())),
            _ => {
                let text = format!("{:?}", self.group);
                if text.contains("count") { Ok(()) } else { Err(text) }
            }
        }
    }
}

/// A borrowing wait, whose `block_for` takes it out of what keeps its group.
pub(super) fn lent<T: 'static>(wait: Lent<Wait<&'static WaitGroup>, T>) -> Box<dyn Form> {
    plain(wait, |()| Outcome::Ready, |wait, limit| wait.with(|wait| wait.block_for(limit)))
}

fn entered(entered: bool) -> Outcome {
    if entered { Outcome::Ok } else { Outcome::Refused(Refusal::Full) }
}

impl Actor for WaitGroups {
    fn call(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        match bytes.below(16) {
            0 => self.add(1 + bytes.below(3) as u64),
            1 => self.add([MOST, MOST - 1, MOST + 1, u64::MAX][bytes.below(4)]),
            2 | 3 => {
                let outcome = match self.group.done() {
                    Ok(()) => Outcome::Ok,
                    Err(_) => Outcome::Refused(Refusal::Unbalanced),
                };
                self.expect(&Op::Done, &outcome)
            }
            4 | 5 => self.guard(),
            6 => self.clone_guard(bytes),
            7 | 8 => self.ends(bytes, world),
            9 | 10 => {
                self.wait(bytes);
                Ok(())
            }
            11 => self.looks(bytes),
            _ => self.waits.call(bytes, world, &mut self.possible),
        }
    }

    fn wakers(&self, world: &World) -> Result<(), Wrong> {
        self.waits.wakers(world, &self.possible)
    }

    fn end(mut self: Box<Self>, world: &World) -> Result<(), Wrong> {
        while let Some(inside) = self.inside.pop() {
            drop(inside);
            self.expect(&Op::DropGuard, &Outcome::Unit)?;
            self.wakers(world)?;
        }
        self.expect(&Op::Count, &Outcome::Count(self.group.count()))?;
        self.waits.clear(&mut self.possible)
    }
}
