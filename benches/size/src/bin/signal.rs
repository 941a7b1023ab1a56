//! A wait that is pending, the close, the wait that is over.

#![cfg_attr(not(feature = "std"), no_std, no_main)]

use core::hint::black_box;
use core::pin::pin;

use winddown::Signal;
use winddown_size::poll;

winddown_size::program!(run);

fn run() {
    static STOP: Signal = Signal::new();
    let stop = black_box(&STOP);
    let mut wait = pin!(stop.closed());
    assert!(poll(wait.as_mut()).is_pending());
    assert!(stop.close());
    assert!(stop.is_closed());
    assert!(poll(wait).is_ready());
}
