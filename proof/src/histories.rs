//! Histories of real threads, checked against the models.
//!
//! Threads call one object at the same time. Each call is recorded with two stamps of one shared counter: one
//! before the call, one after its return. [`check`] then looks for an order of the steps of all calls, each step
//! between the stamps of its call, that the model allows. If there is none, the object has done something that
//! its documents do not allow.

pub mod campaign;
pub mod chaos;
pub mod check;
pub mod errors;
pub mod family;
pub mod groups;
pub mod lens;
pub mod places;
pub mod probe;
pub mod run;
pub mod shrink;
pub mod signals;
pub mod tasks;
pub mod trees;
pub mod wait_groups;

use crate::model::{Model, Outcome};
use crate::random::Random;

/// How many threads a history may have, the one that finishes it included.
pub const THREADS: usize = 8;

/// A call that has returned.
#[derive(Clone, Debug)]
pub struct Event<O> {
    /// The thread that called.
    pub thread: usize,
    /// The stamp before the call.
    pub called: u64,
    /// The stamp after the return.
    pub returned: u64,
    /// What was called.
    pub op: O,
    /// What came of it.
    pub outcome: Outcome,
}

/// An object that threads call at the same time.
pub trait Subject: Send + Sync {
    /// What it must behave like.
    type Model: Model<Op: Send + Sync> + Send;
    /// What one thread holds: its waits, and what it took from others.
    type Local: Send;

    /// Its state before the first call.
    fn model(&self) -> Self::Model;

    /// What the thread with this number holds at first.
    fn local(&self, thread: usize) -> Self::Local;

    /// Calls it. `around` is to be given the call itself, and stamps it. None if the call cannot be made now, as
    /// the drop of a guard that is not there.
    fn perform(
        &self,
        local: &mut Self::Local,
        op: &<Self::Model as Model>::Op,
        around: &mut dyn FnMut(&mut dyn FnMut() -> Outcome),
    );

    /// What else has to be true of a history, where the documents promise less than a model can say. A call that
    /// contradicts it, if there is one.
    fn contradicted(&self, _: &[EventOf<Self>]) -> Option<usize> {
        None
    }

    /// What is called when all threads are done, one after the other: it ends what goes on, and asks which wakers
    /// were woken. The waits of all threads are in `locals`, and the calls are made with the `Local` of their
    /// number.
    fn finale(&self) -> Vec<(usize, <Self::Model as Model>::Op)>;
}

/// How to make subjects of one kind, and what to call on them.
pub trait Kind: Sync {
    /// The subject.
    type Subject: Subject;

    /// Its name, for the command line.
    fn name(&self) -> &'static str;

    /// A new one. What it has may depend on `seed` alone.
    fn make(&self, seed: u64) -> Self::Subject;

    /// A call for a thread to make.
    fn op(&self, seed: u64, thread: usize, random: &mut Random) -> OpOf<Self>;
}

/// The events of a subject.
pub type EventOf<S> = Event<<<S as Subject>::Model as Model>::Op>;
/// The calls of a kind.
pub type OpOf<K> = <<<K as Kind>::Subject as Subject>::Model as Model>::Op;
/// The history of a kind.
pub type History<K> = Vec<Event<OpOf<K>>>;
