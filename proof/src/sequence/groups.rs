//! Sequences of calls of a family of groups.

use std::cell::RefCell;
use std::mem::forget;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use winddown::{ChildError, Reason, TaskGroup, TaskGuard};

use super::bytes::Bytes;
use super::handles::{Failing, Handle, Inside, Real};
use super::values::{Told, Value, World};
use super::wait_groups::Work;
use super::waits::{Names, Waits, expect};
use super::{Actor, Wrong};
use crate::histories::family::{builder, limit, refused};
use crate::histories::trees::TEXTS;
use crate::model::group::{self, Built, GROUPS, Op, WAITS};
use crate::model::{Outcome, Possible, Refusal};

mod forms;

/// A group's number.
type Id = u8;

pub(super) struct Groups {
    possible: Possible<group::Family>,
    groups: Vec<Real>,
    built: Vec<Built>,
    waits: Waits<Op>,
    /// What waits for a place were given.
    entered: Rc<RefCell<Vec<(Id, TaskGuard)>>>,
    /// The handles that waits have dropped, which the model has not heard of.
    dropped: Rc<RefCell<Vec<Id>>>,
}

impl Names for group::Family {
    fn drop_wait(id: usize) -> Op {
        Op::DropWait(id)
    }

    fn must_be_woken(&self, id: usize) -> bool {
        self.must_be_woken(id)
    }
}

const CLOSED: Outcome = Outcome::Refused(Refusal::Closed);

fn won(first: bool) -> Outcome {
    if first { Outcome::Ok } else { CLOSED }
}

impl Groups {
    pub(super) fn new() -> Self {
        Self {
            possible: Possible::new(group::Family::new(false)),
            groups: Vec::new(),
            built: Vec::new(),
            waits: Waits::new(WAITS),
            entered: Rc::default(),
            dropped: Rc::default(),
        }
    }

    fn expect(&mut self, op: &Op, outcome: &Outcome) -> Result<(), Wrong> {
        expect(&mut self.possible, op, outcome)
    }

    fn of(&mut self, group: Id) -> &mut Real {
        &mut self.groups[usize::from(group)]
    }

    fn pick(&self, bytes: &mut Bytes<'_>) -> Option<Id> {
        bytes.of(&self.groups).map(|at| at as Id)
    }

    /// A handle of the group, if there is one.
    fn handle(&mut self, group: Id) -> Option<Handle> {
        self.of(group).handle().cloned()
    }

    fn build(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        if self.groups.len() == GROUPS {
            return Ok(());
        }
        let mut built = Built::default();
        let other = self.pick(bytes).filter(|&other| self.of(other).handle().is_some());
        match (bytes.below(4), other) {
            (0, Some(parent)) => built.parent = Some(parent),
            (1, Some(link)) => built.links.push(link),
            _ => {}
        }
        if bytes.below(3) == 0 {
            built.limit = Some(1 + bytes.below(3) as u16);
        }
        if bytes.below(3) == 0 {
            built.errors = Some((bytes.below(4), bytes.coin()));
        }
        let finalised = Arc::new(AtomicUsize::new(0));
        let runs = Arc::clone(&finalised);
        let made = {
            let groups = &self.groups;
            let handle = |id: Id| groups[usize::from(id)].handle().expect("it was asked for");
            let builder = builder(&built, |link| handle(link).group().clone());
            let builder = builder.finally(move || {
                runs.fetch_add(1, Ordering::Relaxed);
            });
            make(builder, &built, built.parent.map(|parent| handle(parent).group()))
        };
        match made {
            Ok(handle) => {
                self.groups.push(Real::new(handle, finalised));
                self.built.push(built.clone());
                self.expect(&Op::Build(built), &Outcome::Ok)
            }
            Err(ChildError::Refused(why)) => self.expect(&Op::Build(built), &refused(why)),
            Err(other) => Err(other.to_string()),
        }
    }

