//! A block of seats: its memory, and what owners, openers, notifiers and deliverers do to it.

use core::mem::{MaybeUninit, offset_of};
use core::ptr::{self, NonNull};

use event_listener::EventListener;

use super::chain::Chain;
use super::list::List;
use super::word::{ABANDONED, FIRED, MISSED, OPEN, OPENING, SPENT, Word, arms, bits};
use super::{Fires, Target, word};
use crate::park::deferred::Head;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, UnsafeCell, run_to_end, step};

/// Where a target is. Written by the owner of the seat between claim and arm, and read after that by the owner
/// and by one delivery.
pub(crate) type Seat<T> = UnsafeCell<MaybeUninit<T>>;

/// Some seats in a row.
pub(crate) trait Seats {
    const NUMBER: usize;

    fn new() -> Self;
}

impl<T, const N: usize> Seats for [Seat<T>; N] {
    const NUMBER: usize = N;

    fn new() -> Self {
        [(); N].map(|()| UnsafeCell::new(MaybeUninit::uninit()))
    }
}

/// What every block begins with.
pub(super) struct Header<T: Target> {
    pub(super) head: Head,
    word: AtomicUsize,
    /// What was fired and is still to be run. Belongs to the delivery.
    mask: UnsafeCell<usize>,
    /// Null for the front.
    chain: *const Chain<T>,
    /// Whether a target with own work was put in, ever.
    has_own_work: AtomicBool,
    fires: Fires,
}

/// The block inside of a list.
#[repr(C)]
pub(super) struct Front<T: Target> {
    header: Header<T>,
    seats: T::Front,
}

/// A block in the chain of a list.
#[repr(C)]
pub(super) struct Further<T: Target> {
    header: Header<T>,
    /// What fires the block. Belongs to the opener, and to the wait in a block of one that leaves.
    pub(super) listener: UnsafeCell<Option<EventListener>>,
    /// The block that was made before this one, or null.
    pub(super) after: *mut Header<T>,
    seats: T::Further,
}

impl<T: Target> Header<T> {
    fn new(chain: *const Chain<T>, state: usize, fires: Fires) -> Self {
        Self {
            head: Head::of::<super::FiredBlock<T>>(),
            word: AtomicUsize::new(state),
            mask: UnsafeCell::new(0),
            chain,
            has_own_work: AtomicBool::new(false),
            fires,
        }
    }
}

impl<T: Target> Front<T> {
    pub(super) fn new(fires: Fires) -> Self {
        Self { header: Header::new(ptr::null(), OPEN, fires), seats: T::Front::new() }
    }
}

impl<T: Target> Further<T> {
    pub(super) fn new(chain: *const Chain<T>, state: usize) -> Self {
        Self {
            header: Header::new(chain, state, Fires::InRounds),
            listener: UnsafeCell::new(None),
            after: ptr::null_mut(),
            seats: T::Further::new(),
        }
    }
}

/// Several threads are at one block.
pub(super) struct Crowded;

/// A pointer to a block, which may reach all of it. Blocks go with their list: the owner of one of these
/// has the list, too.
pub(super) struct Block<T: Target>(NonNull<Header<T>>);

impl<T: Target> Clone for Block<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Target> Copy for Block<T> {}

