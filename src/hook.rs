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
//! 3. With the lock given back, the notifier takes the whole stack by one swap, brings it into
//!    first-in order ([`Due`]) and, as the very last thing it does, runs it.
//!
//! A lone waiter needs no event-listener, and so no lock: while nobody listens, a wait puts its hook
//! into the list's `first` slot, where the notifier takes it by a swap. Whoever finds the slot taken,
//! or somebody listening, goes to the event; so the slot is always first in.
//!
//! A hook is registered once in its life: its `next` link belongs to one stack or one due list. A
//! fired hook is replaced, never registered again.
//!
//! Edges, by letter; each is named where it is:
//!
//! * **P** (pointer): publishes the wait list of a primitive to whoever finds it there.
//! * **F** (fired): publishes a hook on the stack, with its link, to the taker of the stack.
//! * **S** (slot): publishes a hook in the `first` slot to whoever takes it from there.
//! * **L** (event-listener's lock): a listener that is in the list when a notifier takes the lock is
//!   notified. That a parked wait's listener is in the list by then is the word's business
//!   (`announce` in `wait_group.rs` and `signal.rs`).

use core::fmt;
use core::mem::{self, ManuallyDrop};
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Waker};

use core::future::Future as _;
use event_listener::{Event, EventListener, IntoNotification as _, Listener as _};

use crate::sync::{
    Arc, AtomicBool, AtomicPtr, AtomicUsize, Exclusive as _, FirstPanic, Ordering, UnsafeCell,
    const_unless_loom, fence,
};
use crate::waker::{Wake, with_waker};

/// How many hooks are fired in one go where the lock is a critical section: bounds the time that
/// interrupts are masked.
const BATCH: usize = 8;

/// The waiters of one primitive. On the heap and counted by reference, never inside the primitive:
/// a wait that is forgotten leaves its listener behind, and the primitive may move or go.
struct WaitList {
    /// Where hooks are registered. Locks and allocates, so it is touched only when somebody waits.
    event: Event,
    /// The hook of the wait that came when nobody waited, or null; holds one reference. Put in by
    /// that wait, taken out by a notifier or by that wait's drop.
    first: AtomicPtr<Hook>,
    /// The hooks that were fired and not taken yet, last in first; each holds one reference.
    fired: AtomicPtr<Hook>,
    /// How many listeners there are, or a few more: counted up before listening and down after
    /// discarding. Bounds a delivery, so that waiters who come back at once do not feed it for ever.
    listening: AtomicUsize,
}

impl WaitList {
    fn new() -> Self {
        Self {
            event: Event::new(),
            first: AtomicPtr::new(ptr::null_mut()),
            fired: AtomicPtr::new(ptr::null_mut()),
            listening: AtomicUsize::new(0),
        }
    }

    /// Fires the hooks of all who were parked when the word changed, and gives them, to be run when
    /// the caller's own work is finished.
    ///
    /// Requires that the caller acquired the announcements of those waits from the word.
    fn notify(&self) -> Due {
        let first = self.take_first();
        // Relaxed: a wait counts itself before it announces, and the caller has acquired the
        // announcement; so this is at least everybody who announced before the word changed.
        let listening = self.listening.load(Ordering::Relaxed);
        if listening == 0 {
            return Due::new(first, ptr::null_mut());
        }
        self.notify_listeners(listening);
        Due::new(first, self.take_fired())
    }

    fn notify_listeners(&self, mut left: usize) {
        while left > 0 {
            let batch = if cfg!(feature = "critical-section") { left.min(BATCH) } else { left };
            // L: they are in the list, in order of registration, and none of them is skipped:
            // additional notifications go to listeners that were not notified before. No fence is
            // wanted (`relaxed`): the lock orders the list.
            self.event.notify(batch.additional().relaxed());
            left -= batch;
        }
    }

    /// F: acquires every hook on the stack, pushed by this thread or by another, and gives the last.
    /// Each was pushed by a compare-and-swap on top of the one below, so the last push's release
    /// sequence reaches down to the first.
    fn take_fired(&self) -> *mut Hook {
        self.fired.swap(ptr::null_mut(), Ordering::Acquire)
    }

