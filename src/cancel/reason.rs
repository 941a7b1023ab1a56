//! Why something was cancelled.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

/// Why something was cancelled. The first reason wins, for ever.
///
/// It is made from any error, from a `&str` and from a `String`. A `&str` becomes a `Reason::Error` as a
/// `String` does, which allocates; write `Reason::Message("…")` for a fixed text that can be matched. (So it
/// cannot be an `Error` itself; [`Cancelled`](crate::Cancelled), which holds one, is.)
///
/// An error may hold a [`Cancelled`](crate::Cancelled), that one another error, and so on. If each prints the
/// next, eight of them are shown, and `…` for the rest. (Without the feature `std` all of them are shown, which
/// takes stack for each.)
///
/// # Examples
///
/// ```
/// use winddown::Reason;
///
/// let reason = Reason::from("x".parse::<u32>().unwrap_err());
/// assert!(reason.downcast_ref::<std::num::ParseIntError>().is_some());
/// assert_eq!(Reason::Deadline.to_string(), "deadline exceeded");
/// ```
///
/// # Size
///
/// Three words. A plain `cancel` and the reasons without content never allocate, so they may come from an
/// interrupt, as may [`downcast_ref`](Self::downcast_ref). [`Message`](Self::Message) and
/// [`Error`](Self::Error) take one box when a cancel installs them.
///
/// # Compared with
///
/// * Go's `context.Cause` is any error; here the usual causes are variants to be matched.
/// * `tokio_util::sync::CancellationToken` has no reasons.
#[non_exhaustive]
pub enum Reason {
    /// `cancel` was called, without a reason.
    Cancelled,
    /// The owner was dropped.
    Dropped,
    /// The time was up.
    Deadline,
    /// A task panicked.
    Panicked,
    /// A task failed. Its error is kept in its [`ErrGroup`](crate::ErrGroup).
    Failed,
    /// A group was closed: the reason of its [`closing`](crate::TaskGroup::closing) token.
    Closed,
    /// A fixed text.
    Message(&'static str),
    /// Any error, or a text that was made at run time.
    Error(Box<dyn Error + Send + Sync>),
}

impl Reason {
    /// The error of [`Reason::Error`], if it is an `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Error(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// The reason itself, for those that have no content.
    pub(crate) fn unit(&self) -> Option<&'static Self> {
        static CANCELLED: Reason = Reason::Cancelled;
        static DROPPED: Reason = Reason::Dropped;
        static DEADLINE: Reason = Reason::Deadline;
        static PANICKED: Reason = Reason::Panicked;
        static FAILED: Reason = Reason::Failed;
        static CLOSED: Reason = Reason::Closed;
        match self {
            Self::Cancelled => Some(&CANCELLED),
            Self::Dropped => Some(&DROPPED),
            Self::Deadline => Some(&DEADLINE),
            Self::Panicked => Some(&PANICKED),
            Self::Failed => Some(&FAILED),
            Self::Closed => Some(&CLOSED),
            Self::Message(_) | Self::Error(_) => None,
        }
    }

    /// The error inside, for `Error::source`.
    pub(crate) fn error(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Error(error) => Some(&**error),
            _ => None,
        }
    }

    /// The same reason again; of an error only its text.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Cancelled => Self::Cancelled,
            Self::Dropped => Self::Dropped,
            Self::Deadline => Self::Deadline,
            Self::Panicked => Self::Panicked,
            Self::Failed => Self::Failed,
            Self::Closed => Self::Closed,
            Self::Message(text) => Self::Message(text),
            Self::Error(error) => Self::Error(alloc::string::ToString::to_string(error).into()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Dropped => f.write_str("its owner was dropped"),
            Self::Deadline => f.write_str("deadline exceeded"),
            Self::Panicked => f.write_str("a task panicked"),
            Self::Failed => f.write_str("a task failed"),
            Self::Closed => f.write_str("the group was closed"),
            Self::Message(text) => f.write_str(text),
            Self::Error(error) => print_nested(f, |f| error.fmt(f)),
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "Cancelled",
            Self::Dropped => "Dropped",
            Self::Deadline => "Deadline",
            Self::Panicked => "Panicked",
            Self::Failed => "Failed",
            Self::Closed => "Closed",
            Self::Message(text) => return f.debug_tuple("Message").field(text).finish(),
            Self::Error(error) => {
                return print_nested(f, |f| f.debug_tuple("Error").field(error).finish());
            }
        })
    }
}

/// Calls `print`, which prints an error. That is foreign code, and may print the reason of another scope, whose
/// error does so too, and so on. So a chain of any length is printed on a small stack (rule 9), with a sign for
/// what is left out. Without `std` there are no thread-locals to count with, and a chain needs stack for each
/// of its links.
fn print_nested(
    f: &mut fmt::Formatter<'_>,
    print: impl FnOnce(&mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    #[cfg(all(feature = "std", not(loom)))]
    let Some(_level) = nesting::Level::enter() else { return f.write_str("…") };
    print(f)
}

/// How many errors are being printed on this thread, inside of each other.
#[cfg(all(feature = "std", not(loom)))]
mod nesting {
    use core::cell::Cell;

    use crate::sync::host::thread_local;

    /// How many may be.
    const MOST: usize = 8;

    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }

    /// One error that is being printed, until this is dropped.
    pub(super) struct Level(());

    impl Level {
        /// None if it would be too deep.
        pub(super) fn enter() -> Option<Self> {
            let depth = DEPTH.get();
            (depth < MOST).then(|| {
                DEPTH.set(depth + 1);
                Self(())
            })
        }
    }

    impl Drop for Level {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Reason {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}
