//! Models of the facade's own `Arc` and `Weak`, on which all other models stand.

#![cfg(loom)]

extern crate alloc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use winddown::model::{Arc, Weak};
use winddown_loom_tests::{Work, check};

/// Two pieces of work, one a thread, that must both be seen by the drop.
#[derive(Default)]
struct Both([Work; 2]);

impl Drop for Both {
    fn drop(&mut self) {
        self.0.iter().for_each(Work::assert_finished);
    }
}

/// The value is dropped once, by the last reference, which sees what all others did with it.
///
/// Mutants: `arc-drop-relaxed`, `arc-drop-without-a-fence`.
#[test]
fn the_last_reference_drops_the_value_and_sees_all_uses() {
    check(|| {
        let here = Arc::new(Both::default());
        let other = thread::spawn({
            let there = Arc::clone(&here);
            move || {
                there.0[0].finish();
                drop(there);
            }
        });
        here.0[1].finish();
        drop(here);
        other.join().unwrap();
    });
}

/// Of two that call `into_inner` exactly one gets the value, and sees what the other did with it.
///
/// Mutants: `arc-into-inner-relaxed`, `arc-into-inner-without-a-fence`.
#[test]
fn exactly_one_of_two_gets_the_value_out() {
    check(|| {
        let here = Arc::new([Work::default(), Work::default()]);
        // Keeps the block, and with it the fence of freeing it, out of the way.
        let weak = Arc::downgrade(&here);
        let there = Arc::clone(&here);
        let take = |which: usize, arc: Arc<[Work; 2]>| {
            arc[which].finish();
            let value = Arc::into_inner(arc);
            value.iter().flatten().for_each(Work::assert_finished);
            value.is_some()
        };
        let other = thread::spawn(move || take(0, there));
        let mine = take(1, here);
        assert_ne!(mine, other.join().unwrap());
        assert!(weak.upgrade().is_none());
    });
}

/// A value that counts its drops.
struct Counted(alloc::sync::Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// `upgrade` beside the last drop gives a reference to a live value, or nothing; the value is
/// dropped once and the block is freed once (loom reports a leak).
///
/// Mutants: `weak-upgrade-revives`.
#[test]
fn a_weak_reference_is_upgraded_or_too_late() {
    check(|| {
        let drops = alloc::sync::Arc::new(AtomicUsize::new(0));
        let strong = Arc::new(Counted(alloc::sync::Arc::clone(&drops)));
        let weak: Weak<Counted> = Arc::downgrade(&strong);
        let other = thread::spawn({
            let drops = alloc::sync::Arc::clone(&drops);
            move || {
                if let Some(strong) = weak.upgrade() {
                    assert_eq!(drops.load(Ordering::Acquire), 0, "upgraded after the drop");
                    drop(strong);
                }
                drop(weak.clone());
            }
        });
        drop(strong);
        other.join().unwrap();
        assert_eq!(drops.load(Ordering::Acquire), 1);
    });
}

/// Raw references are references: each is counted once and given up once.
///
/// Mutants: `arc-raw-not-counted`.
#[test]
fn raw_references_are_counted() {
    check(|| {
        let drops = alloc::sync::Arc::new(AtomicUsize::new(0));
        let raw = Arc::into_raw(Arc::new(Counted(alloc::sync::Arc::clone(&drops))));
        // SAFETY: `raw` came from `into_raw`, whose reference lives until `here` takes it.
        unsafe { Arc::increment_strong_count(raw) };
        // SAFETY: the reference that was just counted.
        let there = unsafe { Arc::from_raw(raw) };
        // SAFETY: the reference of `into_raw`.
        let here = unsafe { Arc::from_raw(raw) };
        assert!(Arc::ptr_eq(&here, &there));
        assert_eq!(Arc::as_ptr(&here), raw);
        let other = thread::spawn(move || drop(there));
        drop(here);
        other.join().unwrap();
        assert_eq!(drops.load(Ordering::Acquire), 1);
    });
}
