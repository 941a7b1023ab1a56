//! The handle of a group.

use core::fmt;
use core::future::IntoFuture;
use core::num::NonZeroUsize;
use core::panic::{RefUnwindSafe, UnwindSafe};

use super::builder::TaskGroupBuilder;
use super::guard::TaskGuard;
use super::holders::Caller;
use super::room::WaitRoom;
use super::shared::Shared;
use super::waits::{WaitDrained, WaitShutdown};
use crate::cancel::reason::Reason;
use crate::cancel::token::{CancelToken, WaitCancelled};
use crate::combine::Tracked;
use crate::error::{ChildError, Refused, Unlimited};
use crate::park::deferred::{Deferred, and_then_run};
use crate::sync::{Arc, Ordering};

/// The tasks of a service: counts them, refuses late ones, tells them to stop, and waits until the last one has
/// left.
///
/// A group has levels, which only rise:
///
/// | level | by | means |
/// |---|---|---|
/// | open | | [`guard`](Self::guard) lets tasks in |
/// | closed | [`close`](Self::close), [`join`](Self::join), [`shutdown`](Self::shutdown), the last handle's drop | no new work; [`closing`](Self::closing) tells idle tasks to leave |
/// | cancelled | [`cancel`](Self::cancel), the end of a grace | [`token`](Self::token) tells busy tasks to stop |
/// | drained | the last task leaves a closed group | [`finally`](TaskGroupBuilder::finally) has run, and the waits are over |
///
/// Imperatives act; participles only look: [`closed`](Self::closed), [`drained`](Self::drained) and the token's
/// `cancelled` wait for what others do.
///
/// **The close is exact.** Once a call of `close` has returned, no task enters any more, on any thread; the
/// guard is refused before the task exists. A task that is inside may bring others in ([`TaskGuard::clone`]). A
/// group is drained once and for ever.
///
/// A [`child`](Self::child) group follows its parent's levels at once, and its parent waits for it. A
/// [link](TaskGroupBuilder::link) waits without following.
///
/// Whole servers, a second signal that forces, phases under one limit, health checks: [the
/// guide](crate::docs::shutdown).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use winddown::{Refused, Stopped, TaskGroup};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let group = TaskGroup::new();
/// for _ in 0..3 {
///     let guard = group.guard().unwrap();
///     let token = guard.token().clone();
///     tokio::spawn(guard.track(async move {
///         // Works until it is told to stop.
///         token.cancelled().await;
///     }));
/// }
/// let grace = tokio::time::sleep(Duration::from_millis(1));
/// assert_eq!(group.shutdown(grace).await, Stopped::Forced);
/// assert_eq!(group.guard().unwrap_err(), Refused::Closed);
/// # });
/// ```
///
/// # Handles
///
/// Clones are handles of one group. **The drop of the last handle closes the group**, since no task could enter
/// any more; the tasks run on. The drop of any other handle does nothing. A token that outlives the group is
/// cancelled with [`Reason::Dropped`].
///
/// # Panics
///
/// The drop of the last handle may panic as [`close`](Self::close), and not while the thread is unwinding.
///
/// # Memory ordering
///
/// What a task did before it left happens before the finaliser, and before the return of every wait for the
/// drain. What happened before a close or cancel happens before the return of whatever observes it, refusals
/// included.
///
/// # Size
///
/// A handle is a pointer, and so is a [`TaskGuard`] (two with `holders`). A group takes three allocations, for
/// itself and for the scopes of its two tokens. A limit takes one more, a link two, a finaliser that captures
/// something one; a place below a token three or four, and one below another group four or five.
///
/// The first wait for the drain takes one allocation. Each of the two tokens has room for one wait; the second
/// wait at the same time takes about four, with seats for 30 waits (14 on 32 bits). Below another group, the first
/// wait on a token may take one for each level above. [All of it can be taken at the
/// start](crate::docs::embedded#all-memory-at-the-start).
///
/// The constructor is not `const`: a group in a `static` needs a `LazyLock`, which is std's alone. Without `std`
/// see [statics](crate::docs::embedded#a-group-in-a-static).
///
/// # Many cores
///
/// Entering and leaving cost one read-modify-write each, of one word. If threads get in each other's way there,
/// a group without a limit spreads its count, by itself and once: from then on each core counts on a cache line
/// of its own, so that entering and leaving take as long as on one thread. The entry that spreads it allocates
/// 64 bytes for each core (for 8 at least, and 64 at most); the first close takes a step for each, and
/// [`len`](Self::len) a load. Without memory for that, the group goes on in one word. It takes the feature
/// `std`, and 64-bit pointers.
///
/// # Availability
///
/// | call ([key](crate::docs::embedded#availability-tables)) | needs | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|---|
/// | `builder` | | no | yes | no | no |
/// | `new`, `child` and the like | | yes | no | yes | lock |
/// | `guard`, `track` | | once: see below | yes | no | no |
/// | `token`, `closing`, `is_closed`, `is_cancelled`, `is_drained`, `len`, `is_empty`, `limit`, a clone, any handle's drop but the last | | no | yes | no | no |
/// | `panics`: 0 without `std` | | no | yes | no | no |
/// | `holders` | `holders` | yes | no | no | lock |
/// | `set_limit` | | no | yes | yes | lock, if there is a queue |
/// | `close`, `cancel`, the last handle's drop | | no | if the finaliser may run there | yes | lock |
/// | `cancel_with`: a reason without content | | no | the same | yes | lock |
/// | `cancel_with`: a text or an error | | yes | no | yes | lock |
/// | a poll of `closed`, `drained`, `join`, `shutdown` | | first wait | no | yes | lock |
/// | a poll of `guard_when_room` | | if it waits | no | yes | lock |
///
/// * An entry into a group without a limit may allocate once, with `std` on 64-bit targets: when it spreads the
///   count. So do not enter in a signal handler.
/// * With `holders`, entering and leaving allocate, free and lock, and are not for interrupts.
/// * With `tracing`, whatever closes, cancels or drains may allocate, and is not for interrupts.
/// * A drain frees the finaliser, and a block for each group that was held up. That of an
///   [`ErrGroup`](crate::ErrGroup) frees one more, and allocates, if an error was recorded.
/// * The last of all handles and tasks frees the group: let a handle live where an interrupt may be the last.
///
/// # Events for `tracing`
///
/// With the feature `tracing` each group tells, with the target `winddown`:
///
/// | message | level | fields |
/// |---|---|---|
/// | `group closed` | `DEBUG` | `group`, `len`, `reason` |
/// | `group cancelled`, by itself and not from above | `DEBUG` | `group`, `len`, `reason` |
/// | `scope cancelled`: the same of a [`CancelScope`](crate::CancelScope), but when it is dropped | `DEBUG` | `scope`, `reason` |
/// | `group drained` | `DEBUG` | `group`, `forced`, `panics` |
/// | `a limit came before the group was drained`: of `join`, `drained` or `shutdown` | `WARN` | `group`, `left`, `cancelled`, and `holders` with that feature |
///
/// `group` and `scope` are addresses, to tell one from another. A subscriber is called when all that it is told
/// of is done, behind the wakers and under no lock: it may call back into the group. If it panics, the call
/// that caused the event panics, as with the panic of a callback; so may the poll or block that a limit ended.
/// An event allocates only if a subscriber asks for its level.
///
/// # Compared with
///
/// * `tokio_util::task::TaskTracker` and a `CancellationToken`: a tracker lets tasks in after it was closed,
///   does not say what holds it up, and has no children.
/// * Go's `errgroup` and `sync.WaitGroup`: entering late is refused here and a race there; see
///   [`ErrGroup`](crate::ErrGroup) for errors.
/// * `tokio::task::JoinSet` keeps every output and is for tokio alone. Use it to collect results.
pub struct TaskGroup {
    pub(super) shared: Arc<Shared>,
}

