//! The errors and outcomes that users see: small, and saying what state refused the caller.

use core::error::Error;
use core::fmt;

/// The error of [`WaitGroup::add`](crate::WaitGroup::add) and of
/// [`WaitGroup::try_guard_in`](crate::WaitGroup::try_guard_in): the count would pass half of its range. Nothing
/// was counted.
///
/// A wait group counts to 2,147,483,648 pieces of work at a time, and to 32,768 on targets without 64-bit
/// atomics. A full one has most likely leaked guards.
///
/// # Examples
///
/// ```
/// use winddown::{Overflow, WaitGroup};
///
/// let refused: Overflow = WaitGroup::new().add(usize::MAX).unwrap_err();
/// assert!(refused.to_string().starts_with("the wait group is full"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Overflow(pub(crate) ());

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait group is full: its count would pass half of its range; look for guards that are leaked")
    }
}

impl Error for Overflow {}

/// The error of [`WaitGroup::done`](crate::WaitGroup::done): the count is zero already. Nothing was changed.
///
/// There was one `done` more than `add`, or a `done` has counted the work of a guard out.
///
/// # Examples
///
/// ```
/// use winddown::{Unbalanced, WaitGroup};
///
/// let refused: Unbalanced = WaitGroup::new().done().unwrap_err();
/// assert!(refused.to_string().starts_with("the wait group is idle"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unbalanced(pub(crate) ());

impl fmt::Display for Unbalanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait group is idle: there is nothing in flight that could be done")
    }
}

impl Error for Unbalanced {}

/// Why a task could not enter a group. Nothing was counted, and no task need have been made.
///
/// # Examples
///
/// ```
/// use winddown::{Refused, TaskGroup};
///
/// let group = TaskGroup::new();
/// group.close();
/// assert_eq!(group.guard().unwrap_err(), Refused::Closed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// The group is closed: it takes no new work, for ever.
    Closed,
    /// The group has reached its limit, or tasks wait for room already. A group without a limit says so at half
    /// of the range of its count, where guards must have been leaked.
    Full,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the group is closed: it takes no new work",
            Self::Full => "the group is full: wait for room, or come back when a task has left",
        })
    }
}

impl Error for Refused {}

/// The error of [`TaskGroup::set_limit`](crate::TaskGroup::set_limit): the group was built without a limit.
/// Nothing was changed.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use winddown::{TaskGroup, Unlimited};
///
/// let refused: Unlimited = TaskGroup::new().set_limit(NonZeroUsize::MIN).unwrap_err();
/// assert!(refused.to_string().contains("without a limit"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unlimited(pub(crate) ());

impl fmt::Display for Unlimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the group was built without a limit: give it one when it is built, and change that later")
    }
}

impl Error for Unlimited {}

/// Why a group got no child. Nothing was built.
///
/// # Examples
///
/// ```
/// use winddown::{CancelToken, ChildError, TaskGroup};
///
/// let elsewhere = TaskGroup::builder().parent(&CancelToken::never());
/// let refused = TaskGroup::new().child_with(elsewhere).unwrap_err();
/// assert_eq!(refused, ChildError::NotARoot);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChildError {
    /// The parent refused the guard that the child holds.
    Refused(Refused),
    /// The builder has a parent token or a link, which only groups without a parent have.
    NotARoot,
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::NotARoot => f.write_str(
                "the builder has a parent token or a link: only a group without a parent has those",
            ),
        }
    }
}

impl Error for ChildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::NotARoot => None,
        }
    }
}

impl From<Refused> for ChildError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The error of a wait with a limit: the limit came first.
///
/// [`left`](Self::left) tells how much work was still in flight, and [`by`](Self::by) is what the limit gave:
/// `()` for a timeout, or the output of the future that was given to `until`.
///
/// Of a group `left` counts its guards, its children and the links that are not drained; each child and each
/// link counts as one. It is 0 for a signal, for a token, and while a finaliser runs.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use winddown::{TaskGroup, Unfinished};
///
/// let group = TaskGroup::new();
/// let _guard = group.guard().unwrap();
/// let unfinished: Unfinished = group.join().block_for(Duration::ZERO).unwrap_err();
/// assert_eq!(unfinished.left, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Unfinished<L = ()> {
    /// How many pieces of work were in flight at the last look.
    pub left: usize,
    /// What stopped the wait.
    pub by: L,
}

impl<L> Unfinished<L> {
    pub(crate) fn new(left: usize, by: L) -> Self {
        Self { left, by }
    }
}

impl<L> fmt::Display for Unfinished<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left {
            0 => f.write_str("the limit came before the wait was over"),
            left => write!(f, "the limit came before the wait was over: {left} left"),
        }
    }
}

impl<L: fmt::Debug> Error for Unfinished<L> {}
