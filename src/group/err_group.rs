//! `ErrGroup`: a group whose tasks may fail.

mod errors;
mod store;
mod track;

use core::fmt;
use core::future::IntoFuture;
use core::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::{ChildError, Refused};
use crate::group::{TaskGroup, TaskGroupBuilder, WaitDrained};
use crate::park::deferred::Deferred;
use crate::park::wait::named_wait;
use crate::sync::{Arc, run_both};
use store::Store;

pub use errors::Errors;
pub use track::TrackedErr;

/// A [`TaskGroup`] whose tasks return `Result<(), E>`.
///
/// The first error cancels the rest ([`cancel_on_error`](TaskGroupBuilder::cancel_on_error)). All are
/// kept, up to a bound ([`keep_errors`](TaskGroupBuilder::keep_errors)); the rest are counted. Whoever
/// joins gets the same answer.
///
/// Everything else is the group's: see [`group`](Self::group). Clones are handles, as of a
/// [`TaskGroup`].
///
/// # Compared with
///
/// * Go's `errgroup`: keeps the first error alone, and has no names, levels or refusals.
/// * `tokio::task::JoinSet`: each output is fetched one by one, and kept until then.
///
/// # Examples
///
/// ```
/// use winddown::{ErrGroup, Reason};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let group = ErrGroup::<std::num::ParseIntError>::new();
/// for text in ["1", "two", "3"] {
///     let token = group.group().token().clone();
///     tokio::spawn(group.try_track(async move {
///         let number: u32 = text.parse()?;
///         # let _ = number;
///         token.cancelled().await;
///         Ok(())
///     }).unwrap());
/// }
/// let errors = group.join().await.unwrap_err();
/// assert_eq!(errors.iter().count(), 1);
/// assert!(matches!(group.group().token().reason(), Some(Reason::Failed)));
/// # });
/// ```
///
/// # Availability
///
/// As [`TaskGroup`]; its drain allocates, if an error was recorded.
pub struct ErrGroup<E> {
    // Dropped in this order: the end of the group, which may begin with its last handle, then drops the
    // errors itself, where one panic does not meet another.
    store: Arc<Store<E>>,
    group: TaskGroup,
}

impl<E: Send + Sync + 'static> ErrGroup<E> {
    /// An open group.
    ///
    /// # Availability
    ///
    /// As [`TaskGroupBuilder::build_err`].
    pub fn new() -> Self {
        TaskGroup::builder().build_err()
    }
}

impl<E> ErrGroup<E> {
    /// The group: its levels, its token, guards for tasks that cannot fail, children.
    ///
    /// # Availability
    ///
    /// Everywhere, interrupts included.
    pub fn group(&self) -> &TaskGroup {
        &self.group
    }

    /// Counts `future` in, until it is done, and records its error.
    ///
    /// # Errors
    ///
    /// As [`TaskGroup::guard`]; `future` is dropped then.
    ///
    /// # Availability
    ///
    /// As [`TaskGroup::guard`]. Recording an error allocates.
    #[track_caller]
    pub fn try_track<F: IntoFuture<Output = Result<(), E>>>(
        &self,
        future: F,
    ) -> Result<TrackedErr<F::IntoFuture, E>, Refused> {
        let guard = self.group.guard()?;
        Ok(TrackedErr::new(future.into_future(), guard, Arc::clone(&self.store)))
    }

    /// Records an error of a task that holds a plain guard, of a thread, or of the finaliser.
    ///
    /// # Errors
    ///
    /// The error, once the group is drained: [`join`](Self::join) has its answer then, for ever. The
    /// next record is refused too. A refused record changes nothing.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker or callback that the first error's cancel ran, or of the drop of an
    /// error beyond the bound; by then the error has been recorded.
    ///
    /// # Availability
    ///
    /// Everywhere but in interrupts; it allocates.
    pub fn record(&self, error: E) -> Result<(), E> {
        let mut deferred = Deferred::new();
        let beyond = self.store.record(error, &self.group, &mut deferred)?;
        run_both(|| deferred.run(), || drop(beyond));
        Ok(())
    }