impl TaskGroup {
    /// An open group.
    pub fn new() -> TaskGroup {
        Self::builder().build()
    }

    /// Begins a group with a parent token, links, a limit or a finaliser.
    pub fn builder() -> TaskGroupBuilder {
        TaskGroupBuilder::default()
    }

    /// Lets one task in, until the guard is dropped. Take it where the task is started, and move it into the
    /// task. Never waits.
    ///
    /// It takes a load for each group above, and for each scope of the token above those.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once the group, or one above it, is closed; [`Refused::Full`] if its limit is
    /// reached or tasks wait for room. Nothing was counted then.
    ///
    /// A group with a limit may say `Full` early, while another thread passes a place on: from the step by
    /// which a task leaves (or the limit is raised, or a wait for room finds room) until that place is granted
    /// or given back. So a thread may find the place of its own task, which has just left, not free yet, even
    /// if all waits have given up. When no such call is on its way, `Full` means that the limit is reached, or
    /// that tasks wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{Refused, TaskGroup};
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let thread = std::thread::spawn(move || {
    ///     // ... work ...
    ///     drop(guard);
    /// });
    /// group.join().block();
    /// assert!(matches!(group.guard(), Err(Refused::Closed)));
    /// # thread.join().unwrap();
    /// ```
    #[track_caller]
    #[inline]
    pub fn guard(&self) -> Result<TaskGuard, Refused> {
        self.enter(Caller::here())
    }

    /// Lets one task in as soon as there is room: first come, first served. For groups with a
    /// [limit](TaskGroupBuilder::limit); without one it is ready at once.
    ///
    /// # Errors
    ///
    /// The output is [`Refused::Closed`] once the group is closed, before the wait or during it. A group
    /// without a limit may say [`Refused::Full`], as in [`guard`](Self::guard).
    ///
    /// # Panics
    ///
    /// A poll, or the drop, may end with the panic of another task's waker, callback or finaliser: of the wait
    /// that it passes a place on to, or of the drain if it gives the last place back to a closed group.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. It loses its turn in the queue; a place that it was granted and
    /// did not take goes to the next wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use winddown::{Refused, TaskGroup};
    ///
    /// # pollster::block_on(async {
    /// let group = TaskGroup::builder().limit(NonZeroUsize::new(1).unwrap()).build();
    /// let first = group.guard_when_room().await.unwrap();
    /// assert_eq!(group.guard().unwrap_err(), Refused::Full);
    /// drop(first);
    /// let second = group.guard_when_room().await.unwrap();
    /// # drop(second);
    /// # });
    /// ```
    #[track_caller]
    pub fn guard_when_room(&self) -> WaitRoom<&TaskGroup> {
        WaitRoom::new(self, Caller::here())
    }

    /// [`guard_when_room`](Self::guard_when_room) with a future that owns the handle, to be stored: in a
    /// service that says when it is ready, for instance. If the handle is the last, the group stays open while
    /// the future lives.
    ///
    /// # Errors
    ///
    /// As [`guard_when_room`](Self::guard_when_room).
    ///
    /// # Panics
    ///
    /// As [`guard_when_room`](Self::guard_when_room), and as the drop of a handle.
    ///
    /// # Cancel safety
    ///
    /// As [`guard_when_room`](Self::guard_when_room). The drop then drops the handle, which is a
    /// [`close`](Self::close) if it is the last.
    ///
    /// # Examples
    ///
    /// A service that takes its place when it is asked whether it is ready, and spends it on the call:
    ///
    /// ```
    /// use std::pin::Pin;
    /// use std::task::{Context, Poll, ready};
    /// use winddown::future::WaitRoom;
    /// use winddown::{Refused, TaskGroup, TaskGuard};
    ///
    /// struct Service {
    ///     group: TaskGroup,
    ///     room: Option<WaitRoom>,
    ///     place: Option<TaskGuard>,
    /// }
    ///
    /// impl Service {
    ///     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
    ///         if self.place.is_none() {
    ///             let room = self.room.get_or_insert_with(|| self.group.clone().guard_when_room_owned());
    ///             let place = ready!(Pin::new(room).poll(cx));
    ///             self.room = None;
    ///             self.place = Some(place?);
    ///         }
    ///         Poll::Ready(Ok(()))
    ///     }
    ///
    ///     fn call(&mut self, request: u32) -> impl Future<Output = u32> {
    ///         let place = self.place.take().expect("`poll_ready` said so");
    ///         place.track(async move { request + 1 })
    ///     }
    /// }
    ///
    /// let limit = std::num::NonZeroUsize::new(1).unwrap();
    /// let group = TaskGroup::builder().limit(limit).build();
    /// let mut service = Service { group, room: None, place: None };
    /// let answer = pollster::block_on(async {
    ///     std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    ///     service.call(1).await
    /// });
    /// assert_eq!(answer, 2);
    /// ```
    #[track_caller]
    pub fn guard_when_room_owned(self) -> WaitRoom {
        WaitRoom::new(self, Caller::here())
    }

    /// [`guard`](Self::guard) and [`TaskGuard::track`] in one. Where making the future costs something or has
    /// effects, write `group.guard()?.track(future)`, which asks first.
    ///
    /// The guard is inside of the wrapper, so the future cannot use it. A future that needs the group's tokens gets
    /// clones of them; one that needs the guard takes it as a parameter, and is not wrapped.
    ///
    /// # Errors
    ///
    /// As [`guard`](Self::guard); `future` is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let task = group.track(async { 7 }).unwrap();
    /// assert_eq!((group.len(), pollster::block_on(task), group.len()), (1, 7, 0));
    /// ```
    #[track_caller]
    pub fn track<F: IntoFuture>(
        &self,
        future: F,
    ) -> Result<Tracked<F::IntoFuture, TaskGuard>, Refused> {
        Ok(self.guard()?.track(future))
    }

    /// Changes the [limit](TaskGroupBuilder::limit) of a group that was built with one, while tasks run.
    ///
    /// A higher limit lets in as many waits for a place as there is room for, in their order. With a lower one
    /// all tasks stay, and none enters until fewer are inside; a place that is on its way to a wait when the limit is
    /// lowered may still get there.
    ///
    /// # Errors
    ///
    /// [`Unlimited`] if the group was built without a limit; then nothing was changed.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker, callback or finaliser that it ran, after all the others ran.
    ///
    /// # Memory ordering
    ///
    /// What happened before this call happens before the return of a wait that it lets in.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use winddown::{Refused, TaskGroup};
    ///
    /// let (one, two) = (NonZeroUsize::new(1).unwrap(), NonZeroUsize::new(2).unwrap());
    /// let group = TaskGroup::builder().limit(one).build();
    /// let first = group.guard().unwrap();
    /// assert_eq!(group.guard().unwrap_err(), Refused::Full);
    /// group.set_limit(two).unwrap();
    /// let second = group.guard().unwrap();
    /// assert!(TaskGroup::new().set_limit(two).is_err());
    /// # drop((first, second));
    /// ```
    pub fn set_limit(&self, limit: NonZeroUsize) -> Result<(), Unlimited> {
        let limited = self.shared.population.limited().ok_or(Unlimited(()))?;
        and_then_run(|deferred| {
            let exit = limited.set_limit(limit, deferred);
            // SAFETY: the handle keeps the group.
            unsafe { Shared::after(Arc::as_ptr(&self.shared), exit, deferred) };
        });
        Ok(())
    }

    /// The limit of the group: the one that was set last, by [`set_limit`](Self::set_limit) or when the group was
    /// [built](TaskGroupBuilder::limit). None if the group was built without one. One load.
    ///
    /// A limit beyond the highest is told as the highest, which was taken for it. A group that is closed or
    /// drained still tells its limit. What limits the groups above have is no part of the answer: each counts
    /// this group as one task.
    ///
    /// [`len`](Self::len) may be above the limit: clones of guards are not held up, and all tasks stay when the
    /// limit is lowered. Another thread may change the limit right after this look, so whether a task may enter is
    /// for [`guard`](Self::guard) to say.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use winddown::TaskGroup;
    ///
    /// let (ten, four) = (NonZeroUsize::new(10).unwrap(), NonZeroUsize::new(4).unwrap());
    /// let group = TaskGroup::builder().limit(ten).build();
    /// assert_eq!(group.limit(), Some(ten));
    /// group.set_limit(four).unwrap();
    /// assert_eq!(group.limit(), Some(four));
    /// assert_eq!(TaskGroup::new().limit(), None);
    /// ```
    pub fn limit(&self) -> Option<NonZeroUsize> {
        self.shared.population.limited()?.limit()
    }

    /// Closes the group: no task enters any more. True for the first call that closes it, here or above.
    ///
    /// Tasks that are inside go on, and are told by [`closing`](Self::closing). If none is inside, and all
    /// links are drained, this drains the group. False says that the group was closed before; another thread
    /// may be draining it then.
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker, callback or finaliser that it ran, after all the others ran.
    ///
    /// # Memory ordering
    ///
    /// See [`TaskGroup`].
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{Refused, TaskGroup};
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// assert!(group.close());
    /// assert_eq!(group.guard().unwrap_err(), Refused::Closed);
    /// drop(guard);
    /// assert!(group.is_drained());
    /// ```
    pub fn close(&self) -> bool {
        and_then_run(|deferred| Shared::close(&self.shared, deferred))
    }

    /// Whether the group is closed, here or above: one load, and one more for each level above that is open.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// The token that is cancelled when the group is closed: what an idle task waits for. Its reason is
    /// [`Reason::Closed`], or that of what was closed or cancelled above.
    ///
    /// "Idle work leaves at the close, busy work at the cancel" is `next().until(group.closing())` for what a
    /// task waits for, and `work.until(group.token())` for what it does; see [`TaskGuard::closing`].
    ///
    /// It is one handle for all tasks. A task that waits on it again and again does so faster on a clone of its
    /// own. A token does not keep the group open, as a handle of the group does.
    ///
    /// # Memory ordering
    ///
    /// What happened before the close happens before the return of whatever observes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{Reason, TaskGroup};
    ///
    /// let group = TaskGroup::new();
    /// group.close();
    /// assert!(matches!(group.closing().reason(), Some(Reason::Closed)));
    /// assert!(!group.is_cancelled());
    /// ```
    pub fn closing(&self) -> &CancelToken {
        &self.shared.door
    }

    /// Waits until the group is closed: `closing().cancelled()`. It does not close the group.
    ///
    /// For a future that borrows nothing, to be stored or sent to another thread, write
    /// `group.closing().clone().cancelled_owned()`: see [`CancelToken::cancelled_owned`]. That future owns a token
    /// and no handle: it does not keep the group open, and it is over when the last handle is dropped. (The future
    /// of [`drained_owned`](Self::drained_owned) owns a handle.)
    ///
    /// # Panics
    ///
    /// As [`CancelToken::cancelled`].
    ///
    /// # Cancel safety
    ///
    /// As [`CancelToken::cancelled`].
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let handle = group.clone();
    /// let thread = std::thread::spawn(move || handle.closed().block());
    /// group.close();
    /// thread.join().unwrap();
    /// ```
    ///
    /// A struct that keeps the wait, and no handle:
    ///
    /// ```
    /// use winddown::{TaskGroup, future::WaitCancelled};
    ///
    /// struct Connection {
    ///     closed: WaitCancelled,
    /// }
    ///
    /// let group = TaskGroup::new();
    /// let connection = Connection { closed: group.closing().clone().cancelled_owned() };
    /// drop(group); // the last handle, which closes the group
    /// connection.closed.block();
    /// ```
    pub fn closed(&self) -> WaitCancelled<&CancelToken> {
        self.closing().cancelled()
    }

    /// Closes the group and cancels its token. True for the first call that cancels it, here or above.
    ///
    /// # Panics
    ///
    /// As [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// assert!(group.cancel());
    /// assert!(group.is_closed() && group.is_cancelled());
    /// ```
    pub fn cancel(&self) -> bool {
        self.cancel_with(Reason::Cancelled).is_ok()
    }

    /// [`cancel`](Self::cancel) with a reason: any error, a text, or a [`Reason`].
    ///
    /// # Errors
    ///
    /// The reason, if the token was cancelled already, by itself or from above.
    ///
    /// # Panics
    ///
    /// As [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// group.cancel_with("the disk is full").unwrap();
    /// assert_eq!(group.token().check().unwrap_err().to_string(), "the disk is full");
    /// ```
    pub fn cancel_with(&self, reason: impl Into<Reason>) -> Result<(), Reason> {
        let reason = reason.into();
        and_then_run(|deferred| Shared::cancel(&self.shared, reason, deferred))
    }

    /// The own work of [`cancel_with`](Self::cancel_with).
    pub(crate) fn cancel_into(
        &self,
        reason: Reason,
        deferred: &mut Deferred,
    ) -> Result<(), Reason> {
        Shared::cancel(&self.shared, reason, deferred)
    }

    /// The group's token: cancelled with the group, from above, and when the group's state is freed.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// group.cancel();
    /// assert!(group.token().is_cancelled());
    /// ```
    pub fn token(&self) -> &CancelToken {
        self.shared.stop.token()
    }

    /// Whether the group is cancelled, here or above: `token().is_cancelled()`. One load, and one more for each
    /// level above that is open. A group that is cancelled is closed.
    ///
    /// Like every look, it reads no clock: see [`CancelToken::is_cancelled`].
    ///
    /// # Examples
    ///
    /// ```
    /// let service = winddown::TaskGroup::new();
    /// let (mail, web) = (service.child().unwrap(), service.child().unwrap());
    /// mail.cancel();
    /// assert!(mail.is_cancelled() && !web.is_cancelled());
    /// service.close();
    /// assert!(web.is_closed() && !web.is_cancelled());
    /// service.cancel();
    /// assert!(web.is_cancelled());
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.token().is_cancelled()
    }

    /// Waits until the group is drained. **It does not close the group; you probably want
    /// [`join`](Self::join).**
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is left behind.
    ///
    /// # Memory ordering
    ///
    /// See [`TaskGroup`].
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let handle = group.clone();
    /// let thread = std::thread::spawn(move || handle.drained().block());
    /// group.close();
    /// thread.join().unwrap();
    /// ```
    pub fn drained(&self) -> WaitDrained<&TaskGroup> {
        WaitDrained::new(self, false)
    }

    /// [`drained`](Self::drained) with a future that owns the handle. If it is the last one, the group stays
    /// open until it is closed from above, or the future is dropped.
    ///
    /// So a struct that owns a group and hands out such a wait closes the group in its `Drop`: the drop of its own
    /// handle is not the last one while the wait lives. See [libraries](crate::docs::libraries#keeps-tasks-of-its-own).
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let wait = group.clone().drained_owned();
    /// drop(group.guard().unwrap());
    /// group.close();
    /// wait.block();
    /// ```
    pub fn drained_owned(self) -> WaitDrained<TaskGroup> {
        WaitDrained::new(self, false)
    }

    /// Whether the group is drained: closed, empty, all that it is linked to drained, and its finaliser done.
    /// One load.
    pub fn is_drained(&self) -> bool {
        self.shared.drained.is_closed()
    }

    /// Closes the group, at the first poll or block, and waits until it is drained. Any number of tasks and
    /// threads may join; all see the same end.
    ///
    /// A task must not join its own group while it is inside: it would wait for itself. It calls
    /// `guard.leave().join()`.
    ///
    /// # Panics
    ///
    /// The first poll or block may panic as [`close`](Self::close). The wait may be polled again.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is left behind, and the group stays closed.
    ///
    /// # Memory ordering
    ///
    /// See [`TaskGroup`].
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let thread = std::thread::spawn(move || drop(guard)); // the work
    /// group.join().block();
    /// thread.join().unwrap();
    /// ```
    pub fn join(&self) -> WaitDrained<&TaskGroup> {
        WaitDrained::new(self, true)
    }

    /// Closes the group, at the first poll; cancels it when `grace` is over, if it is not drained by then; and
    /// waits until it is. A [link](TaskGroupBuilder::link) that is not drained yet is reason enough.
    ///
    /// The grace is any future: a timer, a second signal of the user, or either of both. For a hard limit on
    /// top, write `group.shutdown(grace).until(limit)`: it gives up and says how many are left. A limit that
    /// comes before the end of the grace cancels the group first; and so does the time of a `block_for` or
    /// `block_until`.
    ///
    /// On threads: `group.join().block_for(grace)`, then [`cancel`](Self::cancel), then
    /// `group.join().block_for(limit)`.
    ///
    /// As with [`join`](Self::join), a task must not wait for this while it is inside.
    ///
    /// # Panics
    ///
    /// The poll that closes the group, and the one that cancels it, may panic as [`close`](Self::close). The
    /// wait may be polled again. With a limit, the poll in which the limit has come cancels too, and is the
    /// last.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; the group stays closed. The drop cancels nothing; only a limit
    /// does.
    ///
    /// # Memory ordering
    ///
    /// See [`TaskGroup`].
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::{Stopped, TaskGroup};
    ///
    /// let group = TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let busy = std::thread::spawn(move || guard.token().cancelled().block());
    /// let grace = std::future::ready(()); // over at once
    /// assert_eq!(group.shutdown(grace).block(), Stopped::Forced);
    /// busy.join().unwrap();
    /// ```
    pub fn shutdown<L: IntoFuture>(&self, grace: L) -> WaitShutdown<'_, L::IntoFuture> {
        WaitShutdown::new(self, grace.into_future())
    }

