//! The named futures, for those who store them in a struct.

pub use crate::cancel::{Expiry, WaitAny, WaitCancelled, WaitReason};
pub use crate::combine::{Tracked, TrackedStream, Until, UntilStream};
pub use crate::group::{TrackedErr, WaitDrained, WaitErrors, WaitRoom, WaitShutdown};
pub use crate::park::wait::WaitUntil;
pub use crate::signal::{Value, WaitClosed, WaitValue, WaitValueIn};
pub use crate::wait_group::Wait;
