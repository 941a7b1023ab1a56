//! Rules 11, 18, 19: what users put into scopes and what panics when it is dropped: values, reasons, what
//! callbacks captured, timers. Each is dropped once, whatever the others do, and the first panic goes on.

#![cfg(not(loom))]

mod common;

use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll};
#[cfg(feature = "std")]
use std::panic::resume_unwind;

#[cfg(feature = "std")]
use common::panic_quietly;
use common::{Bell, Drops, Fault, look, panic_of, poll};
use winddown::{CancelScope, CancelToken, Canceller, Reason};

/// Registers a callback that has `fault`, and lets go of it.
fn keep(token: &CancelToken, fault: Fault) {
    token.on_cancel(move || drop(fault)).detach();
}

/// How many faults a [`Chain`] has, and those of them that are values; callbacks have the others.
const FAULTS: usize = 12;
const VALUES: [usize; 3] = [3, 6, 9];

/// Where faults panic: in each place alone; and in all, where a second panic in one delivery does not abort.
fn hostile() -> impl Iterator<Item = Range<usize>> {
    let all = cfg!(feature = "std").then_some(0..FAULTS);
    (0..FAULTS).map(|place| place..place + 1).chain(all)
}

/// Scopes below each other, with values and callbacks of foreign code.
struct Chain {
    root: Canceller,
    /// The first is nearest to the root.
    below: Vec<CancelToken>,
}

impl Chain {
    fn new(drops: &Drops, panicking: &Range<usize>) -> Self {
        let mut faults = (0..FAULTS)
            .map(|place| if panicking.contains(&place) { drops.panicking() } else { drops.calm() });
        let mut fault = || faults.next().expect("a place");
        let root = CancelScope::new().detach();
        (0..3).for_each(|_| keep(root.token(), fault()));
        let mut below: Vec<CancelToken> = Vec::new();
        for _ in VALUES {
            let above = below.last().unwrap_or(root.token());
            let valued = above.with_value(fault());
            keep(&valued, fault());
            let child = valued.child().detach().token().clone();
            keep(&child, fault());
            below.push(child);
        }
        Self { root, below }
    }
}

/// Rule 19: the callbacks of one scope, which are detached and never run.
#[test]
fn the_values_of_all_detached_callbacks_are_dropped_though_one_panics() {
    for bad in 0..4 {
        let drops = Drops::default();
        let scope = CancelScope::new().detach();
        for at in 0..4 {
            keep(scope.token(), if at == bad { drops.panicking() } else { drops.calm() });
        }
        assert_eq!(panic_of(|| drop(scope)), "a drop");
        drops.assert_all_gone(4);
    }
}

/// Rules 11, 19: the same where all of them panic.
#[cfg(feature = "std")]
#[test]
fn the_values_of_all_detached_callbacks_may_panic() {
    let drops = Drops::default();
    let scope = CancelScope::new().detach();
    (0..4).for_each(|_| keep(scope.token(), drops.panicking()));
    assert_eq!(panic_of(|| drop(scope)), "a drop");
    drops.assert_all_gone(4);
}

/// Rules 11, 19: a panic may carry what panics in its drop. The first panic goes on, and the others are dropped.
#[cfg(feature = "std")]
#[test]
fn what_a_panic_carries_may_panic() {
    let drops = Drops::default();
    let scope = CancelScope::new();
    scope.token().on_cancel(|| panic_quietly("the first")).detach();
    for _ in 0..2 {
        let carried = drops.panicking();
        scope.token().on_cancel(move || resume_unwind(Box::new(carried))).detach();
    }
    keep(scope.token(), drops.calm());
    assert_eq!(panic_of(|| scope.cancel()), "the first");
    drop(scope);
    drops.assert_all_gone(3);
}

/// Rules 9, 19: a chain of scopes goes with its last handle.
#[test]
fn everything_in_a_chain_is_dropped_though_something_panics() {
    for panicking in hostile() {
        let drops = Drops::default();
        let Chain { root, mut below } = Chain::new(&drops, &panicking);
        drop(root);
        let leaf = below.pop().unwrap();
        drop(below);
        assert_eq!(drops.count(), 0, "a descendant keeps them all");
        assert_eq!(panic_of(|| drop(leaf)), "a drop", "{panicking:?}");
        drops.assert_all_gone(FAULTS);
    }
}

