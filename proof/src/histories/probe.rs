//! Wakers that say whether they were woken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::model::Outcome;

/// One poll's waker.
#[derive(Debug, Default)]
pub struct Probe {
    woken: AtomicBool,
}

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
    }
}

/// A wait that is polled with a new waker at each poll, or with the same.
#[derive(Debug)]
pub struct Probed<F> {
    /// The wait.
    pub wait: F,
    probe: Arc<Probe>,
    parked: bool,
}

impl<F: Future + Unpin> Probed<F> {
    /// A wait that was not polled yet.
    pub fn new(wait: F) -> Self {
        Self { wait, probe: Arc::default(), parked: false }
    }

    /// Polls with the waker of the last poll, or with another one.
    pub fn poll(&mut self, renew: bool) -> Poll<F::Output> {
        if renew || self.is_woken() {
            self.probe = Arc::default();
        }
        let waker = Waker::from(Arc::clone(&self.probe));
        let poll = Pin::new(&mut self.wait).poll(&mut Context::from_waker(&waker));
        self.parked = poll.is_pending();
        poll
    }

    /// Whether the last poll was pending: then the end of the wait must wake its waker.
    pub fn is_parked(&self) -> bool {
        self.parked
    }

    /// Whether the last poll's waker was woken.
    pub fn is_woken(&self) -> bool {
        self.probe.woken.load(Ordering::Acquire)
    }
}

/// A poll that tells nothing but whether the wait is over.
pub fn ended<T>(poll: &Poll<T>) -> Outcome {
    if poll.is_ready() { Outcome::Ready } else { Outcome::Pending }
}

/// A wait that borrows what it waits for, with what keeps that.
#[derive(Debug)]
pub struct Lent<W, T> {
    // Dropped before what it borrows.
    wait: W,
    _owner: Arc<T>,
}

impl<W, T: 'static> Lent<W, T> {
    /// The wait that `make` makes.
    ///
    /// # Safety
    ///
    /// `make` keeps the reference nowhere but in the wait.
    pub unsafe fn new(owner: Arc<T>, make: impl FnOnce(&'static T) -> W) -> Self {
        // SAFETY: the owner keeps it until the wait is gone, and nothing else has the reference.
        let lent: &'static T = unsafe { &*Arc::as_ptr(&owner) };
        Self { wait: make(lent), _owner: owner }
    }

    /// Gives the wait away, and keeps what it borrows until that is done.
    pub fn with<R>(self, then: impl FnOnce(W) -> R) -> R {
        let Self { wait, _owner } = self;
        then(wait)
    }
}

impl<W: Future + Unpin, T> Future for Lent<W, T> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Output> {
        Pin::new(&mut self.wait).poll(cx)
    }
}
