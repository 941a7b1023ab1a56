//! `TaskGuard`: one task inside a group.

use alloc::borrow::Cow;
use core::fmt;
use core::future::IntoFuture;
use core::mem::ManuallyDrop;
use core::panic::{RefUnwindSafe, UnwindSafe};

use futures_core::Stream;

use super::TaskGroup;
#[cfg(feature = "std")]
use super::hold::ON_PANIC;
use super::hold::{Hold, ON_DROP};
use super::shared::Shared;
use crate::cancel::token::{CancelToken, WaitCancelled};
use crate::combine::{Tracked, TrackedStream};
use crate::group::holders::Caller;
use crate::park::deferred::{Deferred, and_then_run};

/// One task inside a group: counts out when it is dropped. Made by [`TaskGroup::guard`].
///
/// Take it before the task is started, where that is done, and move it into the task. It is dropped on every
/// way out, panics included; `mem::forget` of it means "never done". A clone brings another task in.
///
/// # Examples
///
/// ```
/// use winddown::{TaskGroup, TaskGuard};
///
/// fn work(guard: TaskGuard) {
///     let done = guard.is_cancelled(); // asked now and then
///     assert!(!done && !guard.is_closed());
/// } // counted out here
///
/// let group = TaskGroup::new();
/// let guard = group.guard().unwrap();
/// std::thread::spawn(move || work(guard)).join().unwrap();
/// assert!(group.is_empty());
/// ```
///
/// # Panics
///
/// Its drop panics only with the panic of a waker, callback or finaliser that it ran, after all the others ran,
/// and not while the thread is unwinding. Its clone panics if half of the range of the count is inside, with
/// nothing counted.
///
/// # Size
///
/// A pointer, and one more with the feature `holders`.
///
/// # Availability
///
/// | call ([key](crate::docs::embedded#availability-tables)) | needs | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|---|
/// | `token`, `closing`, `group`, `is_closed`, `is_cancelled`, `cancel_on_drop` | | no | yes | no | no |
/// | a clone, `track`, `track_stream` | | no | yes | no | no |
/// | the drop, `leave` | | no | see below | yes | lock |
/// | `label`, `label_with` | | no | if nothing is to be freed | the label's | lock, with `holders` |
/// | `cancel_on_panic` | `std` | no | | no | no |
/// | `id` | `holders` | no | yes | no | no |
/// | a poll of `closed` | | first wait | no | yes | lock |
///
/// * The last guard of a closed group may be dropped in an interrupt only where the finaliser may run there,
///   and while a handle of the group lives. The drain of a group that is below another, or linked to, frees a
///   block for each of those.
/// * With `holders`, guards are not taken, cloned, labelled or dropped in an interrupt.
/// * With `tracing`, and for signal handlers, see [`TaskGroup`](TaskGroup#availability).
/// * The futures and streams of `track` and `track_stream` are not polled in an interrupt.
///
/// # Compared with
///
/// * `tokio_util::task::task_tracker::TaskTrackerToken`: the same, without a way to be told to stop, and it is
///   never refused.
#[must_use = "dropping it counts the task out"]
pub struct TaskGuard {
    hold: Hold,
}

impl TaskGuard {
    #[inline]
    pub(super) fn new(hold: Hold) -> Self {
        Self { hold }
    }

    /// The group's token: what a busy task stops for. It is the one handle that the group has; a task that
    /// waits on it again and again does so faster on a clone of its own.
    pub fn token(&self) -> &CancelToken {
        self.hold.shared().stop.token()
    }

    /// The group. A handle that is cloned from it after the last handle has gone is one of a group that is
    /// closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let subtask = guard.group().guard().unwrap();
    /// assert_eq!(group.len(), 2);
    /// ```
    pub fn group(&self) -> &TaskGroup {
        self.hold.group()
    }

    /// The token that is cancelled when the group is closed: what an idle task waits for. See
    /// [`TaskGroup::closing`].
    ///
    /// # Examples
    ///
    /// A connection leaves at the close while it is idle, and at the cancel while it works:
    ///
    /// ```
    /// use winddown::{Cancelled, FutureUntil as _, StreamUntil as _, TaskGroup, TaskGuard};
    ///
    /// async fn answer(request: u32) -> u32 {
    ///     request * 2
    /// }
    ///
    /// async fn serve(guard: TaskGuard, requests: &[u32]) -> Result<Vec<u32>, Cancelled> {
    ///     let (closing, token) = (guard.closing().clone(), guard.token().clone());
    ///     let mut answers = Vec::new();
    ///     for &request in requests {
    ///         let Ok(request) = std::future::ready(request).until(&closing).await else { break };
    ///         answers.push(answer(request).until(&token).await?);
    ///     }
    ///     Ok(answers)
    /// }
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// assert_eq!(pollster::block_on(serve(guard.clone(), &[1, 2])).unwrap(), [2, 4]);
    /// group.close();
    /// assert_eq!(pollster::block_on(serve(guard, &[1, 2])).unwrap(), []);
    /// ```
    pub fn closing(&self) -> &CancelToken {
        &self.hold.shared().door
    }