impl<T: Target> Block<T> {
    /// # Safety
    ///
    /// `header` is of a [`Front`] or [`Further`], may reach all of it, and is alive for as long as the
    /// result is used.
    #[inline]
    pub(super) unsafe fn new(header: *const Header<T>) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { NonNull::new_unchecked(header.cast_mut()) })
    }

    #[inline]
    pub(super) fn as_ptr(self) -> *mut Header<T> {
        self.0.as_ptr()
    }

    #[inline]
    fn header(&self) -> &Header<T> {
        // SAFETY: alive, as `new` says; and nobody has `&mut` to it.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn head(self) -> *mut Head {
        self.as_ptr().wrapping_byte_add(offset_of!(Header<T>, head)).cast()
    }

    /// # Safety
    ///
    /// `head` came from `head`, and the block is alive for as long as the result is used.
    pub(super) unsafe fn from_head(head: *mut Head) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::new(head.wrapping_byte_sub(offset_of!(Header<T>, head)).cast()) }
    }

    /// The list's chain, none for the front.
    #[inline]
    pub(super) fn chain(&self) -> Option<&Chain<T>> {
        // SAFETY: null, or that of the list, which is alive.
        unsafe { self.header().chain.as_ref() }
    }

    /// All of a block that is not the front.
    pub(super) fn further(&self) -> &Further<T> {
        debug_assert!(self.chain().is_some(), "the front has no listener");
        // SAFETY: a header that is not in a `Front` is in a `Further`, and comes first there.
        unsafe { self.0.cast().as_ref() }
    }

    /// What the list is in.
    #[inline]
    pub(super) fn home(self) -> *const T::Home {
        match self.chain() {
            Some(chain) => chain.home,
            None => {
                let offset = const { T::LIST + offset_of!(List<T>, front) };
                self.as_ptr().wrapping_byte_sub(offset).cast_const().cast()
            }
        }
    }

    #[inline]
    fn number(self) -> usize {
        if self.chain().is_some() { T::Further::NUMBER } else { T::Front::NUMBER }
    }

    #[inline]
    fn seat(&self, seat: usize) -> &Seat<T> {
        let offset = match self.chain() {
            Some(_) => const { offset_of!(Further<T>, seats) },
            None => const { offset_of!(Front<T>, seats) },
        };
        let seats = self.as_ptr().wrapping_byte_add(offset).cast::<Seat<T>>();
        // SAFETY: the seats are there, in a row, and `seat` is below their number, as for all seats that `word`
        //   gives.
        unsafe { &*seats.wrapping_add(seat) }
    }

    #[inline]
    pub(super) fn word(&self) -> Word {
        Word(self.header().word.load(Ordering::Relaxed))
    }

    /// Makes a step of the word, if there is one to make, and gives what came of it.
    #[inline]
    fn step<R>(&self, order: Ordering, next: impl Fn(Word) -> Option<(Word, R)>) -> Option<R> {
        step(&self.header().word, self.word().0, order, Ordering::Relaxed, |now| {
            let (next, result) = next(Word(now)).ok_or(())?;
            Ok::<_, ()>((next.0, result))
        })
        .ok()
    }

    /// Claims a seat, if the block is open and one is free.
    #[inline]
    pub(super) fn claim(self) -> Option<ClaimedSeat<T>> {
        let number = self.number();
        // V: acquires what the last owner and the last delivery read there.
        let seat = self.step(Ordering::Acquire, |now| now.claim(number))?;
        Some(ClaimedSeat { block: self, seat })
    }

    /// [`claim`](Self::claim) in one attempt.
    #[inline]
    pub(super) fn claim_alone(self) -> Result<Option<ClaimedSeat<T>>, Crowded> {
        let now = self.word();
        let Some((next, seat)) = now.claim(self.number()) else { return Ok(None) };
        let word = &self.header().word;
        // V: as in `claim`.
        match word.compare_exchange(now.0, next.0, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Some(ClaimedSeat { block: self, seat })),
            Err(_) => Err(Crowded),
        }
    }

    /// Takes the block to open it, if it is spent and half of it is free.
    pub(super) fn reopen(self) -> bool {
        let number = self.number();
        // V: as in `claim`; the opener's own claim acquires nothing.
        self.step(Ordering::Acquire, |now| Some((now.reopen(number)?, ()))).is_some()
    }

    /// Opens the block, which listens, with a seat claimed; by its opener. None if its listener was used up
    /// meanwhile: then it is to listen again.
    pub(super) fn open(self) -> Option<ClaimedSeat<T>> {
        let number = self.number();
        // V: acquires what owners have freed since `reopen`. It publishes the listener to the next opener.
        if let Some(seat) = self.step(Ordering::AcqRel, |now| now.open(number)) {
            return Some(ClaimedSeat { block: self, seat });
        }
        // V: acquires that the notifier is done with the block's link.
        self.header().word.fetch_xor(MISSED ^ OPENING, Ordering::Acquire);
        None
    }

    /// Fires the front. None if nothing is due.
    #[inline]
    pub(super) fn fire_front(self) -> Option<usize> {
        // S: acquires the targets, also that of a wait that has armed its seat and not announced itself yet: C does
        // not bring it, where another wait had set `WAITERS`. To an arm that comes too late it publishes what led
        // to the fire. V: acquires what the last delivery did to the mask.
        self.step(Ordering::AcqRel, Word::fire_front)
    }

    /// Fires a block whose listener was used up: gives the mask of the targets that the caller has now. With none
    /// of them the block is not to be touched any more.
    pub(super) fn fire(self) -> usize {
        // S: acquires the targets. V: as in `fire_front`; and publishes that we are done with the block's link, if it
        // is opened again.
        self.step(Ordering::AcqRel, |now| Some(now.fire())).unwrap_or(0)
    }

    /// What was fired and is still to be run. By the delivery.
    pub(super) fn mask(self) -> usize {
        // SAFETY: the delivery has the block alone, but for the seats' owners.
        unsafe { *self.header().mask.read_ptr() }
    }

    /// By the delivery.
    pub(super) fn set_mask(self, mask: usize) {
        // SAFETY: as above.
        unsafe { *self.header().mask.write_ptr() = mask };
    }

    /// Whether a target that was fired may have own work. By the delivery.
    pub(super) fn has_own_work(self) -> bool {
        // Relaxed: published with the target (S).
        self.header().has_own_work.load(Ordering::Relaxed)
    }

    /// Copies the bits of a target that was fired. By the delivery.
    ///
    /// # Safety
    ///
    /// The bits are used as a target once.
    #[inline]
    pub(super) unsafe fn copy(self, seat: usize) -> T {
        // SAFETY: it was armed with a target, which nobody writes before the delivery is over; the firing (S)
        //   made it the delivery's.
        unsafe { self.seat(seat).read_ptr().cast::<T>().read() }
    }

    /// Ends the delivery: all that was fired is out of its seats.
    #[inline]
    pub(super) fn delivered(self) {
        if self.header().fires == Fires::Once {
            // It stays fired, and nobody claims a seat in it any more.
            return;
        }
        let to = if self.chain().is_some() { SPENT } else { OPEN };
        // V: publishes that we have read the seats, and are done with the mask and the link.
        self.header().word.fetch_xor(FIRED ^ to, Ordering::Release);
        if let Some(chain) = self.chain() {
            chain.has_room(self);
        }
    }

    /// Takes a block of one, whose wait goes, out of the list: false if it was fired. By the owner of the seat,
    /// which has the listener from then on.
    fn leave(self) -> bool {
        // Relaxed: a notifier that comes after this fires nothing here, and only `left` gives the block to the next
        // opener. The listener is this wait's own: it has opened the block.
        self.step(Ordering::Relaxed, |now| Some((now.leave()?, ()))).is_some()
    }

    /// Says that a notifier that used the listener up is still to come, or that it has been there.
    fn left(self, was_notified: bool) {
        let next = |now: Word| {
            let is_expected = was_notified && now.state() == OPENING;
            let state = if is_expected { ABANDONED } else { SPENT };
            Some((now.with_state(state), ()))
        };
        // V: publishes that we are done with the seat and the listener.
        let _ = self.step(Ordering::Release, next);
    }

    /// Drops what is left in the seats by waits that were forgotten.
    ///
    /// # Safety
    ///
    /// Nobody else has the block, and nobody uses it after this.
    pub(super) unsafe fn take_forgotten(self, mut each: impl FnMut(T)) {
        let mut seats = word::SeatMask(self.word().armed());
        if seats.is_empty() {
            return;
        }
        run_to_end(|| {
            let Some(seat) = seats.next() else { return false };
            // SAFETY: armed, so nobody took the target; and nobody will, as the caller promises.
            each(unsafe { self.copy(seat) });
            true
        });
    }
}

