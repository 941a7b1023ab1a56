//! The blocks behind a front, which listen: the only file that talks to event-listener.

use core::future::Future as _;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use alloc::boxed::Box;
use event_listener::{Event, EventListener, IntoNotification as _, Listener as _};

use super::block::{Block, ClaimedSeat, Further, Header};
use super::word::OPENING;
use super::{FiredBlock, FiredBlocks, Target};
use crate::park::deferred::{Head, Stack};
use crate::sync::{
    Advice, AtomicPtr, AtomicUsize, Exclusive as _, Ordering, replace, run_both, run_to_end,
};

/// How many blocks are fired in one go. Where event-listener's lock is a critical section, this bounds the time
/// that interrupts are masked; elsewhere it keeps a long chain in the cache.
pub(super) const NOTIFY_AT_MOST: usize = match () {
    () if cfg!(loom) => 2,
    () if cfg!(feature = "std") => 16,
    () => 1,
};

/// How many threads have a hint of their own, and may so sit apart.
const HINTS: usize = match () {
    () if cfg!(loom) => 2,
    () if cfg!(feature = "std") => 16,
    () => 1,
};

/// How many blocks a wait looks at for a seat while the chain may grow.
const LOOKS: usize = 2;

/// What a list has when its front is full.
pub(super) struct Chain<T: Target> {
    pub(super) home: *const T::Home,
    /// Where the blocks listen. Locks and allocates.
    event: Event,
    /// The blocks whose listeners were used up, and that nobody has fired yet.
    notified_blocks: Stack,
    /// How many blocks listen, or a few more: counted up before listening, and down by the notifier that fires
    /// the block. Bounds a delivery: waits that come back at once do not feed it for ever.
    listening: AtomicUsize,
    /// The block that was made last; the chain only grows.
    newest: AtomicPtr<Header<T>>,
    /// Where to look for a seat first, by thread: the block that it opened last, or that got room last.
    hints: [AtomicPtr<Header<T>>; HINTS],
    /// How many blocks there are.
    blocks: Advice,
    /// Up to how many the chain grows before a wait looks at all of them.
    limit: Advice,
    /// How often the event was notified.
    #[cfg(all(test, not(loom)))]
    notified: Advice,
    _blocks: PhantomData<Further<T>>,
}

// SAFETY: as for the list, to which its pointers lead.
unsafe impl<T: Target> Send for Chain<T> {}
// SAFETY: as above.
unsafe impl<T: Target> Sync for Chain<T> {}

impl<T: Target> Chain<T> {
    pub(super) fn new(home: *const T::Home) -> Self {
        Self {
            home,
            event: Event::new(),
            notified_blocks: Stack::new(),
            listening: AtomicUsize::new(0),
            newest: AtomicPtr::new(ptr::null_mut()),
            hints: [(); HINTS].map(|()| AtomicPtr::new(ptr::null_mut())),
            blocks: Advice::new(0),
            limit: Advice::new(0),
            #[cfg(all(test, not(loom)))]
            notified: Advice::new(0),
            _blocks: PhantomData,
        }
    }

    /// The block of a pointer that came from `grow`.
    #[inline]
    fn block(header: *mut Header<T>) -> Option<Block<T>> {
        // SAFETY: it is of `Box::into_raw`, and the list has the block for as long as it lives.
        (!header.is_null()).then(|| unsafe { Block::new(header) })
    }

    /// `block` may have a seat.
    #[inline]
    pub(super) fn has_room(&self, block: Block<T>) {
        // The load keeps the line where it is, when many seats of one block are freed.
        let hint = self.hint();
        if hint.load(Ordering::Relaxed) != block.as_ptr() {
            // P: publishes the block, which this thread has acquired.
            hint.store(block.as_ptr(), Ordering::Release);
        }
    }

    #[inline]
    fn hint(&self) -> &AtomicPtr<Header<T>> {
        #[cfg(feature = "std")]
        let index = crate::sync::threads::index() % HINTS;
        #[cfg(not(feature = "std"))]
        let index = 0;
        &self.hints[index]
    }

    #[inline]
    pub(super) fn hinted(&self) -> Option<Block<T>> {
        // P: acquires the block.
        Self::block(self.hint().load(Ordering::Acquire))
    }

    /// Claims a seat where fewer threads are: in a block that this thread has opened for itself.
    #[cold]
    pub(super) fn claim_apart(&self) -> ClaimedSeat<T> {
        if self.blocks.load(Ordering::Relaxed) < HINTS {
            self.open(self.grow())
        } else {
            self.claim()
        }
    }

