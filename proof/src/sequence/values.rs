//! What a sequence lends to the objects: values that count their drops, and wakers that count everything.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::Wrong;

/// How many tasks there are to poll.
pub(super) const TASKS: usize = 16;

/// Everything that is counted.
pub(super) struct World {
    /// Something may be leaked on purpose.
    pub(super) leaks: bool,
    values: RefCell<Vec<Arc<AtomicUsize>>>,
    tasks: Vec<Arc<Task>>,
}

/// A value that may be dropped once.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) number: u8,
    drops: Arc<AtomicUsize>,
}

#[cfg(test)]
impl Value {
    /// What a double drop looks like: another value that counts as this one.
    pub(super) fn wrong_copy(&self) -> Self {
        Self { number: self.number, drops: Arc::clone(&self.drops) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let before = self.drops.fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, 0, "the value {} was dropped twice", self.number);
    }
}

/// A task, which is woken by its wakers.
#[derive(Debug, Default)]
pub(super) struct Task {
    woken: AtomicUsize,
    /// How many wakers of it there are.
    wakers: AtomicUsize,
}

impl World {
    pub(super) fn new(leaks: bool) -> Self {
        let tasks = (0..TASKS).map(|_| Arc::default()).collect();
        Self { leaks, values: RefCell::default(), tasks }
    }

    pub(super) fn value(&self, number: u8) -> Value {
        let drops = Arc::new(AtomicUsize::new(0));
        self.values.borrow_mut().push(Arc::clone(&drops));
        Value { number, drops }
    }

    pub(super) fn waker(&self, task: usize) -> Waker {
        // SAFETY: the vtable keeps the contract: each waker has one reference, and a task is `Send` and `Sync`.
        unsafe { Waker::from_raw(raw(Arc::clone(&self.tasks[task]))) }
    }

    /// How often a task was woken.
    pub(super) fn woken(&self, task: usize) -> usize {
        self.tasks[task].woken.load(Ordering::Relaxed)
    }

    /// What must be true when all objects are gone.
    pub(super) fn is_empty(&self) -> Result<(), Wrong> {
        let dropped = |drops: &Arc<AtomicUsize>| drops.load(Ordering::Relaxed);
        let kept = self.values.borrow().iter().filter(|drops| dropped(drops) == 0).count();
        let wakers: usize = self.tasks.iter().map(|task| task.wakers.load(Ordering::Relaxed)).sum();
        if self.leaks || (kept == 0 && wakers == 0) {
            return Ok(());
        }
        Err(format!("{kept} values and {wakers} wakers were never dropped"))
    }
}

fn raw(task: Arc<Task>) -> RawWaker {
    task.wakers.fetch_add(1, Ordering::Relaxed);
    RawWaker::new(Arc::into_raw(task).cast(), &VTABLE)
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned has a reference of its own.
    unsafe { Arc::increment_strong_count(data.cast::<Task>()) };
    // SAFETY: the reference that was just counted.
    raw(unsafe { Arc::from_raw(data.cast::<Task>()) })
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker has a reference, until the next line gives it up.
    unsafe { wake_by_ref(data) };
    // SAFETY: the waker is used up.
    unsafe { release(data) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker that is woken has a reference.
    unsafe { &*data.cast::<Task>() }.woken.fetch_add(1, Ordering::Relaxed);
}

unsafe fn release(data: *const ()) {
    // SAFETY: the waker gives its reference up.
    let task = unsafe { Arc::from_raw(data.cast::<Task>()) };
    let before = task.wakers.fetch_sub(1, Ordering::Relaxed);
    assert!(before > 0, "a waker was dropped twice");
}

/// A limit, or a task's work: over when it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Rc<std::cell::Cell<bool>>);

impl Told {
    pub(super) fn tell(&self) {
        self.0.set(true);
    }

    pub(super) fn is_told(&self) -> bool {
        self.0.get()
    }
}

impl Future for Told {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        if self.is_told() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }
}
