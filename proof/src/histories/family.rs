//! A family of real groups, called by several threads.

mod waits;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use waits::Wait;
use winddown::{ErrGroup, Reason, Refused, TaskGroup, TaskGroupBuilder, TaskGuard};

use super::probe::{Lent, Probed};
use super::tasks::Task;
use super::trees::TEXTS;
use super::{Event, Subject, lens};

use crate::model::group::{self, Built, GROUPS, Op, WAITS};
use crate::model::{Outcome, Refusal};
use crate::random::Random;

/// How many waits each thread has.
const EACH: usize = 3;

/// The groups, and the guards that the threads hold together.
#[derive(Debug)]
pub struct Shared {
    built: Vec<Built>,
    groups: Vec<Real>,
    inside: [Mutex<Vec<Inside>>; GROUPS],
    /// No more waits are made.
    finishing: AtomicBool,
}

#[derive(Debug)]
struct Real {
    group: TaskGroup,
    /// Of groups with errors.
    errors: Option<Arc<ErrGroup<u8>>>,
    finalised: Arc<AtomicUsize>,
}

/// What keeps a group from its end.
#[derive(Debug)]
enum Inside {
    Guard(TaskGuard),
    Task(Task),
}

/// The waits of one thread.
#[derive(Debug)]
pub struct Local {
    first: usize,
    waits: [Option<(u8, Wait)>; EACH],
}

/// A wait for a thread to call.
pub fn wait_of(thread: usize, random: &mut Random) -> usize {
    thread * EACH + random.below(EACH)
}

type Around<'a> = &'a mut dyn FnMut(&mut dyn FnMut() -> Outcome);

/// How a refusal is told.
pub fn refused(refused: Refused) -> Outcome {
    Outcome::Refused(match refused {
        Refused::Closed => Refusal::Closed,
        _ => Refusal::Full,
    })
}

/// How the limit of a group is told.
pub fn limit(group: &TaskGroup) -> Outcome {
    match group.limit() {
        Some(limit) => Outcome::Count(limit.get()),
        None => Outcome::Refused(Refusal::Unlimited),
    }
}

/// The builder that says what `built` says, but for the parent.
pub fn builder(built: &Built, link: impl Fn(u8) -> TaskGroup) -> TaskGroupBuilder {
    let mut builder = TaskGroup::builder();
    for &other in &built.links {
        builder = builder.link(&link(other));
    }
    if let Some(limit) = built.limit {
        builder = builder.limit(NonZeroUsize::new(limit.into()).expect("a limit is not zero"));
    }
    if let Some((keeps, cancels)) = built.errors {
        builder = builder.keep_errors(keeps).cancel_on_error(cancels);
    }
    builder
}

impl Real {
    fn new(built: &Built, before: &[Real]) -> Self {
        let finalised = Arc::new(AtomicUsize::new(0));
        let runs = Arc::clone(&finalised);
        let builder = builder(built, |other| before[usize::from(other)].group.clone());
        let builder = builder.finally(move || {
            runs.fetch_add(1, Ordering::AcqRel);
        });
        if built.errors.is_some() {
            let errors = builder.build_err();
            return Self {
                group: errors.group().clone(),
                errors: Some(Arc::new(errors)),
                finalised,
            };
        }
        let group = match built.parent {
            Some(parent) => {
                before[usize::from(parent)].group.child_with(builder).expect("it is open")
            }
            None => builder.build(),
        };
        Self { group, errors: None, finalised }
    }

    fn enter(&self) -> Result<Inside, Refused> {
        Ok(match &self.errors {
            Some(errors) => Inside::Task(Task::new(errors)?),
            None => Inside::Guard(self.group.guard()?),
        })
    }

