//! The bridge between event-listener and foreign code.
//!
//! event-listener clones, wakes and drops the wakers that it holds while it holds its list lock (a
//! critical section on bare metal). A foreign waker in there could poll, close or drop what waits
//! for that very lock. So what is registered is a [`Hook`] of ours, and the foreign waker stays
//! inside it. **Invariant: between taking event-listener's lock and giving it back, no code runs
//! but event-listener's and this file's.**
//!
//! 1. A wait makes a hook, listens, and registers the hook's own waker ([`Parked::new`]).
//! 2. Whoever ends the wait notifies. Under the lock the hook marks itself fired and pushes itself
//!    onto the list's stack of fired hooks ([`Hook::wake`]); that is all that it does there.
//! 3. With the lock given back, the notifier takes the whole stack by one swap, first fired first
//!    ([`Fired`]), puts it on its list of deferred work and, as the very last thing it does, runs that.
//!
//! A lone waiter needs no event-listener, and so no lock: while nobody listens, a wait puts its hook
//! into the list's `first` slot, where the notifier takes it by a swap. Whoever finds the slot taken,
//! or somebody listening, goes to the event; so the slot is always first in.
//!
//! A hook is registered once in its life: its head belongs to one stack or one list. A fired hook is
//! replaced, never registered again.
//!
//! Edges, by letter; each is named where it is:
//!
//! * **F** (fired): publishes a hook on the stack, with its link, to the taker of the stack.
//! * **S** (slot): publishes a hook in the `first` slot to whoever takes it from there.
//! * **L** (event-listener's lock): a listener that is in the list when a notifier takes the lock is
//!   notified. That a parked wait's listener is in the list by then is the word's business
//!   (`announce` in `wait_group.rs`, `signal.rs` and `node.rs`).

mod kept;
mod task;
#[cfg(all(test, not(loom)))]
mod tests;

use core::fmt;
use core::mem;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Waker};

use core::future::Future as _;
use event_listener::{Event, EventListener, IntoNotification as _, Listener as _};

use crate::deferred::{Batch, Deferred, Head, Job, Stack};
use crate::sync::{
    Arc, AtomicBool, AtomicPtr, AtomicUsize, LazyArc, Ordering, UnsafeCell, const_unless_loom,
    fence,
};
use crate::waker::{Wake, with_waker};
pub(crate) use kept::Kept;
pub(crate) use task::Task;

/// How many hooks are fired in one go. Where event-listener's lock is a critical section, this bounds
/// the time that interrupts are masked; elsewhere it keeps a long list in the cache.
const BATCH: usize = 16;

/// What a hook does when it is run.
pub(crate) trait Target: Send + Sync + Sized + 'static {
    /// Own work that comes before `run`. Called once at most, by the thread that took the fired hook.
    fn settle(&self, _: &mut Deferred) {}

    /// Foreign code. Called once at most, by the thread that took the fired hook.
    fn run(&self);

    /// Whether `run` is a wake, and nothing that may block.
    fn only_wakes(&self) -> bool {
        true
    }

    /// Whether that wakes the task of `waker`.
    fn will_wake(&self, waker: &Waker) -> bool;
}

/// Hooks that were fired, to be deferred.
pub(crate) type Fired<T> = Batch<Hook<T>>;

/// The waiters of one primitive. On the heap and counted by reference, never inside the primitive:
/// a wait that is forgotten leaves its listener behind, and the primitive may move or go.
pub(crate) struct WaitList<T: Target> {
    /// Where hooks are registered. Locks and allocates, so it is touched only when somebody waits.
    event: Event,
    /// The hook of the wait that came when nobody waited, or null; holds one reference. Put in by
    /// that wait, taken out by a notifier or by that wait's drop.
    first: AtomicPtr<Hook<T>>,
    /// The hooks that were fired and not taken yet.
    fired: Stack<Hook<T>>,
    /// How many listeners are still to be fired, or a few more: counted up before listening, and down
    /// when the hook is fired, or when its wait goes before that. Bounds a delivery: neither waits that
    /// come back at once feed it for ever, nor does it pay for hooks that were fired long ago.
    listening: AtomicUsize,
    /// How often the event was notified.
    #[cfg(all(test, not(loom)))]
    notified: AtomicUsize,
}

impl<T: Target> WaitList<T> {
    fn new() -> Self {
        Self {
            event: Event::new(),
            first: AtomicPtr::new(ptr::null_mut()),
            fired: Stack::new(),
            listening: AtomicUsize::new(0),
            #[cfg(all(test, not(loom)))]
            notified: AtomicUsize::new(0),
        }
    }

    /// To be called when the event is notified.
    fn count_notification(&self) {
        #[cfg(all(test, not(loom)))]
        self.notified.fetch_add(1, Ordering::Relaxed);
    }

