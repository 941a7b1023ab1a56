//! What holds a group up, to be ended once: a task inside, or a link.
//!
//! **A hold is one word**: the address of the group, with the flags in its low bits. An executor may give a
//! task whole cache lines, as tokio does: two of 64 bytes if the task's future has 24 bytes at most, and four
//! if it has more. With a guard of one word, a future of two words still fits into the smaller size.
//!
//! The address counts as no reference: the group has one to itself for as long as something holds it up. So
//! the group may be used by a hold that was not ended.

use alloc::borrow::Cow;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

use super::TaskGroup;
use super::shared::Shared;
use crate::cancel::reason::Reason;
use crate::error::Refused;
use crate::group::holders::{Caller, Ticket};
use crate::park::deferred::Deferred;
#[cfg(feature = "std")]
use crate::sync::host::panicking;
use crate::sync::{Arc, UnsafeCell};

/// See the module.
pub(crate) struct Hold {
    /// The address, from `Arc::as_ptr`, and the flags, which only `mark` sets.
    marked: NonNull<Shared>,
    ticket: Ticket,
}

/// A link, and no task.
const LINK: usize = 1;
/// A task that cancels the group when it leaves.
pub(super) const ON_DROP: usize = 1 << 1;
/// A task that cancels the group when it panics.
#[cfg(feature = "std")]
pub(super) const ON_PANIC: usize = 1 << 2;
/// The thread was unwinding when the guard was made: its drop tells of no new panic.
#[cfg(feature = "std")]
const WAS_PANICKING: usize = 1 << 3;

#[cfg(feature = "std")]
const FLAGS: usize = LINK | ON_DROP | ON_PANIC | WAS_PANICKING;
#[cfg(not(feature = "std"))]
const FLAGS: usize = LINK | ON_DROP;
const _: () = assert!(align_of::<Shared>() > FLAGS, "the flags fit below a group's address");

// SAFETY: it stands for a shared reference to the group.
unsafe impl Send for Hold where Shared: Send + Sync {}
// SAFETY: as above; the flags are changed by its owner alone.
unsafe impl Sync for Hold where Shared: Send + Sync {}

impl Hold {
    /// For a task that the population of `shared` has counted in.
    #[inline]
    pub(super) fn task(shared: &Arc<Shared>, caller: Caller) -> Self {
        #[cfg_attr(not(feature = "std"), expect(unused_mut))]
        let mut hold = Self::new(shared, caller);
        #[cfg(feature = "std")]
        if panicking() {
            hold.mark(WAS_PANICKING);
        }
        hold
    }

    /// For one of the links of a new group.
    pub(super) fn link(shared: &Arc<Shared>, caller: Caller) -> Self {
        let mut hold = Self::new(shared, caller);
        hold.mark(LINK);
        hold.label(|| "a linked group".into());
        hold
    }

    #[inline]
    fn new(shared: &Arc<Shared>, caller: Caller) -> Self {
        let ticket = shared.register.enter(caller);
        // SAFETY: the address of a value is not null.
        let marked = unsafe { NonNull::new_unchecked(Arc::as_ptr(shared).cast_mut()) };
        Self { marked, ticket }
    }

    #[inline]
    pub(super) fn mark(&mut self, flag: usize) {
        self.marked = self.marked.map_addr(|at| at | flag);
    }

    /// Another task, by the side of this one.
    pub(super) fn join_in(&self, caller: Caller) -> Result<Self, Refused> {
        self.shared().population.join_in()?;
        Ok(Self::task(&self.group().shared, caller))
    }

    #[inline]
    fn flags(&self) -> usize {
        self.marked.addr().get() & FLAGS
    }

    #[inline]
    fn address(&self) -> *const Shared {
        self.marked.as_ptr().map_addr(|at| at & !FLAGS)
    }

    #[inline]
    pub(super) fn shared(&self) -> &Shared {
        // SAFETY: the group is there until the hold is ended, which is its last use.
        unsafe { &*self.address() }
    }

    /// A handle that is not counted as one, and holds no reference.
    #[inline]
    pub(super) fn group(&self) -> &TaskGroup {
        self.shared().own_handle.get()
    }

    /// `make`, which is foreign code, is called only with the feature `holders`.
    pub(super) fn label(&self, make: impl FnOnce() -> Cow<'static, str>) {
        self.shared().register.label(&self.ticket, make);
    }

    /// The number of its entry in the list of holders.
    #[cfg(feature = "holders")]
    pub(super) fn id(&self) -> u64 {
        self.ticket.id()
    }

    /// Whether the task only has to be counted out, and nobody can be woken by that but by the last one.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        #[cfg(feature = "std")]
        let is_panicking = panicking();
        #[cfg(not(feature = "std"))]
        let is_panicking = false;
        self.flags() == 0 && !is_panicking
    }

    /// Notices a panic, and says why the group is to be cancelled, if it is.
    pub(super) fn reason(&self) -> Option<Reason> {
        #[cfg(feature = "std")]
        if panicking() && self.flags() & WAS_PANICKING == 0 {
            self.shared().count_panic();
            if self.flags() & ON_PANIC != 0 {
                return Some(Reason::Panicked);
            }
        }
        (self.flags() & ON_DROP != 0).then_some(Reason::Dropped)
    }

    /// Ends it, once. The group may be gone when this returns, and the hold is not to be used any more.
    #[inline]
    pub(super) fn end(&mut self, deferred: &mut Deferred) {
        self.shared().register.leave(&self.ticket);
        let shared = self.address();
        if self.flags() & LINK == 0 {
            // SAFETY: the count of this hold, which is ended once.
            unsafe { Shared::leave(shared, deferred) };
        } else {
            // SAFETY: the link of this hold, which is ended once.
            unsafe { Shared::end_one(shared, deferred) };
        }
    }

    /// As [`end`](Self::end), of a plain task in a group without a queue, at the end of a drop.
    #[inline]
    pub(super) fn end_plainly(&mut self) {
        self.shared().register.leave(&self.ticket);
        // SAFETY: the count of this hold, which is ended once.
        unsafe { Shared::leave_in_drop(self.address()) };
    }
}

/// The handle that [`TaskGuard::group`](super::TaskGuard::group) gives a reference to. It lies in the group
/// itself, is not counted as a handle, and holds no reference.
pub(super) struct OwnHandle {
    /// Written by `set`, and never again.
    handle: UnsafeCell<MaybeUninit<ManuallyDrop<TaskGroup>>>,
}

// SAFETY: it stands for a shared reference to the group, as a `Hold` does.
unsafe impl Send for OwnHandle {}
// SAFETY: as above; what is written is written before another thread has the group.
unsafe impl Sync for OwnHandle {}

impl OwnHandle {
    pub(super) fn new() -> Self {
        Self { handle: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// To be called once, before anybody else has the group.
    pub(super) fn set(shared: &Arc<Shared>) {
        // SAFETY: the copy is never dropped, and is reached through the group alone.
        let copy = unsafe { core::ptr::read(shared) };
        let handle = MaybeUninit::new(ManuallyDrop::new(TaskGroup { shared: copy }));
        // SAFETY: nobody else has the group.
        unsafe { shared.own_handle.handle.write_ptr().write(handle) };
    }

    #[inline]
    fn get(&self) -> &TaskGroup {
        // SAFETY: nobody writes it any more.
        let handle = unsafe { &*self.handle.read_ptr() };
        // SAFETY: `set` was called before anybody else had the group.
        unsafe { handle.assume_init_ref() }
    }
}
