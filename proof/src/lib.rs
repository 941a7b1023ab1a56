//! What the tests of `winddown` cannot show by examples: models of the public types, histories of real threads
//! that are checked against them, and long random sequences of calls.
//!
//! `cargo xtask proof histories` and `cargo xtask proof sequences` run both for as long as wanted.

mod heap;

pub mod histories;
pub mod model;
pub mod random;
pub mod sequence;
pub mod soak;