    /// Whether the group is closed. See [`TaskGroup::is_closed`].
    pub fn is_closed(&self) -> bool {
        self.hold.shared().is_closed()
    }

    /// Whether the group is cancelled: `token().is_cancelled()`. See [`TaskGroup::is_cancelled`].
    ///
    /// A busy task asks it between two steps. A task that returns a `Result` has the reason, too, by
    /// [`token().check()?`](CancelToken::check).
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let busy = std::thread::spawn(move || {
    ///     while !guard.is_cancelled() {
    ///         std::thread::yield_now(); // one step of the work
    ///     }
    /// });
    /// group.cancel();
    /// busy.join().unwrap();
    /// assert!(group.is_drained());
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.token().is_cancelled()
    }

    /// Waits until the group is closed. See [`TaskGroup::closed`].
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let idle = std::thread::spawn(move || guard.closed().block());
    /// group.close();
    /// idle.join().unwrap();
    /// ```
    pub fn closed(&self) -> WaitCancelled<&CancelToken> {
        self.closing().cancelled()
    }

    /// Wraps `future`, so that the guard is held until the future is done.
    ///
    /// When the future is ready, it is dropped first, then the guard, and then its output is returned. If it
    /// panics, both are dropped in the same order, while the panic unwinds.
    ///
    /// The guard moves into the wrapper, so the future cannot use it. A task that needs a token clones it before:
    /// `let token = guard.token().clone();`. A task that needs the guard takes it as a parameter and is not
    /// wrapped: `work(guard)`. Do not write `guard.clone().track(..)`, which the compiler proposes: that counts
    /// the task twice, also against a [limit](crate::TaskGroupBuilder::limit).
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::TaskGroup;
    ///
    /// let group = TaskGroup::new();
    /// let task = group.guard().unwrap().track(async { 7 });
    /// assert_eq!(group.len(), 1);
    /// assert_eq!(pollster::block_on(task), 7);
    /// assert!(group.is_empty());
    /// ```
    pub fn track<F: IntoFuture>(self, future: F) -> Tracked<F::IntoFuture, Self> {
        Tracked::new(future.into_future(), self)
    }

    /// Wraps `stream`, so that the guard is held until the stream has ended. For work that is handed on piece
    /// by piece, such as the body of a response.
    ///
    /// At the end the stream is dropped first, then the guard, and then `None` is returned. If the stream is
    /// dropped before that, or panics, both go in the same order.
    ///
    /// A stream that is to end when the group is cancelled gets a limit first:
    /// [`stream.until(token)`](crate::StreamUntil::until).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::stream::{self, StreamExt as _};
    /// use winddown::{StreamUntil as _, TaskGroup};
    ///
    /// # pollster::block_on(async {
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let token = guard.token().clone();
    /// let mut body = guard.track_stream(stream::repeat("and so on").until(token));
    /// assert_eq!(body.next().await, Some("and so on"));
    /// assert_eq!(group.len(), 1);
    /// group.cancel();
    /// assert_eq!(body.next().await, None);
    /// assert!(group.is_drained());
    /// # });
    /// ```
    pub fn track_stream<S: Stream>(self, stream: S) -> TrackedStream<S, Self> {
        TrackedStream::new(stream, self)
    }

    /// Counts the task out and gives a handle, so that a task can wait for its own group:
    /// `guard.leave().join().await`. (A task that waits for its group while it is inside waits for itself.)
    ///
    /// # Panics
    ///
    /// As the drop of the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::TaskGroup;
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// std::thread::spawn(move || guard.leave().join().block()).join().unwrap();
    /// assert!(group.is_drained());
    /// ```
    pub fn leave(self) -> TaskGroup {
        // The handle comes first: by it the group outlives the guard.
        let group = self.group().clone();
        and_then_run(|deferred| self.leave_into(deferred));
        group
    }

    /// Gives the task a label for `TaskGroup::holders`, in place of an earlier one. Without the feature
    /// `holders` the label is dropped, and nothing else happens.
    ///
    /// A task that is labelled anew at each step shows where it is. The time of its line goes on: it counts from
    /// when the guard was taken.
    ///
    /// `label(format!("…"))` makes its text in every build, since the caller makes it. For a text that is made
    /// at run time see [`label_with`](Self::label_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::TaskGroup;
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap().label("accept loop");
    /// # #[cfg(feature = "holders")]
    /// assert_eq!(group.holders().first().unwrap().label, "accept loop");
    /// # drop(guard);
    /// ```
    pub fn label(self, label: impl Into<Cow<'static, str>>) -> Self {
        self.hold.label(|| label.into());
        self
    }

    /// [`label`](Self::label) for a text that is made at run time.
    ///
    /// With the feature `holders`, `make` is called here, once and under no lock. Without the feature it is
    /// dropped uncalled, so that the text costs nothing.
    ///
    /// # Panics
    ///
    /// Only with the panic of `make`; the guard is dropped by it.
    ///
    /// # Examples
    ///
    /// Each connection has a line of its own in the report:
    ///
    /// ```
    /// use winddown::TaskGroup;
    ///
    /// let group = TaskGroup::new();
    /// let guards: Vec<_> = ["10.0.0.1:80", "10.0.0.2:80"]
    ///     .into_iter()
    ///     .map(|peer| group.guard().unwrap().label_with(|| format!("connection to {peer}")))
    ///     .collect();
    /// # #[cfg(feature = "holders")]
    /// assert!(group.holders().to_string().contains("#1 connection to 10.0.0.2:80, from "));
    /// # drop(guards);
    /// ```
    pub fn label_with<L: Into<Cow<'static, str>>>(self, make: impl FnOnce() -> L) -> Self {
        self.hold.label(|| make().into());
        self
    }