    fn enter(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let Some(group) = self.pick(bytes) else { return Ok(()) };
        let error = bytes.coin().then(|| bytes.next());
        let entered = match self.of(group).errors() {
            Some(errors) if bytes.coin() => {
                let told = Told::default();
                let error = error.map(|error| world.value(error));
                let number = error.as_ref().map(|error| error.number);
                let tracked = errors.try_track(Failing { told: told.clone(), error });
                Some(tracked.map(|tracked| Inside::Failing(Box::pin(tracked), told, number)))
            }
            _ => self.of(group).enter(),
        };
        match entered {
            None => Ok(()),
            Some(Ok(inside)) => {
                self.of(group).inside.push(inside);
                self.expect(&Op::Guard(group), &Outcome::Ok)
            }
            Some(Err(why)) => self.expect(&Op::Guard(group), &refused(why)),
        }
    }

    /// Does something with what is inside.
    fn inside(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let Some(group) = self.pick(bytes) else { return Ok(()) };
        let Some(at) = bytes.of(&self.of(group).inside) else { return Ok(()) };
        let mut inside = self.of(group).inside.swap_remove(at);
        match (inside, bytes.below(8)) {
            (kept, 0) if world.leaks => {
                forget(kept);
                Ok(())
            }
            (Inside::Guard(guard), 1) => {
                let clone = guard.clone();
                self.of(group).inside.extend([Inside::Guard(guard), Inside::Guard(clone)]);
                self.expect(&Op::CloneGuard(group), &Outcome::Unit)
            }
            (Inside::Guard(guard), 2) => {
                let handle = Handle::Plain(Arc::new(guard.leave()));
                self.of(group).handles.insert(0, handle);
                self.expect(&Op::Leave(group), &Outcome::Unit)
            }
            (Inside::Guard(guard), 3) => {
                let told = Told::default();
                let work = Work(told.clone(), world.value(0));
                let tracked = Inside::Tracked(Box::pin(guard.track(work)), told);
                self.of(group).inside.push(tracked);
                Ok(())
            }
            (Inside::Guard(guard), 4) => {
                let handle = Handle::Plain(Arc::new(guard.group().clone()));
                self.of(group).inside.push(Inside::Guard(guard));
                self.of(group).handles.insert(0, handle);
                self.expect(&Op::CloneHandle(group), &Outcome::Unit)
            }
            (other @ (Inside::Tracked(..) | Inside::Failing(..)), 1..=5) => {
                inside = other;
                if !inside.is_over() {
                    return Err("a tracked future that is over is pending".into());
                }
                let op = match inside {
                    Inside::Failing(_, _, Some(error)) => Op::Fail(group, error),
                    _ => Op::DropGuard(group),
                };
                self.expect(&op, &Outcome::Unit)
            }
            (other, _) => {
                drop(other);
                self.expect(&Op::DropGuard(group), &Outcome::Unit)
            }
        }
    }

    fn handles(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        let Some(group) = self.pick(bytes) else { return Ok(()) };
        let real = self.of(group);
        let Some(at) = bytes.of(&real.handles) else { return Ok(()) };
        if bytes.below(3) == 0 && real.handles.len() < 4 {
            let another = real.handles[at].another();
            real.handles.push(another);
            return self.expect(&Op::CloneHandle(group), &Outcome::Unit);
        }
        if !real.handles[at].is_alone() {
            return Ok(());
        }
        drop(real.handles.swap_remove(at));
        self.expect(&Op::DropHandle(group), &Outcome::Unit)
    }

    fn levels(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        let Some(group) = self.pick(bytes) else { return Ok(()) };
        let Some(handle) = self.handle(group) else { return Ok(()) };
        let handle = handle.group();
        match bytes.below(8) {
            0 | 1 => self.expect(&Op::Close(group), &Outcome::Bool(handle.close())),
            2 => {
                let why = bytes.below(TEXTS.len());
                let first = handle.cancel_with(Reason::Message(TEXTS[why])).is_ok();
                self.expect(&Op::Cancel(group, why as u8), &won(first))
            }
            3..=5 => {
                let limit = 1 + bytes.below(4) as u16;
                let set = handle.set_limit(NonZeroUsize::new(limit.into()).expect("above zero"));
                let unlimited = Outcome::Refused(Refusal::Unlimited);
                let outcome = set.map_or(unlimited, |()| Outcome::Ok);
                self.expect(&Op::SetLimit(group, limit), &outcome)
            }
            _ => self.record(group, bytes.next(), world),
        }
    }

