//! embassy's timer, whose clock and `Duration` are its own, as a limit like any other.

#![cfg(all(feature = "std", not(loom)))]

use core::future::pending;

use embassy_time::Timer;
use winddown::{CancelScope, FutureUntil as _, WaitGroup};

/// S2.6: a scope that ends by embassy's time.
#[test]
fn a_scope_is_over_when_embassys_timer_fires() {
    let scope = CancelScope::new();
    let expiry = scope.cancel_after(Timer::after_millis(1));
    let cancelled = pollster::block_on(pending::<()>().until(expiry)).unwrap_err();
    assert_eq!(cancelled.to_string(), "deadline exceeded");
    assert!(scope.token().is_cancelled());
}

/// A wait with embassy's timer as the limit says what was left.
#[test]
fn a_wait_ends_when_embassys_timer_fires() {
    static IN_FLIGHT: WaitGroup = WaitGroup::new();
    let _guard = IN_FLIGHT.guard();
    let wait = IN_FLIGHT.wait().until(Timer::after_millis(1));
    assert_eq!(pollster::block_on(wait).unwrap_err().left, 1);
}
