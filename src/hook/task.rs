//! What the hook of a task does: it wakes it.

use core::mem::ManuallyDrop;
use core::ptr;
use core::task::Waker;

use super::Target;
use crate::deferred::Deferred;
use crate::sync::UnsafeCell;
use crate::waker::unparks;

/// The task, or the thread, of a waker.
///
/// It is woken by value: a task may be owned by its wakers alone (its executor is gone), and own the
/// wait whose hook this is. A waker that stayed here would keep all of them for ever.
pub(crate) struct Task {
    /// Gone once `woken` is set. Its two addresses stay, and are all that is looked at then.
    waker: ManuallyDrop<Waker>,
    /// Belongs to the thread that took the fired hook, and then to the drop.
    woken: UnsafeCell<bool>,
}

// SAFETY: `woken` is touched by the thread that took the fired hook, and by the drop, which comes after.
unsafe impl Sync for Task {}

impl From<Waker> for Task {
    fn from(waker: Waker) -> Self {
        Self { waker: ManuallyDrop::new(waker), woken: UnsafeCell::new(false) }
    }
}

impl Target for Task {
    /// A thread is unparked at once.
    fn settle(&self, _: &mut Deferred) {
        if unparks(&self.waker) {
            self.run();
        }
    }

    fn run(&self) {
        // SAFETY: as below.
        if unsafe { *self.woken.read_ptr() } {
            return;
        }
        // SAFETY: a hook is fired once, and run once, by the thread that took it.
        unsafe { *self.woken.write_ptr() = true };
        // SAFETY: so the waker is there; and the drop does not drop it again.
        let waker = unsafe { ptr::read(&self.waker) };
        ManuallyDrop::into_inner(waker).wake();
    }

    /// Also while the waker is being used up: a poll that reads a stale `fired` comes here. A waker of
    /// another task cannot have its address by then, or that task was made after this one was woken,
    /// and sees what ended the wait.
    #[inline]
    fn will_wake(&self, waker: &Waker) -> bool {
        self.waker.data() == waker.data() && ptr::eq(self.waker.vtable(), waker.vtable())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: `&mut self` makes this the only access.
        if !unsafe { *self.woken.read_ptr() } {
            // SAFETY: `run` did not take the waker, and nobody uses it after this.
            unsafe { ManuallyDrop::drop(&mut self.waker) };
        }
    }
}
