//! `ErrGroup`: a group whose tasks may fail.

mod errors;
mod store;
mod track;

use core::fmt;
use core::future::IntoFuture;
use core::panic::{RefUnwindSafe, UnwindSafe};

use crate::cancel::reason::Reason;
use crate::error::{ChildError, Refused};
use crate::group::{TaskGroup, TaskGroupBuilder, WaitDrained};
use crate::park::deferred::Deferred;
use crate::park::wait::named_wait;
use crate::sync::{Arc, run_both};
use store::{Explain, Store, explained};

pub use errors::Errors;
pub use track::TrackedErr;

/// A [`TaskGroup`] whose tasks return `Result<(), E>`.
///
/// The first error cancels the rest ([`cancel_on_error`](TaskGroupBuilder::cancel_on_error)), and may tell them
/// what failed ([`build_err_with`](TaskGroupBuilder::build_err_with)). All errors are kept, up to a bound
/// ([`keep_errors`](TaskGroupBuilder::keep_errors)); the rest are counted. Every `join` gives the same answer.
///
/// Everything else is on [`group()`](Self::group), which is the [`TaskGroup`]: `close`, `cancel`, `shutdown`,
/// `drained`, `guard`, `guard_when_room`, `child`, `token`, `closing`, `len`, `panics`, `holders`. Errors are given by
/// [`join`](Self::join) alone: after `errors.group().shutdown(grace).await`, `errors.join().await` is ready at once.
///
/// Errors are given once the group is drained. If a limit came first (`join().until(limit)`), they stay where they
/// are: a later `join` gives them, and if there is none, they are dropped with the group. What failed first can be
/// told before that by the reason of the token ([`build_err_with`](TaskGroupBuilder::build_err_with)).
///
/// Clones are handles, as of a [`TaskGroup`].
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
///         let _number: u32 = text.parse()?;
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
/// # Size
///
/// Two pointers. It takes two allocations more than a [`TaskGroup`], and one for each error.
///
/// # Availability
///
/// As [`TaskGroup`](TaskGroup#availability), and:
///
/// | call ([key](crate::docs::embedded#availability-tables)) | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|
/// | `group`, a clone | no | yes | no | no |
/// | `try_track` | as `guard` | yes | no | no |
/// | `record`, a tracked future that fails | yes | no | yes | lock |
/// | the drain, if an error was recorded | yes | no | yes | lock |
/// | a poll of `join` | first wait | no | yes | lock |
///
/// # Compared with
///
/// * Go's `errgroup`: keeps the first error alone, and has no names, levels or refusals.
/// * `tokio::task::JoinSet`: each output is fetched one by one, and kept until then.
pub struct ErrGroup<E> {
    // Dropped in this order: the end of the group, which may begin with its last handle, then drops the
    // errors itself, where one panic does not meet another.
    store: Arc<Store<E>>,
    group: TaskGroup,
}

impl<E: Send + Sync + 'static> ErrGroup<E> {
    /// An open group.
    pub fn new() -> Self {
        TaskGroup::builder().build_err()
    }
}

impl<E> ErrGroup<E> {
    /// The group: its levels, its token, guards for tasks that cannot fail, children.
    pub fn group(&self) -> &TaskGroup {
        &self.group
    }