    /// Closes the door, at the first poll or block, and waits until the group is drained. The same
    /// answer for everybody. Before the drain there is none: who gives up a join, and wants to tell what
    /// failed so far, keeps that beside the group.
    ///
    /// # Errors
    ///
    /// The output is [`Errors`] if a task failed, or only panicked.
    ///
    /// # Panics
    ///
    /// As [`TaskGroup::join`].
    ///
    /// # Cancel safety
    ///
    /// As [`TaskGroup::join`].
    ///
    /// # Memory ordering
    ///
    /// What a task did before it left happens before the return.
    ///
    /// # Availability
    ///
    /// As [`TaskGroup::join`].
    pub fn join(&self) -> WaitErrors<'_, E> {
        WaitErrors { wait: self.group.join(), store: &self.store }
    }
}

impl<E> Clone for ErrGroup<E> {
    fn clone(&self) -> Self {
        Self { group: self.group.clone(), store: Arc::clone(&self.store) }
    }
}

impl<E: Send + Sync + 'static> Default for ErrGroup<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for ErrGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrGroup")
            .field("group", &self.group)
            .field("errors", &self.store.count())
            .finish()
    }
}

/// An error may be anything; the group itself is not harmed by a panic.
impl<E> UnwindSafe for ErrGroup<E> {}
impl<E> RefUnwindSafe for ErrGroup<E> {}

/// For groups with errors.
impl TaskGroupBuilder {
    /// Whether the first error cancels the group, with [`Reason::Failed`](crate::Reason::Failed): true unless said otherwise.
    /// It matters to [`build_err`](Self::build_err) alone.
    ///
    /// # Availability
    ///
    /// Everywhere.
    pub fn cancel_on_error(mut self, cancels: bool) -> Self {
        self.keeps_going = !cancels;
        self
    }

    /// How many errors are kept: 32 unless said otherwise. It matters to
    /// [`build_err`](Self::build_err) alone.
    ///
    /// An error beyond the bound is dropped where it is recorded, or, if it was recorded together with
    /// one that is kept, where the group ends.
    ///
    /// # Availability
    ///
    /// Everywhere.
    pub fn keep_errors(mut self, most: usize) -> Self {
        self.keep_errors = Some(most);
        self
    }

    /// Builds a group whose tasks may fail.
    ///
    /// # Availability
    ///
    /// As [`build`](Self::build).
    #[track_caller]
    pub fn build_err<E: Send + Sync + 'static>(mut self) -> ErrGroup<E> {
        let store = Store::of(&mut self);
        ErrGroup { group: self.build(), store }
    }
}

/// For groups with errors.
impl TaskGroup {
    /// A [`child`](Self::child) whose tasks may fail. Its errors stay its own.
    ///
    /// # Errors
    ///
    /// As [`child`](Self::child).
    ///
    /// # Availability
    ///
    /// As [`child`](Self::child).
    #[track_caller]
    pub fn child_err<E: Send + Sync + 'static>(&self) -> Result<ErrGroup<E>, Refused> {
        let mut builder = Self::builder();
        let store = Store::of(&mut builder);
        match self.child_with(builder) {
            Ok(group) => Ok(ErrGroup { group, store }),
            Err(ChildError::Refused(refused)) => Err(refused),
            Err(ChildError::NotARoot) => unreachable!("a new builder has neither parent nor links"),
        }
    }
}

/// The future of [`ErrGroup::join`].
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct WaitErrors<'a, E> {
    wait: WaitDrained<&'a TaskGroup>,
    store: &'a Arc<Store<E>>,
}

impl<E> WaitErrors<'_, E> {
    fn answer(&self) -> Result<(), Errors<E>> {
        Errors::of(self.store, self.wait.group()).map_or(Ok(()), Err)
    }
}

named_wait!("WaitErrors", ['a, E] WaitErrors<'a, E>, Result<(), Errors<E>>, |this| this.answer());

impl<E> Clone for WaitErrors<'_, E> {
    fn clone(&self) -> Self {
        Self { wait: self.wait.clone(), store: self.store }
    }
}
