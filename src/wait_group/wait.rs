//! `Wait`: the future of a wait group.

use core::fmt;
use core::ops::Deref;

use super::WaitGroup;
use super::word::Round;
use crate::park::seats::Task;
use crate::park::wait::{Lead, WaitOn, Waiting, named_wait};

/// The future of [`WaitGroup::wait`] and [`WaitGroup::wait_in`].
///
/// It is `Unpin` and fused, and ready again after it was ready. A clone is a wait that has not begun.
///
/// # Examples
///
/// ```
/// use winddown::{WaitGroup, future::Wait};
///
/// static GROUP: WaitGroup = WaitGroup::new();
///
/// let wait: Wait = GROUP.wait();
/// wait.block();
/// ```
#[must_use = "does nothing unless awaited, polled or blocked on"]
pub struct Wait<P: Deref<Target = WaitGroup> = &'static WaitGroup> {
    wait: WaitOn<ToGroup<P>, Round, Task>,
}

#[derive(Clone)]
struct ToGroup<P>(P);

impl<P: Deref<Target = WaitGroup>> Wait<P> {
    #[inline]
    pub(super) fn new(waiting: Waiting<Round, Task>, group: P) -> Self {
        Self { wait: WaitOn::new(waiting, ToGroup(group)) }
    }
}

impl<P: Deref<Target = WaitGroup>> Lead<Round, Task> for ToGroup<P> {
    type Source = WaitGroup;

    #[inline]
    fn source(&self) -> Option<&WaitGroup> {
        Some(&self.0)
    }

    fn left(&self) -> usize {
        self.0.count()
    }

    fn show(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("group", &*self.0);
    }
}

named_wait!("Wait", [P: Deref<Target = WaitGroup>] Wait<P>, (), |_this| ());

impl<P: Deref<Target = WaitGroup> + Clone> Clone for Wait<P> {
    fn clone(&self) -> Self {
        Self { wait: self.wait.clone() }
    }
}