    /// Counts `future` in, until it is done, and records its error. A panic is counted, and stops nobody: for a task
    /// whose panic is to stop the others, take `group().guard()?.cancel_on_panic()`, and call [`record`](Self::record).
    ///
    /// # Errors
    ///
    /// As [`TaskGroup::guard`]; `future` is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::ErrGroup::<String>::new();
    /// let task = group.try_track(async { Err("no such row".to_owned()) }).unwrap();
    /// pollster::block_on(task);
    /// assert_eq!(group.join().block().unwrap_err().first().unwrap(), "no such row");
    /// ```
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
    /// If no task is inside, the cancel by the first error drains the group, and further errors come too late.
    ///
    /// # Errors
    ///
    /// The error, once the group is drained: [`join`](Self::join) has its answer then, for ever. The next
    /// record is refused too. A refused record changes nothing.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker, callback or finaliser that the first error's cancel ran, of the drop of
    /// an error beyond the bound, or of the function that makes the reason
    /// ([`build_err_with`](TaskGroupBuilder::build_err_with)); by then the error has been recorded, or dropped
    /// if it came too late.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::ErrGroup::<&str>::new();
    /// group.record("no such row").unwrap();
    /// assert_eq!(group.join().block().unwrap_err().first(), Some(&"no such row"));
    /// assert_eq!(group.record("late"), Err("late"));
    /// ```
    ///
    /// A task that carries its panic out:
    ///
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    /// use winddown::ErrGroup;
    ///
    /// let group = ErrGroup::<String>::new();
    /// let guard = group.group().guard().unwrap();
    /// let errors = group.clone();
    /// let thread = std::thread::spawn(move || {
    ///     let work = || panic!("the disk is on fire");
    ///     if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
    ///         let text = panic.downcast_ref::<&str>().copied().unwrap_or("a panic");
    ///         errors.record(text.to_owned()).unwrap();
    ///     }
    ///     drop(guard);
    /// });
    /// assert_eq!(group.join().block().unwrap_err().first().unwrap(), "the disk is on fire");
    /// thread.join().unwrap();
    /// ```
    pub fn record(&self, error: E) -> Result<(), E> {
        let mut outcome = Ok(());
        explained(self.store.explain(&self.group), error, |error, reason| {
            let (mut deferred, mut reason) = (Deferred::new(), Some(reason));
            let recorded = self.store.record(error, &mut reason, &self.group, &mut deferred);
            let beyond = recorded.unwrap_or_else(|error| {
                outcome = Err(error);
                None
            });
            run_both(|| deferred.run(), || run_both(|| drop(beyond), || drop(reason)));
        });
        outcome
    }

    /// Closes the group, at the first poll or block, and waits until it is drained. All callers get the same
    /// answer.
    ///
    /// Before the drain there is no answer: code that gives up a join, and wants to tell what failed so far,
    /// keeps that beside the group.
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
    /// # Examples
    ///
    /// ```
    /// let group = winddown::ErrGroup::<String>::new();
    /// let task = group.try_track(async { Ok(()) }).unwrap();
    /// pollster::block_on(task);
    /// assert_eq!(group.join().block(), Ok(()));
    /// ```
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
    /// Whether the first error cancels the group, with [`Reason::Failed`] or with what
    /// [`build_err_with`](Self::build_err_with) makes of it: true unless said otherwise. It matters to groups
    /// with errors alone.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::builder().cancel_on_error(false).build_err::<&str>();
    /// group.record("no such row").unwrap();
    /// assert!(!group.group().is_cancelled());
    /// ```
    pub fn cancel_on_error(mut self, cancels: bool) -> Self {
        self.keeps_going = !cancels;
        self
    }

    /// How many errors are kept: 32 unless said otherwise. It matters to groups with errors alone.
    ///
    /// An error beyond the bound is dropped where it is recorded, or, if it was recorded together with one that
    /// is kept, where the group ends.
    ///
    /// # Examples
    ///
    /// ```
    /// let builder = winddown::TaskGroup::builder().keep_errors(1).cancel_on_error(false);
    /// let group = builder.build_err::<&str>();
    /// group.record("first").unwrap();
    /// group.record("second").unwrap();
    /// let errors = group.join().block().unwrap_err();
    /// assert_eq!((errors.iter().count(), errors.dropped()), (1, 1));
    /// ```
    pub fn keep_errors(mut self, most: usize) -> Self {
        self.keep_errors = Some(most);
        self
    }

