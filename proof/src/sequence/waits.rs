//! The waits of an object: in each form, polled by any task, moved, dropped and forgotten.

use std::mem::forget;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use winddown::Unfinished;

use super::bytes::Bytes;
use super::values::{TASKS, Told, World};
use super::{Wrong, trace};
use crate::model::{Model, Outcome, Possible};

/// What a poll or a block gives.
pub(super) enum Got {
    Outcome(Outcome),
    /// The limit came first.
    Stopped,
}

/// A wait in one of its forms.
pub(super) trait Form {
    fn poll(&mut self, cx: &mut Context<'_>) -> Got;

    /// Blocks for no time at all.
    fn block(self: Box<Self>) -> Got;
}

/// What a wait's output means.
type Meaning<T> = Box<dyn Fn(T) -> Outcome>;
/// `block_for` of a wait, which has no trait.
type Block<W, T> = fn(W, Duration) -> Result<T, Unfinished>;

struct Plain<W: Future> {
    wait: W,
    meaning: Meaning<W::Output>,
    block: Block<W, W::Output>,
}

impl<W: Future + Unpin> Form for Plain<W> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Got {
        Got::Outcome(match Pin::new(&mut self.wait).poll(cx) {
            Poll::Ready(output) => (self.meaning)(output),
            Poll::Pending => Outcome::Pending,
        })
    }

    fn block(self: Box<Self>) -> Got {
        match (self.block)(self.wait, Duration::ZERO) {
            Ok(output) => Got::Outcome((self.meaning)(output)),
            Err(_) => Got::Outcome(Outcome::Pending),
        }
    }
}

struct Stoppable<W, T> {
    wait: W,
    meaning: Meaning<T>,
}

impl<W, T> Form for Stoppable<W, T>
where
    W: Future<Output = Result<T, Unfinished>> + Unpin,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Got {
        match Pin::new(&mut self.wait).poll(cx) {
            Poll::Ready(Ok(output)) => Got::Outcome((self.meaning)(output)),
            Poll::Ready(Err(_)) => Got::Stopped,
            Poll::Pending => Got::Outcome(Outcome::Pending),
        }
    }

    fn block(mut self: Box<Self>) -> Got {
        self.poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}

/// A form of a wait, and what stops it.
pub(super) fn plain<W>(
    wait: W,
    meaning: impl Fn(W::Output) -> Outcome + 'static,
    block: Block<W, W::Output>,
) -> Box<dyn Form>
where
    W: Future + Unpin + 'static,
{
    Box::new(Plain { wait, meaning: Box::new(meaning), block })
}

/// A wait that was given a limit by `until`.
pub(super) fn stoppable<W, T: 'static>(
    wait: W,
    meaning: impl Fn(T) -> Outcome + 'static,
) -> Box<dyn Form>
where
    W: Future<Output = Result<T, Unfinished>> + Unpin + 'static,
{
    Box::new(Stoppable { wait, meaning: Box::new(meaning) })
}

/// One wait of an object.
pub(super) struct Entry<O> {
    /// Its number in the model.
    id: usize,
    form: Box<dyn Form>,
    /// The call of the model that is a poll of it.
    poll: O,
    limit: Option<Told>,
    /// The limit is looked at before the wait (rule 20).
    begins: bool,
    /// The wait cannot be polled once it was ready.
    once: bool,
    /// The task of the last poll, and how often it was woken before that, if that poll was pending.
    parked: Option<(usize, usize)>,
}

/// The waits of an object.
pub(super) struct Waits<O> {
    entries: Vec<Entry<O>>,
    used: Vec<bool>,
}

/// How the calls of an object name the drop of a wait.
pub(super) trait Names: Model {
    fn drop_wait(id: usize) -> Self::Op;
    fn must_be_woken(&self, id: usize) -> bool;
}

/// Takes what the call gave into the model.
pub(super) fn expect<M: Model>(
    possible: &mut Possible<M>,
    op: &M::Op,
    outcome: &Outcome,
) -> Result<(), Wrong> {
    let before = possible.clone();
    let explained = possible.explains(op, outcome);
    if !explained || !M::only_looks(op) {
        trace::note(op, outcome);
    }
    if explained {
        return Ok(());
    }
    Err(format!("{op:?} gave {outcome:?}; the model was {before:?}"))
}

