//! How many are inside a group, whether its door is open, and the one end of both.
//!
//! **Invariant: closed with nobody inside is reached once**, by one step of one word ([`word`]), and
//! never left; the thread that made that step ends the group. Nothing enters from outside once the word is
//! closed; only a task that is inside asks for a join-in.
//!
//! A task that leaves without being the last must not touch the population any more: it may be gone. Hence
//! the step that counts a task out is the last access of its caller, and works on a raw pointer (rule 19).
//!
//! Edges:
//!
//! * **A** (leave to end): what was done inside is seen by the thread that makes the last step. Every leave
//!   releases, and only read-modify-writes of the word lie between.
//! * **D** (close to refused): what came before a close is seen by whoever is refused, and who sees
//!   the door closed enters nowhere afterwards: one word has both.

mod count;
mod limited;
#[cfg_attr(
    not(all(feature = "std", target_pointer_width = "64")),
    path = "population/unsharded.rs"
)]
mod shards;
mod word;

use core::fmt;
use core::num::NonZeroUsize;

use crate::error::Refused;
use crate::park::deferred::Deferred;
use crate::sync::{Arc, Line};
use count::Count;

pub(crate) use limited::{GivenUp, Limited, Outcome, Queued};

/// The count of a group.
pub(crate) struct Population {
    /// Alone on its cache line.
    form: Line<Form>,
}

enum Form {
    /// As many as come.
    Unlimited(Count),
    /// Up to a limit, and some wait for a place. By reference, for a server that is still at work when the
    /// group is gone.
    Limited(Arc<Limited>),
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
    pub(crate) fn new(limit: Option<NonZeroUsize>) -> Self {
        let form = match limit {
            Some(limit) => Form::Limited(Arc::new(Limited::new(limit))),
            None => Form::Unlimited(Count::new()),
        };
        Self { form: Line(form) }
    }

    /// Whether the door was closed here. (A group above may have closed it too.)
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        match &self.form.0 {
            Form::Unlimited(count) => count.is_closed(),
            Form::Limited(limited) => limited.is_closed(),
        }
    }

    /// How many are inside: a snapshot.
    pub(crate) fn len(&self) -> usize {
        match &self.form.0 {
            Form::Unlimited(count) => count.len(),
            Form::Limited(limited) => limited.count(),
        }
    }

    /// What a wait for a place, a new limit, or a question for the limit, needs.
    pub(crate) fn limited(&self) -> Option<&Limited> {
        match &self.form.0 {
            Form::Limited(limited) => Some(limited),
            Form::Unlimited(_) => None,
        }
    }

    /// Goes in by the door.
    #[inline]
    pub(crate) fn enter(&self) -> Result<(), Refused> {
        match &self.form.0 {
            Form::Unlimited(count) => count.enter(),
            Form::Limited(limited) => limited.enter(),
        }
    }

    /// Goes in by the side of a task that is inside during the call: past the door and the limit.
    #[inline]
    pub(crate) fn join_in(&self) -> Result<(), Refused> {
        match &self.form.0 {
            Form::Unlimited(count) => count.join_in(),
            Form::Limited(limited) => limited.join_in(),
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
            Form::Unlimited(count) => {
                let count = &raw const *count;
                // SAFETY: as above.
                unsafe { Count::leave(count) }
            }
            Form::Limited(limited) => {
                let limited = Arc::as_ptr(limited);
                // SAFETY: as above.
                unsafe { Limited::leave(limited, deferred) }
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
            Form::Unlimited(count) => count.close(),
            Form::Limited(limited) => limited.close(deferred),
        }
    }

    /// Has threads count on shards from now on, if there is no limit and no close.
    #[cfg(loom)]
    pub(crate) fn spread(&self) {
        if let Form::Unlimited(count) = &self.form.0 {
            count.spread();
        }
    }
}

impl fmt::Debug for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Population").field("len", &self.len()).finish_non_exhaustive()
    }
}
