//! A thread as what a waker wakes.
//!
//! Edge **K** (wake): what the waking thread did before is seen by the poll that follows.

use core::task::RawWakerVTable;

use super::{Wake, vtable_of};
use crate::sync::host::{Instant, Thread, current, park, park_timeout};
use crate::sync::{Arc, AtomicBool, Ordering};

/// A thread that is blocked in a wait. The flag counts, not the thread's park token: foreign
/// code that is polled on this thread (a limit) may park too, and swallow the token.
pub(crate) struct Parker {
    woken: AtomicBool,
    thread: Thread,
}

/// At one address, by which a waker of a thread is known.
static VTABLE: RawWakerVTable = vtable_of::<Parker>();

impl Wake for Parker {
    fn vtable() -> &'static RawWakerVTable {
        &VTABLE
    }

    fn wake(this: Arc<Self>) {
        // K: what the waking thread did before is seen by the poll that follows `park`.
        if !this.woken.swap(true, Ordering::Release) {
            this.thread.unpark();
        }
    }
}

impl Parker {
    /// For this thread.
    pub(crate) fn new() -> Self {
        Self { woken: AtomicBool::new(false), thread: current() }
    }

    /// Parks until woken (true), or until `at` (false).
    pub(crate) fn park(&self, at: Option<Instant>) -> bool {
        // K: acquires what came before the wake.
        while !self.woken.swap(false, Ordering::Acquire) {
            let Some(at) = at else {
                park();
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            park_timeout(left);
        }
        true
    }
}
