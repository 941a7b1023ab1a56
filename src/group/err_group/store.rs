//! Where the tasks of an `ErrGroup` record what they failed with.
//!
//! **Invariant: nothing is recorded once the store is sealed.** The drain of the group seals it, after the
//! finaliser and before any wait for the drain is over. So every caller gets the same answer.
//!
//! Two words take records. Each is sealed by one step of its own:
//!
//! | word      | takes                                        | sealed                     |
//! |-----------|----------------------------------------------|----------------------------|
//! | `dropped` | a count, for an error that is beyond `keep`  | first, by its bit `SEALED` |
//! | `errors`  | the error itself, while `landed` < `keep`    | second, by the stack's seal |
//!
//! One step on one of them decides a record. If that step comes before the seal of its word, the error
//! is in the answer. Otherwise the error goes back to the caller, and nothing has changed. No step
//! reserves a place for a later step, so a refusal has nothing to give back. From this follows:
//!
//! 1. **No place below the bound stays empty while an error is dropped.** A thread raises `landed` after
//!    its push, and no push lands after the stack's seal. So the seal finds every error that `landed`
//!    counts. A thread counts an error as dropped only if it has read `landed` ≥ `keep`. Hence the seal
//!    finds at least `keep` errors. This needs no memory ordering.
//! 2. **The bound holds.** Threads that record at once may all read `landed` before one of them raises
//!    it. Then the stack holds more than `keep` errors, by as many as there are such threads. The seal
//!    keeps the first `keep` in the order of the stack, and counts the others as dropped.
//! 3. **A refusal is final: a record that comes after it is refused too.** A thread that was refused by
//!    `dropped` has read `landed` ≥ `keep`. It reads that again, comes to the same word, and finds it
//!    sealed. A thread that was refused by the stack has acquired the stack's seal, and `dropped` was
//!    sealed before that. So both words refuse it, whatever it reads in `landed`.
//! 4. **What a task recorded before it left is in the answer.** Its leave publishes the record to the
//!    drainer (edge A of the population), and the drainer seals after that.
//! 5. **No count wraps.** `dropped` stops at its maximum. Each error that `landed` counts has an
//!    allocation until the stack is sealed, and none lands later: memory ends before the count does.
//!
//! The drop of an error is foreign code and may panic. It comes last in every operation here, when the
//! error is counted, or the store sealed and its answer there; and so does the drop of a reason that was not
//! the first. The function that makes the reason of a cancel comes before all of it ([`explained`]).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::{iter, mem};

use crate::cancel::reason::Reason;
use crate::group::{Seal, TaskGroup, TaskGroupBuilder};
use crate::park::deferred::{Deferred, drop_in_drop};
use crate::signal::Signal;
use crate::sync::{Arc, AtomicUsize, Ordering, SealableStack, Taken, run_to_end};

/// How many errors are kept, unless `keep_errors` says otherwise.
const KEEP: usize = 32;

/// In `dropped`: the store is sealed. The bits below it are the count.
const SEALED: usize = 1 << (usize::BITS - 1);
/// In `dropped`: where the count stops.
const MOST_DROPPED: usize = SEALED - 1;

/// Where errors are recorded.
pub(super) struct Store<E> {
    /// How many errors have been pushed, or a few less: a record raises it after its push.
    landed: AtomicUsize,
    /// Changed by records until the seal. It holds the first `keep` errors, and maybe some more.
    errors: SealableStack<E>,
    /// How many errors were dropped by the thread that recorded them, and `SEALED`. Changed by records
    /// until the seal.
    dropped: AtomicUsize,
    keep: usize,
    cancels: bool,
    /// Makes the reason of the cancel; `Reason::Failed` without it.
    explain: Option<Explain<E>>,
    /// What there was when the store was sealed. Closed by the seal.
    answer: Signal<Kept<E>>,
    /// [`drop_in_drop`] for the errors that are kept. A pointer, made where `E` is known to be `'static`.
    drop_errors: fn(Vec<E>),
}

/// Makes the reason with which an error cancels the group. A pointer: there is nothing to allocate for it, and
/// nothing to drop with the store.
pub(super) type Explain<E> = fn(&E) -> Reason;

/// Has the reason of `error` made, and calls `record` with both.
///
/// `explain` is foreign code, and runs while nothing has changed yet. If it panics, the reason is
/// `Reason::Failed`; the panic goes on when `record` is done, and is not that of the task that failed.
pub(super) fn explained<E>(explain: Option<Explain<E>>, error: E, record: impl FnOnce(E, Reason)) {
    let Some(explain) = explain else { return record(error, Reason::Failed) };
    let (mut is_asked, mut reason, mut rest) = (false, Reason::Failed, Some((error, record)));
    run_to_end(|| {
        match &rest {
            Some((error, _)) if !mem::replace(&mut is_asked, true) => reason = explain(error),
            _ => {
                let Some((error, record)) = rest.take() else { return false };
                record(error, mem::replace(&mut reason, Reason::Failed));
            }
        }
        true
    });
}

