//! Blocking: the same poll, with a waker that unparks the thread.
//!
//! Edge **K** (wake): what the waking thread did before is seen by the poll that follows.

use super::{AnyWait, Clock, Context, Pin, Poll, Unfinished};
use crate::sync::host::{Instant, Thread, current, park, park_timeout};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::waker::{Wake, into_waker};

/// A thread that is blocked in a wait. The flag counts, not the thread's park token: foreign
/// code that is polled on this thread (a limit) may park too, and swallow the token.
struct Parker {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Parker {
    fn wake(this: Arc<Self>) {
        // K: what the waking thread did before is seen by the poll that follows `park`.
        if !this.woken.swap(true, Ordering::Release) {
            this.thread.unpark();
        }
    }
}

impl Parker {
    /// Parks until woken (true), or until `at` (false).
    fn park(&self, at: Option<Instant>) -> bool {
        // K: acquires what came before the wake.
        while !self.woken.swap(false, Ordering::Acquire) {
            let Some(at) = at else {
                park();
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            park_timeout(left);
        }
        true
    }
}

/// Polls `wait` on this thread until it is ready, or until `at` (`None`).
fn drive<W: AnyWait>(mut wait: Pin<&mut W>, at: Option<Instant>) -> Option<W::Output> {
    // Who finds the wait over has not waited, and pays nothing for the waker.
    if let Poll::Ready(output) = wait.as_mut().look() {
        return Some(output);
    }
    let parker = Arc::new(Parker { woken: AtomicBool::new(false), thread: current() });
    let waker = into_waker(Arc::clone(&parker));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = wait.as_mut().poll(&mut cx) {
            return Some(output);
        }
        let clock = wait.clock();
        let alarm = clock.and_then(Clock::alarm);
        let due = at.into_iter().chain(alarm).min();
        // The time is looked at after every wake-up: a limit may wake at each poll.
        if parker.park(due) && due.is_none_or(|due| Instant::now() < due) {
            continue;
        }
        // The time of one of the two is up; whatever that ended has ended in time.
        let comes_first = |alarm| at.is_none_or(|at| alarm <= at);
        if let Some(clock) = clock.filter(|_| alarm.is_some_and(comes_first)) {
            clock.ring();
        } else if let Poll::Ready(output) = wait.as_mut().look() {
            return Some(output);
        } else {
            return None;
        }
    }
}

pub(crate) fn block<W: AnyWait>(wait: Pin<&mut W>) -> W::Output {
    drive(wait, None).unwrap_or_else(|| unreachable!("a wait without a limit gave up"))
}

pub(crate) fn block_until<W: AnyWait>(
    mut wait: Pin<&mut W>,
    at: Option<Instant>,
) -> Result<W::Output, Unfinished> {
    drive(wait.as_mut(), at).ok_or_else(|| Unfinished::new(wait.left(), ()))
}
