//! The waits of a group, in their forms.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use winddown::future::{WaitCancelled, WaitDrained, WaitErrors, WaitRoom};
use winddown::{CancelToken, ErrGroup, Errors, Refused, TaskGroup, TaskGuard, Unfinished};

use super::{Groups, Id};
use crate::histories::family::refused;
use crate::histories::probe::Lent;
use crate::model::Outcome;
use crate::model::group::Op;
use crate::sequence::Wrong;
use crate::sequence::bytes::Bytes;
use crate::sequence::handles::Handle;
use crate::sequence::values::{Told, Value};
use crate::sequence::waits::{Form, plain, stoppable};

/// A wait that owns a handle, with a word for the model when that goes.
struct Owning<W> {
    // Dropped first.
    wait: W,
    _gone: Gone,
}

struct Gone(Rc<RefCell<Vec<Id>>>, Id);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

impl<W: Future + Unpin> Future for Owning<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Output> {
        Pin::new(&mut self.wait).poll(cx)
    }
}

impl<W> Owning<W> {
    fn with<R>(self, then: impl FnOnce(W) -> R) -> R {
        let Self { wait, _gone } = self;
        then(wait)
    }
}

type Lending<W> = Lent<W, TaskGroup>;
type LendingErrors = Lent<WaitErrors<'static, Value>, ErrGroup<Value>>;
type Made = (Box<dyn Form>, Op, Option<Told>);

fn over((): ()) -> Outcome {
    Outcome::Ready
}

fn told(answer: Result<(), Errors<Value>>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Ready,
        Err(errors) => {
            let kept = errors.iter().map(|error| error.number).collect();
            Outcome::Errors(kept, errors.dropped())
        }
    }
}

impl Groups {
    pub(super) fn wait(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        let (Some(id), Some(group)) = (self.waits.number(), self.pick(bytes)) else {
            return Ok(());
        };
        let Some(handle) = self.handle(group) else { return Ok(()) };
        let (form, op, limit) = match (handle, bytes.below(9)) {
            (_, 0) => self.owned(id, group, bytes)?,
            (Handle::Plain(handle), 1 | 2) => lent(id, group, handle, bytes),
            (Handle::Fallible(errors), 1..=4) => lent_errors(id, group, errors),
            (_, 3 | 4) => return self.room(id, group, bytes),
            (Handle::Plain(handle), 5 | 6) => return self.room_lent(id, group, &handle),
            (handle, _) => {
                let token = handle.group().closing().clone();
                let wait = token.cancelled_owned();
                let block = WaitCancelled::<CancelToken>::block_for;
                (plain(wait, over, block), Op::PollClosed(id, group), None)
            }
        };
        self.waits.add(id, op, form, limit);
        Ok(())
    }

    /// A handle for a wait to own.
    fn own(&mut self, group: Id) -> Result<(TaskGroup, Gone), Wrong> {
        let handle = self.handle(group).expect("it was asked for").group().clone();
        self.expect(&Op::CloneHandle(group), &Outcome::Unit)?;
        Ok((handle, Gone(Rc::clone(&self.dropped), group)))
    }

    fn owned(&mut self, id: usize, group: Id, bytes: &mut Bytes<'_>) -> Result<Made, Wrong> {
        let (handle, gone) = self.own(group)?;
        let op = Op::PollDrained(id, group);
        if bytes.coin() {
            let wait = Owning { wait: handle.drained_owned(), _gone: gone };
            let block = |wait: Owning<WaitDrained>, limit| wait.with(|wait| wait.block_for(limit));
            return Ok((plain(wait, over, block), op, None));
        }
        let limit = Told::default();
        let wait = Owning { wait: handle.drained_owned().until(limit.clone()), _gone: gone };
        Ok((stoppable(wait, over), op, Some(limit)))
    }

    /// A wait for a place that owns its handle.
    fn room(&mut self, id: usize, group: Id, bytes: &mut Bytes<'_>) -> Result<(), Wrong> {
        let (handle, gone) = self.own(group)?;
        let wait = handle.guard_when_room_owned();
        let meaning = self.meaning(group);
        let (form, limit): (Box<dyn Form>, _) = if bytes.coin() {
            let block = |wait: Owning<WaitRoom>, limit| wait.with(|wait| wait.block_for(limit));
            (plain(Owning { wait, _gone: gone }, meaning, block), None)
        } else {
            let limit = Told::default();
            let wait = Owning { wait: wait.until(limit.clone()), _gone: gone };
            (stoppable(wait, meaning), Some(limit))
        };
        self.waits.add(id, Op::PollRoom(id, group), form, limit).begins();
        Ok(())
    }

    /// A wait for a place that borrows a handle.
    fn room_lent(&mut self, id: usize, group: Id, handle: &Arc<TaskGroup>) -> Result<(), Wrong> {
        type Wait = Lending<WaitRoom<&'static TaskGroup>>;
        // SAFETY: the wait alone keeps the reference.
        let wait: Wait = unsafe { Lent::new(Arc::clone(handle), |group| group.guard_when_room()) };
        let block = |wait: Wait, limit| wait.with(|wait| wait.block_for(limit));
        let form = plain(wait, self.meaning(group), block);
        self.waits.add(id, Op::PollRoom(id, group), form, None).begins();
        Ok(())
    }

    /// Where a guard goes that a wait gives.
    fn meaning(&self, group: Id) -> impl Fn(Result<TaskGuard, Refused>) -> Outcome + 'static {
        let entered = Rc::clone(&self.entered);
        move |answer| match answer {
            Ok(guard) => {
                entered.borrow_mut().push((group, guard));
                Outcome::Ok
            }
            Err(why) => refused(why),
        }
    }
}

fn lent(id: usize, group: Id, handle: Arc<TaskGroup>, bytes: &mut Bytes<'_>) -> Made {
    type Wait = Lending<WaitDrained<&'static TaskGroup>>;
    let block = |wait: Wait, limit: Duration| -> Result<(), Unfinished> {
        wait.with(|wait| wait.block_for(limit))
    };
    if bytes.coin() {
        // SAFETY: the wait alone keeps the reference.
        let wait: Wait = unsafe { Lent::new(handle, |group| group.join()) };
        return (plain(wait, over, block), Op::PollJoin(id, group), None);
    }
    // SAFETY: as above.
    let wait: Wait = unsafe { Lent::new(handle, |group| group.drained()) };
    (plain(wait, over, block), Op::PollDrained(id, group), None)
}

fn lent_errors(id: usize, group: Id, errors: Arc<ErrGroup<Value>>) -> Made {
    // SAFETY: the wait alone keeps the reference.
    let wait: LendingErrors = unsafe { Lent::new(errors, |errors| errors.join()) };
    let block = |wait: LendingErrors, limit| wait.with(|wait| wait.block_for(limit));
    (plain(wait, told, block), Op::PollErrors(id, group), None)
}
