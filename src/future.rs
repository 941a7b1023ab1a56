//! The named futures, to be stored in a struct.
//!
//! Each is made by a method that its page names. The waits have the same forms: `.await`, `until(limit)`, and, with
//! `std`, `block`, `block_for`, `block_until` and `block_slice`. Only a poll, or one of these blocking forms, begins a
//! wait.
//!
//! # Availability
//!
//! | call ([key](crate::docs::embedded#availability-tables)) | needs | allocates | interrupt | foreign code | blocks |
//! |---|---|---|---|---|---|
//! | making a future, `until`, `work_first` | | no | yes | no | no |
//! | a poll, or the drop, of a wait | | first wait | no | wakers; see the method | lock |
//! | a poll, or the drop, around your future or stream | | as that | no | that, and the guard's drop | as that |
//! | `block`, `block_for`, `block_until`, `block_slice` | `std` | if it has to park | | as a poll | thread |
//!
//! # Examples
//!
//! ```
//! use std::{pin::Pin, sync::Arc};
//! use winddown::{Signal, future::WaitClosed};
//!
//! struct Connection {
//!     closed: WaitClosed<Arc<Signal>>,
//! }
//!
//! impl Connection {
//!     async fn until_closed(&mut self) {
//!         Pin::new(&mut self.closed).await
//!     }
//! }
//!
//! let stop = Arc::new(Signal::new());
//! let mut connection = Connection { closed: Signal::closed_in(Arc::clone(&stop)) };
//! stop.close();
//! pollster::block_on(connection.until_closed());
//! ```

pub use crate::cancel::{Expiry, WaitAny, WaitCancelled, WaitReason};
pub use crate::combine::{Tracked, TrackedStream, Until, UntilStream};
pub use crate::group::{TrackedErr, WaitDrained, WaitErrors, WaitRoom, WaitShutdown};
pub use crate::park::wait::WaitUntil;
pub use crate::signal::{Value, WaitClosed, WaitValue, WaitValueIn};
pub use crate::wait_group::Wait;