    /// The number of the guard in its group: the [`id`](crate::Holder::id) of its line in
    /// [`TaskGroup::holders`], so that a task can name itself in a log as the report does. A clone has a number
    /// of its own. Needs the feature `holders`.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::TaskGroup;
    ///
    /// let group = TaskGroup::new();
    /// let (first, second) = (group.guard().unwrap(), group.guard().unwrap());
    /// assert_eq!((first.id(), second.id()), (0, 1));
    /// assert!(group.holders().iter().map(|holder| holder.id).eq([first.id(), second.id()]));
    /// # drop((first, second));
    /// ```
    #[cfg(feature = "holders")]
    pub fn id(&self) -> u64 {
        self.hold.id()
    }

    /// Cancels the group when the guard is dropped, with [`Reason::Dropped`](crate::Reason::Dropped): whatever
    /// ends this task stops all. The drop is a [`TaskGroup::cancel`] then.
    ///
    /// To stop all for a reason of its own, a task calls [`TaskGroup::cancel_with`] before it drops what others
    /// may notice; the first reason wins.
    ///
    /// A task that may be done before the others have entered must not have this: the group would be closed
    /// before them.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let listener = group.guard().unwrap().cancel_on_drop();
    /// drop(listener); // for whatever reason
    /// assert!(group.is_cancelled());
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.hold.mark(ON_DROP);
        self
    }

    /// Cancels the group when the guard is dropped by a panic, with
    /// [`Reason::Panicked`](crate::Reason::Panicked). Needs the feature `std`.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{Reason, TaskGroup};
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap().cancel_on_panic();
    /// let thread = std::thread::spawn(move || {
    ///     let _guard = guard;
    ///     panic!("out of cheese");
    /// });
    /// assert!(thread.join().is_err());
    /// assert!(matches!(group.token().reason(), Some(Reason::Panicked)));
    /// ```
    #[cfg(feature = "std")]
    pub fn cancel_on_panic(mut self) -> Self {
        self.hold.mark(ON_PANIC);
        self
    }

    /// Counts the task out, which cancels the group if the guard says so. What comes of it is deferred; the
    /// group may be gone when this returns.
    pub(crate) fn leave_into(self, deferred: &mut Deferred) {
        ManuallyDrop::new(self).end(deferred);
    }

    /// To be called once, in place of the drop.
    fn end(&mut self, deferred: &mut Deferred) {
        if let Some(reason) = self.hold.reason() {
            // Before the step that counts the task out, since that may be the last that the group hears.
            let _ = Shared::cancel(self.hold.shared(), reason, deferred);
        }
        self.hold.end(deferred);
    }

    #[cold]
    fn drop_noticed(&mut self) {
        let mut deferred = Deferred::new();
        self.end(&mut deferred);
        deferred.run_in_drop();
    }
}

impl Drop for TaskGuard {
    #[inline]
    fn drop(&mut self) {
        if !self.hold.is_plain() || self.hold.shared().population.has_queue() {
            return self.drop_noticed();
        }
        self.hold.end_plainly();
    }
}

impl Clone for TaskGuard {
    /// Brings one more task in, also into a group that is closed or has reached its limit: a task that is
    /// inside may always bring another one in. What `label`, `cancel_on_drop` and `cancel_on_panic` said stays
    /// with the original.
    #[track_caller]
    fn clone(&self) -> Self {
        match self.hold.join_in(Caller::here()) {
            Ok(hold) => Self::new(hold),
            Err(refused) => panic!("{refused}"),
        }
    }
}

impl fmt::Debug for TaskGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGuard").field("group", self.group()).finish()
    }
}

impl UnwindSafe for TaskGuard {}
impl RefUnwindSafe for TaskGuard {}
