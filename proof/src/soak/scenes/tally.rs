//! Counts that the threads of a round keep beside the object.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use winddown::TaskGroup;

/// A count. It goes with no data, so its accesses order nothing that the object should order.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicUsize);

impl Tally {
    /// One more.
    pub(super) fn up(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// One less.
    pub(super) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The count.
    pub(super) fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Compares two counts.
///
/// # Errors
///
/// What differs.
pub(super) fn same(what: &str, is: usize, should: usize) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is}, and not {should}")) }
}

/// Compares what a group tells at its end with what was counted beside it.
///
/// # Errors
///
/// What differs.
pub(super) fn has_ended(
    group: &TaskGroup,
    inside: &Tally,
    finalised: &Tally,
) -> Result<(), String> {
    same("tasks inside", inside.now(), 0)?;
    same("length", group.len(), 0)?;
    same("runs of the finaliser", finalised.now(), 1)?;
    same("drained", group.is_drained().into(), 1)
}

/// A guard that is counted beside its object: the count falls before the guard is dropped.
#[derive(Debug)]
pub(super) struct Inside<G> {
    tally: Arc<Tally>,
    // Dropped behind the count.
    _guard: G,
}

impl<G> Inside<G> {
    /// Counts a guard.
    pub(super) fn new(tally: &Arc<Tally>, guard: G) -> Self {
        tally.up();
        Self { tally: Arc::clone(tally), _guard: guard }
    }
}

impl<G> Drop for Inside<G> {
    fn drop(&mut self) {
        self.tally.down();
    }
}