    /// A group below this one: this group's levels are the child's at once, and this group is drained only when
    /// the child is. A child affects neither its parent nor its siblings, but counts as one task.
    ///
    /// It may be handed to a library: an owner of the child can close and cancel what is in it and below it, and
    /// nothing above. The library hears both levels, and the parent waits for its tasks.
    ///
    /// It is no handle of its parent: if the parent's last handle is dropped, the parent is closed, and with it
    /// the child.
    ///
    /// # Errors
    ///
    /// As [`guard`](Self::guard); no group is built then.
    ///
    /// # Panics
    ///
    /// As [`TaskGroupBuilder::build`], where a close from above meets the birth.
    ///
    /// # Examples
    ///
    /// ```
    /// let server = winddown::TaskGroup::new();
    /// let connection = server.child().unwrap();
    /// server.close();
    /// assert!(connection.is_closed());
    /// ```
    #[track_caller]
    pub fn child(&self) -> Result<TaskGroup, Refused> {
        let hold = Shared::enter(&self.shared, Caller::here())?;
        Ok(Self::builder().build_below(self, hold))
    }

    /// [`child`](Self::child) with a limit or a finaliser of its own.
    ///
    /// # Errors
    ///
    /// [`ChildError::NotARoot`] if `builder` has a parent token or a link: with those, groups could wait for
    /// each other. Otherwise as [`child`](Self::child).
    ///
    /// # Panics
    ///
    /// As [`child`](Self::child).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use winddown::{Refused, TaskGroup};
    ///
    /// let server = TaskGroup::new();
    /// let one = TaskGroup::builder().limit(NonZeroUsize::MIN);
    /// let jobs = server.child_with(one).unwrap();
    /// let _job = jobs.guard().unwrap();
    /// assert_eq!(jobs.guard().unwrap_err(), Refused::Full);
    /// ```
    #[track_caller]
    pub fn child_with(&self, builder: TaskGroupBuilder) -> Result<TaskGroup, ChildError> {
        if builder.parent.is_some() || !builder.links.is_empty() {
            return Err(ChildError::NotARoot);
        }
        let hold = Shared::enter(&self.shared, Caller::here())?;
        Ok(builder.build_below(self, hold))
    }