    fn record(&mut self, group: Id, error: u8, world: &World) -> Result<(), Wrong> {
        let Some(errors) = self.of(group).errors().cloned() else { return Ok(()) };
        match errors.record(world.value(error)) {
            Ok(()) => self.expect(&Op::Record(group, error), &Outcome::Ok),
            Err(back) if back.number == error => self.expect(&Op::Record(group, error), &CLOSED),
            Err(back) => Err(format!("a record gave {error} and got {} back", back.number)),
        }
    }

    fn looks(&mut self) -> Result<(), Wrong> {
        for group in 0..self.groups.len() as Id {
            let finalised = self.of(group).finalised();
            if finalised > 1 {
                return Err(format!("the finaliser of group {group} ran {finalised} times"));
            }
            self.expect(&Op::IsFinalised(group), &Outcome::Bool(finalised == 1))?;
            let Some(handle) = self.handle(group) else { continue };
            let handle = handle.group();
            self.expect(&Op::Len(group), &Outcome::Count(handle.len()))?;
            self.expect(&Op::Limit(group), &limit(handle))?;
            self.expect(&Op::IsClosed(group), &Outcome::Bool(handle.is_closed()))?;
            self.expect(&Op::IsCancelled(group), &Outcome::Bool(handle.is_cancelled()))?;
            self.expect(&Op::IsDrained(group), &Outcome::Bool(handle.is_drained()))?;
        }
        Ok(())
    }

    /// Takes over what waits have brought in, and the handles that they have dropped.
    fn settle(&mut self) -> Result<(), Wrong> {
        for (group, guard) in self.entered.take() {
            self.of(group).inside.push(Inside::Guard(guard));
        }
        for group in self.dropped.take() {
            self.expect(&Op::DropHandle(group), &Outcome::Unit)?;
        }
        Ok(())
    }
}

fn make(
    builder: winddown::TaskGroupBuilder,
    built: &Built,
    parent: Option<&TaskGroup>,
) -> Result<Handle, ChildError> {
    let failed = |_: &Value| Reason::Failed;
    Ok(match (built.errors, parent) {
        (None, None) => Handle::Plain(Arc::new(builder.build())),
        (None, Some(parent)) => Handle::Plain(Arc::new(parent.child_with(builder)?)),
        (Some(_), None) => Handle::Fallible(Arc::new(builder.build_err())),
        (Some(_), Some(parent)) => {
            Handle::Fallible(Arc::new(parent.child_err_with(builder, failed)?))
        }
    })
}

impl Actor for Groups {
    fn call(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
        match bytes.below(20) {
            _ if self.groups.is_empty() => self.build(bytes),
            0 => self.build(bytes),
            1..=4 => self.enter(bytes, world),
            5..=7 => self.inside(bytes, world),
            8 => self.handles(bytes),
            9 | 10 => self.levels(bytes, world),
            11..=13 => self.wait(bytes),
            _ => self.waits.call(bytes, world, &mut self.possible),
        }?;
        self.settle()?;
        self.looks()
    }

    fn wakers(&self, world: &World) -> Result<(), Wrong> {
        self.waits.wakers(world, &self.possible)
    }

    /// In the order: all doors, all that is inside, all waits, all handles.
    fn end(mut self: Box<Self>, world: &World) -> Result<(), Wrong> {
        for group in 0..self.groups.len() as Id {
            if let Some(handle) = self.handle(group) {
                let closed = handle.group().close();
                self.expect(&Op::Close(group), &Outcome::Bool(closed))?;
                self.wakers(world)?;
            }
            while let Some(inside) = self.of(group).inside.pop() {
                drop(inside);
                self.expect(&Op::DropGuard(group), &Outcome::Unit)?;
                self.wakers(world)?;
            }
        }
        self.waits.clear(&mut self.possible)?;
        self.settle()?;
        self.looks()?;
        for group in 0..self.groups.len() as Id {
            while let Some(handle) = self.of(group).handles.pop() {
                drop(handle);
                self.expect(&Op::DropHandle(group), &Outcome::Unit)?;
            }
        }
        self.looks()
    }
}
