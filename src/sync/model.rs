//! `Arc` and `Weak` over loom's atomics, for models only.
//!
//! The counts are those of the standard library's `Arc`: all strong references hold one weak
//! reference together; the value dies with the last strong one, the block with the last weak one.
//! A block that a model leaks is reported by loom. So is a use of the value that is not ordered before
//! its end, by whatever pointer: also by one that counts for no reference ([`canary`]).

mod canary;

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use alloc::boxed::Box;
use loom::alloc::Track;
use loom::sync::atomic::fence;

use canary::Canary;
pub(crate) use canary::{AtomicBool, AtomicPtr, AtomicUsize, AtomicWord, Watched};

/// The value comes first, so that a pointer to it is a pointer to its block.
#[repr(C)]
struct Block<T> {
    value: ManuallyDrop<T>,
    strong: AtomicUsize,
    weak: AtomicUsize,
    /// Of the value. The counts, which end with the block, have their own.
    canary: Canary,
    _leak_check: Track<()>,
}

/// A reference-counted pointer that loom sees.
pub struct Arc<T> {
    block: NonNull<Block<T>>,
    _owns: PhantomData<Block<T>>,
}

/// A pointer to the block of an [`Arc`] that does not keep the value.
pub struct Weak<T> {
    block: NonNull<Block<T>>,
    _owns: PhantomData<Block<T>>,
}

// SAFETY: as for the standard library's `Arc`: every holder may read the value, and any holder may
//   be the one that drops it.
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: a shared `Arc` can be cloned, so this asks the same as `Send`.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}
// SAFETY: a `Weak` can become an `Arc`, so it asks the same.
unsafe impl<T: Send + Sync> Send for Weak<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Weak<T> {}

impl<T> Arc<T> {
    /// Moves `value` to the heap.
    pub fn new(value: T) -> Self {
        let block = Box::new(Block {
            value: ManuallyDrop::new(value),
            strong: AtomicUsize::new(1),
            weak: AtomicUsize::new(1),
            canary: Canary::new(),
            _leak_check: Track::new(()),
        });
        Self { block: NonNull::from(Box::leak(block)), _owns: PhantomData }
    }

    fn block(&self) -> &Block<T> {
        // SAFETY: a strong reference keeps the block, and nobody has `&mut` to it.
        unsafe { self.block.as_ref() }
    }

    /// Gives up the reference without counting it down.
    pub fn into_raw(this: Self) -> *const T {
        ManuallyDrop::new(this).block.as_ptr().cast::<T>()
    }

    /// Takes back a reference that `into_raw` gave.
    ///
    /// # Safety
    ///
    /// `ptr` comes from `into_raw`, and this takes one reference that nobody else takes.
    pub unsafe fn from_raw(ptr: *const T) -> Self {
        // SAFETY: `into_raw` never gives null; the value is the block's first field.
        let block = unsafe { NonNull::new_unchecked(ptr.cast_mut().cast::<Block<T>>()) };
        Self { block, _owns: PhantomData }
    }

    /// The pointer that `into_raw` would give.
    pub fn as_ptr(this: &Self) -> *const T {
        this.block.as_ptr().cast::<T>()
    }

    /// Counts up the reference that `ptr` stands for.
    ///
    /// # Safety
    ///
    /// `ptr` comes from `into_raw`, and some reference lives during the call.
    pub unsafe fn increment_strong_count(ptr: *const T) {
        // SAFETY: the caller's promise; the reference is not given up here.
        let this = ManuallyDrop::new(unsafe { Self::from_raw(ptr) });
        core::mem::forget((*this).clone());
    }

    /// The value, if this was the last strong reference.
    pub fn into_inner(this: Self) -> Option<T> {
        let this = ManuallyDrop::new(this);
        if this.block().strong.fetch_sub(1, Ordering::Release) != 1 {
            return None;
        }
        fence(Ordering::Acquire);
        // SAFETY: the count was one, so nobody else reads the value, now or later.
        let value = unsafe { core::ptr::read(this.block.as_ptr().cast::<T>()) };
        this.block().canary.end();
        drop(Weak { block: this.block, _owns: PhantomData });
        Some(value)
    }