    /// How many tasks are inside: a snapshot. A child counts as one, however many tasks it has; so does a place
    /// that was granted to a wait for room and is not taken yet, and, for a moment, one that a wait or
    /// [`set_limit`](Self::set_limit) tries to pass on. A link does not count.
    ///
    /// A task that enters or leaves during the call may be counted or not. After threads have contended (see
    /// [`TaskGroup`]) that may hide another task that is inside all the time, and so may a first close that
    /// another thread has not finished yet. [`is_drained`](Self::is_drained) and all waits are exact.
    ///
    /// It takes one load, or one for each core once threads have contended.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// assert_eq!((group.len(), group.is_empty()), (1, false));
    /// ```
    pub fn len(&self) -> usize {
        self.shared.population.len()
    }

    #[cfg(loom)]
    pub(crate) fn spread(&self) {
        self.shared.population.spread();
    }

    /// Whether [`len`](Self::len) is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many guards were dropped by a panic. Panics are noticed and not caught: a runtime or thread reports
    /// them as always. Always 0 without the feature `std`.
    ///
    /// A panic that passes through the frames of a task is the task's, whatever caused it: also that of a waker
    /// or callback that runs because the task itself calls `cancel`. What a tracked future causes by being done
    /// is not: its leave, and the cancel by which an [`ErrGroup`](crate::ErrGroup) answers its error.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let thread = std::thread::spawn(move || {
    ///     let _guard = guard;
    ///     panic!("the disk is on fire");
    /// });
    /// assert!(thread.join().is_err());
    /// assert_eq!(group.panics(), 1);
    /// ```
    pub fn panics(&self) -> usize {
        self.shared.panics()
    }

