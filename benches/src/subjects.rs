//! The contenders, each behind the same few operations and in its own idiom. Nothing is measured
//! here.

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Mutex;

use event_listener::{EventListener, Listener as _};
use futures_intrusive::sync::{ManualResetEvent, WaitForEventFuture};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerWaitFuture;
use winddown::{CancelScope, CancelToken, Canceller, Signal, TaskGroup, WaitGroup};

/// Calls a function with these arguments for each contender that is an [`Event`].
macro_rules! for_each_event {
    ($function:ident($($argument:expr),*)) => {
        $function::<winddown::Signal>($($argument),*);
        $function::<winddown::WaitGroup>($($argument),*);
        $function::<$crate::subjects::Door>($($argument),*);
        $function::<$crate::subjects::Drain>($($argument),*);
        $function::<winddown::Canceller>($($argument),*);
        $function::<tokio_util::sync::CancellationToken>($($argument),*);
        $function::<tokio_util::task::TaskTracker>($($argument),*);
        $function::<event_listener::Event>($($argument),*);
        $function::<wg::future::WaitGroup>($($argument),*);
        $function::<$crate::subjects::Triggered>($($argument),*);
        $function::<futures_intrusive::sync::ManualResetEvent>($($argument),*);
    };
}
pub(crate) use for_each_event;

/// Something that ends once and can be waited for by tasks. A wait that is made before the end is
/// pending until then.
pub(crate) trait Event: Send + Sync + 'static {
    const NAME: &'static str;
    type Wait<'a>: Future<Output = ()>;

    /// A new one that has not ended; `waiters` is how many will come, for contenders that can use it.
    fn new(waiters: usize) -> Self;
    fn wait(&self) -> Self::Wait<'_>;
    fn end(&self);
}

/// A scope of a tree of cancellation, by a handle that does nothing when it is dropped.
pub(crate) trait Tree: Event {
    /// A scope below this one.
    fn child(&self) -> Self;
}

/// A tree that does more than its floor.
pub(crate) trait Token: Tree {
    /// Another handle of the same scope.
    fn another(&self) -> Self;
    fn is_cancelled(&self) -> bool;
}

/// Something that ends once and that a thread can block on.
pub(crate) trait Blocking: Send + Sync + 'static {
    const NAME: &'static str;

    fn new() -> Self;
    /// Returns after the end. Called by one thread.
    fn block(&self);
    fn end(&self);
}

/// Polls with a waker whose clone, wake and drop are calls that do nothing: the same for all, and
/// no contention of the waker's own.
#[inline]
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Futures side by side in memory that is allocated beforehand, so that neither its allocation nor a
/// box for each future is measured.
pub(crate) struct Parked<F> {
    futures: Vec<F>,
}

impl<F: Future<Output = ()>> Parked<F> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { futures: Vec::with_capacity(capacity) }
    }

    /// Polls it once; it is pending.
    #[inline]
    pub(crate) fn park(&mut self, future: F) {
        assert!(self.futures.len() < self.futures.capacity(), "a future must not move");
        self.futures.push(future);
        let future = self.futures.last_mut().expect("just pushed");
        // SAFETY: the vector never grows, nothing is taken out of it, and `clear` drops what it
        //   holds in its place.
        let future = unsafe { Pin::new_unchecked(future) };
        assert!(poll(future).is_pending());
    }

    /// Whether the end has reached all of them.
    #[inline]
    pub(crate) fn are_over(&mut self) -> bool {
        self.futures.iter_mut().all(|future| {
            // SAFETY: as above.
            let future = unsafe { Pin::new_unchecked(future) };
            poll(future).is_ready()
        })
    }

    /// Drops them, first made first.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.futures.clear();
    }
}

/// The waits of an event.
pub(crate) struct Waits<'a, E: Event + 'a> {
    parked: Parked<E::Wait<'a>>,
}

impl<'a, E: Event> Waits<'a, E> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { parked: Parked::with_capacity(capacity) }
    }

    /// Makes a wait and polls it once; it is pending.
    #[inline]
    pub(crate) fn park(&mut self, event: &'a E) {
        self.parked.park(event.wait());
    }

    #[inline]
    pub(crate) fn are_over(&mut self) -> bool {
        self.parked.are_over()
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.parked.clear();
    }
}

impl Event for Signal {
    const NAME: &'static str = "winddown Signal";
    type Wait<'a> = winddown::future::WaitClosed<&'a Self>;

