//! The standard library's `Wake`, over the facade's `Arc`.
//!
//! `std::task::Wake` does not exist on targets without compare-and-swap, nor does it see loom's
//! atomics, so the four functions of a waker stand here by hand; all their unsafe code does too.

#[cfg(feature = "std")]
mod parker;

use core::mem::ManuallyDrop;
#[cfg(feature = "std")]
use core::ptr;
use core::task::{RawWaker, RawWakerVTable, Waker};

use crate::sync::Arc;
#[cfg(feature = "std")]
pub(crate) use parker::Parker;

/// What a waker made here does when it is woken.
pub(crate) trait Wake: Sized + Send + Sync + 'static {
    /// Takes the reference that the waker held.
    fn wake(this: Arc<Self>);

    /// The functions of its wakers, by [`vtable_of`].
    fn vtable() -> &'static RawWakerVTable {
        const { &vtable_of::<Self>() }
    }
}

/// A waker that holds `this`.
#[cfg(feature = "std")]
pub(crate) fn into_waker<T: Wake>(this: Arc<T>) -> Waker {
    // SAFETY: the vtable's functions are for the pointer that `Arc::into_raw` gives, each reference
    //   is given up once, and `T: Send + Sync`, so any thread may do it.
    unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(this).cast(), T::vtable())) }
}

/// Lends a waker of `this` without counting a reference; whoever wants to keep it clones it.
pub(crate) fn with_waker<T: Wake, R>(this: &Arc<T>, f: impl FnOnce(&Waker) -> R) -> R {
    let raw = RawWaker::new(Arc::as_ptr(this).cast(), T::vtable());
    // SAFETY: as in `into_waker`, but that the reference is `this`, which outlives the waker: it is
    //   never dropped, and `f` cannot move out of what it borrows.
    let lent = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
    f(&lent)
}

/// Whether `waker` unparks a thread that is blocked in a wait of this crate: then to wake it is no foreign
/// code.
pub(crate) fn unparks(waker: &Waker) -> bool {
    #[cfg(feature = "std")]
    return ptr::eq(waker.vtable(), Parker::vtable());
    #[cfg(not(feature = "std"))]
    {
        let _ = waker;
        false
    }
}

const fn vtable_of<T: Wake>() -> RawWakerVTable {
    RawWakerVTable::new(clone::<T>, wake::<T>, wake_by_ref::<T>, release::<T>)
}

unsafe fn clone<T: Wake>(data: *const ()) -> RawWaker {
    // SAFETY: `data` is of `Arc::into_raw`, and the waker that is being cloned keeps it.
    unsafe { Arc::increment_strong_count(data.cast::<T>()) };
    RawWaker::new(data, T::vtable())
}

unsafe fn wake<T: Wake>(data: *const ()) {
    // SAFETY: `data` is of `Arc::into_raw`, and the waker gives its reference up.
    T::wake(unsafe { Arc::from_raw(data.cast::<T>()) });
}

unsafe fn wake_by_ref<T: Wake>(data: *const ()) {
    // SAFETY: the new reference is the one that `wake` gives up.
    let RawWaker { .. } = unsafe { clone::<T>(data) };
    // SAFETY: as above.
    unsafe { wake::<T>(data) };
}

unsafe fn release<T: Wake>(data: *const ()) {
    // SAFETY: `data` is of `Arc::into_raw`, and the waker gives its reference up.
    drop(unsafe { Arc::from_raw(data.cast::<T>()) });
}
