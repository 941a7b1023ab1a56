//! The named futures, for those who store them in a struct.

pub use crate::cancel::{Expiry, WaitAny, WaitCancelled, WaitReason};
pub use crate::combine::{Tracked, Until, UntilStream};
pub use crate::group::{TrackedErr, WaitDoor, WaitDrained, WaitErrors, WaitRoom, WaitShutdown};
pub use crate::park::wait::WaitUntil;
pub use crate::signal::{WaitClosed, WaitValue};
pub use crate::wait_group::Wait;
