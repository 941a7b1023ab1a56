//! What the feature `tracing` tells.
//!
//! **Invariant: a subscriber is foreign code** (rules 11 and 18). It may panic, block, or call back into the group
//! that the event is about. So an event never comes between two steps of an operation: the operation puts it on its
//! list of deferred work, where it is told behind the wakers ([`Deferred::tell_later`]). A wait tells of an overrun
//! when all its other work is done.
//!
//! An operation asks only for the level that is set for the whole program, which is a load. Whether the subscriber
//! wants an event is asked when the event is told, since the answer is foreign code too. For the same reason an
//! event holds what is cancelled, and the reason is printed when the event is told.
//!
//! The events, their levels and their fields are documented at [`TaskGroup`](crate::TaskGroup).

use core::fmt::Display;

use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::{Level, debug, warn};

use crate::park::deferred::Deferred;

/// The target of all events, whatever file they come from.
const TARGET: &str = "winddown";

fn is_enabled(level: Level) -> bool {
    level <= STATIC_MAX_LEVEL && level <= LevelFilter::current()
}

/// What happened to the group at this address. `facts` gives how many tasks are inside, and what prints the reason.
pub(crate) fn group<W: Display + 'static>(
    deferred: &mut Deferred,
    what: &'static str,
    group: *const (),
    facts: impl FnOnce() -> (usize, Option<W>),
) {
    if !is_enabled(Level::DEBUG) {
        return;
    }
    let (len, Some(why)) = facts() else { return };
    deferred.tell_later(move || {
        debug!(target: TARGET, ?group, len, reason = %why, "group {what}");
    });
}

/// The scope at this address, which is no group's, was cancelled by itself.
pub(crate) fn scope_cancelled<W: Display + 'static>(
    deferred: &mut Deferred,
    scope: *const (),
    why: impl FnOnce() -> W,
) {
    if !is_enabled(Level::DEBUG) {
        return;
    }
    let why = why();
    deferred.tell_later(move || {
        debug!(target: TARGET, ?scope, reason = %why, "scope cancelled");
    });
}

/// The group at this address was drained.
pub(crate) fn drained(deferred: &mut Deferred, group: *const (), forced: bool, panics: usize) {
    if is_enabled(Level::DEBUG) {
        deferred.tell_later(move || {
            debug!(target: TARGET, ?group, forced, panics, "group drained");
        });
    }
}

/// A limit ended a wait for the drain of the group at this address. Foreign code.
pub(crate) fn overrun(
    group: *const (),
    left: usize,
    cancelled: bool,
    #[cfg(feature = "holders")] holders: impl FnOnce() -> crate::group::Holders,
) {
    if !is_enabled(Level::WARN) {
        return;
    }
    #[cfg(feature = "holders")]
    let holders = holders();
    #[cfg(feature = "holders")]
    let holders = tracing::field::display(&holders);
    #[cfg(not(feature = "holders"))]
    let holders = tracing::field::Empty;
    warn!(target: TARGET, ?group, left, cancelled, holders, "a limit came before the group was drained");
}
