//! Rule 8: a decision by the clock is made at the scope that has the deadline, and nowhere below it. A call that finds
//! that a deadline has passed (one that makes a child, one that blocks) cancels that scope, with all below.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{Future, Pending, pending, poll_fn};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use common::{Bell, look, poll};
use winddown::future::Expiry;
use winddown::{CancelScope, CancelToken, Cancelled, FutureUntil as _, Reason, TaskGroup};

const SHORT: Duration = Duration::from_millis(2);
/// Comes only if a test hangs.
const LONG: Duration = Duration::from_secs(3600);

fn far() -> Instant {
    Instant::now() + LONG
}

fn pass(at: Instant) {
    while Instant::now() <= at {
        thread::yield_now();
    }
}

fn is_deadline(token: &CancelToken) -> bool {
    matches!(token.reason(), Some(Reason::Deadline))
}

type Until = (CancelScope, Expiry<Pending<()>>);

/// Scopes below `above`, each below the one before, of which those with `true` are over soon and the others are
/// not. All of them are open still: on a busy machine some are born too late.
fn chain<const N: usize>(above: &CancelToken, over: [bool; N]) -> [Until; N] {
    loop {
        let mut token = above.child().detach().token().clone();
        let scopes = over.map(|is_over| {
            let at = if is_over { Instant::now() + SHORT } else { far() };
            let made = token.child_until(at, pending());
            token = made.0.token().with_value(N);
            made
        });
        if scopes.iter().all(|(scope, _)| !scope.token().is_cancelled()) {
            return scopes;
        }
    }
}

/// Passes the deadlines that are near.
fn pass_all(scopes: &[Until]) {
    let near = scopes.iter().filter_map(|(scope, _)| scope.token().deadline());
    near.filter(|at| *at < far() - LONG / 2).for_each(pass);
}

/// A wait and a callback, which hear of a scope's cancellation without asking.
struct Heard {
    bell: Arc<Bell>,
    ran: Arc<AtomicUsize>,
}

impl Heard {
    /// A wait and a callback on `token`, for as long as the process runs.
    fn at(token: &CancelToken) -> Self {
        let heard = Self { bell: Bell::new(), ran: Arc::default() };
        let ran = Arc::clone(&heard.ran);
        let count = move || {
            ran.fetch_add(1, Ordering::Relaxed);
        };
        token.on_cancel(count).detach();
        let mut wait = token.clone().cancelled_owned();
        assert!(poll(&mut wait, &heard.bell.waker()).is_pending());
        core::mem::forget(wait);
        heard
    }

    fn has(&self) -> bool {
        let counts = (self.bell.rings(), self.ran.load(Ordering::Relaxed));
        assert!(counts == (0, 0) || counts == (1, 1), "{counts:?}");
        counts == (1, 1)
    }
}

/// Rule 8: the birth of a child finds the time of a scope above up, and that is over then: its own waits and
/// callbacks hear of it, and those beside the child.
#[test]
fn a_scope_whose_time_is_up_for_those_below_is_over_itself() {
    let root = CancelScope::new();
    let [(caller, _expiry)] = chain(root.token(), [true]);
    let beside = caller.token().child();
    let heard = [caller.token(), beside.token()].map(Heard::at);
    let above = Heard::at(root.token());
    pass(caller.token().deadline().unwrap());
    assert!(!caller.token().is_cancelled(), "a look reads no clock");
    let between = caller.token().with_value(1);
    let (own, _) = between.child_until(far(), pending::<()>());
    for token in [own.token(), &between, beside.token(), caller.token()] {
        assert!(is_deadline(token));
    }
    assert!(heard.iter().all(Heard::has));
    assert!(!root.token().is_cancelled() && !above.has());
    assert!(!caller.cancel(), "it was the deadline");
}

/// Rule 8: of several scopes whose time is up, the highest one is over, and all below it; those above it are not.
#[test]
fn the_highest_scope_whose_time_is_up_is_over() {
    for over in (1..8).map(|bits| [0, 1, 2].map(|at| bits & (1 << at) != 0)) {
        let root = CancelScope::new();
        let mut scopes = chain(root.token(), over);
        let heard = scopes.each_ref().map(|(scope, _)| Heard::at(scope.token()));
        pass_all(&scopes);
        let (born, _) = scopes[2].0.token().child_until(far(), pending::<()>());
        let highest = over.iter().position(|it| *it).unwrap();
        assert!(is_deadline(born.token()), "{over:?}");
        for (at, ((scope, expiry), heard)) in scopes.iter_mut().zip(&heard).enumerate() {
            let is_over = at >= highest;
            assert_eq!(is_deadline(scope.token()), is_over, "{over:?}, {at}");
            assert_eq!((scope.token().is_cancelled(), heard.has()), (is_over, is_over));
            assert_eq!(look(expiry).is_ready(), is_over);
        }
        assert!(!root.token().is_cancelled());
    }
}

/// Rule 8: a child that is past from birth ends itself alone, whatever is above.
#[test]
fn a_child_whose_own_time_is_up_ends_no_other_scope() {
    let root = CancelScope::new();
    let [(above, _expiry)] = chain(root.token(), [false]);
    let heard = Heard::at(above.token());
    let (born, _) = above.token().child_until(Instant::now(), pending::<()>());
    assert!(is_deadline(born.token()));
    assert!(!above.token().is_cancelled() && !heard.has());
}

/// Rule 8: a shield cuts off the time above it, too, and nobody below it decides about that.
#[test]
fn a_scope_below_a_shield_ends_nothing_above_it() {
    let root = CancelScope::new();
    let [(above, _expiry)] = chain(root.token(), [true]);
    pass(above.token().deadline().unwrap());
    let (born, _) = above.token().shielded().child_until(far(), pending::<()>());
    assert!(!born.token().is_cancelled() && !above.token().is_cancelled());
    born.token().cancelled().block_for(SHORT).unwrap_err();
    assert!(!above.token().is_cancelled());
}

