//! Why something was cancelled.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt;

/// Why something was cancelled. The first reason wins, for ever.
///
/// A plain `cancel` and the reasons without content never allocate, so they may come from an
/// interrupt; [`Message`](Self::Message) and [`Error`](Self::Error) take one box when a cancel
/// installs them.
///
/// It is made from any error, from a `&str` and from a `String`. A `&str` becomes a `Reason::Error` as a
/// `String` does, which allocates; write `Reason::Message("…")` for a fixed text that can be matched. (So it cannot be an `Error` itself;
/// [`Cancelled`](crate::Cancelled), which holds one, is.)
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
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody called `cancel`.
    Cancelled,
    /// The owner was dropped.
    Dropped,
    /// The time was up.
    Deadline,
    /// A task panicked.
    Panicked,
    /// A task failed; its error is kept elsewhere.
    Failed,
    /// A fixed text.
    Message(&'static str),
    /// Any error.
    Error(Box<dyn Error + Send + Sync>),
}

impl Reason {
    /// The error of [`Reason::Error`], if it is an `E`.
    ///
    /// # Availability
    ///
    /// Everywhere, interrupts included.
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
        match self {
            Self::Cancelled => Some(&CANCELLED),
            Self::Dropped => Some(&DROPPED),
            Self::Deadline => Some(&DEADLINE),
            Self::Panicked => Some(&PANICKED),
            Self::Failed => Some(&FAILED),
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
            Self::Message(text) => f.write_str(text),
            Self::Error(error) => error.fmt(f),
        }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Reason {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}