    /// Claims a seat in some block.
    pub(super) fn claim(&self) -> ClaimedSeat<T> {
        let hint = self.hinted();
        if let Some(place) = hint.and_then(|hint| self.claim_in(hint)) {
            return place;
        }
        match self.search(hint) {
            Some(place) => place,
            None => self.open(self.grow()),
        }
    }

    /// Claims a seat of `block`, which is opened, if that is worth it.
    #[inline]
    fn claim_in(&self, block: Block<T>) -> Option<ClaimedSeat<T>> {
        // In an ordered list, a wait that comes later must not sit down further ahead.
        let place = if T::ORDERED { None } else { block.claim() };
        place.or_else(|| block.reopen().then(|| self.open(block)))
    }

    /// Looks for a seat behind the hint: at a few blocks, as long as the chain may grow, and then at all of them.
    ///
    /// The chain may double when each of its blocks was found half taken, or more. So it has at most four times
    /// the seats that were ever taken at once, and to look at all of it is paid for by the seats that it got.
    #[cold]
    fn search(&self, hint: Option<Block<T>>) -> Option<ClaimedSeat<T>> {
        let all = self.blocks.load(Ordering::Relaxed);
        let looks = if all < self.limit.load(Ordering::Relaxed) { all.min(LOOKS) } else { all };
        let mut block = hint;
        for _ in 0..looks {
            // P: acquires the blocks of the chain.
            let next = block.map_or(ptr::null_mut(), |block| block.further().after);
            block = Self::block(next).or_else(|| Self::block(self.newest.load(Ordering::Acquire)));
            if let Some(place) = block.and_then(|block| self.claim_in(block)) {
                self.has_room(place.block);
                return Some(place);
            }
        }
        if looks == all {
            self.limit.store(2 * all + 2, Ordering::Relaxed);
        }
        None
    }

    /// A new block, to be opened by the caller.
    fn grow(&self) -> Block<T> {
        let new = Box::into_raw(Box::new(Further::new(self, OPENING)));
        // P: acquires the blocks behind it, here and in an exchange that fails. A thread that has this block from a hint
        // goes on to them.
        let newest = self.newest.load(Ordering::Acquire);
        // P: publishes the block; and those behind it, since each exchange continues the release sequence of the one
        // before.
        replace(&self.newest, newest, Ordering::Release, Ordering::Acquire, |newest| {
            // SAFETY: it is ours until the exchange succeeds.
            unsafe { (*new).after = newest };
            new.cast()
        });
        self.blocks.fetch_add(1, Ordering::Relaxed);
        // SAFETY: from `Box::into_raw`; the chain has it for as long as the list lives.
        unsafe { Block::new(new.cast()) }
    }

    /// Opens `block` with a seat claimed; by its opener.
    #[cold]
    fn open(&self, block: Block<T>) -> ClaimedSeat<T> {
        loop {
            self.listen(block);
            // A notifier that came between is another thread's progress, so this is no spin.
            if let Some(place) = block.open() {
                self.has_room(block);
                return place;
            }
        }
    }

