//! `TaskGroup` and `ErrGroup`: a count with a door, a token and a finaliser, in one handle.
//!
//! | module | is |
//! |---|---|
//! | [`holders`] | the tasks that are inside, for a report; empty without the feature |
//! | [`population`] | how many are inside, and the queue of a group with a limit; it knows no door and no token |
//! | [`hold`] | what holds a group up until it is ended: a task, or a link |
//! | [`shared`] | what all handles and tasks of a group share |
//! | [`levels`] | how a group is closed and cancelled: by itself, or from above |
//! | `events` | what the feature `tracing` tells |
//! | [`drain`] | the end of a group |
//! | [`task_group`], [`guard`], [`builder`] | the types that a user holds |
//! | [`waits`], [`room`] | the futures |
//! | [`err_group`] | a group whose tasks may fail, made of the rest |

// In dependency order: each knows those above it, and the handle. A group and what holds it up know each other.
pub(crate) mod holders;
pub(crate) mod population;

mod hold;
mod shared;

mod levels;

#[cfg(feature = "tracing")]
mod events;

mod drain;

mod waits;

mod guard;

mod room;

mod builder;

mod task_group;

mod err_group;

pub(crate) use shared::Seal;

pub use builder::TaskGroupBuilder;
pub use err_group::{ErrGroup, Errors, TrackedErr, WaitErrors};
pub use guard::TaskGuard;
#[cfg(feature = "holders")]
pub use holders::{Holder, Holders};
pub use room::WaitRoom;
pub use task_group::TaskGroup;
pub use waits::{Stopped, WaitDrained, WaitShutdown};
