//! A waker that counts, and a poll with it.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::section;

/// Counts how often it was rung; outside of every critical section.
#[derive(Default)]
pub struct Bell(AtomicU32);

const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, ring, ring, |_| ());

fn clone(bell: *const ()) -> RawWaker {
    RawWaker::new(bell, &VTABLE)
}

fn ring(bell: *const ()) {
    assert!(!section::is_inside(), "a waker ran in a critical section");
    // SAFETY: from `Bell::waker`.
    let Bell(rings) = unsafe { &*bell.cast::<Bell>() };
    critical_section::with(|_| rings.store(rings.load(Relaxed) + 1, Relaxed));
}

impl Bell {
    /// A bell that has not been rung.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// A waker that rings this bell.
    pub fn waker(&'static self) -> Waker {
        // SAFETY: the four functions are for a pointer to a bell that is always there; and any
        //   context may ring it.
        unsafe { Waker::from_raw(clone((&raw const *self).cast())) }
    }

    /// How often it was rung.
    pub fn rings(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// Whether it was rung since the last call.
    pub fn take(&self) -> bool {
        critical_section::with(|_| {
            let rings = self.rings();
            self.0.store(0, Relaxed);
            rings > 0
        })
    }

    /// Polls with this bell's waker.
    pub fn poll<F: Future + ?Sized>(&'static self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker()))
    }

    /// The whole of an executor: polls whenever the bell has rung, and sleeps until then.
    pub fn block_on<F: Future>(&'static self, mut future: Pin<&mut F>) -> F::Output {
        loop {
            if let Poll::Ready(output) = self.poll(future.as_mut()) {
                return output;
            }
            while !self.take() {
                critical_section::with(|_| {
                    if self.rings() == 0 {
                        crate::board::sleep();
                    }
                });
            }
        }
    }
}