    /// The calls that need nothing but the group.
    fn call(&self, op: &Op) -> Outcome {
        let group = &self.group;
        match *op {
            Op::Record(_, error) => {
                match self.errors.as_ref().expect("a group with errors").record(error) {
                    Ok(()) => Outcome::Ok,
                    Err(_) => Outcome::Refused(Refusal::Closed),
                }
            }
            Op::Close(_) => Outcome::Bool(group.close()),
            Op::Cancel(_, why) => match group.cancel_with(Reason::Message(TEXTS[usize::from(why)]))
            {
                Ok(()) => Outcome::Ok,
                Err(_) => Outcome::Refused(Refusal::Closed),
            },
            Op::SetLimit(_, limit) => {
                match group.set_limit(NonZeroUsize::new(limit.into()).expect("a limit is not zero"))
                {
                    Ok(()) => Outcome::Ok,
                    Err(_) => Outcome::Refused(Refusal::Unlimited),
                }
            }
            Op::Len(_) => Outcome::Count(group.len()),
            Op::Limit(_) => limit(group),
            Op::IsClosed(_) => Outcome::Bool(group.is_closed()),
            Op::IsCancelled(_) => Outcome::Bool(group.is_cancelled()),
            Op::IsDrained(_) => Outcome::Bool(group.is_drained()),
            Op::BlockFor(_) => match group.drained().block_for(Duration::from_micros(30)) {
                Ok(()) => Outcome::Ready,
                Err(_) => Outcome::Pending,
            },
            ref other => unreachable!("{other:?} is made elsewhere"),
        }
    }

    fn wait(&self, op: &Op) -> Wait {
        let group = self.group.clone();
        match op {
            Op::PollDrained(..) => Wait::Drained(Probed::new(group.drained_owned())),
            Op::PollRoom(..) => Wait::Room(Probed::new(group.guard_when_room_owned())),
            Op::PollClosed(..) => {
                Wait::Closed(Probed::new(group.closing().clone().cancelled_owned()))
            }
            Op::PollErrors(..) => {
                let errors = Arc::clone(self.errors.as_ref().expect("a group with errors"));
                // SAFETY: the wait alone keeps the reference.
                Wait::Errors(Probed::new(unsafe { Lent::new(errors, |errors| errors.join()) }))
            }
            _ => {
                // SAFETY: as above.
                let join = unsafe { Lent::new(Arc::new(group), |group| group.join()) };
                Wait::Join(Probed::new(join))
            }
        }
    }
}

impl Shared {
    /// Groups, built one after the other.
    pub fn new(built: &[Built]) -> Self {
        let mut groups = Vec::new();
        for built in built {
            groups.push(Real::new(built, &groups));
        }
        Self { built: built.to_vec(), groups, inside: Default::default(), finishing: false.into() }
    }

    fn enter(&self, group: u8, around: Around<'_>) {
        let mut entered = None;
        around(&mut || match self.groups[usize::from(group)].enter() {
            Ok(inside) => {
                entered = Some(inside);
                Outcome::Ok
            }
            Err(error) => refused(error),
        });
        self.inside[usize::from(group)].lock().unwrap().extend(entered);
    }

    fn take(&self, group: u8) -> Option<Inside> {
        self.inside[usize::from(group)].lock().unwrap().pop()
    }

    fn give(&self, group: u8, inside: Inside) {
        self.inside[usize::from(group)].lock().unwrap().push(inside);
    }

    /// The calls that take a guard.
    fn with_a_guard(&self, op: &Op, group: u8, around: Around<'_>) {
        let Some(inside) = self.take(group) else { return };
        match (op, inside) {
            (Op::CloneGuard(_), Inside::Guard(guard)) => {
                let mut clone = None;
                around(&mut || {
                    clone = Some(guard.clone());
                    Outcome::Unit
                });
                self.give(group, Inside::Guard(guard));
                self.inside[usize::from(group)].lock().unwrap().extend(clone.map(Inside::Guard));
            }
            (Op::Fail(_, error), Inside::Task(mut task)) => around(&mut || task.fail(*error)),
            (Op::DropGuard(_) | Op::Leave(_), inside) => {
                let mut inside = Some(inside);
                around(&mut || {
                    match (op, inside.take()) {
                        (Op::Leave(_), Some(Inside::Guard(guard))) => drop(guard.leave()),
                        (Op::Leave(_), Some(Inside::Task(mut task))) => task.succeed(),
                        (_, inside) => drop(inside),
                    }
                    Outcome::Unit
                });
            }
            (_, inside) => self.give(group, inside),
        }
    }

