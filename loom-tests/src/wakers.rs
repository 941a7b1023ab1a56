//! Wakers that count, and wakers that run the code of a model.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;

use loom::alloc::Track;
use loom::sync::atomic::{AtomicUsize, Ordering};

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