    /// Makes `block` listen; by its opener.
    fn listen(&self, block: Block<T>) {
        let cell = &block.further().listener;
        // SAFETY: the listener belongs to the opener.
        if let Some(used) = unsafe { (*cell.write_ptr()).take() } {
            // Discarded, not dropped (condition 2): a notified listener that is dropped passes its notification on,
            // under the lock, to a block that nobody would take from the stack.
            used.discard();
        }
        // The event allocates when it is first touched (condition 6). An interrupt that comes between the next line and
        // `listen` notifies, and must not be the first.
        // I: acquires that it was touched.
        if self.listening.load(Ordering::Acquire) == 0 {
            self.event.notify(0.additional().relaxed());
        }
        let waker = waker_of(block);
        loop {
            // The announcement in the word publishes it, together with the listener. I: publishes that the event
            // was touched, to notifiers that the announcement of another wait has led here.
            self.listening.fetch_add(1, Ordering::Release);
            let mut listener = self.event.listen();
            if Pin::new(&mut listener).poll(&mut Context::from_waker(&waker)).is_pending() {
                // SAFETY: as above.
                unsafe { *cell.write_ptr() = Some(listener) };
                return;
            }
            // Condition 3: it was notified before it could hold our waker, and is out of the event's list.
            self.listening.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Discards the listener of a block that leaves the list; true if it had been used up, so that a notifier is
    /// still to fire the block, or has.
    pub(super) fn discard(&self, listener: Option<EventListener>) -> bool {
        let was_notified = listener.is_some_and(EventListener::discard);
        if !was_notified {
            self.listening.fetch_sub(1, Ordering::Relaxed);
        }
        was_notified
    }

    pub(super) fn fire(&self, fired: &mut FiredBlocks<T>) {
        // A block counts itself before a wait in it announces itself, and the caller has acquired the
        // announcement; and each is counted down once, after it was counted up. So this is at least the number
        // of blocks whose waits announced themselves before the word changed, and that were not fired yet.
        // I: acquires that the event was touched.
        let mut left = self.listening.load(Ordering::Acquire);
        while left > 0 {
            let batch = left.min(NOTIFY_AT_MOST);
            // L: they are in the list, in order of registration, and none of them is skipped (condition 4). What
            // `notify` returns is a hint (condition 5). No fence is wanted (`relaxed`): the lock orders the list.
            self.notify(batch);
            self.take_notified(fired);
            left -= batch;
        }
    }

    pub(super) fn fire_one(&self, fired: &mut FiredBlocks<T>) {
        // I: as in `fire`. A listener that is notified before its block was registered, or whose wait leaves, is
        // passed by. So one notification may fire nobody; as many as there are listeners reach every wait that
        // announced itself.
        let mut left = self.listening.load(Ordering::Acquire);
        while fired.is_empty() && left > 0 {
            self.notify(1);
            self.take_notified(fired);
            left -= 1;
        }
    }

    fn notify(&self, number: usize) {
        #[cfg(all(test, not(loom)))]
        self.notified.fetch_add(1, Ordering::Relaxed);
        self.event.notify(number.additional().relaxed());
    }

    /// Fires the blocks whose listeners were used up, by this thread or by another (condition 7).
    fn take_notified(&self, fired: &mut FiredBlocks<T>) {
        let mut number = 0;
        for head in self.notified_blocks.take() {
            // SAFETY: `waker_of` pushed it, and the list is alive.
            let block = unsafe { Block::<T>::from_head(head) };
            // The link was read; behind this step the block may be opened, and on the stack, again.
            let mask = block.fire();
            number += 1;
            if mask != 0 {
                // SAFETY: fired here, and held by the callers.
                fired.push(unsafe { FiredBlock::new(block, mask) });
            }
        }
        self.listening.fetch_sub(number, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
impl<T: Target> Chain<T> {
    /// How many blocks listen, and how often the event was notified so far.
    pub(super) fn effort(&self) -> (usize, usize) {
        (self.listening.load(Ordering::Relaxed), self.notified.load(Ordering::Relaxed))
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.blocks.load(Ordering::Relaxed)
    }
}

impl<T: Target> Drop for Chain<T> {
    /// All blocks go, also if the drop of what a forgotten wait has left panics.
    fn drop(&mut self) {
        let mut next = self.newest.replace_mut(ptr::null_mut());
        run_to_end(|| {
            let Some(block) = Self::block(next) else { return false };
            let further = next.cast::<Further<T>>();
            next = block.further().after;
            // SAFETY: nobody else has the block: registrations and deliveries keep the list.
            let take_forgotten = || unsafe { block.take_forgotten(super::drop_forgotten) };
            run_both(take_forgotten, || {
                // SAFETY: it is of `Box::into_raw`, and used no more.
                let further = unsafe { Box::from_raw(further) };
                // SAFETY: as above.
                if let Some(listener) = unsafe { (*further.listener.write_ptr()).take() } {
                    listener.discard();
                }
            });
            true
        });
    }
}

/// What a block registers with event-listener: runs under its lock (condition 1), pushes the block and does
/// nothing else.
fn waker_of<T: Target>(block: Block<T>) -> Waker {
    struct Functions<T>(PhantomData<T>);

    impl<T: Target> Functions<T> {
        const TABLE: RawWakerVTable =
            RawWakerVTable::new(Self::clone, Self::wake, Self::wake, |_| {});

        fn raw(head: *const ()) -> RawWaker {
            RawWaker::new(head, const { &Self::TABLE })
        }

        unsafe fn clone(head: *const ()) -> RawWaker {
            Self::raw(head)
        }

        unsafe fn wake(head: *const ()) {
            let head = head.cast_mut().cast::<Head>();
            // SAFETY: the list has the block for as long as the listener is in the event's list.
            let block = unsafe { Block::<T>::from_head(head) };
            if let Some(chain) = block.chain() {
                // SAFETY: an open block, or one that is being opened, is in no list; its listener is notified
                //   once, and nobody but the notifier that takes the stack touches its link before it has fired it.
                unsafe { chain.notified_blocks.push(head) };
            }
        }
    }

    // SAFETY: the functions are for the head of a block, count no references, and may be called by any thread.
    unsafe { Waker::from_raw(Functions::<T>::raw(block.head().cast_const().cast())) }
}
