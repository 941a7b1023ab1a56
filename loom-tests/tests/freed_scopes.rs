//! Models of scopes that are freed by the last that holds them, which still has something registered there (rule
//! 19). What is freed is not touched any more: the facade checks each use of its atomics, of its cells and of the
//! value of an `Arc`; and loom reports what is left.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use loom::thread;
use winddown::CancelScope;
use winddown_loom_tests::{Wakes, check, poll};

/// A line of three, of which the first is dropped by one thread and the last by another: the one in between, which
/// goes with either, leaves its seat in the first before it lets go of it.
///
/// Edges: C, G, S.
///
/// Mutants: `node-line-parent-first`.
#[test]
fn a_line_is_dropped_beside_its_root() {
    check(|| {
        let root = CancelScope::new().detach();
        let middle = root.token().child().detach();
        let leaf = middle.token().child().detach();
        let mut wait = leaf.token().clone().cancelled_owned();
        assert!(poll(&mut wait, &Wakes::new().waker()).is_pending());
        drop((wait, middle));
        let other = thread::spawn(move || drop(root));
        drop(leaf);
        other.join().unwrap();
    });
}

/// The registration of a callback may be the last that holds its scope, whether the callback ran or not: it leaves
/// the scope's list before it lets go of it.
///
/// Edges: C, R, S.
///
/// Mutants: `registration-after-its-scope`.
#[test]
fn a_registration_goes_beside_its_scope() {
    check(|| {
        let scope = CancelScope::new().detach();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let registration = scope.token().on_cancel(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let other = thread::spawn(move || {
            scope.cancel();
        });
        let in_time = registration.deregister();
        other.join().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), usize::from(!in_time));
    });
}
