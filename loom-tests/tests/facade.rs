//! Models of the facade's own `Arc` and `Weak`, on which all other models stand; and of how it notices a
//! touch of what is gone. Those last ones must fail.

#![cfg(loom)]

extern crate alloc;

use core::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use winddown::model::{Arc, Weak};
use winddown::{Signal, WaitGroup};
use winddown_loom_tests::{Turns, Work, check, lend};

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
/// Mutants: `weak-drop-relaxed`, `weak-upgrade-revives`.
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

/// What is freed, and how it is touched.
trait Object: Default + Sync + 'static {
    fn touch(&self);
}

/// An atomic of the size of a pointer.
impl Object for Signal {
    fn touch(&self) {
        self.is_closed();
    }
}

/// The widest atomic.
impl Object for WaitGroup {
    fn touch(&self) {
        self.is_idle();
    }
}

/// How a model failed.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Two accesses are not ordered.
    Race,
    /// An access comes after the end.
    Late,
}

fn failure_of(model: impl Fn() + Send + Sync + 'static) -> Option<Failure> {
    let panic = catch_unwind(AssertUnwindSafe(|| check(model))).err()?;
    let text = panic.downcast_ref::<&str>().copied();
    let text = panic.downcast_ref::<String>().map(String::as_str).or(text).unwrap_or_default();
    if text.contains("Causality violation") {
        return Some(Failure::Race);
    }
    assert!(text.contains("touched after it was gone"), "it failed in another way: {text}");
    Some(Failure::Late)
}

/// Touches a `T` after it was freed on this thread, and beside that on another thread.
fn touch_what_is_freed<T: Object>() {
    let late = failure_of(|| {
        let object = Box::new(T::default());
        // SAFETY: the memory is kept when it is freed, which is what is tried here.
        let shared = unsafe { lend(&*object) };
        drop(object);
        shared.touch();
    });
    assert_eq!(late, Some(Failure::Late));

    for is_first in [true, false] {
        let race = failure_of(move || {
            let (object, turns) = (Box::new(T::default()), Turns::default());
            // SAFETY: as above.
            let shared = unsafe { lend(&*object) };
            // SAFETY: the thread is joined below.
            let turns = unsafe { lend(&turns) };
            let turn = move || turns.take() == 0;
            let toucher = thread::spawn(move || {
                if turn() == is_first {
                    shared.touch();
                }
            });
            turn();
            drop(object);
            toucher.join().unwrap();
        });
        assert_eq!(race, Some(Failure::Race), "the touch comes first: {is_first}");
    }
}

/// A touch of a freed atomic is noticed: after its end on the same thread, and beside its end on another
/// thread, whichever of the two comes first.
///
/// Mutants: `canary-end-not-noted`, `canary-late-touch-not-asserted`, `watched-not-touched`,
/// `watched-without-an-end`.
#[test]
fn a_touch_of_a_freed_signal_is_noticed() {
    touch_what_is_freed::<Signal>();
}

/// As above, of a wait group.
///
/// Mutants: `canary-end-not-noted`, `canary-late-touch-not-asserted`, `watched-not-touched`,
/// `watched-without-an-end`.
#[test]
fn a_touch_of_a_freed_wait_group_is_noticed() {
    touch_what_is_freed::<WaitGroup>();
}

/// The value of an `Arc` is read by a reference that is not counted, beside the end of the last counted
/// one or after it. That is noticed, whether the last reference drops the value or takes it out.
///
/// Mutants: `arc-deref-not-checked`, `arc-drop-without-an-end`, `arc-into-inner-without-an-end`,
/// `arc-try-unwrap-without-an-end`.
#[test]
fn a_look_by_a_reference_that_is_not_counted_is_noticed() {
    let ends: [fn(Arc<u32>); 3] = [
        drop,
        |arc| assert!(Arc::into_inner(arc).is_some()),
        |arc| assert!(Arc::try_unwrap(arc).is_ok()),
    ];
    for end in ends {
        // SAFETY: the copy is never dropped; the block is kept when it is freed.
        let copy = |arc: &Arc<u32>| ManuallyDrop::new(unsafe { core::ptr::read(arc) });
        let late = failure_of(move || {
            let arc = Arc::new(7);
            let copy = copy(&arc);
            end(arc);
            assert_eq!(**copy, 7);
        });
        assert_eq!(late, Some(Failure::Late));

        let race = failure_of(move || {
            let arc = Arc::new(7);
            let copy = copy(&arc);
            let other = thread::spawn(move || assert_eq!(**copy, 7));
            end(arc);
            other.join().unwrap();
        });
        assert_eq!(race, Some(Failure::Race));
    }
}

/// A block that was freed is not given out again, so that a late touch finds what was there.
#[test]
fn a_freed_block_is_not_used_again() {
    check(|| {
        let block = || Box::new([0_u64; 8]);
        let freed = core::ptr::from_ref(&*block()).addr();
        let new = block();
        assert_ne!(core::ptr::from_ref(&*new).addr(), freed);
    });
}
