//! How many are inside a group, whether its door is open, and the one end of both.
//!
//! **Invariant: closed with nobody inside is reached once**, by one step of one word ([`word`]), and
//! never left; whoever made that step ends the group. Nobody enters from outside once the word is
//! closed; a join-in is asked by one who is inside.
//!
//! A task that leaves without being the last must not touch the population any more: it may be gone. Hence
//! the step that counts a task out is the last access of its caller, and works on a raw pointer (rule 19).
//!
//! Edges:
//!
//! * **A** (leave to end): what was done inside is seen by whoever makes the last step. Every leave
//!   releases, and only read-modify-writes of the word lie between.
//! * **D** (close to refused): what came before a close is seen by whoever is refused, and who sees
//!   the door closed enters nowhere afterwards: one word has both.

mod limited;
mod sharded;
mod word;

use core::fmt;
use core::num::NonZeroUsize;

use crate::deferred::Deferred;
use crate::error::Refused;
use crate::sync::{Arc, AtomicUsize, Line, Ordering, fence};
use sharded::Sharded;
use word::{CLOSED, ONE, Word};

pub(crate) use limited::{GivenUp, Limited, Outcome, Queued};

/// The count of a group.
pub(crate) struct Population {
    /// Alone on its cache line.
    form: Line<Form>,
}

enum Form {
    /// All count in one word.
    Plain(AtomicUsize),
    /// All count in one word, up to a limit, and some wait for a place. By reference, for a server that
    /// is still at work when the group is gone.
    Limited(Arc<Limited>),
    /// Each core counts on its own line until the door closes.
    Sharded(Sharded),
}

/// What a step out, or a close, has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Exit {
    /// Nothing to do; for a task that left: nothing to touch either.
    NotLast,
    /// The population is closed and empty, by this step.
    Last,
}

impl Exit {
    /// Of two steps of one operation, of which one at most is the last.
    pub(crate) fn or(self, other: Self) -> Self {
        if let Self::Last = self { self } else { other }
    }
}

impl Population {
    pub(crate) fn new(limit: Option<NonZeroUsize>, is_sharded: bool) -> Self {
        let sharded = if is_sharded && limit.is_none() { Sharded::new() } else { None };
        let form = match (limit, sharded) {
            (Some(limit), _) => Form::Limited(Arc::new(Limited::new(limit))),
            (None, Some(sharded)) => Form::Sharded(sharded),
            (None, None) => Form::Plain(AtomicUsize::new(Word::EMPTY.0)),
        };
        Self { form: Line(form) }
    }

    /// Whether the door was closed here. (Who is above may have closed it too.)
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        match &self.form.0 {
            Form::Plain(word) => load(word).is_closed(),
            Form::Limited(limited) => limited.is_closed(),
            Form::Sharded(sharded) => load(&sharded.word).is_closed(),
        }
    }

    /// How many are inside: a snapshot.
    pub(crate) fn len(&self) -> usize {
        match &self.form.0 {
            Form::Plain(word) => load(word).count(),
            Form::Limited(limited) => limited.count(),
            Form::Sharded(sharded) => sharded.len(),
        }
    }

    /// What a wait for a place, or a new limit, needs.
    pub(crate) fn limited(&self) -> Option<&Limited> {
        match &self.form.0 {
            Form::Limited(limited) => Some(limited),
            Form::Plain(_) | Form::Sharded(_) => None,
        }
    }

    /// Goes in by the door.
    #[inline]
    pub(crate) fn enter(&self) -> Result<(), Refused> {
        match &self.form.0 {
            Form::Plain(word) => enter(word),
            Form::Limited(limited) => limited.enter(),
            Form::Sharded(sharded) => sharded.enter(),
        }
    }

    /// Goes in by the side of somebody who is inside during the call: past the door and the limit.
    #[inline]
    pub(crate) fn join_in(&self) -> Result<(), Refused> {
        match &self.form.0 {
            Form::Plain(word) => join_in(word),
            Form::Limited(limited) => limited.join_in(),
            Form::Sharded(sharded) => {
                sharded.join_in();
                Ok(())
            }
        }
    }

    /// Goes out; or passes the place on, which may wake a wait. Nothing of the population may be touched
    /// after `NotLast`.
    ///
    /// # Safety
    ///
    /// The caller's own count keeps `this` until this gives it up.
    #[inline]
    pub(crate) unsafe fn leave(this: *const Self, deferred: &mut Deferred) -> Exit {
        // SAFETY: the caller's promise, here and below; each form works on a raw pointer.
        match unsafe { &(*this).form.0 } {
            Form::Plain(word) => {
                let word = &raw const *word;
                // SAFETY: as above.
                unsafe { leave(word) }
            }
            Form::Limited(limited) => {
                let limited = Arc::as_ptr(limited);
                // SAFETY: as above.
                unsafe { Limited::leave(limited, deferred) }
            }
            Form::Sharded(sharded) => {
                let sharded = &raw const *sharded;
                // SAFETY: as above.
                unsafe { Sharded::leave(sharded) }
            }
        }
    }

    /// Whether leaving may wake somebody.
    #[inline]
    pub(crate) fn has_queue(&self) -> bool {
        self.limited().is_some()
    }

    /// Closes the door, and dismisses the waits for a place. None if it was closed already; `Last` if
    /// nobody is inside.
    pub(crate) fn close(&self, deferred: &mut Deferred) -> Option<Exit> {
        match &self.form.0 {
            Form::Plain(word) => close(word).map(last_if),
            Form::Limited(limited) => limited.close(deferred),
            Form::Sharded(sharded) => sharded.close(),
        }
    }
}

#[inline]
fn load(word: &AtomicUsize) -> Word {
    // D: a closed word acquires what came before the close.
    Word(word.load(Ordering::Acquire))
}

#[inline]
fn enter(word: &AtomicUsize) -> Result<(), Refused> {
    let mut now = load(word);
    loop {
        let next = now.enter()?;
        // Relaxed: entering publishes nothing; a read-modify-write keeps the sequences of A.
        match word.compare_exchange_weak(now.0, next.0, Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) => return Ok(()),
            Err(other) => now = Word(other),
        }
    }
}

#[inline]
fn join_in(word: &AtomicUsize) -> Result<(), Refused> {
    load(word).has_margin()?;
    // Relaxed: as in `enter`. The count is above zero, since somebody is inside.
    word.fetch_add(ONE, Ordering::Relaxed);
    Ok(())
}

/// # Safety
///
/// The caller's own count keeps `word` until this gives it up.
#[inline]
unsafe fn leave(word: *const AtomicUsize) -> Exit {
    // A: publishes what was done inside.
    // SAFETY: the caller's promise; nothing is touched after it.
    let before = unsafe { &*word }.fetch_sub(ONE, Ordering::Release);
    last_if(Word(before - ONE))
}

/// The closed word, for the first who closes.
fn close(word: &AtomicUsize) -> Option<Word> {
    // D: publishes what came before, and acquires what came before the first close.
    let before = Word(word.fetch_or(CLOSED, Ordering::AcqRel));
    (!before.is_closed()).then_some(Word(before.0 | CLOSED))
}

/// What follows from a step that left `now` in the word.
#[inline]
fn last_if(now: Word) -> Exit {
    if !now.is_over() {
        return Exit::NotLast;
    }
    // A: acquires what all did who left before.
    fence(Ordering::Acquire);
    Exit::Last
}

impl fmt::Debug for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Population").field("len", &self.len()).finish_non_exhaustive()
    }
}