/// A seat, from its claim until it is freed by its owner.
pub(super) struct ClaimedSeat<T: Target> {
    pub(super) block: Block<T>,
    pub(super) seat: usize,
}

impl<T: Target> Clone for ClaimedSeat<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Target> Copy for ClaimedSeat<T> {}

impl<T: Target> ClaimedSeat<T> {
    /// Puts `target` in and arms the seat. `Err` if the block was fired since the claim: then the seat is free again,
    /// and the target comes back, or has been fired too.
    #[inline]
    pub(super) fn arm(self, target: T) -> Result<Self, Option<T>> {
        if target.has_own_work() {
            self.block.header().has_own_work.store(true, Ordering::Relaxed);
        }
        // SAFETY: claimed by us and not armed: nobody else touches it.
        unsafe { self.cell().write_ptr().cast::<T>().write(target) };
        // S: publishes the target to the notifier that fires it. Acquire: an arm that comes too late sees what led
        // to the firing; a node that hooks itself up looks at its parent then.
        let before = self.block.header().word.fetch_or(arms(self.seat), Ordering::AcqRel);
        if Word(before).state() == OPEN { Ok(self) } else { Err(self.free()) }
    }

    /// Gives the seat up; and the target back, if it was not fired.
    #[inline]
    pub(super) fn free(self) -> Option<T> {
        // SAFETY: our own seat, which we have armed. Only the bits are copied: whose target they are is known
        //   after the next step, behind which the seat may be somebody else's.
        let target = unsafe { self.cell().read_ptr().read() };
        if T::ORDERED && self.block.leave() {
            self.stop_listening();
        } else {
            // V: publishes that we are done with the seat to the next owner.
            let word = &self.block.header().word;
            let before = Word(word.fetch_and(!bits(self.seat), Ordering::Release));
            if !before.is_armed(self.seat) {
                return None;
            }
        }
        if let Some(chain) = self.block.chain() {
            chain.has_room(self.block);
        }
        // SAFETY: it was armed until our step, so it is ours.
        Some(unsafe { target.assume_init() })
    }

    #[cold]
    fn stop_listening(&self) {
        let Some(chain) = self.block.chain() else { return };
        // SAFETY: `leave` made the listener ours.
        let listener = unsafe { (*self.block.further().listener.write_ptr()).take() };
        self.block.left(chain.discard(listener));
    }

    #[inline]
    fn cell(&self) -> &Seat<T> {
        self.block.seat(self.seat)
    }

    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        // Relaxed: this only tells the owner that its registration is spent. An owner that reads a stale value
        // goes on waiting; then the target is still to be run, or was run meanwhile, and the executor polls
        // again, with that wake before it.
        self.block.word().is_armed(self.seat)
    }

    /// Looks at the target, which may have been fired: then its bits are all that is left of it.
    #[inline]
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        // SAFETY: our own seat, which we have armed; nobody writes it while it is ours.
        look(unsafe { &*self.cell().read_ptr().cast::<T>() })
    }
}
