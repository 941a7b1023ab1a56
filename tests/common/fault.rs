//! Values that count their drops, and may panic in them.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use super::panic_quietly;

/// Counts the drops of the [`Fault`]s that it made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn calm(&self) -> Fault {
        Fault { drops: self.clone(), panics: false }
    }

    pub(crate) fn panicking(&self) -> Fault {
        Fault { drops: self.clone(), panics: true }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Asserts that all `made` were dropped, once each, and that nothing else has this counter.
    #[track_caller]
    pub(crate) fn assert_all_gone(&self, made: usize) {
        assert_eq!((self.count(), Arc::strong_count(&self.0)), (made, 1));
    }
}

/// A value, or an error, that counts its drop, and may panic in it with `"a drop"`.
#[derive(Debug)]
pub(crate) struct Fault {
    drops: Drops,
    panics: bool,
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.drops.0.fetch_add(1, Ordering::Relaxed);
        if self.panics {
            panic_quietly("a drop");
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault")
    }
}

impl core::error::Error for Fault {}