/// What a sealed store has.
pub(super) struct Kept<E> {
    pub(super) errors: Vec<E>,
    pub(super) dropped: usize,
}

impl<E: Send + Sync + 'static> Store<E> {
    /// The store of a group that is to be built; the drain seals it.
    pub(super) fn of(builder: &mut TaskGroupBuilder, explain: Option<Explain<E>>) -> Arc<Self> {
        let store = Arc::new(Self {
            landed: AtomicUsize::new(0),
            errors: SealableStack::new(),
            dropped: AtomicUsize::new(0),
            keep: builder.keep_errors.unwrap_or(KEEP),
            cancels: !builder.keeps_going,
            explain,
            answer: Signal::typed(),
            drop_errors: drop_in_drop,
        });
        builder.seal = Some(Box::new(SealOf(Arc::clone(&store))));
        store
    }
}

/// Seals its store when the group drains.
struct SealOf<E>(Arc<Store<E>>);

impl<E: Send + Sync + 'static> Seal for SealOf<E> {
    fn seal(self: Box<Self>, deferred: &mut Deferred) {
        let store = self.0;
        let beyond = store.seal();
        if !beyond.is_empty() {
            deferred.drop_later(beyond);
        }
        // Before the drain is seen, so that the owner of the last copy can take the errors out. If this
        // is the last reference, nobody is left to ask, and its errors are dropped as foreign code.
        match Arc::into_inner(store) {
            Some(store) if !store.kept().errors.is_empty() => deferred.drop_later(store),
            _ => {}
        }
    }
}

impl<E> Store<E> {
    /// What is to make the reason of an error that comes now. None if that error would cancel nothing.
    pub(super) fn explain(&self, group: &TaskGroup) -> Option<Explain<E>> {
        self.explain.filter(|_| self.cancels && !group.is_cancelled())
    }

    /// Records `error`, and cancels the group if that is asked for. What is beyond the bound comes back, to
    /// be dropped as foreign code; so does, as an error, what comes too late. The reason is taken if the
    /// group is cancelled with it; if it is not, the caller drops it, as foreign code too.
    pub(super) fn record(
        &self,
        error: E,
        reason: &mut Option<Reason>,
        group: &TaskGroup,
        deferred: &mut Deferred,
    ) -> Result<Option<E>, E> {
        // Relaxed, here and in `count_dropped`: see 1 and 4 in the module. The stack publishes what it
        // takes, and a dropped error is nothing but its count.
        let beyond = if self.landed.load(Ordering::Relaxed) < self.keep {
            self.errors.push(error)?;
            // After the push: what is counted here has landed.
            self.landed.fetch_add(1, Ordering::Relaxed);
            None
        } else if self.count_dropped() {
            Some(error)
        } else {
            return Err(error);
        };
        if let Some(new) = reason.take_if(|_| self.cancels) {
            // Only the first cancel gives the reason; a later one comes back.
            *reason = group.cancel_into(new, deferred).err();
        }
        Ok(beyond)
    }