    fn take_first(&self) -> *mut Hook {
        // S: acquires the hook; its reference is ours now.
        let first = self.first.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: null, or a hook whose reference we just took.
        if let Some(hook) = unsafe { first.as_ref() } {
            hook.spend();
        }
        first
    }
}

/// Where a primitive keeps its [`WaitList`]: null until somebody waits.
pub(crate) struct Waiters {
    list: AtomicPtr<WaitList>,
}

impl Waiters {
    const_unless_loom! {
        pub(crate) const fn new() -> Self {
            Self { list: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// Notifies all who announced themselves in the word, and runs their hooks: foreign code, so the
    /// caller's own work is finished.
    #[cold]
    pub(crate) fn fire(&self) {
        // C: the caller's step has read the announcements; this acquires what they registered.
        fence(Ordering::Acquire);
        if let Some(list) = self.get() {
            list.notify().run();
        }
    }

    /// The list, if anybody ever waited.
    fn get(&self) -> Option<&WaitList> {
        // P: acquires the list that `get_or_make` published.
        let list = self.list.load(Ordering::Acquire);
        // SAFETY: not null, it came from `Arc::into_raw` in `get_or_make`, and the reference that
        //   it stands for is given up in `drop` alone, which has `&mut self`.
        unsafe { list.as_ref() }
    }

    /// A reference to the list, which is made here if nobody waited before.
    fn get_or_make(&self) -> Arc<WaitList> {
        let mut list = self.list.load(Ordering::Acquire).cast_const();
        if list.is_null() {
            list = self.make();
        }
        // SAFETY: `list` came from `Arc::into_raw`, and the primitive's own reference, which lives
        //   as long as `self`, keeps it during this call.
        unsafe { Arc::increment_strong_count(list) };
        // SAFETY: the reference that was just counted.
        unsafe { Arc::from_raw(list) }
    }

    #[cold]
    fn make(&self) -> *const WaitList {
        let made = Arc::into_raw(Arc::new(WaitList::new()));
        let null = ptr::null_mut();
        // P: publishes the list to `get` and `get_or_make`; or acquires the list of another thread
        // that was faster.
        match self.list.compare_exchange(
            null,
            made.cast_mut(),
            Ordering::Release,
            Ordering::Acquire,
        ) {
            Ok(_) => made,
            Err(theirs) => {
                // SAFETY: `made` came from `Arc::into_raw` above, and nobody else has seen it.
                drop(unsafe { Arc::from_raw(made) });
                theirs.cast_const()
            }
        }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        let list = self.list.replace_mut(ptr::null_mut());
        if !list.is_null() {
            // SAFETY: `list` came from `Arc::into_raw`, and this is the primitive's own reference.
            drop(unsafe { Arc::from_raw(list.cast_const()) });
        }
    }
}

/// What is registered with event-listener in place of a foreign waker.
struct Hook {
    list: Arc<WaitList>,
    /// The hook below on the stack, then the hook behind in a [`Due`] list. Written by whoever owns
    /// the reference that the stack or the list holds.
    next: AtomicPtr<Hook>,
    /// Set once, by whoever fires; from then on this hook is of no use to its wait.
    fired: AtomicBool,
    /// What has to be discarded when the wait goes; none in the `first` slot. Belongs to [`Parked`].
    listener: UnsafeCell<Option<EventListener>>,
    /// Cloned before anything is registered, woken from a [`Due`] list, and dropped with the hook:
    /// by its wait or by a due list, never under a lock.
    waker: Waker,
}

// SAFETY: all fields but `listener` are `Sync`; that one is touched by the one `Parked` of this hook
//   alone, which asks for `&mut` or is being dropped. (`Send` is derived.)
unsafe impl Sync for Hook {}

impl Hook {
    /// Marks the hook as fired.
    ///
    /// Relaxed: this only tells a later poll of the wait that its hook is spent. A poll that reads a
    /// stale false returns pending; then `waker` is still to be woken, or was woken while that poll
    /// ran, and the executor polls again, with that wake before it.
    fn spend(&self) {
        self.fired.store(true, Ordering::Relaxed);
    }
}

impl Wake for Hook {
    /// Runs under event-listener's lock: fires and does nothing else.
    fn wake(this: Arc<Self>) {
        this.spend();
        let this = ManuallyDrop::new(this);
        let mut head = this.list.fired.load(Ordering::Relaxed);
        loop {
            this.next.store(head, Ordering::Relaxed);
            let hook = Arc::as_ptr(&this).cast_mut();
            // F: publishes the hook and its link; the reference goes over to the stack.
            match this.list.fired.compare_exchange_weak(
                head,
                hook,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

/// Fired hooks that are due to be run, first fired first. Each holds one reference.
///
/// Running them is foreign code, so it is the last thing that an operation does. If a waker panics,
/// the others still run; the first panic goes on when all have.
#[must_use = "the hooks are due"]
struct Due {
    first: *mut Hook,
}

impl Due {
    /// The hook `first` and behind it the stack below `newest`, turned around. Either may be null;
    /// their references go over to the list.
    fn new(first: *mut Hook, mut newest: *mut Hook) -> Self {
        let mut rest = ptr::null_mut();
        // SAFETY: `newest` is null or holds the reference that the stack held.
        while let Some(hook) = unsafe { newest.as_ref() } {
            let older = hook.next.load(Ordering::Relaxed);
            hook.next.store(rest, Ordering::Relaxed);
            rest = mem::replace(&mut newest, older);
        }
        // SAFETY: null, or a hook whose reference the slot held.
        let Some(hook) = (unsafe { first.as_ref() }) else { return Self { first: rest } };
        hook.next.store(rest, Ordering::Relaxed);
        Self { first }
    }

    fn pop(&mut self) -> Option<Arc<Hook>> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: the list holds one reference to its first hook, which this takes out.
        let hook = unsafe { Arc::from_raw(self.first.cast_const()) };
        self.first = hook.next.load(Ordering::Relaxed);
        Some(hook)
    }

    /// Wakes every hook's waker. Foreign code: nothing of the caller's may be unfinished.
    fn run(mut self) {
        let mut panic = FirstPanic::default();
        while let Some(hook) = self.pop() {
            panic.catch(|| hook.waker.wake_by_ref());
            panic.catch(|| drop(hook));
        }
        panic.resume();
    }
}

impl Drop for Due {
    /// Goes on with the rest where unwinding cannot be caught.
    fn drop(&mut self) {
        while let Some(hook) = self.pop() {
            hook.waker.wake_by_ref();
        }
    }
}

/// One registration: a hook, in the `first` slot or with a listener that fires it.
///
/// Dropped in this order: the hook is taken out of the slot, or the listener is discarded; then our
/// reference to the hook goes. So the foreign waker is never dropped under event-listener's lock, and
/// no list keeps a hook whose wait is gone.
pub(crate) struct Parked {
    hook: Arc<Hook>,
}

impl Parked {
    /// Registers `waker`; `None` if a notifier was faster, and the caller must look again.
    pub(crate) fn new(waiters: &Waiters, waker: &Waker) -> Option<Self> {
        // The clone is foreign code and comes first: nothing is registered if it panics, and
        // whatever it closes is seen by the look that follows the registration.
        let waker = waker.clone();
        let mut parked = Self {
            hook: Arc::new(Hook {
                list: waiters.get_or_make(),
                next: AtomicPtr::new(ptr::null_mut()),
                fired: AtomicBool::new(false),
                listener: UnsafeCell::new(None),
                waker,
            }),
        };
        (parked.be_first() || parked.listen()).then_some(parked)
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
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        !self.hook.fired.load(Ordering::Relaxed) && self.hook.waker.will_wake(waker)
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

impl Drop for Parked {
    fn drop(&mut self) {
        // SAFETY: a hook has one `Parked`, and that is being dropped.
        match unsafe { (*self.hook.listener.write_ptr()).take() } {
            None => self.leave_first(),
            Some(listener) => {
                // Always discarded: a notified listener that is dropped passes its notification on,
                // under the lock, to a hook that nobody would take from the stack.
                listener.discard();
                self.hook.list.listening.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listening = self.get().map_or(0, |list| list.listening.load(Ordering::Relaxed));
        f.debug_struct("Waiters").field("listening", &listening).finish()
    }
}
