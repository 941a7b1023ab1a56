//! How many are inside a group, whether its door is open, and the one end of both.
//!
//! **Invariant: closed with nobody inside is reached once**, by one step of one word ([`word`]), and
//! never left; whoever made that step ends the group. Nobody enters from outside once the word is
//! closed; a join-in is asked by one who is inside.
//!
//! Who leaves without being the last must not touch the population any more: it may be gone. Hence
//! the step that counts somebody out is the last access of its caller.
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

use crate::error::Refused;
use crate::hook::{Due, Task};
use crate::sync::{Arc, AtomicUsize, Line, Ordering, fence};
use sharded::Sharded;
use word::{CLOSED, HALF, ONE, Word};

pub(crate) use limited::{Limited, Queued};

/// The count of a group.
pub(crate) struct Population {
    /// Alone on its cache line.
    form: Line<Form>,
}

enum Form {
    /// All count in one word.
    Plain(AtomicUsize),
    /// All count in one word, up to a limit, and some wait for a place. By reference, for those who
    /// still serve the queue when the group is gone.
    Limited(Arc<Limited>),
    /// Each core counts on its own line until the door closes.
    Sharded(Sharded),
}

/// What a step out, or a close, has led to.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) enum Left {
    /// Nothing to do; for who left: nothing to touch either.
    Done,
    /// The group is closed and empty, and ends here.
    Last,
}

impl Population {
    pub(crate) fn new(limit: Option<NonZeroUsize>, is_sharded: bool) -> Self {
        let sharded = if is_sharded && limit.is_none() { Sharded::new() } else { None };
        let form = match (limit, sharded) {
            (Some(limit), _) => Form::Limited(Arc::new(Limited::new(limit.get().min(HALF)))),
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
            Form::Limited(limited) => load(&limited.word).is_closed(),
            Form::Sharded(sharded) => load(&sharded.word).is_closed(),
        }
    }

    /// How many are inside: a snapshot.
    pub(crate) fn len(&self) -> usize {
        match &self.form.0 {
            Form::Plain(word) => load(word).count(),
            Form::Limited(limited) => load(&limited.word).count(),
            Form::Sharded(sharded) => sharded.len(),
        }
    }

    /// What a wait for room needs.
    pub(crate) fn limited(&self) -> Option<&Arc<Limited>> {
        match &self.form.0 {
            Form::Limited(limited) => Some(limited),
            Form::Plain(_) | Form::Sharded(_) => None,
        }
    }

    /// Goes in by the door.
    #[inline]
    pub(crate) fn enter(&self) -> Result<(), Refused> {
        match &self.form.0 {
            Form::Plain(word) => enter(word, HALF),
            Form::Limited(limited) => limited.enter(),
            Form::Sharded(sharded) => sharded.enter(),
        }
    }

    /// Goes in by the side of somebody who is inside during the call: past the door and the limit.
    #[inline]
    pub(crate) fn join_in(&self) -> Result<(), Refused> {
        match &self.form.0 {
            Form::Plain(word) => join_in(word),
            Form::Limited(limited) => join_in(&limited.word),
            Form::Sharded(sharded) => {
                sharded.join_in();
                Ok(())
            }
        }
    }

    /// Goes out, and gives those who got a place by that. Nothing of the population may be touched
    /// after `Done`.
    #[inline]
    pub(crate) fn leave(&self) -> (Left, Due<Task>) {
        match &self.form.0 {
            Form::Plain(word) => (leave(word), Due::default()),
            Form::Limited(limited) => Limited::leave(limited),
            Form::Sharded(sharded) => (sharded.leave(), Due::default()),
        }
    }

    /// Tells those who wait for room that the door is closed, and gives them, to be woken.
    pub(crate) fn dismiss(&self) -> Due<Task> {
        self.limited().map_or_else(Due::default, |limited| limited.dismiss())
    }

    /// Closes the door; the closer dismisses the queue. None if it was closed already; `Last` if nobody
    /// is inside.
    pub(crate) fn close(&self) -> Option<Left> {
        match &self.form.0 {
            Form::Plain(word) => close(word).map(last_if),
            Form::Limited(limited) => close(&limited.word).map(last_if),
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
fn enter(word: &AtomicUsize, limit: usize) -> Result<(), Refused> {
    let mut now = load(word);
    loop {
        let next = now.enter(limit)?;
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

#[inline]
fn leave(word: &AtomicUsize) -> Left {
    // A: publishes what was done inside.
    last_if(Word(word.fetch_sub(ONE, Ordering::Release) - ONE))
}

/// The closed word, for the first who closes.
fn close(word: &AtomicUsize) -> Option<Word> {
    // D: publishes what came before, and acquires what came before the first close.
    let before = Word(word.fetch_or(CLOSED, Ordering::AcqRel));
    (!before.is_closed()).then_some(Word(before.0 | CLOSED))
}

#[inline]
fn last_if(now: Word) -> Left {
    if !now.is_over() {
        return Left::Done;
    }
    // A: acquires what all did who left before.
    fence(Ordering::Acquire);
    Left::Last
}

impl fmt::Debug for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Population").field("len", &self.len()).finish_non_exhaustive()
    }
}
