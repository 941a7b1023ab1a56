// Links and pictures of the README that are relative in the repository: Markdown takes the first definition.
#![doc = include_str!("docs/links.md")]
#![doc = include_str!("docs/types.md")]
#![doc = include_str!("docs/pictures.md")]
#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(all(loom, not(feature = "loom")))]
compile_error!(
    "`--cfg loom` selects the model checker's types: enable winddown's feature `loom` too"
);
#[cfg(all(loom, feature = "critical-section"))]
compile_error!(
    "a critical section is invisible to loom: run models without winddown's feature `critical-section`"
);

#[cfg(all(feature = "holders", not(any(feature = "std", feature = "critical-section"))))]
compile_error!(
    "the list of winddown's feature `holders` needs a lock: enable its feature `std`, or `critical-section` on targets without std"
);

// event-listener guards its list by a spinlock then.
#[cfg(all(
    target_os = "none",
    not(any(feature = "std", feature = "critical-section", winddown_spinlock))
))]
compile_error!(
    "without winddown's feature `critical-section` waits take a spinlock, and an interrupt that meets it locked hangs: enable `critical-section`, or, if neither interrupts nor preempted tasks use winddown, set `--cfg winddown_spinlock`"
);

// Four wings between the platform and the names, in dependency order: each knows only those above it.
mod sync;

mod error;

mod park;

#[cfg(feature = "tracing")]
mod events;

mod combine;

mod signal;
mod wait_group;

mod cancel;

mod group;

#[cfg(any(doc, doctest))]
pub mod docs;
pub mod future;

pub use cancel::{CancelScope, CancelToken, Cancelled, Canceller, Reason, Registration};
pub use combine::{FutureUntil, StreamUntil};
pub use error::{ChildError, Overflow, Refused, Unbalanced, Unfinished, Unlimited};
pub use group::{ErrGroup, Errors, Stopped, TaskGroup, TaskGroupBuilder, TaskGuard};
#[cfg(feature = "holders")]
pub use group::{Holder, Holders};
pub use signal::Signal;
pub use wait_group::{Guard, WaitGroup};

/// What histories need of the inside. Outside semver.
#[cfg(winddown_pauses)]
#[doc(hidden)]
pub mod pauses {
    pub use crate::sync::pauses::seed;
}

/// What models need of the inside. Outside semver.
#[cfg(loom)]
#[doc(hidden)]
pub mod model {
    pub use crate::sync::model::{Arc, Weak};

    /// Spreads the count of a group without a limit over its shards, as a thread does that lost its exchange
    /// with the word.
    pub fn spread(group: &crate::TaskGroup) {
        group.spread();
    }

    /// Says which shard this thread counts on once a group is spread: 0, as at first, or 1.
    pub fn count_on_shard(index: usize) {
        crate::sync::threads::set_index(index);
    }

    /// Has this thread look for a seat apart from other threads, by the hint that is its own: 0 or 1.
    pub fn sit_apart(index: usize) {
        crate::sync::threads::set_index(index);
        crate::sync::threads::sit_apart();
    }
}