    /// Counts one error as dropped. False, with nothing counted, if the store is sealed.
    fn count_dropped(&self) -> bool {
        let one_more = |now: usize| (now & SEALED == 0).then(|| (now + 1).min(MOST_DROPPED));
        self.dropped.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Seals the store and makes its answer. Called once. Gives the errors beyond the bound, for the
    /// caller to drop.
    fn seal(&self) -> Taken<E> {
        // This word before the stack, so that a refusal is final: 3 in the module.
        let dropped = self.dropped.fetch_or(SEALED, Ordering::Relaxed);
        let mut last_on_top = self.errors.seal();
        let landed = last_on_top.reverse();
        let mut first_on_top = last_on_top;
        let kept = landed.min(self.keep);
        let mut errors = Vec::with_capacity(kept);
        errors.extend(iter::from_fn(|| first_on_top.pop()).take(kept));
        let dropped = dropped.saturating_add(landed - kept).min(MOST_DROPPED);
        let _ = self.answer.close_with(Kept { errors, dropped });
        first_on_top
    }

    /// How many were recorded so far: a snapshot.
    pub(super) fn count(&self) -> usize {
        let dropped = self.dropped.load(Ordering::Relaxed) & !SEALED;
        self.landed.load(Ordering::Relaxed).saturating_add(dropped)
    }

    /// What there was when the store was sealed, which the drain has done.
    pub(super) fn kept(&self) -> &Kept<E> {
        self.answer.get().unwrap_or_else(|| unreachable!("the store is sealed before the drain"))
    }

    /// The same, by value.
    pub(super) fn into_kept(mut self) -> Option<Kept<E>> {
        self.answer.reset()
    }
}

impl<E> Drop for Store<E> {
    /// An error may own an error group, and so on (rule 9).
    fn drop(&mut self) {
        if let Some(kept) = self.answer.reset().filter(|kept| !kept.errors.is_empty()) {
            (self.drop_errors)(kept.errors);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use alloc::format;
    use alloc::string::ToString as _;
    use core::panic::AssertUnwindSafe;
    use std::panic::{catch_unwind, resume_unwind};

    use super::super::{ErrGroup, Errors};
    use super::*;

    /// Ends an idle group, and gives its answer.
    fn end<E>(group: &ErrGroup<E>) -> Option<Errors<E>> {
        group.group().close();
        Errors::of(&group.store, group.group())
    }

    /// Rule 1: no count ever wraps.
    #[test]
    fn the_count_of_dropped_errors_stops_at_its_maximum() {
        let group = TaskGroup::builder().keep_errors(0).cancel_on_error(false).build_err();
        group.store.dropped.store(MOST_DROPPED - 1, Ordering::Relaxed);
        for _ in 0..3 {
            assert_eq!(group.record("beyond the bound"), Ok(()));
            assert_eq!(group.store.count(), MOST_DROPPED);
        }
        assert_eq!(end(&group).unwrap().dropped(), MOST_DROPPED);
        assert_eq!(group.record("too late"), Err("too late"));
        assert_eq!(group.store.count(), MOST_DROPPED);
    }

    /// Rule 1, for what the seal counts, and for the sum that the text tells.
    #[test]
    fn a_count_at_its_maximum_stays_there_and_is_printed() {
        let group = TaskGroup::builder().keep_errors(1).build_err();
        group.store.dropped.store(MOST_DROPPED, Ordering::Relaxed);
        (0..3).for_each(|_| group.store.errors.push("pushed").unwrap());
        let errors = end(&group).unwrap();
        assert_eq!((errors.iter().len(), errors.dropped()), (1, MOST_DROPPED));
        assert_eq!(errors.to_string(), format!("pushed (and {MOST_DROPPED} more errors)"));
    }

    /// Counts its drops in what it refers to, and panics in its drop if it is told to.
    struct Failure(Arc<AtomicUsize>, bool);

    impl Drop for Failure {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            if self.1 {
                resume_unwind(Box::new("in drop"));
            }
        }
    }

    /// Where several threads found room at once, more than the bound have landed. Rule 19: each of those
    /// is dropped once, and the store is sealed, though the finaliser before that panics, or their own
    /// drops: all of them, or, where a panic cannot be caught, one.
    fn errors_land_beyond_the_bound(finaliser_panics: bool, panicking: usize) {
        let drops: [Arc<AtomicUsize>; 5] = Default::default();
        let dropped = || drops.each_ref().map(|drops| drops.load(Ordering::Relaxed));
        let finaliser = move || {
            if finaliser_panics {
                resume_unwind(Box::new("the finaliser"));
            }
        };
        let group = TaskGroup::builder().keep_errors(2).finally(finaliser).build_err();
        for (place, drops) in drops.iter().enumerate() {
            let failure = Failure(Arc::clone(drops), (2..2 + panicking).contains(&place));
            assert!(group.store.errors.push(failure).is_ok());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| group.group().close())).unwrap_err();
        let first = if finaliser_panics { "the finaliser" } else { "in drop" };
        assert_eq!(panic.downcast_ref(), Some(&first));
        let errors = end(&group).unwrap();
        assert!(errors.iter().map(|it| Arc::as_ptr(&it.0)).eq(drops[..2].iter().map(Arc::as_ptr)));
        assert_eq!((errors.dropped(), dropped()), (3, [0, 0, 1, 1, 1]));
        drop((errors, group));
        assert_eq!(dropped(), [1; 5]);
    }

    #[test]
    fn errors_beyond_the_bound_are_dropped_though_one_panics() {
        errors_land_beyond_the_bound(false, 1);
    }

    #[cfg(feature = "std")]
    #[test]
    fn errors_beyond_the_bound_are_dropped_though_all_panic() {
        errors_land_beyond_the_bound(false, 3);
        errors_land_beyond_the_bound(true, 3);
    }

    #[test]
    fn errors_beyond_the_bound_are_dropped_though_the_finaliser_panics() {
        errors_land_beyond_the_bound(true, 0);
    }
}
