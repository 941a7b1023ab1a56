//! How a group is built.

use core::num::NonZeroUsize;
use core::{fmt, mem};

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::TaskGroup;
use super::hold::Hold;
use super::shared::{Parts, Seal, Shared};
use crate::cancel::callback::Callback;
use crate::cancel::node::Traits;
use crate::cancel::scope::CancelScope;
use crate::cancel::token::CancelToken;
use crate::group::holders::Caller;
use crate::group::population::Population;
use crate::park::deferred::{Deferred, and_then_run};

/// What a group is to have: a parent token, links, a limit, a finaliser, and how it treats errors. Made by
/// [`TaskGroup::builder`].
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use winddown::{CancelScope, TaskGroup};
///
/// let program = CancelScope::new();
/// let group = TaskGroup::builder()
///     .parent(program.token())
///     .limit(NonZeroUsize::new(100).unwrap())
///     .build();
/// program.cancel();
/// assert!(group.is_drained());
/// ```
///
/// # Size
///
/// It is a value of about 150 bytes on 64-bit targets, to be used up where it is made.
///
/// # Availability
///
/// | call ([key](crate::docs::embedded#availability-tables)) | allocates | interrupt | foreign code | blocks |
/// |---|---|---|---|---|
/// | `parent`, `limit`, `cancel_on_error`, `keep_errors` | no | yes | no | no |
/// | `link`, `finally` | yes | no | no | no |
/// | `build`, `build_err`, `build_err_with` | yes | no | yes | lock |
///
/// # Compared with
///
/// * Go's `errgroup.WithContext` and `SetLimit`: calls on the group; here a group has all that from birth, so
///   no task can come before it.
#[derive(Default)]
#[must_use = "nothing is built before `build`"]
pub struct TaskGroupBuilder {
    pub(super) parent: Option<CancelToken>,
    pub(super) links: Vec<TaskGroup>,
    limit: Option<NonZeroUsize>,
    finaliser: Option<Callback>,
    pub(crate) seal: Option<Box<dyn Seal>>,
    pub(crate) keeps_going: bool,
    pub(crate) keep_errors: Option<usize>,
}

impl TaskGroupBuilder {
    /// Puts the group below `token`: when that is cancelled, the group is closed and cancelled, and drains.
    /// Under a token that is cancelled already the group is so from birth, and its finaliser runs at once.
    pub fn parent(mut self, token: &CancelToken) -> Self {
        // By an assignment, as below: if the drop of an earlier one panics, the builder is dropped and not leaked.
        self.parent = Some(token.clone());
        self
    }

    /// Waits for `other`, too: the group counts as drained only when `other` is.
    ///
    /// It neither closes nor cancels `other`, and the tasks of `other` are not in this group's
    /// [`len`](TaskGroup::len). `other` may have no tasks yet, and may be linked twice.
    ///
    /// A link is given here and nowhere else, and only to a group that has no parent. So it points to a group
    /// that existed before, and cycles are impossible.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::TaskGroup;
    ///
    /// let storage = TaskGroup::new();
    /// let requests = TaskGroup::builder().link(&storage).build();
    /// requests.close();
    /// assert!(!requests.is_drained(), "the storage is open");
    /// storage.close();
    /// assert!(requests.is_drained());
    /// ```
    pub fn link(mut self, other: &TaskGroup) -> Self {
        self.links.push(other.clone());
        self
    }

    /// Lets at most `limit` tasks in at a time: above that [`guard`](TaskGroup::guard) gives
    /// [`Full`](crate::Refused::Full), and [`guard_when_room`](TaskGroup::guard_when_room) waits its turn.
    ///
    /// A child counts as one task; clones of guards are not held up. The highest limit is 1,073,741,823 (16,383
    /// on targets without 64-bit atomics); a higher one is taken for that. [`set_limit`](TaskGroup::set_limit)
    /// changes it, and [`TaskGroup::limit`] tells it.
    ///
    /// # Examples
    ///
    /// See [`TaskGroup::set_limit`].
    pub fn limit(self, limit: NonZeroUsize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Runs `finaliser` once, when the group is closed, empty, and all that it is linked to is drained.
    ///
    /// It runs on the thread that drains the group (by the last guard's drop, or by the close of an empty
    /// group), under no lock, before any wait for the drain is over, and even if nothing waits. It also runs
    /// when the end comes without a wait: the last handle is dropped by an early return, or a runtime that is
    /// dropped drops its tasks, after a wait that gave up.
    ///
    /// It must not wait for its own group. It runs behind all wakers and callbacks of the call that ended the
    /// group, so none of those may wait for the group either. One that panics counts as run.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winddown::{Signal, TaskGroup};
    ///
    /// let flushed = Arc::new(Signal::new());
    /// let group = TaskGroup::builder()
    ///     .finally({
    ///         let flushed = Arc::clone(&flushed);
    ///         move || { flushed.close(); }
    ///     })
    ///     .build();
    /// let guard = group.guard().unwrap();
    /// group.close();
    /// assert!(!flushed.is_closed());
    /// drop(guard);
    /// assert!(flushed.is_closed() && group.is_drained());
    /// ```
    pub fn finally(mut self, finaliser: impl FnOnce() + Send + 'static) -> Self {
        self.finaliser = Some(Callback::new(finaliser));
        self
    }

    /// Builds the group.
    ///
    /// # Panics
    ///
    /// Only with the panic of foreign code that it ran, after all the others ran: its own finaliser, under a
    /// token that is cancelled; wakers, callbacks and finalisers below that token, if it is cancelled
    /// meanwhile; what the last handle of a linked group ends, if the builder held that. The new group comes to
    /// its end then.
    ///
    /// # Examples
    ///
    /// See [`TaskGroupBuilder`].
    #[track_caller]
    pub fn build(mut self) -> TaskGroup {
        let caller = Caller::here();
        let parent = self.parent.take();
        let links = mem::take(&mut self.links);
        let stop = CancelScope::below(parent.as_ref(), Traits::default());
        let group = self.make(parent.as_ref(), stop, links.len());
        let mut deferred = Deferred::new();
        for other in &links {
            let link = Hold::link(&group.shared, caller);
            if let Err(mut link) = other.shared.followers.push(link) {
                // It is drained already. Nobody has closed the new group, so this is not its end.
                link.end(&mut deferred);
            }
        }
        Shared::follow(&group.shared, &mut deferred);
        // The group is whole, so it comes to its end even if this panics. Dropping the last handle of a
        // group closes that.
        deferred.run_after(|| drop(links));
        group
    }

    /// Builds the group below `parent`, which `hold` holds up.
    pub(super) fn build_below(self, parent: &TaskGroup, hold: Hold) -> TaskGroup {
        let stop = CancelScope::below(Some(parent.token()), Traits::default());
        let group = self.make(Some(parent.closing()), stop, 0);
        hold.label(|| "a child group".into());
        // Nobody has the new group yet, so it is not drained.
        let _ = group.shared.followers.push(hold);
        and_then_run(|deferred| Shared::follow(&group.shared, deferred));
        group
    }

    /// A group whose door hangs below `above`.
    fn make(self, above: Option<&CancelToken>, stop: CancelScope, links: usize) -> TaskGroup {
        let shared = Shared::new(Parts {
            population: Population::new(self.limit),
            door: CancelToken::new(above, Traits { follows: true, ..Traits::default() }),
            stop,
            links,
            finaliser: self.finaliser,
            seal: self.seal,
        });
        TaskGroup { shared }
    }
}

impl fmt::Debug for TaskGroupBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroupBuilder")
            .field("parent", &self.parent)
            .field("links", &self.links)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
