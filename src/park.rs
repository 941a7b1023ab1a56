//! How anything waits, and how what ends a wait tells it.
//!
//! | module | is |
//! |---|---|
//! | [`waker`] | the waker of a thread that blocks |
//! | [`deferred`] | work that an operation leaves to be done when its own steps are made: what settles, wakers, callbacks, finalisers |
//! | [`seats`] | where waits are registered: blocks of seats, each with one listener of event-listener |
//! | [`wait`] | the one wait loop, blocking, and the forms that every wait has |

// In dependency order: each knows those above it.
pub(crate) mod waker;

pub(crate) mod deferred;

pub(crate) mod seats;

pub(crate) mod wait;
