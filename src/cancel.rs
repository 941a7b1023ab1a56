//! The tree: scopes, which are cancelled, and tokens, which tell it to the work below.
//!
//! | module | is |
//! |---|---|
//! | [`callback`] | a closure that runs once or never |
//! | [`reason`] | why something was cancelled |
//! | [`node`] | one scope of the tree, as all its handles share it |
//! | [`registration`] | a callback that can be taken back |
//! | [`token`] | the handle that watches, its futures, and the error of cancelled work |
//! | [`scope`] | the handles that cancel, and what cancels when a time is up |

// In dependency order: each knows those above it.
pub(crate) mod callback;
pub(crate) mod reason;

pub(crate) mod node;

mod registration;

pub(crate) mod token;

pub(crate) mod scope;

pub use reason::Reason;
pub use registration::Registration;
pub use scope::{CancelScope, Canceller, Expiry};
pub use token::{CancelToken, Cancelled, WaitAny, WaitCancelled, WaitReason};
