//! Which list is being run on this thread, so that a chain of drops does not nest without end.
//!
//! Without `std` there are no thread-locals, and every list is run where it is.

#[cfg(feature = "std")]
pub(super) use counted::{Running, is_deep, run_nested};
#[cfg(not(feature = "std"))]
pub(super) use uncounted::{Running, run_nested};

#[cfg(feature = "std")]
mod counted {
    use core::cell::Cell;
    use core::ptr;

    use super::super::Deferred;
    use crate::sync::host::thread_local;

    /// How many drops may run their lists inside of each other.
    const NESTED: usize = 8;

    /// The innermost list that is being run, and how many there are.
    type Innermost = Cell<(*mut Deferred, usize)>;

    #[cfg(not(loom))]
    thread_local! {
        static RUNNING: Innermost = const { Cell::new((ptr::null_mut(), 0)) };
    }
    #[cfg(loom)]
    thread_local! {
        static RUNNING: Innermost = Cell::new((ptr::null_mut(), 0));
    }

    fn innermost() -> (*mut Deferred, usize) {
        // A thread that is ending runs its lists where they are.
        RUNNING.try_with(Cell::get).unwrap_or((ptr::null_mut(), 0))
    }

    /// A list that is being run, until this is dropped.
    pub(in crate::park) struct Running {
        outer: (*mut Deferred, usize),
    }

    impl Running {
        pub(in crate::park) fn on(list: *mut Deferred) -> Self {
            let outer = innermost();
            let _ = RUNNING.try_with(|it| it.set((list, outer.1 + 1)));
            Self { outer }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = RUNNING.try_with(|it| it.set(self.outer));
        }
    }

    pub(in crate::park) fn is_deep() -> bool {
        innermost().1 >= NESTED
    }

    /// Runs `list`; or adds it to the one that is being run, if it is nested deep enough.
    pub(in crate::park) fn run_nested(mut list: Deferred) {
        let (outer, depth) = innermost();
        if depth < NESTED {
            return list.run();
        }
        // Own work is done before the drop returns, however deep it is. To unpark a thread is own work too.
        while list.settle_next() {}
        list.settle_wakers();
        // SAFETY: it is being run on this thread, further down the stack, so it is alive; it is not
        //   borrowed while foreign code runs, which is where we are.
        let outer = unsafe { &mut *outer };
        outer.append(list);
    }
}

#[cfg(not(feature = "std"))]
mod uncounted {
    use super::super::Deferred;

    pub(in crate::park) struct Running;

    impl Running {
        pub(in crate::park) fn on(_: *mut Deferred) -> Self {
            Self
        }
    }

    pub(in crate::park) fn run_nested(list: Deferred) {
        list.run();
    }
}