impl<O: Clone> Waits<O> {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: Vec::new(), used: vec![false; most] }
    }

    /// The number of one more wait, if there may be one.
    pub(super) fn number(&self) -> Option<usize> {
        self.used.iter().position(|used| !used)
    }

    pub(super) fn add(
        &mut self,
        id: usize,
        poll: O,
        form: Box<dyn Form>,
        limit: Option<Told>,
    ) -> &mut Entry<O> {
        self.used[id] = true;
        let entry = Entry { id, form, poll, limit, begins: false, once: false, parked: None };
        self.entries.push(entry);
        self.entries.last_mut().expect("it was just pushed")
    }

    /// Does one of the things that can be done with a wait.
    pub(super) fn call<M: Names<Op = O>>(
        &mut self,
        bytes: &mut Bytes<'_>,
        world: &World,
        possible: &mut Possible<M>,
    ) -> Result<(), Wrong> {
        let Some(at) = bytes.of(&self.entries) else { return Ok(()) };
        match bytes.below(10) {
            0 => self.drop_one(at, possible),
            1 => {
                let with = bytes.below(self.entries.len());
                self.entries.swap(at, with);
                Ok(())
            }
            2 => self.block(at, possible),
            3 => {
                if let Some(limit) = &self.entries[at].limit {
                    limit.tell();
                }
                Ok(())
            }
            4 if world.leaks => {
                // Its number stays used, and the model goes on with it: a wait that nobody polls.
                forget(self.entries.swap_remove(at));
                Ok(())
            }
            _ => self.poll(at, bytes.below(TASKS), world, possible),
        }
    }

    fn poll<M: Names<Op = O>>(
        &mut self,
        at: usize,
        task: usize,
        world: &World,
        possible: &mut Possible<M>,
    ) -> Result<(), Wrong> {
        let entry = &mut self.entries[at];
        let woken = world.woken(task);
        let waker = world.waker(task);
        let got = entry.form.poll(&mut Context::from_waker(&waker));
        entry.parked = None;
        match &got {
            Got::Outcome(Outcome::Pending) => entry.parked = Some((task, woken)),
            Got::Outcome(_) if entry.once || entry.limit.is_some() => {
                // It is over and gone, and the drop of what is left of it means nothing.
                entry.explain(got, possible)?;
                return self.drop_one(at, possible);
            }
            Got::Outcome(_) => {}
            Got::Stopped => {
                entry.explain(got, possible)?;
                return self.drop_one(at, possible);
            }
        }
        entry.explain(got, possible)
    }

    fn block<M: Names<Op = O>>(
        &mut self,
        at: usize,
        possible: &mut Possible<M>,
    ) -> Result<(), Wrong> {
        let entry = self.entries.swap_remove(at);
        self.used[entry.id] = false;
        let Entry { id, form, poll, limit, begins, .. } = entry;
        let got = form.block();
        let over = Entry {
            id,
            form: Box::new(Over),
            poll,
            limit: limit.clone(),
            begins,
            once: true,
            parked: None,
        };
        // A wait that begins something looks at the time first, so it gives up its turn.
        let gives_up = begins && limit.is_none();
        if !(gives_up && matches!(got, Got::Outcome(Outcome::Pending))) {
            over.explain(got, possible)?;
        }
        expect(possible, &M::drop_wait(id), &Outcome::Unit)
    }

    fn drop_one<M: Names<Op = O>>(
        &mut self,
        at: usize,
        possible: &mut Possible<M>,
    ) -> Result<(), Wrong> {
        let entry = self.entries.swap_remove(at);
        self.used[entry.id] = false;
        drop(entry.form);
        expect(possible, &M::drop_wait(entry.id), &Outcome::Unit)
    }

    /// Whether each wait that is over was woken.
    pub(super) fn wakers<M: Names<Op = O>>(
        &self,
        world: &World,
        possible: &Possible<M>,
    ) -> Result<(), Wrong> {
        for entry in &self.entries {
            let Some((task, before)) = entry.parked else { continue };
            let must = possible.all(|model| model.must_be_woken(entry.id));
            if must && world.woken(task) == before {
                return Err(format!("wait {} is over, and task {task} was not woken", entry.id));
            }
        }
        Ok(())
    }

    pub(super) fn clear<M: Names<Op = O>>(
        &mut self,
        possible: &mut Possible<M>,
    ) -> Result<(), Wrong> {
        while !self.entries.is_empty() {
            self.drop_one(0, possible)?;
        }
        Ok(())
    }
}

struct Over;

impl Form for Over {
    fn poll(&mut self, _: &mut Context<'_>) -> Got {
        unreachable!("the wait is over and gone")
    }

    fn block(self: Box<Self>) -> Got {
        unreachable!("the wait is over and gone")
    }
}

impl<O> Entry<O> {
    /// A wait for a place: it begins something, and is ready once.
    pub(super) fn begins(&mut self) {
        self.begins = true;
        self.once = true;
    }

    /// Takes into the model what a poll gave.
    fn explain<M: Model<Op = O>>(&self, got: Got, possible: &mut Possible<M>) -> Result<(), Wrong> {
        let told = self.limit.as_ref().is_some_and(Told::is_told);
        match got {
            Got::Outcome(Outcome::Pending) if told => {
                Err(format!("wait {} is pending, and its limit has come", self.id))
            }
            Got::Outcome(Outcome::Ok) if told && self.begins => {
                Err(format!("wait {} began something behind its limit (rule 20)", self.id))
            }
            Got::Outcome(outcome) => expect(possible, &self.poll, &outcome),
            Got::Stopped if !told => Err(format!("wait {} was stopped by nothing", self.id)),
            // The limit of such a wait is looked at first, and what it waits for is not.
            Got::Stopped if self.begins => Ok(()),
            Got::Stopped => expect(possible, &self.poll, &Outcome::Pending),
        }
    }
}
