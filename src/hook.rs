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
//! A hook is registered once in its life: its `next` link belongs to one stack or one due list. A
//! fired hook is replaced, never registered again.
//!
//! Edges, by letter; each is named where it is:
//!
//! * **P** (pointer): publishes the wait list of a primitive to whoever finds it there.
//! * **F** (fired): publishes a pushed hook, its waker and its `next`, to the taker of the stack.
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
    Arc, AtomicBool, AtomicPtr, AtomicUsize, Exclusive as _, FirstPanic, Ordering,
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
            fired: AtomicPtr::new(ptr::null_mut()),
            listening: AtomicUsize::new(0),
        }
    }

    /// Fires the hooks of all who were parked when the word changed, and gives them, to be run when
    /// the caller's own work is finished.
    ///
    /// Requires that the caller acquired the announcements of those waits from the word.
    fn notify(&self) -> Due {
        // Relaxed: the wait counted itself before it announced, and the caller has acquired the
        // announcement; so this sees at least everybody who announced before the word changed.
        let mut left = self.listening.load(Ordering::Relaxed);
        while left > 0 {
            let batch = if cfg!(feature = "critical-section") { left.min(BATCH) } else { left };
            // L: they are in the list, in order of registration, and none of them is skipped:
            // additional notifications go to listeners that were not notified before. No fence is
            // wanted (`relaxed`): the lock orders the list.
            self.event.notify(batch.additional().relaxed());
            left -= batch;
        }
        Due::take(self)
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
    /// Set once, under event-listener's lock; from then on this hook is of no use to its wait.
    fired: AtomicBool,
    /// Cloned before anything is registered, woken from a [`Due`] list, and dropped with the hook:
    /// by its wait or by a due list, never under a lock.
    waker: Waker,
}

impl Wake for Hook {
    /// Runs under event-listener's lock: fires and does nothing else.
    fn wake(this: Arc<Self>) {
        // Relaxed: this only tells a later poll of the wait that its hook is spent. A poll that
        // reads a stale false returns pending; then `waker` is still to be woken, or was woken while
        // that poll ran, and the executor polls again, with that wake before it.
        this.fired.store(true, Ordering::Relaxed);
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
    /// Takes all that has been fired in `list`, by this thread or by another.
    fn take(list: &WaitList) -> Self {
        // F: acquires every hook on the stack. Each was pushed by a compare-and-swap on top of the
        // one below, so the last push's release sequence reaches down to the first.
        let mut newest = list.fired.swap(ptr::null_mut(), Ordering::Acquire);
        let mut first = ptr::null_mut();
        // SAFETY: `newest` is null or holds the reference that the stack held, now ours.
        while let Some(hook) = unsafe { newest.as_ref() } {
            let older = hook.next.load(Ordering::Relaxed);
            hook.next.store(first, Ordering::Relaxed);
            first = mem::replace(&mut newest, older);
        }
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

/// One registration: a listener, and the hook that it fires.
///
/// Dropped in this order: the listener is discarded, then our reference to the hook goes. After the
/// discard the list does not hold the hook, so the foreign waker is never dropped under its lock.
pub(crate) struct Parked {
    /// `Some` until dropped. Always discarded: a notified listener that is dropped passes its
    /// notification on, and would fire a hook that nobody takes from the stack.
    listener: Option<EventListener>,
    hook: Arc<Hook>,
}

impl Parked {
    /// Registers `waker`; `None` if a notifier was faster, and the caller must look again.
    pub(crate) fn new(waiters: &Waiters, waker: &Waker) -> Option<Self> {
        // The clone is foreign code and comes first: nothing is registered if it panics, and
        // whatever it closes is seen by the look that follows the registration.
        let waker = waker.clone();
        let list = waiters.get_or_make();
        let next = AtomicPtr::new(ptr::null_mut());
        let hook = Arc::new(Hook { list, next, fired: AtomicBool::new(false), waker });
        // Relaxed: the announcement in the word publishes it, together with the listener.
        hook.list.listening.fetch_add(1, Ordering::Relaxed);
        let listener = Some(hook.list.event.listen());
        let mut parked = Self { listener, hook };
        parked.register().then_some(parked)
    }

    /// Puts the hook's waker into the listener; false if that has been notified already.
    fn register(&mut self) -> bool {
        let Some(listener) = &mut self.listener else { return false };
        with_waker(&self.hook, |waker| {
            Pin::new(listener).poll(&mut Context::from_waker(waker)).is_pending()
        })
    }

    /// Whether a wake-up of `waker` is still to come from this registration.
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        !self.hook.fired.load(Ordering::Relaxed) && self.hook.waker.will_wake(waker)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.discard();
        }
        self.hook.list.listening.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listening = self.get().map_or(0, |list| list.listening.load(Ordering::Relaxed));
        f.debug_struct("Waiters").field("listening", &listening).finish()
    }
}
