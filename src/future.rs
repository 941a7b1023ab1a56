//! The named futures, for those who store them in a struct.

pub use crate::combine::{Tracked, Until, UntilStream};
pub use crate::err_group::{TrackedErr, WaitErrors};
pub use crate::group::{WaitDoor, WaitDrained, WaitRoom, WaitShutdown};
pub use crate::scope::Expiry;
pub use crate::signal::{WaitClosed, WaitValue};
pub use crate::token::{WaitAny, WaitCancelled, WaitReason};
pub use crate::wait::WaitUntil;
pub use crate::wait_group::Wait;
