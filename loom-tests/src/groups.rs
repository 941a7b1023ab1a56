//! Groups with a limit and its queue, and groups with a finaliser that knows whether it ran.

use alloc::sync::Arc;
use core::task::{Poll, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use winddown::future::WaitRoom;
use winddown::{Refused, TaskGroup, TaskGroupBuilder, TaskGuard};

use crate::{Turns, Wakes, Work, lend, nonzero, poll, unexplored};

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

/// Makes a wait that comes to the queue of a full group and gives up, which leaves its mark in the word.
pub fn leave_a_mark(group: &TaskGroup) {
    unexplored(|| drop(queued(group)));
}

/// Makes the queue of an empty group, with a block for the first wait, and leaves no mark.
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

    /// The outcome, which came at once or by a wake. To be called when every other call has returned.
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

    /// Whether the wait has been decided by now. Also while other calls run.
    pub fn looks(&mut self) -> bool {
        if self.early.is_none()
            && let Poll::Ready(entered) = poll(&mut self.wait, &self.wakes.waker())
        {
            self.early = Some(entered);
        }
        self.early.is_some()
    }

    /// Whether the wait is still in the queue, undecided. To be called when every other call has returned.
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
/// be called when every other call has returned; `waiting` is how many waits there are.
pub fn assert_full_or_free(group: &TaskGroup, limit: usize, waiting: usize) {
    let is_full = group.len() >= limit || waiting > 0;
    assert_eq!(group.guard().err(), is_full.then_some(Refused::Full));
}

/// The finaliser of a group: it runs once, after the work of all tasks, and a thread that hears of the end sees that it
/// ran.
#[derive(Debug, Default)]
pub struct Finale {
    runs: AtomicUsize,
    seen: Work,
}

impl Finale {
    /// A finale, and a builder whose group ends with it: it asserts that all `works` are finished by then.
    pub fn after<const N: usize>(works: &Arc<[Work; N]>) -> (Arc<Self>, TaskGroupBuilder) {
        let (this, works) = (Arc::<Self>::default(), Arc::clone(works));
        let builder = this.builder(move || works.iter().for_each(Work::assert_finished));
        (this, builder)
    }

    /// A builder whose group ends with the finale, which calls `check` first.
    pub fn builder(self: &Arc<Self>, check: impl FnOnce() + Send + 'static) -> TaskGroupBuilder {
        let this = Arc::clone(self);
        TaskGroup::builder().finally(move || {
            check();
            let before = this.runs.fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "a finaliser ran twice");
            this.seen.finish();
        })
    }

    /// Asserts that it ran, and that this thread sees that.
    pub fn assert_over(&self) {
        self.seen.assert_finished();
    }
}

/// Rule 5: a thread finishes work and closes the group. This thread tries to enter, and sees the work if `enter`
/// says that the group is closed.
pub fn assert_refusal_sees_the_close(group: TaskGroup, enter: impl FnOnce(&TaskGroup) -> bool) {
    let lent = (group, Work::default(), Turns::default());
    // SAFETY: the thread is joined below.
    let (group, work, turns) = unsafe { lend(&lent) };
    let closer = turns.spawn(move || {
        work.finish();
        group.close();
    });
    turns.take();
    if enter(group) {
        work.assert_finished();
    }
    closer.join().unwrap();
}
