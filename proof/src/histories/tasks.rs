//! Tasks that succeed or fail when they are told to.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll, Waker};

use winddown::future::TrackedErr;
use winddown::{ErrGroup, Refused};

use crate::model::Outcome;

/// A future that is pending until it is told its outcome.
#[derive(Debug)]
pub struct Told(Arc<AtomicU16>);

const WAITS: u16 = u16::MAX;
const SUCCEEDS: u16 = u16::MAX - 1;

impl Future for Told {
    type Output = Result<(), u8>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), u8>> {
        match self.0.load(Ordering::Relaxed) {
            WAITS => Poll::Pending,
            SUCCEEDS => Poll::Ready(Ok(())),
            error => Poll::Ready(Err(error as u8)),
        }
    }
}

/// A task of a group with errors. Dropping it leaves the group.
#[derive(Debug)]
pub struct Task {
    tracked: Pin<Box<TrackedErr<Told, u8>>>,
    told: Arc<AtomicU16>,
}

impl Task {
    /// A task that is inside.
    ///
    /// # Errors
    ///
    /// As `try_track`.
    pub fn new(group: &ErrGroup<u8>) -> Result<Self, Refused> {
        let told = Arc::new(AtomicU16::new(WAITS));
        let tracked = Box::pin(group.try_track(Told(Arc::clone(&told)))?);
        Ok(Self { tracked, told })
    }

    /// Ends with an error.
    pub fn fail(&mut self, error: u8) -> Outcome {
        self.end(error.into());
        Outcome::Unit
    }

    /// Ends well.
    pub fn succeed(&mut self) {
        self.end(SUCCEEDS);
    }

    fn end(&mut self, how: u16) {
        self.told.store(how, Ordering::Relaxed);
        let poll = self.tracked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_ready(), "a task that is over is ready");
    }
}
