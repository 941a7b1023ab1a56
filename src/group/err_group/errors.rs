//! The answer of an `ErrGroup`.

use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use super::store::Store;
use crate::group::TaskGroup;
use crate::sync::Arc;

/// All that the tasks of an [`ErrGroup`](crate::ErrGroup) failed with, first error first. Made by
/// [`ErrGroup::join`](crate::ErrGroup::join).
///
/// Clones share the errors. As an [`Error`] its source is the first; printed, it is the first, with the number
/// of the others.
///
/// # Examples
///
/// ```
/// use winddown::{ErrGroup, Errors};
///
/// let group = ErrGroup::<String>::new();
/// let guard = group.group().guard().unwrap();
/// group.record("no such row".into()).unwrap();
/// group.record("no such table".into()).unwrap();
/// drop(guard);
/// let errors: Errors<String> = group.join().block().unwrap_err();
/// assert_eq!(errors.first().unwrap(), "no such row");
/// assert_eq!(errors.iter().count(), 2);
/// assert_eq!((errors.dropped(), errors.panics()), (0, 0));
/// assert_eq!(errors.to_string(), "no such row (and one more error)");
/// ```
///
/// # Size
///
/// Two words. The errors are in one vector, which the group's drain made.
///
/// # Availability
///
/// Its calls neither allocate nor block. They may be made in an interrupt, but for [`into_vec`](Self::into_vec)
/// and the drop: the last copy frees, and the drop drops the errors, which is foreign code.
///
/// # Compared with
///
/// * Go's `errgroup.Wait`: gives the first error alone.
pub struct Errors<E> {
    /// Sealed.
    store: Arc<Store<E>>,
    panics: usize,
}

impl<E> Errors<E> {
    /// The answer of a group that is drained, and so has sealed its store; none if nothing failed.
    pub(super) fn of(store: &Arc<Store<E>>, group: &TaskGroup) -> Option<Self> {
        let panics = group.panics();
        let kept = store.kept();
        let failed = !kept.errors.is_empty() || kept.dropped > 0 || panics > 0;
        failed.then(|| Self { store: Arc::clone(store), panics })
    }

    /// The first error; `None` if tasks only panicked, or no error was to be kept.
    pub fn first(&self) -> Option<&E> {
        self.store.kept().errors.first()
    }

    /// The errors that were kept, in the order in which they were recorded.
    pub fn iter(&self) -> core::slice::Iter<'_, E> {
        self.store.kept().errors.iter()
    }

    /// How many errors came beyond the bound, and were dropped. The count stops at half of its range.
    pub fn dropped(&self) -> usize {
        self.store.kept().dropped
    }

    /// How many guards were dropped by a panic, as in [`TaskGroup::panics`](crate::TaskGroup). Always 0 without
    /// the feature `std`.
    pub fn panics(&self) -> usize {
        self.panics
    }

    /// Takes the errors out, by value.
    ///
    /// # Errors
    ///
    /// This copy, if it is not the last one. The group keeps one for as long as an `ErrGroup` handle lives.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = winddown::ErrGroup::<&str>::new();
    /// group.record("no such row").unwrap();
    /// let errors = group.join().block().unwrap_err();
    /// drop(group);
    /// assert_eq!(errors.into_vec().unwrap(), ["no such row"]);
    /// ```
    pub fn into_vec(self) -> Result<Vec<E>, Self> {
        let panics = self.panics;
        match Arc::try_unwrap(self.store) {
            Ok(store) => Ok(store.into_kept().map_or_else(Vec::new, |kept| kept.errors)),
            Err(store) => Err(Self { store, panics }),
        }
    }
}

impl<'a, E> IntoIterator for &'a Errors<E> {
    type Item = &'a E;
    type IntoIter = core::slice::Iter<'a, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<E> Clone for Errors<E> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), panics: self.panics }
    }
}

impl<E: PartialEq> PartialEq for Errors<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.iter().eq(other.iter()), self.dropped(), self.panics)
            == (true, other.dropped(), other.panics)
    }
}

impl<E: Eq> Eq for Errors<E> {}

impl<E: fmt::Debug> fmt::Debug for Errors<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errors")
            .field("errors", &self.store.kept().errors)
            .field("dropped", &self.dropped())
            .field("panics", &self.panics)
            .finish()
    }
}

impl<E: fmt::Display> fmt::Display for Errors<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.iter().len().saturating_add(self.dropped());
        match (self.first(), all) {
            (Some(first), 1) => write!(f, "{first}")?,
            (Some(first), 2) => write!(f, "{first} (and one more error)")?,
            (Some(first), all) => write!(f, "{first} (and {} more errors)", all - 1)?,
            (None, 0) => {}
            (None, 1) => f.write_str("one error, not kept")?,
            (None, all) => write!(f, "{all} errors, none kept")?,
        }
        if all > 0 && self.panics > 0 {
            f.write_str("; ")?;
        }
        match self.panics {
            0 => Ok(()),
            1 => f.write_str("one task panicked"),
            panics => write!(f, "{panics} tasks panicked"),
        }
    }
}

impl<E: Error + 'static> Error for Errors<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.first().map(|first| first as _)
    }
}
