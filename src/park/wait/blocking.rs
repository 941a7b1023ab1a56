//! Blocking: the same poll, with a waker that unparks the thread.

use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

use super::{AnyWait, Clock};
use crate::error::Unfinished;
use crate::park::waker::Parker;
use crate::sync::host::{Instant, now};
use crate::sync::{Arc, keep_through};

/// How long a thread blocks at most.
#[derive(Clone, Copy)]
pub(crate) enum TimeLimit {
    /// For ever.
    Never,
    /// For so long, from the first look on.
    For(Duration),
    /// Until then.
    At(Instant),
}

impl TimeLimit {
    /// Whether the time is up. Reads a clock only if the caller named a time of that clock.
    fn is_up(self) -> bool {
        match self {
            Self::Never => false,
            Self::For(limit) => limit.is_zero(),
            Self::At(at) => at <= Instant::now(),
        }
    }

    /// Counts from now on, if there is a clock.
    fn start(self) -> Self {
        let Self::For(limit) = self else { return self };
        // What is too long for the clock never comes.
        now().map_or(self, |now| now.checked_add(limit).map_or(Self::Never, Self::At))
    }

    /// When the time is up.
    ///
    /// # Panics
    ///
    /// If only a clock could tell, and there is none: the thread would block for ever.
    fn end(self) -> Option<Instant> {
        match self {
            Self::Never => None,
            Self::For(_) => panic!("this target has no clock: a thread cannot block for a time"),
            Self::At(at) => Some(at),
        }
    }
}

/// Polls `wait` on this thread until it is ready, or until the time is up (`None`).
fn drive<W: AnyWait>(mut wait: Pin<&mut W>, limit: TimeLimit) -> Option<W::Output> {
    // Rule 20: where the end of the wait would begin something, the time comes before the wait.
    if W::BEGINS && limit.is_up() {
        return None;
    }
    // A thread that finds the wait over has not waited: it pays for no waker, and reads no clock.
    if let Poll::Ready(output) = wait.as_mut().look() {
        return Some(output);
    }
    // Before the first poll, which may take its time in foreign code.
    let limit = limit.start();
    let parker = Arc::new(Parker::new());
    let waker = Parker::waker(&parker);
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = wait.as_mut().poll(&mut cx) {
            return Some(output);
        }
        let at = limit.end();
        let clock = wait.clock();
        let alarm = clock.and_then(Clock::alarm);
        let due = at.into_iter().chain(alarm).min();
        // The time is looked at after every wake-up: a limit may wake at each poll.
        if parker.park(due) && due.is_none_or(|due| Instant::now() < due) {
            continue;
        }
        // The time of one of the two is up.
        let comes_first = |alarm| at.is_none_or(|at| alarm <= at);
        if let Some(clock) = clock.filter(|_| alarm.is_some_and(comes_first)) {
            clock.ring();
        } else if W::BEGINS {
            // Rule 20: no last look. The drop of the wait passes on what it was given meanwhile.
            return None;
        } else if let Poll::Ready(output) = wait.as_mut().look() {
            // A wait that has ended meanwhile has ended in time.
            return Some(output);
        } else {
            return None;
        }
    }
}

/// Polls `wait` by `poll`, and drops it before what `poll` has given is returned.
fn to_its_end<W: AnyWait, R>(wait: W, poll: impl FnOnce(Pin<&mut W>) -> R) -> R {
    let mut wait = pin!(Some(wait));
    let Some(result) = wait.as_mut().as_pin_mut().map(poll) else {
        unreachable!("the wait is there until its end")
    };
    keep_through(result, || wait.set(None))
}

pub(crate) fn block<W: AnyWait>(wait: W) -> W::Output {
    let drive = |wait: Pin<&mut W>| drive(wait, TimeLimit::Never);
    to_its_end(wait, drive).unwrap_or_else(|| unreachable!("a wait without a limit gave up"))
}

pub(crate) fn block_within<W: AnyWait>(wait: W, limit: TimeLimit) -> Result<W::Output, Unfinished> {
    to_its_end(wait, |mut wait| match drive(wait.as_mut(), limit) {
        Some(output) => Ok(output),
        None => {
            wait.as_mut().stop();
            let left = wait.left();
            #[cfg(feature = "tracing")]
            wait.tell_overrun(left);
            Err(Unfinished::new(left, ()))
        }
    })
}

/// As [`block_within`], for a slice of time: the wait stays.
pub(crate) fn block_slice<W: AnyWait>(
    mut wait: Pin<&mut W>,
    slice: TimeLimit,
) -> Result<W::Output, Unfinished> {
    drive(wait.as_mut(), slice).ok_or_else(|| Unfinished::new(wait.left(), ()))
}
