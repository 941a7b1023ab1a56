//! The list, with the feature.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use core::panic::Location;

use crate::sync::Lock;
#[cfg(feature = "std")]
use crate::sync::host::{Instant, now};

/// One who holds a group up: a guard that was taken and not dropped yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Holder {
    /// What [`TaskGuard::label`](crate::TaskGuard::label) said; empty if nothing.
    pub label: &'static str,
    /// Where the guard was asked for.
    pub location: &'static Location<'static>,
    /// The number of the guard, of this group: the first is 0.
    pub id: u64,
    /// When the guard was taken; `None` on a target without a clock (wasm32-unknown-unknown).
    #[cfg(feature = "std")]
    pub since: Option<Instant>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.label.is_empty() { "(no label)" } else { self.label };
        write!(f, "#{} {label}, from {}", self.id, self.location)?;
        #[cfg(feature = "std")]
        // A target that gave a time has a clock.
        if let Some(since) = self.since {
            write!(f, ", for {:.1?}", since.elapsed())?;
        }
        Ok(())
    }
}

/// Who is inside a group, oldest first. Made by [`TaskGroup::holders`](crate::TaskGroup::holders).
///
/// It is a slice of [`Holder`]s, and prints as a report of one line each.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    list: Vec<Holder>,
}

impl Deref for Holders {
    type Target = [Holder];

    fn deref(&self) -> &[Holder] {
        &self.list
    }
}

impl IntoIterator for Holders {
    type Item = Holder;
    type IntoIter = alloc::vec::IntoIter<Holder>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inside", self.list.len())?;
        self.list.iter().try_for_each(|holder| write!(f, "\n  {holder}"))
    }
}

/// Who holds what.
pub(crate) struct Register {
    list: Lock<List>,
}

#[derive(Default)]
struct List {
    next: u64,
    inside: BTreeMap<u64, Holder>,
}

/// An entry of the register.
pub(crate) struct Ticket {
    id: u64,
}

/// The place that a guard was asked for at.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    location: &'static Location<'static>,
}

impl Caller {
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self { location: Location::caller() }
    }
}

impl Register {
    pub(crate) fn new() -> Self {
        Self { list: Lock::new(List::default()) }
    }

    pub(crate) fn enter(&self, caller: Caller) -> Ticket {
        #[cfg(feature = "std")]
        let since = now();
        self.list.with(|list| {
            let id = list.next;
            list.next += 1;
            let holder = Holder {
                label: "",
                location: caller.location,
                id,
                #[cfg(feature = "std")]
                since,
            };
            list.inside.insert(id, holder);
            Ticket { id }
        })
    }

    pub(crate) fn label(&self, ticket: &Ticket, label: &'static str) {
        self.list.with(|list| {
            if let Some(holder) = list.inside.get_mut(&ticket.id) {
                holder.label = label;
            }
        });
    }

    pub(crate) fn leave(&self, ticket: &Ticket) {
        self.list.with(|list| list.inside.remove(&ticket.id));
    }

    pub(crate) fn report(&self) -> Holders {
        Holders { list: self.list.with(|list| list.inside.values().cloned().collect()) }
    }
}