    /// The value, if this is the only strong reference; otherwise the reference itself.
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        let strong = &this.block().strong;
        if strong.compare_exchange(1, 0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(this);
        }
        fence(Ordering::Acquire);
        let this = ManuallyDrop::new(this);
        // SAFETY: the count was one and ours, so nobody else reads the value, now or later.
        let value = unsafe { core::ptr::read(this.block.as_ptr().cast::<T>()) };
        this.block().canary.end();
        drop(Weak { block: this.block, _owns: PhantomData });
        Ok(value)
    }

    /// A reference that does not keep the value.
    pub fn downgrade(this: &Self) -> Weak<T> {
        this.block().weak.fetch_add(1, Ordering::Relaxed);
        Weak { block: this.block, _owns: PhantomData }
    }

    /// How many references keep the value.
    pub fn strong_count(this: &Self) -> usize {
        this.block().strong.load(Ordering::Relaxed)
    }

    /// Whether both point to the same block.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.block == other.block
    }
}

impl<T> Weak<T> {
    /// Gives up the reference without counting it down.
    pub fn into_raw(self) -> *const T {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Takes back a reference that `into_raw` gave.
    ///
    /// # Safety
    ///
    /// `ptr` comes from `into_raw`, and this takes one reference that nobody else takes.
    pub unsafe fn from_raw(ptr: *const T) -> Self {
        // SAFETY: `into_raw` never gives null; the value is the block's first field.
        let block = unsafe { NonNull::new_unchecked(ptr.cast_mut().cast::<Block<T>>()) };
        Self { block, _owns: PhantomData }
    }

    /// The pointer that `Arc::as_ptr` would give.
    pub fn as_ptr(&self) -> *const T {
        self.block.as_ptr().cast::<T>()
    }

    /// A strong reference, if the value still lives.
    pub fn upgrade(&self) -> Option<Arc<T>> {
        // SAFETY: a weak reference keeps the block.
        let strong = unsafe { &self.block.as_ref().strong };
        strong
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |n| (n > 0).then(|| n + 1))
            .ok()
            .map(|_| Arc { block: self.block, _owns: PhantomData })
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        let before = self.block().strong.fetch_add(1, Ordering::Relaxed);
        assert!(before > 0, "an Arc was cloned after its value had been dropped");
        Self { block: self.block, _owns: PhantomData }
    }
}

impl<T> Clone for Weak<T> {
    fn clone(&self) -> Self {
        // SAFETY: a weak reference keeps the block.
        unsafe { self.block.as_ref() }.weak.fetch_add(1, Ordering::Relaxed);
        Self { block: self.block, _owns: PhantomData }
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    #[track_caller]
    fn deref(&self) -> &T {
        self.block().canary.touch();
        &self.block().value
    }
}

impl<T> Drop for Arc<T> {
    fn drop(&mut self) {
        let before = self.block().strong.fetch_sub(1, Ordering::Release);
        assert!(before > 0, "an Arc was dropped more often than it was cloned");
        if before != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let _block = Weak { block: self.block, _owns: PhantomData };
        // The value is the block's first field, and dropped in place.
        let value = self.block.as_ptr().cast::<T>();
        self.block().canary.end();
        // SAFETY: the block lives until `_block` goes; the count was one, so nobody reads the value,
        //   now or later.
        unsafe { core::ptr::drop_in_place(value) };
    }
}

impl<T> Drop for Weak<T> {
    fn drop(&mut self) {
        // SAFETY: this reference keeps the block until the next line gives it up.
        let before = unsafe { self.block.as_ref() }.weak.fetch_sub(1, Ordering::Release);
        if before == 1 {
            fence(Ordering::Acquire);
            // SAFETY: the last reference of either kind; the value is dropped or taken already.
            drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        }
    }
}

impl<T: core::fmt::Debug> core::fmt::Debug for Arc<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> core::fmt::Debug for Weak<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("(Weak)")
    }
}
