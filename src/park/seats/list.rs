//! The waits of one primitive: the front, and the chain behind it.

use core::mem::offset_of;

use super::block::{Block, ClaimedSeat, Crowded, Front, Header};
use super::chain::Chain;
use super::{FiredBlock, FiredBlocks, Fires, Target};
use crate::sync::LazyArc;

/// Whether this thread looks at its own block first, and opens one where it meets another thread.
#[inline]
fn sits_apart() -> bool {
    #[cfg(feature = "std")]
    return crate::sync::threads::sits_apart();
    #[cfg(not(feature = "std"))]
    return false;
}

/// The waits of one primitive. Inside of its [`Home`](Target::Home).
pub(crate) struct List<T: Target> {
    pub(super) front: Front<T>,
    /// Made by the first wait that finds no seat in the front.
    chain: LazyArc<Chain<T>>,
}

impl<T: Target> List<T> {
    pub(crate) fn new(fires: Fires) -> Self {
        Self { front: Front::new(fires), chain: LazyArc::new() }
    }

    /// # Safety
    ///
    /// `home` is of `Arc::as_ptr`, and is alive for as long as the results are used.
    #[inline]
    unsafe fn of<'a>(home: *const T::Home) -> (Block<T>, &'a LazyArc<Chain<T>>) {
        let list = home.wrapping_byte_add(T::LIST).cast::<Self>();
        let front = list.wrapping_byte_add(offset_of!(Self, front)).cast::<Header<T>>();
        // SAFETY: the caller's promise, and that of `Target`.
        let chain = unsafe { &(*list).chain };
        // SAFETY: as above.
        (unsafe { Block::new(front) }, chain)
    }

    /// Claims a seat.
    ///
    /// # Safety
    ///
    /// As for `of`.
    #[inline]
    pub(super) unsafe fn claim(home: *const T::Home) -> ClaimedSeat<T> {
        // SAFETY: the caller's promise.
        let (front, chain) = unsafe { Self::of(home) };
        let place = if sits_apart() { Self::join(front, chain.get()) } else { Ok(None) };
        match place {
            Ok(Some(place)) => place,
            Ok(None) => {
                front.claim().unwrap_or_else(|| chain.get_or_make(|| Chain::new(home)).claim())
            }
            Err(Crowded) => chain.get_or_make(|| Chain::new(home)).claim_apart(),
        }
    }

    /// Claims a seat in this thread's own block, if it has one that is open, or else in the front: unless other
    /// threads are there.
    #[inline]
    fn join(front: Block<T>, chain: Option<&Chain<T>>) -> Result<Option<ClaimedSeat<T>>, Crowded> {
        let hinted = chain.and_then(Chain::hinted).filter(|_| !T::ORDERED);
        match hinted.map_or(Ok(None), Block::claim_alone) {
            Ok(None) => front.claim_alone(),
            joined => joined,
        }
    }

    /// Fires all that announced itself before the word changed; and, in the front, what is armed and not announced yet,
    /// whose targets S alone brings.
    ///
    /// Requires that the caller has acquired those announcements from the word. If the caller `lends` its reference
    /// to the home, a delivery may take it over, and says so.
    ///
    /// # Safety
    ///
    /// As for `of`, during the call.
    #[inline]
    pub(crate) unsafe fn fire(home: *const T::Home, lends: &mut bool) -> FiredBlocks<T> {
        let mut fired = FiredBlocks::new();
        // SAFETY: the caller's promise.
        let (front, chain) = unsafe { Self::of(home) };
        if let Some(mask) = front.fire_front() {
            // SAFETY: fired here, and held below.
            fired.push(unsafe { FiredBlock::new(front, mask) });
        }
        if let Some(chain) = chain.get() {
            chain.fire(&mut fired);
        }
        // SAFETY: the caller's promise.
        unsafe { FiredBlock::keep_home(&fired, lends) };
        fired
    }

    /// Fires the block that was opened first. Gives what other threads fire meanwhile, too; or they take this one.
    ///
    /// Requires what `fire` requires. For a list without a front.
    ///
    /// # Safety
    ///
    /// As for `fire`.
    pub(super) unsafe fn fire_one(home: *const T::Home) -> FiredBlocks<T> {
        let mut fired = FiredBlocks::new();
        // SAFETY: the caller's promise.
        let (_, chain) = unsafe { Self::of(home) };
        if let Some(chain) = chain.get() {
            chain.fire_one(&mut fired);
        }
        // SAFETY: the caller's promise.
        unsafe { FiredBlock::keep_home(&fired, &mut false) };
        fired
    }
}

// SAFETY: sharing it lets one thread put in a target that another takes out (`T: Send`), and none but those two
//   look at it.
unsafe impl<T: Target> Send for List<T> {}
// SAFETY: as above.
unsafe impl<T: Target> Sync for List<T> {}

#[cfg(all(test, not(loom)))]
impl<T: Target> List<T> {
    pub(super) fn effort(&self) -> (usize, usize) {
        self.chain.get().map_or((0, 0), Chain::effort)
    }

    pub(super) fn chain(&self) -> usize {
        self.chain.get().map_or(0, Chain::len)
    }
}

impl<T: Target> Drop for List<T> {
    fn drop(&mut self) {
        // SAFETY: `&mut` makes this the only pointer to the front; it is a field, so it is alive.
        let front: Block<T> = unsafe { Block::new((&raw const self.front).cast()) };
        // SAFETY: as above.
        unsafe { front.take_forgotten(super::drop_forgotten) };
    }
}