    /// Which guards are inside, as data and, printed, as a report: for "the shutdown hangs, what holds it up?".
    /// Works from any thread while tasks run. Needs the feature `holders`.
    ///
    /// A [child](Self::child) group is one line, with the place of the call that made it. Its tasks are in the
    /// `holders` of the child; those of a [linked](TaskGroupBuilder::link) group are in that group's.
    ///
    /// # Examples
    ///
    /// See [`Holders`](crate::Holders).
    #[cfg(feature = "holders")]
    pub fn holders(&self) -> crate::group::holders::Holders {
        self.shared.register.report()
    }

    #[inline]
    fn enter(&self, caller: Caller) -> Result<TaskGuard, Refused> {
        Shared::enter(&self.shared, caller).map(TaskGuard::new)
    }
}

impl Clone for TaskGroup {
    /// Another handle of the same group.
    fn clone(&self) -> Self {
        // Relaxed: a handle is made from a handle, or from a guard.
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for TaskGroup {
    fn drop(&mut self) {
        // Publishes what was done with this handle; the last one acquires what was done with all others, so that it
        // comes before the close.
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut deferred = Deferred::new();
            Shared::close(&self.shared, &mut deferred);
            deferred.run_in_drop();
        }
    }
}

impl Default for TaskGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .field("cancelled", &self.is_cancelled())
            .field("drained", &self.is_drained())
            .finish()
    }
}

impl UnwindSafe for TaskGroup {}
impl RefUnwindSafe for TaskGroup {}
