//! What the models share: how they are checked, work whose publication is checked, and wakers.
//!
//! The models are in `tests/`, by type, over the real crate and the real event-listener. Each states
//! its property, the edges (by their letters in `docs/design.md`) that it leans on, and the mutants of
//! `mutants.toml` that it kills. `cargo xtask loom` runs them; without `--cfg loom` there is nothing
//! here.

#![cfg(loom)]

extern crate alloc;

pub mod line;
mod quarantine;

use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::Cell;
use core::future::Future;
use core::num::NonZeroUsize;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use loom::alloc::Track;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use winddown::future::WaitRoom;
use winddown::{Refused, TaskGroup, TaskGroupBuilder, TaskGuard};

use quarantine::Quarantine;

/// Checks `model` with at most three preemptions, which finds what two or three threads do to each
/// other. `LOOM_MAX_PREEMPTIONS` overrides the bound.
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    check_within(3, model);
}

/// [`check`] with another bound, for models of more threads.
pub fn check_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = builder.max_branches.max(4_000);
    let _quarantine = Quarantine::begin();
    builder.check(model);
}

/// Runs `setup` in one way only, where its interleavings with the other threads do not matter. Not in
/// two threads at once.
pub fn unexplored<R>(setup: impl FnOnce() -> R) -> R {
    std::thread_local! {
        // loom runs all threads of a model on one thread of the system.
        static IS_ON: Cell<bool> = const { Cell::new(false) };
    }
    if IS_ON.replace(true) {
        return setup();
    }
    loom::stop_exploring();
    let result = setup();
    loom::explore();
    IS_ON.set(false);
    result
}

/// Polls once.
pub fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Parks two waits with wakers that do nothing: the first takes the only seat of the front, and the second
/// opens a further block, whose other seat is free: whoever comes after them sits there.
pub fn crowd<F: Future + Unpin>(wait: impl Fn() -> F) -> [F; 2] {
    unexplored(|| [(), ()].map(|()| parked(wait(), Waker::noop())))
}

/// A wait that was polled once, in one way only.
pub fn parked<F: Future + Unpin>(mut wait: F, waker: &Waker) -> F {
    let poll = unexplored(|| poll(&mut wait, waker));
    assert!(poll.is_pending(), "what is waited for is over already");
    wait
}

/// A number that is not zero.
pub fn nonzero(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// A group with a limit.
pub fn limited(limit: usize) -> TaskGroup {
    TaskGroup::builder().limit(nonzero(limit)).build()
}

/// A wait that is in the queue of a full group, with a waker that does nothing.
pub fn queued(group: &TaskGroup) -> WaitRoom<&TaskGroup> {
    let mut wait = group.guard_when_room();
    assert!(poll(&mut wait, Waker::noop()).is_pending(), "there is room");
    wait
}

/// Has a wait come to the queue of a full group and give up, which leaves its mark in the word.
pub fn leave_a_mark(group: &TaskGroup) {
    unexplored(|| drop(queued(group)));
}

/// Makes the queue of a group in which nobody is, with a block for the first wait, and leaves no mark.
pub fn make_queue(group: &TaskGroup) {
    unexplored(|| {
        let guards = Vec::from_iter(core::iter::from_fn(|| group.guard().ok()));
        leave_a_mark(group);
        drop(guards);
    });
    assert!(group.is_empty());
}

/// A wait for a place that was polled once, with its waker.
#[derive(Debug)]
pub struct Arrival<'a> {
    wait: WaitRoom<&'a TaskGroup>,
    wakes: Arc<Wakes>,
    early: Option<Result<TaskGuard, Refused>>,
}

impl<'a> Arrival<'a> {
    /// Comes to the queue, or gets in at once, or is refused.
    pub fn at(group: &'a TaskGroup) -> Self {
        let (mut wait, wakes) = (group.guard_when_room(), Wakes::new());
        let early = match poll(&mut wait, &wakes.waker()) {
            Poll::Ready(entered) => Some(entered),
            Poll::Pending => None,
        };
        Self { wait, wakes, early }
    }

    /// What came of it, at once or by a wake. To be called when no call is on its way any more.
    pub fn outcome(self) -> Result<TaskGuard, Refused> {
        let Self { mut wait, wakes, early } = self;
        if let Some(entered) = early {
            return entered;
        }
        assert_eq!(wakes.count(), 1, "a wait for a place was not woken once");
        match poll(&mut wait, Waker::noop()) {
            Poll::Ready(entered) => entered,
            Poll::Pending => panic!("a wait for a place was woken for nothing"),
        }
    }

    /// Whether it has been decided by now. Also while calls are on their way.
    pub fn looks(&mut self) -> bool {
        if self.early.is_none()
            && let Poll::Ready(entered) = poll(&mut self.wait, &self.wakes.waker())
        {
            self.early = Some(entered);
        }
        self.early.is_some()
    }

    /// Whether it is in the queue still, undecided. To be called when no call is on its way any more.
    pub fn is_queued(&mut self) -> bool {
        if self.early.is_some() {
            return false;
        }
        match poll(&mut self.wait, &self.wakes.waker()) {
            Poll::Ready(entered) => self.early = Some(entered),
            Poll::Pending => return true,
        }
        assert_eq!(self.wakes.count(), 1, "a wait for a place was not woken once");
        false
    }
}

