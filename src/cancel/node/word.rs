//! The state of a node in one word: a pointer that is flag and reason, with two marks below it.
//!
//! | pointer | marks              | means                                                        |
//! |---------|--------------------|--------------------------------------------------------------|
//! | null    |                    | open                                                         |
//! | null    | `WAITERS`          | open, and the step that cancels must fire                      |
//! | reason  |                    | cancelled for ever; the reason is static or an ancestor's    |
//! | reason  | `OWNED`            | cancelled for ever; the reason is in a box of this node      |
//! | reason  | `WAITERS` (+ any)  | a question fixed the reason; a delivery is still to fire     |
//!
//! | step            | from                  | to                          | fires        |
//! |-----------------|-----------------------|-----------------------------|--------------|
//! | `settle`        | open                  | the reason                  | if `WAITERS` |
//! | `settle`        | reason with `WAITERS` | the same without            | yes          |
//! | `settle`        | reason                | unchanged                   |              |
//! | `record_reason` | open                  | the reason, `WAITERS` stays |              |
//! | `announce`      | open                  | `WAITERS`                   |              |
//!
//! The step that takes `WAITERS` away fires, and no other; so each registration is fired once.

use core::ptr;

use alloc::boxed::Box;

use crate::cancel::reason::Reason;

const WAITERS: usize = 1;
const OWNED: usize = 1 << 1;
const MARKS: usize = WAITERS | OWNED;
const _: () = assert!(align_of::<Reason>() > MARKS, "the marks fit below a reason's address");

/// One value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) *mut Reason);

impl Word {
    pub(super) const OPEN: Self = Self(ptr::null_mut());

    /// A reason that somebody else keeps.
    #[inline]
    pub(super) fn borrowed(reason: &Reason) -> Self {
        Self(ptr::from_ref(reason).cast_mut())
    }

    /// A reason to keep; in a box, unless it has no content.
    pub(super) fn keeping(reason: Reason) -> Self {
        match reason.unit() {
            Some(unit) => Self::borrowed(unit),
            None => Self(Box::into_raw(Box::new(reason)).map_addr(|at| at | OWNED)),
        }
    }

    /// The box of a reason that this word keeps.
    ///
    /// # Safety
    ///
    /// The word came from `keeping`, and its box is taken once and used no more after that.
    pub(super) unsafe fn take(self) -> Option<Box<Reason>> {
        if !self.is_owned() {
            return None;
        }
        // SAFETY: marked as a box, and the caller's promise.
        Some(unsafe { Box::from_raw(self.reason()) })
    }

    /// Whether the reason is in a box of this node.
    #[inline]
    pub(super) fn is_owned(self) -> bool {
        self.0.addr() & OWNED != 0
    }

    /// Null if open.
    #[inline]
    pub(super) fn reason(self) -> *mut Reason {
        self.0.map_addr(|at| at & !MARKS)
    }

    #[inline]
    pub(super) fn is_open(self) -> bool {
        self.reason().is_null()
    }

    #[inline]
    pub(super) fn has_waiters(self) -> bool {
        self.0.addr() & WAITERS != 0
    }

    /// The step that cancels with `reason`, or that takes over the firing; none if nothing is left
    /// to do.
    pub(super) fn settle(self, reason: Self) -> Option<Self> {
        match (self.is_open(), self.has_waiters()) {
            (true, _) => Some(reason),
            (false, true) => Some(Self(self.0.map_addr(|at| at & !WAITERS))),
            (false, false) => None,
        }
    }

    /// The step that fixes the reason and leaves the firing to a delivery; none if it is fixed.
    pub(super) fn record_reason(self, reason: Self) -> Option<Self> {
        let marked = reason.0.map_addr(|at| at | self.0.addr() & WAITERS);
        self.is_open().then_some(Self(marked))
    }

    /// The step by which somebody parks; none if cancelled.
    pub(super) fn announce(self) -> Option<Self> {
        self.is_open().then(|| Self(self.0.map_addr(|at| at | WAITERS)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A question fixes the reason where a wait has announced itself: the delivery still finds that it is to fire.
    #[test]
    fn a_reason_that_is_fixed_leaves_the_mark_of_the_waits() {
        let reason = Word::borrowed(&Reason::Cancelled);
        let waited = Word::OPEN.announce().unwrap();
        let marked = waited.record_reason(reason).unwrap();
        assert!(marked.has_waiters() && marked.reason() == reason.0);
        assert_eq!(
            marked.settle(Word::OPEN),
            Some(reason),
            "the delivery takes the mark, and fires"
        );
        assert_eq!(Word::OPEN.record_reason(reason), Some(reason));
        assert_eq!(reason.settle(Word::OPEN), None);
    }
}