    fn new(_: usize) -> Self {
        Self::new()
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.closed()
    }

    fn end(&self) {
        assert!(self.close());
    }
}

impl Blocking for Signal {
    const NAME: &'static str = <Self as Event>::NAME;

    fn new() -> Self {
        Self::new()
    }

    fn block(&self) {
        self.closed().block();
    }

    fn end(&self) {
        assert!(self.close());
    }
}

/// One piece of work is in flight.
impl Event for WaitGroup {
    const NAME: &'static str = "winddown WaitGroup";
    type Wait<'a> = winddown::future::Wait<&'a Self>;

    fn new(_: usize) -> Self {
        <Self as Blocking>::new()
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.wait()
    }

    fn end(&self) {
        self.done().expect("one piece of work");
    }
}

impl Blocking for WaitGroup {
    const NAME: &'static str = <Self as Event>::NAME;

    fn new() -> Self {
        let group = Self::new();
        group.add(1).expect("room");
        group
    }

    fn block(&self) {
        self.wait().block();
    }

    fn end(&self) {
        self.done().expect("one piece of work");
    }
}

impl Event for Canceller {
    const NAME: &'static str = "winddown CancelToken";
    type Wait<'a> = winddown::future::WaitCancelled<&'a CancelToken>;

    fn new(_: usize) -> Self {
        CancelScope::new().detach()
    }

    #[inline]
    fn wait(&self) -> Self::Wait<'_> {
        self.token().cancelled()
    }

    fn end(&self) {
        assert!(self.cancel());
    }
}

impl Tree for Canceller {
    #[inline]
    fn child(&self) -> Self {
        self.token().child().detach()
    }
}

impl Token for Canceller {
    fn another(&self) -> Self {
        self.clone()
    }

    #[inline]
    fn is_cancelled(&self) -> bool {
        self.token().is_cancelled()
    }
}

/// The door of a group: its wait is over when the group is closed.
pub(crate) struct Door(pub(crate) TaskGroup);

impl Event for Door {
    const NAME: &'static str = "winddown TaskGroup, closed";
    type Wait<'a> = winddown::future::WaitCancelled<&'a CancelToken>;

    fn new(_: usize) -> Self {
        Self(TaskGroup::new())
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.0.closed()
    }

    fn end(&self) {
        assert!(self.0.close());
    }
}

/// The drain of a group that is empty and open: the close is what drains it.
pub(crate) struct Drain(TaskGroup);

impl Event for Drain {
    const NAME: &'static str = "winddown TaskGroup, drained";
    type Wait<'a> = winddown::future::WaitDrained<&'a TaskGroup>;

    fn new(_: usize) -> Self {
        Self(TaskGroup::new())
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.0.drained()
    }

    fn end(&self) {
        assert!(self.0.close());
    }
}

/// A group as a scope of a tree: its end is its cancellation. The drop of its last handle closes it.
impl Event for TaskGroup {
    const NAME: &'static str = "winddown TaskGroup";
    type Wait<'a> = winddown::future::WaitCancelled<&'a CancelToken>;

    fn new(_: usize) -> Self {
        Self::new()
    }

    #[inline]
    fn wait(&self) -> Self::Wait<'_> {
        self.token().cancelled()
    }

    fn end(&self) {
        assert!(self.cancel());
    }
}

impl Tree for TaskGroup {
    #[inline]
    fn child(&self) -> Self {
        self.child().expect("an open group")
    }
}

/// What stands for a group in tokio-util. A tracker has no children, so the parent does not wait for
/// the tasks of its children.
pub(crate) struct TrackerAndToken {
    _tracker: TaskTracker,
    token: CancellationToken,
}

impl Event for TrackerAndToken {
    const NAME: &'static str = "TaskTracker + CancellationToken";
    type Wait<'a> = WaitForCancellationFuture<'a>;

    fn new(_: usize) -> Self {
        Self { _tracker: TaskTracker::new(), token: CancellationToken::new() }
    }

    #[inline]
    fn wait(&self) -> Self::Wait<'_> {
        self.token.cancelled()
    }

    fn end(&self) {
        self.token.cancel();
    }
}

impl Tree for TrackerAndToken {
    #[inline]
    fn child(&self) -> Self {
        Self { _tracker: TaskTracker::new(), token: self.token.child_token() }
    }
}

impl Tree for CancellationToken {
    #[inline]
    fn child(&self) -> Self {
        self.child_token()
    }
}

impl Token for CancellationToken {
    fn another(&self) -> Self {
        self.clone()
    }

