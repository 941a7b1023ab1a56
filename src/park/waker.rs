//! The waker of a thread that blocks in a wait.

#[cfg(feature = "std")]
mod parker;

use core::task::Waker;

#[cfg(feature = "std")]
pub(crate) use parker::Parker;

/// Whether `waker` unparks a thread that is blocked in a wait of this crate: then to wake it is no foreign
/// code.
pub(crate) fn unparks(waker: &Waker) -> bool {
    #[cfg(feature = "std")]
    return Parker::is_of(waker);
    #[cfg(not(feature = "std"))]
    {
        let _ = waker;
        false
    }
}