    /// Fires the hooks of all waits that were parked when the word changed.
    ///
    /// Requires that the caller acquired the announcements of those waits from the word.
    fn notify(&self) -> Fired<T> {
        let mut fired = Fired::new();
        if let Some(first) = self.take_first() {
            fired.push(first);
        }
        // Relaxed: a wait counts itself before it announces, and the caller has acquired the
        // announcement; and each is counted down once, after it was counted up. So this is at least the
        // number of waits that announced before the word changed and were not fired yet.
        let mut left = self.listening.load(Ordering::Relaxed);
        while left > 0 {
            let batch = left.min(BATCH);
            // L: they are in the list, in order of registration, and none of them is skipped:
            // additional notifications go to listeners that were not notified before. No fence is
            // wanted (`relaxed`): the lock orders the list.
            self.event.notify(batch.additional().relaxed());
            self.count_notification();
            fired.append(self.fired.take());
            left -= batch;
        }
        fired
    }

    /// Fires the hook that was registered first, if there is one. Gives what other threads fire
    /// meanwhile, too; or they take this one.
    ///
    /// Requires what `notify` requires.
    fn notify_one(&self) -> Fired<T> {
        let mut fired = Fired::new();
        if let Some(first) = self.take_first() {
            fired.push(first);
            return fired;
        }
        // As in `notify`. A listener that is notified before its hook was registered is passed by: that
        // wait has not announced itself, and looks again. So one notification may fire nobody; as many
        // as there are listeners reach every wait that announced.
        let mut left = self.listening.load(Ordering::Relaxed);
        while fired.is_empty() && left > 0 {
            self.event.notify(1.additional().relaxed());
            self.count_notification();
            fired = self.fired.take();
            left -= 1;
        }
        fired
    }

    fn take_first(&self) -> Option<Arc<Hook<T>>> {
        // S: acquires the hook.
        let first = self.first.swap(ptr::null_mut(), Ordering::Acquire).cast_const();
        if first.is_null() {
            return None;
        }
        // SAFETY: the slot held a reference of `Arc::into_raw`, and the swap made it ours.
        let first = unsafe { Arc::from_raw(first) };
        first.spend();
        Some(first)
    }
}

/// Where a primitive keeps its [`WaitList`]: nothing is there until somebody waits.
pub(crate) struct Waiters<T: Target> {
    list: LazyArc<WaitList<T>>,
}

impl<T: Target> Waiters<T> {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { list: LazyArc::new() }
        }
    }

    /// Fires the hooks of all waits that announced themselves in the word.
    #[cold]
    pub(crate) fn fire(&self) -> Fired<T> {
        // C: the caller's step has read the announcements; this acquires what they registered.
        fence(Ordering::Acquire);
        self.list.get().map_or_else(Fired::new, WaitList::notify)
    }

    /// Fires the hook that was registered first among those who announced themselves, if there is
    /// one. Gives what other threads fire meanwhile, too; or they take this one.
    pub(crate) fn fire_one(&self) -> Fired<T> {
        // C: as in `fire`.
        fence(Ordering::Acquire);
        self.list.get().map_or_else(Fired::new, WaitList::notify_one)
    }
}

/// What is registered with event-listener in place of a foreign waker.
pub(crate) struct Hook<T: Target> {
    head: Head,
    list: Arc<WaitList<T>>,
    /// Set once, by whoever fires; from then on this hook is of no use to its wait.
    fired: AtomicBool,
    /// What has to be discarded when the wait goes; none in the `first` slot. Belongs to [`Parked`].
    listener: UnsafeCell<Option<EventListener>>,
    /// Dropped with the hook: by its wait, or when it was run; never under a lock.
    target: T,
}

// SAFETY: all fields but `listener` are `Sync`; that one is touched by the one `Parked` of this hook
//   alone, which asks for `&mut` or is being dropped. (`Send` is derived.)
unsafe impl<T: Target> Sync for Hook<T> {}

impl<T: Target> Hook<T> {
    pub(crate) fn target(&self) -> &T {
        &self.target
    }

    /// Marks the hook as fired.
    ///
    /// Relaxed: this only tells a later poll of the wait that its hook is spent. A poll that reads a
    /// stale false returns pending; then the target is still to be run, or was run while that poll
    /// ran, and the executor polls again, with that wake before it.
    fn spend(&self) {
        self.fired.store(true, Ordering::Relaxed);
    }
}

impl<T: Target> Wake for Hook<T> {
    /// Runs under event-listener's lock: fires and does nothing else.
    fn wake(this: Arc<Self>) {
        this.spend();
        // Relaxed: see `notify`.
        this.list.listening.fetch_sub(1, Ordering::Relaxed);
        let list: *const WaitList<T> = &*this.list;
        // SAFETY: the notifier holds the list, and is still to take what it fired from the stack.
        unsafe { &*list }.fired.push(this);
    }
}

// SAFETY: `HEAD` is the offset of `head`, which `Parked::new` makes.
unsafe impl<T: Target> Job for Hook<T> {
    const HEAD: usize = mem::offset_of!(Self, head);

