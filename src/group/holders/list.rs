//! The list, with the feature.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::panic::Location;
use core::slice;

use crate::sync::Lock;
#[cfg(feature = "std")]
use crate::sync::host::{Instant, now};

/// What holds a group up: a guard that was taken and not dropped yet. An element of [`Holders`].
///
/// Printed, it is a line of the report.
///
/// # Examples
///
/// ```
/// let group = winddown::TaskGroup::new();
/// let _guard = group.guard().unwrap().label("accept loop");
/// let holders = group.holders();
/// let oldest = holders.first().unwrap();
/// assert!(oldest.to_string().starts_with("#0 accept loop, from "));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Holder {
    /// The label of [`TaskGuard::label`](crate::TaskGuard::label) or
    /// [`TaskGuard::label_with`](crate::TaskGuard::label_with); empty without one.
    pub label: Cow<'static, str>,
    /// Where the guard was asked for.
    pub location: &'static Location<'static>,
    /// The number of the guard in its group, as [`TaskGuard::id`](crate::TaskGuard::id) gives it: the first
    /// is 0, and none is used twice.
    pub id: u64,
    /// When the guard was taken; `None` on a target without a clock (wasm32-unknown-unknown).
    #[cfg(feature = "std")]
    pub since: Option<Instant>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.label.is_empty() { "(no label)" } else { &self.label };
        write!(f, "#{} {label}, from {}", self.id, self.location)?;
        #[cfg(feature = "std")]
        // A target that gave a time has a clock.
        if let Some(since) = self.since {
            write!(f, ", for {:.1?}", since.elapsed())?;
        }
        Ok(())
    }
}

/// The guards that are inside a group, oldest first. Made by [`TaskGroup::holders`](crate::TaskGroup::holders).
///
/// Printed, it is a report of one line each; as data, it is a list of [`Holder`]s. It is a copy: what happens in
/// the group later does not change it. A child group is one line, without its tasks: ask the child for those.
///
/// # Examples
///
/// ```
/// use winddown::{Holders, TaskGroup};
///
/// let group = TaskGroup::new();
/// let guard = group.guard().unwrap().label("accept loop");
/// let holders: Holders = group.holders();
/// assert_eq!(holders.len(), 1);
/// for holder in &holders {
///     assert_eq!((&*holder.label, holder.id), ("accept loop", guard.id()));
///     assert!(holder.location.file().ends_with(".rs"));
/// }
/// // 1 inside
/// //   #0 accept loop, from src/main.rs:4:19, for 12.3µs
/// println!("{holders}");
/// ```
///
/// A pattern or an index takes the slice, [`as_ref`](Self::as_ref):
///
/// ```
/// let group = winddown::TaskGroup::new();
/// let _guards = [group.guard().unwrap(), group.guard().unwrap()];
/// let holders = group.holders();
/// let [oldest, youngest] = holders.as_ref() else { panic!("two are inside") };
/// assert_eq!((oldest.id, youngest.id), (0, 1));
/// ```
///
/// # Size
///
/// One vector, which [`TaskGroup::holders`](crate::TaskGroup::holders) made; an empty list takes no memory. Each
/// label that was made at run time is copied, and takes memory of its own.
///
/// # Availability
///
/// Its calls neither allocate nor block, and may be made in an interrupt. A clone allocates; the drop frees, and so
/// does that of the iterator by value. Printing reads the clock, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    list: Vec<Holder>,
}

impl Holders {
    /// The oldest: of the guards in the list, the one that was taken first. `None` if the list is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// assert!(group.holders().first().is_none());
    /// let _guards = ["reader", "writer"].map(|name| group.guard().unwrap().label(name));
    /// assert_eq!(group.holders().first().unwrap().label, "reader");
    /// ```
    pub fn first(&self) -> Option<&Holder> {
        self.list.first()
    }

    /// The guards, oldest first: in the order of their numbers. The iterator goes from either end.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let _guards = ["reader", "writer"].map(|name| group.guard().unwrap().label(name));
    /// let holders = group.holders();
    /// assert!(holders.iter().map(|holder| &*holder.label).eq(["reader", "writer"]));
    /// assert_eq!(holders.iter().next_back().unwrap().label, "writer");
    /// ```
    pub fn iter(&self) -> slice::Iter<'_, Holder> {
        self.list.iter()
    }

    /// How many guards were inside when the list was made. What is inside now, the group's
    /// [`len`](crate::TaskGroup::len) says.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// let guard = group.guard().unwrap();
    /// let before = group.holders();
    /// drop(guard);
    /// assert_eq!((before.len(), group.holders().len()), (1, 0));
    /// ```
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether no guard was inside when the list was made.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::TaskGroup::new();
    /// assert!(group.holders().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl AsRef<[Holder]> for Holders {
    fn as_ref(&self) -> &[Holder] {
        &self.list
    }
}

impl<'a> IntoIterator for &'a Holders {
    type Item = &'a Holder;
    type IntoIter = slice::Iter<'a, Holder>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
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

/// The guards that are inside.
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

impl Ticket {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
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
                label: Cow::Borrowed(""),
                location: caller.location,
                id,
                #[cfg(feature = "std")]
                since,
            };
            list.inside.insert(id, holder);
            Ticket { id }
        })
    }

    /// `make` is foreign code, and so is the drop of the label that was there.
    pub(crate) fn label(&self, ticket: &Ticket, make: impl FnOnce() -> Cow<'static, str>) {
        let mut label = make();
        self.list.with(|list| {
            if let Some(holder) = list.inside.get_mut(&ticket.id) {
                mem::swap(&mut holder.label, &mut label);
            }
        });
        drop(label);
    }

    pub(crate) fn leave(&self, ticket: &Ticket) {
        let holder = self.list.with(|list| list.inside.remove(&ticket.id));
        // Its label is dropped here, when the lock is free.
        drop(holder);
    }

    pub(crate) fn report(&self) -> Holders {
        Holders { list: self.list.with(|list| list.inside.values().cloned().collect()) }
    }
}
