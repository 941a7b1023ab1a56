//! Who is inside a group: labels, places and times, for "the shutdown hangs, who holds it?".
//!
//! With the feature `holders` entering and leaving take one short lock over a list (a critical section
//! without `std`). Nothing but the list's own work, and the memory that it takes, happens under it: a label is
//! made before, and an old one dropped after. Without the feature every type here is empty and every
//! function does nothing; a label is not even made.

#[cfg(feature = "holders")]
mod list;

#[cfg(feature = "holders")]
pub(crate) use list::{Caller, Register, Ticket};
#[cfg(feature = "holders")]
pub use list::{Holder, Holders};

#[cfg(not(feature = "holders"))]
pub(crate) use off::{Caller, Register, Ticket};

#[cfg(not(feature = "holders"))]
mod off {
    use alloc::borrow::Cow;

    /// Without the feature nothing is written down.
    pub(crate) struct Register;

    /// An entry of the register.
    pub(crate) struct Ticket;

    /// The place that a guard was asked for at.
    #[derive(Clone, Copy)]
    pub(crate) struct Caller;

    impl Caller {
        #[inline]
        pub(crate) fn here() -> Self {
            Self
        }
    }

    impl Register {
        pub(crate) fn new() -> Self {
            Self
        }

        #[inline]
        pub(crate) fn enter(&self, _: Caller) -> Ticket {
            Ticket
        }

        #[inline]
        pub(crate) fn label(&self, _: &Ticket, _: impl FnOnce() -> Cow<'static, str>) {}

        #[inline]
        pub(crate) fn leave(&self, _: &Ticket) {}
    }
}