/// Rules 10, 19: a cancel runs the callbacks, which drop what they captured; values go with their scopes.
#[test]
fn everything_in_a_cancelled_chain_is_dropped_though_something_panics() {
    for panicking in hostile() {
        let drops = Drops::default();
        let Chain { root, below } = Chain::new(&drops, &panicking);
        let mut panics = Vec::new();
        if panicking.clone().any(|place| !VALUES.contains(&place)) {
            panics.push(panic_of(|| root.cancel()));
        } else {
            assert!(root.cancel());
        }
        assert_eq!(drops.count(), FAULTS - VALUES.len(), "{panicking:?}");
        assert!(below.iter().all(CancelToken::is_cancelled));
        drop(root);
        if panicking.clone().any(|place| VALUES.contains(&place)) {
            panics.push(panic_of(|| drop(below)));
        } else {
            drop(below);
        }
        assert!(!panics.is_empty() && panics.iter().all(|it| it == "a drop"), "{panicking:?}");
        drops.assert_all_gone(FAULTS);
    }
}

/// Rules 11, 19: nothing aborts while another panic unwinds, and nothing is leaked.
#[cfg(feature = "std")]
#[test]
fn a_chain_that_is_unwound_drops_everything_and_does_not_abort() {
    /// Goes on the way out, with or without a cancel before that.
    struct Unwound(Chain, bool);
    impl Drop for Unwound {
        fn drop(&mut self) {
            assert_eq!(self.1, self.1 && self.0.root.cancel());
        }
    }
    for cancels in [false, true] {
        let drops = Drops::default();
        let chain = Chain::new(&drops, &(0..FAULTS));
        let text = panic_of(move || {
            let _unwound = Unwound(chain, cancels);
            common::panic_quietly("foreign code")
        });
        assert_eq!(text, "foreign code");
        drops.assert_all_gone(FAULTS);
    }
}

/// Rules 8, 19: the reasons of scopes below each other. Errors hold them, and go last.
#[test]
fn the_reasons_of_a_chain_are_dropped_though_one_panics() {
    for bad in 0..3 {
        let drops = Drops::default();
        let mut scopes = vec![CancelScope::new()];
        for _ in 0..2 {
            let below = scopes.last().unwrap().token().child();
            scopes.push(below);
        }
        // From below, so that each has a reason of its own.
        for (at, scope) in scopes.iter().enumerate().rev() {
            let fault = if at == bad { drops.panicking() } else { drops.calm() };
            assert!(scope.cancel_with(fault).is_ok());
        }
        let errors: Vec<_> = scopes.iter().map(|it| it.token().check().unwrap_err()).collect();
        let mut refused = drops.calm();
        for scope in &scopes {
            let Err(Reason::Error(reason)) = scope.cancel_with(refused) else {
                panic!("cancelled")
            };
            refused = *reason.downcast::<Fault>().unwrap();
        }
        drop(scopes);
        assert_eq!(drops.count(), 0, "an error holds its scope, and what is above");
        assert_eq!(panic_of(|| drop(errors)), "a drop");
        drop(refused);
        drops.assert_all_gone(4);
    }
}

/// Rule 18: the end of a deadline is the scope's own work, and the drop of the timer is not.
#[test]
fn a_scope_is_cancelled_though_the_drop_of_its_timer_panics() {
    struct Timer(#[allow(dead_code, reason = "it is dropped")] Fault);
    impl Future for Timer {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let (drops, scope, bell) = (Drops::default(), CancelScope::new(), Bell::new());
    let mut wait = scope.token().cancelled();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    let mut expiry = scope.cancel_after(Timer(drops.panicking()));
    assert_eq!(panic_of(|| look(&mut expiry)), "a drop");
    assert!(matches!(scope.token().reason(), Some(Reason::Deadline)));
    assert_eq!(bell.rings(), 1);
    drops.assert_all_gone(1);
    assert!(look(&mut expiry).is_ready() && look(&mut wait).is_ready());
}