    fn settle(this: Arc<Self>, deferred: &mut Deferred) {
        this.target.settle(deferred);
        if this.target.only_wakes() {
            deferred.wake_one_later(this);
        } else {
            deferred.run_later(this);
        }
    }

    /// If the target panics, the hook is dropped while that unwinds: what was run has nothing foreign
    /// left.
    fn run(this: Arc<Self>) {
        this.target.run();
    }
}

/// One registration: a hook, in the `first` slot or with a listener that fires it.
///
/// Dropped in this order: the hook is taken out of the slot, or the listener is discarded; then our
/// reference to the hook goes. So the foreign waker is never dropped under event-listener's lock, and
/// no list keeps a hook whose wait is gone.
pub(crate) struct Parked<T: Target> {
    hook: Arc<Hook<T>>,
}

impl<T: Target> Parked<T> {
    /// Registers `target`. If a notifier was faster, nothing is registered, and the caller must look
    /// again; `Err` then has the target still.
    pub(crate) fn new(waiters: &Waiters<T>, target: T) -> Result<Self, Self> {
        let mut parked = Self {
            hook: Arc::new(Hook {
                head: Head::of::<Hook<T>>(),
                list: waiters.list.get_or_make(WaitList::new),
                fired: AtomicBool::new(false),
                listener: UnsafeCell::new(None),
                target,
            }),
        };
        if parked.be_first() || parked.listen() { Ok(parked) } else { Err(parked) }
    }

    /// Takes the `first` slot, if nobody waits.
    fn be_first(&self) -> bool {
        let list = &self.hook.list;
        // Relaxed: behind whoever listens now there is no first place; one who begins to listen at
        // the same time is neither before nor after us.
        if list.listening.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let hook = Arc::into_raw(Arc::clone(&self.hook)).cast_mut();
        let null = ptr::null_mut();
        // S: publishes the hook.
        if list.first.compare_exchange(null, hook, Ordering::Release, Ordering::Relaxed).is_ok() {
            return true;
        }
        // SAFETY: the reference that the slot did not take.
        drop(unsafe { Arc::from_raw(hook.cast_const()) });
        false
    }

    /// Registers the hook with event-listener; false if a notifier was faster.
    fn listen(&mut self) -> bool {
        let list = &self.hook.list;
        // The event allocates when it is first touched. An interrupt that comes between the next line
        // and `listen` notifies, and must not be the first.
        if list.listening.load(Ordering::Relaxed) == 0 {
            list.event.notify(0.additional().relaxed());
        }
        // Relaxed: the announcement in the word publishes it, together with the listener.
        self.hook.list.listening.fetch_add(1, Ordering::Relaxed);
        let mut listener = self.hook.list.event.listen();
        let registered = with_waker(&self.hook, |waker| {
            Pin::new(&mut listener).poll(&mut Context::from_waker(waker))
        });
        // SAFETY: a hook has one `Parked`, and that is borrowed mutably.
        unsafe { *self.hook.listener.write_ptr() = Some(listener) };
        // Ready means that the listener was notified before it could hold our waker.
        registered.is_pending()
    }

    /// Whether a wake-up of `waker` is still to come from this registration.
    #[inline]
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        self.is_live() && self.hook.target.will_wake(waker)
    }

    /// Whether the hook is still to be fired.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        !self.hook.fired.load(Ordering::Relaxed)
    }

    /// Whether it was made for `waiters`.
    #[inline]
    pub(crate) fn is_in(&self, waiters: &Waiters<T>) -> bool {
        waiters.list.get().is_some_and(|list| ptr::eq(list, &*self.hook.list))
    }

    /// What the hook runs.
    pub(crate) fn target(&self) -> &T {
        &self.hook.target
    }

    /// Takes the hook out of the `first` slot, unless a notifier has it.
    fn leave_first(&self) {
        let hook = Arc::as_ptr(&self.hook).cast_mut();
        let null = ptr::null_mut();
        // Relaxed: nobody but this wait has put the hook there, and nobody else looked at it. No
        // other hook can be at this address while we hold ours.
        let first = &self.hook.list.first;
        if first.compare_exchange(hook, null, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // SAFETY: the reference that the slot held. It is not the last one: `self` has another.
            drop(unsafe { Arc::from_raw(hook.cast_const()) });
        }
    }
}

impl<T: Target> Drop for Parked<T> {
    fn drop(&mut self) {
        // SAFETY: a hook has one `Parked`, and that is being dropped.
        match unsafe { (*self.hook.listener.write_ptr()).take() } {
            None => self.leave_first(),
            Some(listener) => {
                // Always discarded: a notified listener that is dropped passes its notification on,
                // under the lock, to a hook that nobody would take from the stack.
                listener.discard();
                // Out of the list it is not fired any more; whether it was is known by the lock.
                if self.is_live() {
                    self.hook.list.listening.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl<T: Target> fmt::Debug for Waiters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listening = self.list.get().map_or(0, |list| list.listening.load(Ordering::Relaxed));
        f.debug_struct("Waiters").field("listening", &listening).finish()
    }
}