/// Asserts that the group refuses as full if, and only if, its limit is reached or waits are in its queue. To
/// be called when no call is on its way any more; `waiting` is how many waits there are.
pub fn assert_full_or_free(group: &TaskGroup, limit: usize, waiting: usize) {
    let is_full = group.len() >= limit || waiting > 0;
    assert_eq!(group.guard().err(), is_full.then_some(Refused::Full));
}

/// Makes two tests of a model that asks whether waits register alone or in a [`crowd`].
#[macro_export]
macro_rules! alone_and_in_a_crowd {
    ($model:ident) => {
        mod $model {
            #[test]
            fn alone() {
                super::$model(false);
            }

            #[test]
            fn in_a_crowd() {
                super::$model(true);
            }
        }
    };
}

/// Makes a test of a model for each scope of a [`Line`](line::Line) that may be the one that is cancelled.
#[macro_export]
macro_rules! from_each_height {
    ($model:ident) => {
        mod $model {
            #[test]
            fn root() {
                super::$model(winddown_loom_tests::line::ROOT);
            }

            #[test]
            fn middle() {
                super::$model(winddown_loom_tests::line::MIDDLE);
            }

            #[test]
            fn leaf() {
                super::$model(winddown_loom_tests::line::LEAF);
            }
        }
    };
}

/// What the threads of a model share, without a count of references and its interleavings.
///
/// # Safety
///
/// The model joins every thread that uses it before `shared` goes.
pub unsafe fn lend<T>(shared: &T) -> &'static T {
    // SAFETY: the caller's promise.
    unsafe { &*core::ptr::from_ref(shared) }
}

/// Two threads that both take a turn are tried in both orders, and nothing else: it orders no memory.
///
/// loom tries another order only where it saw two threads meet at a word, and remembers just the last
/// access: a thread's own load before its compare-and-swap hides a load of another thread from it.
#[derive(Debug)]
pub struct Turns(AtomicUsize);

impl Default for Turns {
    fn default() -> Self {
        Self(AtomicUsize::new(0))
    }
}

impl Turns {
    /// Takes the next turn, and gives how many were taken before.
    pub fn take(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Memory that one thread writes, once. loom fails the model if a read is not ordered after the
/// write.
#[derive(Debug)]
pub struct Work(UnsafeCell<bool>);

// SAFETY: loom fails the model before two accesses meet, if one of them is a write.
unsafe impl Sync for Work {}

impl Default for Work {
    fn default() -> Self {
        Self(UnsafeCell::new(false))
    }
}

impl Work {
    /// Writes.
    pub fn finish(&self) {
        // SAFETY: loom checks that no other access is concurrent.
        self.0.with_mut(|done| unsafe { *done = true });
    }

    /// Reads, and asserts that [`finish`](Self::finish) came before.
    pub fn assert_finished(&self) {
        // SAFETY: loom checks that no write is concurrent.
        assert!(self.0.with(|done| unsafe { *done }), "it was over before the work was");
    }
}

/// The finaliser of a group: runs once, after the work of all, and is seen by whoever hears of the end.
#[derive(Debug, Default)]
pub struct Finale {
    runs: AtomicUsize,
    seen: Work,
}

impl Finale {
    /// A builder whose group ends with the finale, which `check`s first what is to come before it.
    pub fn builder(self: &Arc<Self>, check: impl FnOnce() + Send + 'static) -> TaskGroupBuilder {
        let this = Arc::clone(self);
        TaskGroup::builder().finally(move || {
            check();
            let before = this.runs.fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "a finaliser ran twice");
            this.seen.finish();
        })
    }

    /// Asserts that it ran, before this.
    pub fn assert_over(&self) {
        self.seen.assert_finished();
    }
}

/// A waker that counts. Like an executor's, a wake happens before the poll that follows it.
#[derive(Debug)]
pub struct Wakes {
    count: AtomicUsize,
    /// Fails the model if a waker is never dropped.
    _leak_check: Track<()>,
}

impl Wakes {
    /// No wakes yet.
    #[allow(clippy::new_ret_no_self, reason = "a waker is always behind an `Arc`")]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { count: AtomicUsize::new(0), _leak_check: Track::new(()) })
    }

    /// A waker that counts here.
    pub fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }

    /// How often it was woken.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }
}

/// A waker that runs `on_wake` inline, whenever it is woken, and `on_drop` when its last clone goes.
pub fn waker_of(
    on_wake: impl Fn() + Send + Sync + 'static,
    on_drop: impl Fn() + Send + Sync + 'static,
) -> Waker {
    struct Inline<W, D: Fn()> {
        on_wake: W,
        on_drop: D,
        _leak_check: Track<()>,
    }

    impl<W: Fn() + Send + Sync, D: Fn() + Send + Sync> Wake for Inline<W, D> {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            (self.on_wake)();
        }
    }

    impl<W, D: Fn()> Drop for Inline<W, D> {
        fn drop(&mut self) {
            (self.on_drop)();
        }
    }

    Arc::new(Inline { on_wake, on_drop, _leak_check: Track::new(()) }).into()
}