    fn poll(&self, local: &mut Local, op: &Op, wait: usize, group: u8, around: Around<'_>) {
        let slot = &mut local.waits[wait - local.first];
        if slot.is_none() && !self.finishing.load(Ordering::Relaxed) {
            *slot = Some((group, self.groups[usize::from(group)].wait(op)));
        }
        let Some((of, wait)) =
            slot.as_mut().filter(|(of, wait)| *of == group && wait.is_polled_by(op))
        else {
            return;
        };
        let (mut entered, of, mut is_over) = (None, *of, false);
        around(&mut || wait.poll(&mut entered, &mut is_over));
        self.inside[usize::from(of)].lock().unwrap().extend(entered.map(Inside::Guard));
        if is_over {
            *slot = None;
        }
    }
}

impl Subject for Shared {
    type Model = group::Family;
    type Local = Local;

    fn model(&self) -> group::Family {
        // Threads contend here, and may spread a count.
        self.built.iter().fold(group::Family::new(true), group::Family::with)
    }

    fn local(&self, thread: usize) -> Local {
        Local { first: thread * EACH, waits: Default::default() }
    }

    fn perform(&self, local: &mut Local, op: &Op, around: Around<'_>) {
        match *op {
            Op::Guard(group) => self.enter(group, around),
            Op::CloneGuard(group)
            | Op::DropGuard(group)
            | Op::Leave(group)
            | Op::Fail(group, _) => {
                self.with_a_guard(op, group, around);
            }
            Op::PollDrained(wait, group)
            | Op::PollJoin(wait, group)
            | Op::PollErrors(wait, group)
            | Op::PollClosed(wait, group)
            | Op::PollRoom(wait, group) => self.poll(local, op, wait, group, around),
            Op::DropWait(wait) => {
                let slot = &mut local.waits[wait - local.first];
                if slot.is_some() {
                    around(&mut || {
                        *slot = None;
                        Outcome::Unit
                    });
                }
            }
            Op::Woken(wait) => {
                let slot = &local.waits[wait - local.first];
                if let Some(woken) = slot.as_ref().and_then(|(_, wait)| wait.woken()) {
                    around(&mut || Outcome::Bool(woken));
                }
            }
            Op::Record(group, _)
            | Op::Close(group)
            | Op::Cancel(group, _)
            | Op::SetLimit(group, _)
            | Op::Len(group)
            | Op::Limit(group)
            | Op::IsClosed(group)
            | Op::IsCancelled(group)
            | Op::IsDrained(group)
            | Op::BlockFor(group) => around(&mut || self.groups[usize::from(group)].call(op)),
            Op::IsFinalised(group) => {
                let finalised = &self.groups[usize::from(group)].finalised;
                around(&mut || Outcome::Bool(finalised.load(Ordering::Acquire) == 1));
            }
            Op::Build(_) | Op::CloneHandle(_) | Op::DropHandle(_) => {}
        }
    }

    fn contradicted(&self, events: &[Event<Op>]) -> Option<usize> {
        let unlimited = self.built.iter().all(|built| built.limit.is_none());
        if unlimited { lens::contradicted(&self.built, events) } else { None }
    }

    /// Lets all waits for a place have one, or hear of the close; then all leave.
    fn finale(&self) -> Vec<(usize, Op)> {
        self.finishing.store(true, Ordering::Relaxed);
        let groups = 0..self.groups.len() as u8;
        let by_wait = |make: fn(usize) -> Op| (0..WAITS).map(move |wait| (wait / EACH, make(wait)));
        let rooms = || by_wait(|wait| Op::PollRoom(wait, 0));
        let mut calls: Vec<_> =
            by_wait(Op::Woken).chain(rooms()).chain(by_wait(Op::Woken)).collect();
        calls.extend(groups.clone().map(|group| (0, Op::Close(group))));
        calls.extend(by_wait(Op::Woken).chain(rooms()));
        for group in groups.clone().rev() {
            // Each wait may have got a place by now.
            let inside = self.inside[usize::from(group)].lock().unwrap().len() + WAITS;
            calls.extend((0..inside).map(|_| (0, Op::DropGuard(group))));
        }
        for group in groups {
            calls.extend([
                (0, Op::IsDrained(group)),
                (0, Op::IsFinalised(group)),
                (0, Op::Guard(group)),
            ]);
        }
        calls.extend(by_wait(Op::Woken));
        for poll in [Op::PollDrained as fn(usize, u8) -> Op, Op::PollErrors, Op::PollClosed] {
            for group in 0..self.groups.len() as u8 {
                calls.extend((0..WAITS).map(|wait| (wait / EACH, poll(wait, group))));
            }
        }
        calls
    }
}