    #[inline]
    fn is_cancelled(&self) -> bool {
        self.is_cancelled()
    }
}

impl Event for CancellationToken {
    const NAME: &'static str = "CancellationToken";
    type Wait<'a> = WaitForCancellationFuture<'a>;

    fn new(_: usize) -> Self {
        Self::new()
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.cancelled()
    }

    fn end(&self) {
        self.cancel();
    }
}

/// Empty, and open until its end: `close` is what ends the waits then.
impl Event for TaskTracker {
    const NAME: &'static str = "TaskTracker";
    type Wait<'a> = TaskTrackerWaitFuture<'a>;

    fn new(_: usize) -> Self {
        Self::new()
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.wait()
    }

    fn end(&self) {
        assert!(self.close());
    }
}

/// Bare: the caller has no flag to look at, so a wait that comes late is lost.
impl Event for event_listener::Event {
    const NAME: &'static str = "event-listener";
    type Wait<'a> = EventListener;

    fn new(_: usize) -> Self {
        Self::new()
    }

    fn wait(&self) -> EventListener {
        self.listen()
    }

    fn end(&self) {
        self.notify(usize::MAX);
    }
}

/// event-listener with a flag, in the loop that its documentation shows.
pub(crate) struct FlagAndEvent {
    over: AtomicBool,
    event: event_listener::Event,
}

impl Blocking for FlagAndEvent {
    const NAME: &'static str = "event-listener";

    fn new() -> Self {
        Self { over: AtomicBool::new(false), event: event_listener::Event::new() }
    }

    fn block(&self) {
        while !self.over.load(Ordering::Acquire) {
            event_listener::listener!(self.event => listener);
            if self.over.load(Ordering::Acquire) {
                return;
            }
            listener.wait();
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.event.notify(usize::MAX);
    }
}

/// Its listener is the future; each waiter has a clone.
pub(crate) struct Triggered {
    trigger: triggered::Trigger,
    pub(crate) listener: triggered::Listener,
}

impl Event for Triggered {
    const NAME: &'static str = "triggered";
    type Wait<'a> = triggered::Listener;

    fn new(_: usize) -> Self {
        <Self as Blocking>::new()
    }

    fn wait(&self) -> triggered::Listener {
        self.listener.clone()
    }

    fn end(&self) {
        self.trigger.trigger();
    }
}

impl Blocking for Triggered {
    const NAME: &'static str = <Self as Event>::NAME;

    fn new() -> Self {
        let (trigger, listener) = triggered::trigger();
        Self { trigger, listener }
    }

    fn block(&self) {
        self.listener.wait();
    }

    fn end(&self) {
        self.trigger.trigger();
    }
}

impl Event for ManualResetEvent {
    const NAME: &'static str = "futures-intrusive";
    type Wait<'a> = WaitForEventFuture<'a>;

    fn new(_: usize) -> Self {
        Self::new(false)
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.wait()
    }

    fn end(&self) {
        self.set();
    }
}

/// One piece of work is in flight.
impl Event for wg::future::WaitGroup {
    const NAME: &'static str = "wg (future)";
    type Wait<'a> = wg::future::WaitGroupFuture<'a>;

    fn new(_: usize) -> Self {
        Self::from(1)
    }

    fn wait(&self) -> Self::Wait<'_> {
        self.wait()
    }

    fn end(&self) {
        self.done();
    }
}

impl Blocking for wg::WaitGroup {
    const NAME: &'static str = "wg";

    fn new() -> Self {
        Self::from(1)
    }

    fn block(&self) {
        self.wait();
    }

    fn end(&self) {
        self.done();
    }
}

/// Its wait takes the group, its end drops the clone: the mutexes hold them until then and are free
/// when they are taken.
pub(crate) struct Crossbeam {
    waiter: Mutex<Option<crossbeam_utils::sync::WaitGroup>>,
    worker: Mutex<Option<crossbeam_utils::sync::WaitGroup>>,
}

impl Blocking for Crossbeam {
    const NAME: &'static str = "crossbeam-utils";

    fn new() -> Self {
        let group = crossbeam_utils::sync::WaitGroup::new();
        Self { worker: Mutex::new(Some(group.clone())), waiter: Mutex::new(Some(group)) }
    }

    fn block(&self) {
        let group = self.waiter.lock().expect("no panic inside").take();
        group.expect("blocked on once").wait();
    }

    fn end(&self) {
        drop(self.worker.lock().expect("no panic inside").take());
    }
}
