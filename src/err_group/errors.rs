//! What the tasks of an `ErrGroup` failed with.
//!
//! **Invariant: nothing is recorded once the store is sealed**, which the group's finaliser does, last,
//! before any wait for the drain is over. So all who ask get one answer.
//!
//! Two words, each sealed by one step: the pile of errors, and the count of tickets. A ticket below the
//! bound admits to the pile, whose own seal then decides; a ticket beyond it is itself the record.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use crate::deferred::Deferred;
use crate::group::{Seal, TaskGroup, TaskGroupBuilder};
use crate::reason::Reason;
use crate::signal::Signal;
use crate::sync::{Arc, AtomicUsize, Ordering, Pile};

/// How many errors are kept, if nobody says otherwise.
const KEEP: usize = 32;

const SEALED: usize = 1;
const TICKET: usize = 1 << 1;

/// Where errors are recorded.
pub(super) struct Store<E> {
    /// `SEALED`, and one `TICKET` for each record.
    tickets: AtomicUsize,
    /// The first `keep`.
    errors: Pile<E>,
    keep: usize,
    cancels: bool,
    /// What there was when the store was sealed.
    answer: Signal<Kept<E>>,
}

struct Kept<E> {
    errors: Vec<E>,
    dropped: usize,
}

impl<E: Send + Sync + 'static> Store<E> {
    /// The store of a group that is to be built; the builder's finaliser seals it.
    pub(super) fn of(builder: &mut TaskGroupBuilder) -> Arc<Self> {
        let store = Arc::new(Self {
            tickets: AtomicUsize::new(0),
            errors: Pile::new(),
            keep: builder.keep_errors.unwrap_or(KEEP),
            cancels: !builder.keeps_going,
            answer: Signal::typed(),
        });
        builder.seal = Some(Box::new(SealOf(Arc::clone(&store))));
        store
    }
}

/// Seals its store when the group drains.
struct SealOf<E>(Arc<Store<E>>);

impl<E: Send + Sync + 'static> Seal for SealOf<E> {
    fn seal(self: Box<Self>, deferred: &mut Deferred) {
        self.0.seal();
        // The last reference drops the errors, which is foreign code. No other is left then to hear of them.
        match Arc::into_inner(self.0) {
            Some(store) if store.count() > 0 => deferred.drop_later(store),
            _ => {}
        }
    }
}

impl<E> Store<E> {
    pub(super) fn record(
        &self,
        error: E,
        group: &TaskGroup,
        deferred: &mut Deferred,
    ) -> Result<(), E> {
        // Relaxed: the pile publishes what it takes, and a ticket beyond the bound is all there is.
        let before = self.tickets.fetch_add(TICKET, Ordering::Relaxed);
        if before & SEALED != 0 {
            return Err(error);
        }
        if before / TICKET < self.keep {
            self.errors.push(error)?;
        }
        if self.cancels {
            // Who cancelled first has given the reason.
            let _ = group.cancel_into(Reason::Failed, deferred);
        }
        Ok(())
    }

    fn seal(&self) {
        let mut layers = self.errors.seal();
        let mut errors: Vec<E> = core::iter::from_fn(|| layers.pop()).collect();
        errors.reverse();
        // Relaxed: as in `record`.
        let tickets = self.tickets.fetch_or(SEALED, Ordering::Relaxed) / TICKET;
        let kept = Kept { errors, dropped: tickets.saturating_sub(self.keep) };
        let _ = self.answer.close_with(kept);
    }

    /// How many were recorded so far.
    pub(super) fn count(&self) -> usize {
        self.tickets.load(Ordering::Relaxed) / TICKET
    }

    /// What there was when the store was sealed, which the group's finaliser has done.
    fn kept(&self) -> &Kept<E> {
        self.answer.get().unwrap_or_else(|| unreachable!("the store is sealed before the drain"))
    }

    /// The answer, once the group is drained.
    pub(super) fn answer(this: &Arc<Self>, group: &TaskGroup) -> Result<(), Errors<E>> {
        #[cfg(feature = "std")]
        let panics = group.panics();
        #[cfg(not(feature = "std"))]
        let (panics, _) = (0, group);
        let kept = this.kept();
        if kept.errors.is_empty() && kept.dropped == 0 && panics == 0 {
            return Ok(());
        }
        Err(Errors { store: Arc::clone(this), panics })
    }
}

/// All that the tasks of an [`ErrGroup`](crate::ErrGroup) failed with, first error first.
///
/// Clones share the errors. As an `Error` its source is the first.
pub struct Errors<E> {
    /// Sealed.
    store: Arc<Store<E>>,
    panics: usize,
}

impl<E> Errors<E> {
    /// The first error; none if tasks only panicked, or none was to be kept.
    ///
    /// # Availability
    ///
    /// Everywhere.
    pub fn first(&self) -> Option<&E> {
        self.store.kept().errors.first()
    }

    /// The errors that were kept, in the order in which they were recorded.
    ///
    /// # Availability
    ///
    /// Everywhere.
    pub fn iter(&self) -> core::slice::Iter<'_, E> {
        self.store.kept().errors.iter()
    }

    /// How many errors came beyond the bound, and were dropped.
    ///
    /// # Availability
    ///
    /// Everywhere.
    pub fn dropped(&self) -> usize {
        self.store.kept().dropped
    }

    /// How many tasks panicked. Always 0 without the feature `std`.
    ///
    /// # Availability
    ///
    /// Everywhere.
    pub fn panics(&self) -> usize {
        self.panics
    }

    /// The errors, by value.
    ///
    /// # Errors
    ///
    /// This copy, if it is not the last one. The group keeps one for as long as it has a handle.
    ///
    /// # Availability
    ///
    /// Everywhere but in interrupts: the last copy frees.
    pub fn into_vec(self) -> Result<Vec<E>, Self> {
        let panics = self.panics;
        match Arc::try_unwrap(self.store) {
            Ok(store) => Ok(store.answer.into_inner().map_or_else(Vec::new, |kept| kept.errors)),
            Err(store) => Err(Self { store, panics }),
        }
    }
}

impl<'a, E> IntoIterator for &'a Errors<E> {
    type Item = &'a E;
    type IntoIter = core::slice::Iter<'a, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<E> Clone for Errors<E> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), panics: self.panics }
    }
}

impl<E: PartialEq> PartialEq for Errors<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.iter().eq(other.iter()), self.dropped(), self.panics)
            == (true, other.dropped(), other.panics)
    }
}

impl<E: Eq> Eq for Errors<E> {}

impl<E: fmt::Debug> fmt::Debug for Errors<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errors")
            .field("errors", &self.store.kept().errors)
            .field("dropped", &self.dropped())
            .field("panics", &self.panics)
            .finish()
    }
}

impl<E: fmt::Display> fmt::Display for Errors<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.iter().len() + self.dropped();
        match (self.first(), all) {
            (Some(first), 1) => write!(f, "{first}")?,
            (Some(first), all) => write!(f, "{first} (and {} more errors)", all - 1)?,
            (None, 0) => return write!(f, "{} tasks panicked", self.panics),
            (None, all) => write!(f, "{all} errors, none kept")?,
        }
        match self.panics {
            0 => Ok(()),
            panics => write!(f, "; {panics} tasks panicked"),
        }
    }
}

impl<E: Error + 'static> Error for Errors<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.first().map(|first| first as _)
    }
}