/// Rule 8: a scope has one reason for ever. One that was cancelled before its time was up keeps its own.
#[test]
fn a_scope_that_was_cancelled_in_time_keeps_its_reason() {
    let root = CancelScope::new();
    let [(outer, _first), (inner, _second)] = chain(root.token(), [true, true]);
    inner.cancel_with("in time").unwrap();
    pass(outer.token().deadline().unwrap());
    let (born, _) = inner.token().child_until(far(), pending::<()>());
    assert_eq!(born.token().reason().unwrap().to_string(), "in time");
    assert_eq!(inner.token().reason().unwrap().to_string(), "in time");
    assert!(is_deadline(outer.token()), "its time is up all the same");
}

/// S2.6, S2.7: the nearest deadline counts, and the child of a scope whose time is up has that one.
#[test]
fn a_child_below_a_deadline_that_is_past_is_cancelled_at_birth() {
    let root = CancelScope::new();
    let [(parent, _expiry)] = chain(root.token(), [true]);
    let at = parent.token().deadline().unwrap();
    pass(at);
    assert!(!parent.token().is_cancelled(), "nobody drove it");
    let (child, mut expiry) = parent.token().child_until(far(), pending::<()>());
    assert_eq!(child.token().deadline(), Some(at));
    assert!(is_deadline(child.token()) && look(&mut expiry).is_ready());
}

/// A timer that every executor can drive.
fn sleep_until(at: Instant) -> impl Future<Output = ()> + Unpin {
    poll_fn(move |cx| {
        if Instant::now() >= at {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// One try with a limit of its own. Its caller's token says which of the two deadlines has passed.
async fn next_value(caller: &CancelToken, patience: Duration) -> Result<Option<u32>, Cancelled> {
    let at = Instant::now() + patience;
    let (_own, expiry) = caller.child_until(at, sleep_until(at));
    match pending::<u32>().until(expiry).await {
        Ok(value) => Ok(Some(value)),
        Err(_) => caller.check().map(|()| None),
    }
}

/// Rule 8: a helper that tries again until its caller's time is up does not spin at the end of it: a try that is
/// over at birth finds its caller over, too.
#[test]
fn a_helper_that_tries_again_ends_with_its_callers_time() {
    for round in 0..50 {
        let root = CancelScope::new();
        let at = Instant::now() + Duration::from_micros(1000 + 37 * round);
        // Nobody polls the caller's own expiry: only its helper looks at a clock.
        let (scope, _expiry) = root.token().child_until(at, pending::<()>());
        let stopped = pollster::block_on(async {
            loop {
                let tries = Instant::now();
                if let Err(stopped) = next_value(scope.token(), Duration::from_micros(200)).await {
                    return stopped;
                }
                assert!(tries < at, "round {round}: a try began late, and the caller was not over");
            }
        });
        assert!(matches!(stopped.reason(), Reason::Deadline));
        assert!(Instant::now() >= at && is_deadline(scope.token()));
    }
}

/// Rule 8: a thread that blocks below rings for the scope whose time it is, on that thread.
#[test]
fn a_blocking_wait_below_ends_the_scope_whose_time_it_is() {
    for over in (1..8).map(|bits| [0, 1, 2].map(|at| bits & (1 << at) != 0)) {
        for waits_first in [false, true] {
            let root = CancelScope::new();
            let scopes = chain(root.token(), over);
            let heard = scopes.each_ref().map(|(scope, _)| Heard::at(scope.token()));
            let (ran, ran_on) = mpsc::channel();
            let highest = over.iter().position(|it| *it).unwrap();
            let tell = move || ran.send(thread::current().id()).unwrap();
            scopes[highest].0.token().on_cancel(tell).detach();
            if !waits_first {
                pass_all(&scopes);
            }
            scopes[2].0.token().child().token().cancelled().block_for(LONG).unwrap();
            assert_eq!(ran_on.try_recv(), Ok(thread::current().id()));
            for (at, ((scope, _), heard)) in scopes.iter().zip(&heard).enumerate() {
                // Where several are over, the highest has the earliest time: it was made first.
                assert_eq!(is_deadline(scope.token()), at >= highest, "{over:?}, {at}");
                assert_eq!(heard.has(), at >= highest);
            }
            assert!(!root.token().is_cancelled());
        }
    }
}

/// Rule 8: the waits of groups below ring as well, and end with their groups.
#[test]
fn a_blocking_wait_for_a_group_ends_the_scope_whose_time_it_is() {
    let forms: [fn(&TaskGroup); 5] = [
        |group| group.join().block(),
        |group| group.drained().block_for(LONG).unwrap(),
        |group| {
            group.shutdown(pending::<()>()).block();
        },
        |group| group.closed().block(),
        |group| group.clone().drained_owned().block_until(far()).unwrap(),
    ];
    for form in forms {
        let root = CancelScope::new();
        let [(scope, _expiry)] = chain(root.token(), [true]);
        let heard = Heard::at(scope.token());
        let between = scope.token().child();
        let group = TaskGroup::builder().parent(between.token()).build();
        let child = group.child().unwrap();
        let guard = child.guard().unwrap();
        // It does not block, or it might be the one to ring.
        let worker = thread::spawn(move || {
            while !guard.token().is_cancelled() {
                thread::yield_now();
            }
        });
        form(&child);
        assert!(is_deadline(scope.token()) && heard.has());
        assert!(is_deadline(group.token()) && !root.token().is_cancelled());
        worker.join().unwrap();
        group.join().block();
    }
}