    /// Builds a group whose tasks may fail.
    ///
    /// # Panics
    ///
    /// As [`build`](Self::build).
    ///
    /// # Examples
    ///
    /// See [`keep_errors`](Self::keep_errors).
    #[track_caller]
    pub fn build_err<E: Send + Sync + 'static>(self) -> ErrGroup<E> {
        self.build_explained(None)
    }

    /// [`build_err`](Self::build_err), where `reason` makes the [`Reason`] with which the first error cancels
    /// the group: so the other tasks can tell what failed. The error itself stays in the group.
    ///
    /// `reason` is called where an error is recorded, before it is, under no lock, and only while the group is
    /// not cancelled. If several errors come at the same time, it is called for each, and one of the reasons is
    /// taken. It must not wait for its own group: the task that failed is still inside.
    ///
    /// It is a plain function, or a closure that captures nothing, so that the group holds nothing more that is
    /// dropped or shared. What a text needs beside the error belongs in the error.
    ///
    /// # Panics
    ///
    /// As [`build`](Self::build). A panic of `reason` goes on from the call that recorded the error, when the
    /// error is recorded, the group is cancelled with [`Reason::Failed`], and the task is counted out. It does
    /// not count as a panic of that task.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use winddown::TaskGroup;
    ///
    /// let group = TaskGroup::builder().build_err_with(|error: &io::Error| error.to_string().into());
    /// let sibling = group.group().guard().unwrap();
    /// group.record(io::Error::other("the disk is full")).unwrap();
    /// let cancelled = sibling.token().check().unwrap_err();
    /// assert_eq!(cancelled.to_string(), "the disk is full");
    /// drop(sibling);
    /// assert_eq!(group.join().block().unwrap_err().iter().count(), 1);
    /// ```
    #[track_caller]
    pub fn build_err_with<E: Send + Sync + 'static>(self, reason: fn(&E) -> Reason) -> ErrGroup<E> {
        self.build_explained(Some(reason))
    }

    #[track_caller]
    fn build_explained<E: Send + Sync + 'static>(
        mut self,
        explain: Option<Explain<E>>,
    ) -> ErrGroup<E> {
        let store = Store::of(&mut self, explain);
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
    /// # Panics
    ///
    /// As [`child`](Self::child).
    ///
    /// # Examples
    ///
    /// ```
    /// let service = winddown::TaskGroup::new();
    /// let batch = service.child_err::<&str>().unwrap();
    /// batch.record("no such row").unwrap();
    /// assert!(batch.group().is_cancelled() && !service.is_cancelled());
    /// ```
    #[track_caller]
    pub fn child_err<E: Send + Sync + 'static>(&self) -> Result<ErrGroup<E>, Refused> {
        match self.child_explained(Self::builder(), None) {
            Ok(group) => Ok(group),
            Err(ChildError::Refused(refused)) => Err(refused),
            Err(ChildError::NotARoot) => unreachable!("a new builder has neither parent nor links"),
        }
    }

    /// [`child_err`](Self::child_err) with a limit, a finaliser and the rest of what a builder has, and with
    /// the `reason` of [`build_err_with`](TaskGroupBuilder::build_err_with).
    ///
    /// # Errors
    ///
    /// As [`child_with`](Self::child_with).
    ///
    /// # Panics
    ///
    /// As [`child`](Self::child), and, for a panic of `reason`, as
    /// [`build_err_with`](TaskGroupBuilder::build_err_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::TaskGroup;
    ///
    /// let service = TaskGroup::new();
    /// let builder = TaskGroup::builder().keep_errors(1);
    /// let batch = service.child_err_with(builder, |error: &String| error.as_str().into()).unwrap();
    /// batch.record("no such row".into()).unwrap();
    /// assert_eq!(batch.group().token().check().unwrap_err().to_string(), "no such row");
    /// assert!(!service.is_cancelled());
    /// ```
    #[track_caller]
    pub fn child_err_with<E: Send + Sync + 'static>(
        &self,
        builder: TaskGroupBuilder,
        reason: fn(&E) -> Reason,
    ) -> Result<ErrGroup<E>, ChildError> {
        self.child_explained(builder, Some(reason))
    }

    #[track_caller]
    fn child_explained<E: Send + Sync + 'static>(
        &self,
        mut builder: TaskGroupBuilder,
        explain: Option<Explain<E>>,
    ) -> Result<ErrGroup<E>, ChildError> {
        let store = Store::of(&mut builder, explain);
        Ok(ErrGroup { group: self.child_with(builder)?, store })
    }
}

/// The future of [`ErrGroup::join`].
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{ErrGroup, future::WaitErrors};
///
/// let group = ErrGroup::<String>::new();
/// let wait: WaitErrors<'_, String> = group.join();
/// assert_eq!(wait.block(), Ok(()));
/// ```
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
