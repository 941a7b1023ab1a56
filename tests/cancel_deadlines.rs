//! Deadlines: data along the chain, driven by any runtime's timer or by a thread that blocks.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{Future, Pending, pending, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use common::{Bell, look, never_but_tell, panic_of, panic_quietly, poll};
use futures_util::future::FusedFuture as _;
use winddown::future::Expiry;
use winddown::{CancelScope, CancelToken, Canceller, FutureUntil as _, Reason, Signal, WaitGroup};

const SHORT: Duration = Duration::from_millis(2);
/// Comes only if a test hangs.
const LONG: Duration = Duration::from_secs(3600);

fn soon() -> Instant {
    Instant::now() + SHORT
}

fn far() -> Instant {
    Instant::now() + LONG
}

/// A scope that is over soon, and open still: on a busy machine some are born too late.
fn open_until_soon(above: &CancelToken) -> (CancelScope, Expiry<Pending<()>>) {
    loop {
        let (scope, expiry) = above.child_until(soon(), pending());
        if !scope.token().is_cancelled() {
            return (scope, expiry);
        }
    }
}

fn pass(at: Instant) {
    while Instant::now() <= at {
        thread::yield_now();
    }
}

fn is_deadline(token: &CancelToken) -> bool {
    matches!(token.reason(), Some(Reason::Deadline))
}

/// A timer that counts its polls and how many of it live, and rings when it is told to.
#[derive(Debug)]
struct Timer {
    polls: Arc<AtomicUsize>,
    alive: Arc<()>,
    time: Arc<Signal>,
}

impl Timer {
    fn new() -> Self {
        Self { polls: Arc::default(), alive: Arc::default(), time: Arc::default() }
    }

    /// The timer for an expiry; `self` stays to look at it.
    fn start(&self) -> impl Future<Output = &'static str> + Unpin + use<> {
        let (polls, alive) = (Arc::clone(&self.polls), Arc::clone(&self.alive));
        let mut wait = Signal::closed_in(Arc::clone(&self.time));
        core::future::poll_fn(move |cx| {
            let _ = &alive;
            polls.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut wait).poll(cx).map(|()| "the output is of no interest")
        })
    }

    fn is_alive(&self) -> bool {
        Arc::strong_count(&self.alive) > 1
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }
}

/// S2.6: the timer is ready, and so the scope is cancelled.
#[test]
fn a_scope_is_cancelled_when_its_timer_is_ready() {
    let (scope, timer, bell) = (CancelScope::new(), Timer::new(), Bell::new());
    let below = scope.token().child();
    let mut wait = below.token().cancelled();
    let mut expiry = scope.cancel_after(timer.start());
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    for _ in 0..3 {
        assert!(poll(&mut expiry, &bell.waker()).is_pending());
    }
    assert!(!scope.token().is_cancelled() && !expiry.is_terminated());
    timer.time.close();
    assert!(!scope.token().is_cancelled(), "nobody has driven it");
    assert!(poll(&mut expiry, &bell.waker()).is_ready());
    assert!(is_deadline(scope.token()) && is_deadline(below.token()));
    assert!(look(&mut wait).is_ready());
    assert!(!timer.is_alive() && expiry.is_terminated());
    assert!(look(&mut expiry).is_ready(), "ready again");
    assert!(!scope.cancel());
}

/// S2.13: the end of the scope wakes its expiry, whose next poll drops the timer.
#[test]
fn an_expiry_ends_with_its_scope() {
    let ends: [fn(CancelScope, CancelScope); 4] = [
        |root, scope| drop((scope, root)),
        |root, scope| drop((scope.cancel(), scope.detach(), root)),
        |root, scope| drop((root, scope.detach())),
        |root, scope| assert!(root.cancel() && !scope.cancel()),
    ];
    for end in ends {
        let (root, timer, bell) = (CancelScope::new(), Timer::new(), Bell::new());
        let (scope, mut expiry) = root.token().child_until(far(), timer.start());
        assert!(poll(&mut expiry, &bell.waker()).is_pending());
        let token = scope.token().clone();
        end(root, scope);
        assert!(bell.rings() == 1 && timer.is_alive());
        for _ in 0..2 {
            let Poll::Ready(cancelled) = look(&mut expiry) else { panic!("it is over") };
            assert!(core::ptr::eq(cancelled.reason(), token.reason().unwrap()), "and says why");
        }
        assert!(!timer.is_alive() && expiry.is_terminated());
        assert_eq!(timer.polls(), 1, "the timer of what is over is not asked");
    }
}

#[test]
fn an_expiry_that_is_dropped_takes_its_timer_along_and_nothing_else() {
    let (scope, timer, bell) = (CancelScope::new(), Timer::new(), Bell::new());
    let mut expiry = scope.cancel_after(timer.start());
    assert!(poll(&mut expiry, &bell.waker()).is_pending());
    drop(expiry);
    assert!(!timer.is_alive());
    timer.time.close();
    assert!(!scope.token().is_cancelled());
    assert!(scope.cancel());
    assert_eq!((bell.rings(), Arc::strong_count(&bell)), (0, 1));
}

#[test]
fn a_scope_may_have_several_timers() {
    let (scope, slow, fast) = (CancelScope::new(), Timer::new(), Timer::new());
    let (mut first, mut second) =
        (scope.cancel_after(slow.start()), scope.cancel_after(fast.start()));
    assert!(look(&mut first).is_pending() && look(&mut second).is_pending());
    fast.time.close();
    assert!(look(&mut second).is_ready() && look(&mut first).is_ready());
    assert!(is_deadline(scope.token()) && !slow.is_alive());
}

/// The panic comes out of the poll; the scope is cancelled all the same.
#[test]
fn a_callback_that_panics_does_not_harm_the_expiry() {
    let (scope, timer) = (CancelScope::new(), Timer::new());
    scope.token().on_cancel(|| panic_quietly("the callback")).detach();
    let mut expiry = scope.cancel_after(timer.start());
    timer.time.close();
    assert_eq!(panic_of(|| look(&mut expiry)), "the callback");
    assert!(is_deadline(scope.token()));
    assert!(look(&mut expiry).is_ready() && !timer.is_alive());
}

#[test]
fn an_expiry_shows_what_it_is() {
    let scope = CancelScope::new();
    let expiry = scope.cancel_after(pending::<()>());
    assert!(format!("{expiry:?}").contains("Expiry"));
}

mod along_the_chain {
    use super::*;

    /// S2.3, S2.7: the nearest of the chain; a child's never extends its parent's.
    #[test]
    fn the_deadline_is_the_earliest_of_the_chain() {
        let (one, two, three) = (far(), far() + LONG, far() + LONG + LONG);
        let root = CancelScope::new();
        assert_eq!(root.token().deadline(), None);
        let until = |token: &CancelToken, at| token.child_until(at, pending::<()>());
        let (middle, _expiry) = until(root.token(), two);
        let (longer, _expiry) = until(middle.token(), three);
        let (shorter, _expiry) = until(longer.token(), one);
        assert_eq!(root.token().deadline(), None);
        assert_eq!(middle.token().deadline(), Some(two));
        assert_eq!(longer.token().deadline(), Some(two));
        assert_eq!(shorter.token().deadline(), Some(one));
        let below = shorter.token().with_value(1).child();
        assert_eq!(below.token().deadline(), Some(one));
        assert_eq!(longer.token().with_value(1).deadline(), Some(two));
        assert_eq!(below.token().shielded().deadline(), None);
        let (inside, _expiry) = until(&below.token().shielded(), three);
        assert_eq!(inside.token().deadline(), Some(three));
        let (of_never, _expiry) = until(&CancelToken::never(), one);
        assert_eq!(
            (of_never.token().deadline(), CancelToken::never().deadline()),
            (Some(one), None)
        );
        root.cancel();
        assert_eq!(below.token().deadline(), Some(one), "data, cancelled or not");
    }

    /// S2.7: the parent's time is up first, and with it the child's.
    #[test]
    fn a_child_is_over_with_its_parent() {
        let (outer, inner) = (Timer::new(), Timer::new());
        let root = CancelScope::new();
        let (parent, mut parents) = root.token().child_until(far(), outer.start());
        let (child, mut childs) = parent.token().child_until(far() + LONG, inner.start());
        assert!(look(&mut parents).is_pending() && look(&mut childs).is_pending());
        outer.time.close();
        assert!(look(&mut parents).is_ready());
        assert!(is_deadline(child.token()) && !root.token().is_cancelled());
        assert!(look(&mut childs).is_ready() && !inner.is_alive());
    }

    /// S2.6: cancelled at birth, with or without a driver; the timer is never asked.
    #[test]
    fn a_past_deadline_is_cancelled_at_birth() {
        let now = Instant::now();
        for at in [now, now.checked_sub(SHORT).unwrap_or(now)] {
            let (root, timer) = (CancelScope::new(), Timer::new());
            let (scope, mut expiry) = root.token().child_until(at, timer.start());
            assert!(is_deadline(scope.token()));
            assert_eq!(scope.token().deadline(), Some(at));
            assert!(!root.token().is_cancelled());
            assert!(look(&mut expiry).is_ready());
            assert_eq!((timer.polls(), timer.is_alive()), (0, false));
        }
    }

    /// S2.11: its parent was first.
    #[test]
    fn under_a_cancelled_parent_a_past_deadline_takes_the_parents_reason() {
        let root = CancelScope::new();
        root.cancel_with("the parent").unwrap();
        for at in [Instant::now(), far()] {
            let (scope, mut expiry) = root.token().child_until(at, pending::<()>());
            assert_eq!(scope.token().reason().unwrap().to_string(), "the parent");
            assert!(look(&mut expiry).is_ready());
        }
    }

    /// Asking is for hot loops: it never reads a clock.
    #[test]
    fn a_deadline_that_nobody_drives_cancels_nothing() {
        let root = CancelScope::new();
        let (scope, expiry) = open_until_soon(root.token());
        let at = scope.token().deadline().unwrap();
        let below = scope.token().child();
        let mut wait = below.token().cancelled();
        assert!(look(&mut wait).is_pending());
        pass(at);
        for token in [scope.token(), below.token()] {
            assert!(!token.is_cancelled() && token.reason().is_none() && token.check().is_ok());
            assert_eq!(token.deadline(), Some(at));
        }
        assert!(look(&mut wait).is_pending());
        drop(expiry);
    }
}

/// A blocking wait below a deadline fires it when the time comes.
mod blocking {
    use super::*;

    /// Every form, at and below the scope: nobody polls the expiry.
    #[test]
    fn a_blocking_wait_fires_the_deadline() {
        let forms: [fn(&CancelToken); 9] = [
            |token| token.cancelled().block(),
            |token| token.clone().cancelled_owned().block(),
            |token| assert!(matches!(token.into_future().block().reason(), Reason::Deadline)),
            |token| drop(token.clone().into_future().block()),
            |token| token.cancelled().block_for(LONG).unwrap(),
            |token| token.cancelled().block_for(Duration::MAX).unwrap(),
            |token| token.cancelled().block_until(far()).unwrap(),
            |token| token.cancelled().until(pending::<()>()).block().unwrap(),
            |token| drop(CancelToken::any([&CancelToken::never(), token, token]).block()),
        ];
        for form in forms {
            let root = CancelScope::new();
            // On a busy machine the time may be up before the second one is born.
            let (scope, longer, _expiries) = loop {
                let (scope, expiry) = open_until_soon(root.token());
                let (longer, other) = scope.token().child_until(far(), pending::<()>());
                if !longer.token().is_cancelled() {
                    break (scope, longer, [expiry, other]);
                }
            };
            let below = longer.token().with_value(1);
            form(&below);
            assert!(is_deadline(&below) && is_deadline(longer.token()));
            assert!(is_deadline(scope.token()), "the one that owns the nearest deadline");
            assert!(!root.token().is_cancelled());
        }
    }

    /// The limit of the wait is not the deadline of the token.
    #[test]
    fn a_limit_that_comes_first_leaves_the_scope_alone() {
        let root = CancelScope::new();
        let (scope, _expiry) = root.token().child_until(far(), pending::<()>());
        let token = scope.token();
        assert_eq!(token.cancelled().block_for(SHORT).unwrap_err().left, 0);
        token.cancelled().block_for(Duration::ZERO).unwrap_err();
        token.cancelled().block_until(soon()).unwrap_err();
        assert_eq!(token.cancelled().until(ready(7)).block().unwrap_err().by, 7);
        CancelToken::any([token]).block_for(SHORT).unwrap_err();
        assert!(!token.is_cancelled());
    }

    /// The two at the same time: the deadline has passed, and so the wait is over.
    #[test]
    fn a_deadline_that_has_passed_wins_against_the_limit() {
        let root = CancelScope::new();
        let (scope, _expiry) = open_until_soon(root.token());
        pass(scope.token().deadline().unwrap());
        assert!(!scope.token().is_cancelled());
        scope.token().cancelled().block_for(Duration::ZERO).unwrap();
        assert!(is_deadline(scope.token()));
    }

    #[test]
    fn a_deadline_wins_against_a_limit_at_the_same_instant() {
        let root = CancelScope::new();
        let (scope, _expiry) = open_until_soon(root.token());
        scope.token().cancelled().block_until(scope.token().deadline().unwrap()).unwrap();
        assert!(is_deadline(scope.token()));
    }

    #[test]
    fn of_several_deadlines_the_earliest_is_fired() {
        let root = CancelScope::new();
        let (late, _expiry) = root.token().child_until(far(), pending::<()>());
        let (early, _expiry) = root.token().child_until(soon(), pending::<()>());
        let any = CancelToken::any([root.token(), late.token(), early.token()]);
        assert!(matches!(any.block().reason(), Reason::Deadline));
        assert!(early.token().is_cancelled() && !late.token().is_cancelled());
    }

    /// A cancel that comes before the deadline ends the wait with its own reason.
    #[test]
    fn a_cancel_comes_through_to_a_thread_that_blocks() {
        let root = CancelScope::new();
        let (scope, _expiry) = root.token().child_until(far(), pending::<()>());
        let (polled, is_polled) = mpsc::channel();
        thread::scope(|threads| {
            let thread = threads.spawn(|| {
                scope.token().cancelled().until(never_but_tell(polled)).block().unwrap();
                scope.token().reason().unwrap().to_string()
            });
            is_polled.recv().unwrap();
            root.cancel_with("by hand").unwrap();
            assert_eq!(thread.join().unwrap(), "by hand");
        });
    }

    /// All waits below hear of it, not only the one that fired it.
    #[test]
    fn a_fired_deadline_wakes_the_others() {
        let root = CancelScope::new();
        let (scope, mut expiry) = open_until_soon(root.token());
        let bell = Bell::new();
        let beside = scope.token().child();
        let mut wait = beside.token().cancelled();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        assert!(poll(&mut expiry, &bell.waker()).is_pending());
        scope.token().child().token().cancelled().block();
        assert_eq!(bell.rings(), 2);
        assert!(look(&mut wait).is_ready() && look(&mut expiry).is_ready());
    }

    #[test]
    fn threads_that_block_below_one_deadline_all_return() {
        let root = CancelScope::new();
        let (scope, _expiry) = root.token().child_until(soon(), pending::<()>());
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let own = scope.token().child();
                    own.token().cancelled().block();
                    assert!(is_deadline(own.token()));
                });
            }
        });
    }
}

/// S2.6, S2.14, S2.15: the same with the timers of the runtimes.
mod with_timers_of {
    use super::*;

    /// One request that asks several upstreams under one deadline; the workers count themselves.
    #[derive(Debug, Default)]
    struct Upstreams {
        running: WaitGroup,
        finished: AtomicUsize,
    }

    type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

    /// What an upstream does: it answers, it fails and thereby stops the others, or it is too slow.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Upstream {
        Answers,
        Fails,
        Hangs,
    }

    async fn ask(which: Upstream, token: CancelToken, fail: Canceller, all: Arc<Upstreams>) {
        let work = async {
            match which {
                Upstream::Answers => {}
                Upstream::Fails => drop(fail.cancel_with("an upstream failed")),
                Upstream::Hangs => pending().await,
            }
        };
        if token.run_until_cancelled(work).await.is_ok() && which == Upstream::Answers {
            all.finished.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn fan_out<T: Future + Send + 'static>(
        spawn: fn(Task),
        sleep: fn(Duration) -> T,
        upstreams: [Upstream; 4],
        limit: Duration,
    ) -> (Option<String>, usize) {
        let root = CancelScope::new();
        let all = Arc::new(Upstreams::default());
        let at = Instant::now() + limit;
        let (scope, expiry) = root.token().child_until(at, sleep(limit));
        spawn(Box::pin(async { drop(expiry.await) }));
        all.running.add(upstreams.len()).unwrap();
        for which in upstreams {
            let token = scope.token().child().detach().token().clone();
            let (task, all) =
                (ask(which, token, scope.canceller(), Arc::clone(&all)), Arc::clone(&all));
            spawn(Box::pin(async move {
                task.await;
                all.running.done().unwrap();
            }));
        }
        assert!(all.running.wait().until(sleep(LONG)).await.is_ok(), "none is left behind");
        assert!(!root.token().is_cancelled());
        let why = scope.token().reason().map(ToString::to_string);
        (why, all.finished.load(Ordering::Relaxed))
    }

    async fn scenario<T: Future + Send + 'static>(spawn: fn(Task), sleep: fn(Duration) -> T) {
        use Upstream::{Answers, Fails, Hangs};
        let deadline = || Some(String::from("deadline exceeded"));
        let failed = || Some(String::from("an upstream failed"));
        assert_eq!(fan_out(spawn, sleep, [Answers; 4], LONG).await, (None, 4));
        assert_eq!(fan_out(spawn, sleep, [Hangs; 4], SHORT).await, (deadline(), 0));
        let (why, finished) = fan_out(spawn, sleep, [Answers, Hangs, Answers, Hangs], SHORT).await;
        assert!(why == deadline() && finished <= 2);
        assert_eq!(fan_out(spawn, sleep, [Hangs, Hangs, Fails, Hangs], LONG).await, (failed(), 0));
        // In one task, the expiry as the limit of the work.
        let root = CancelScope::new();
        let (scope, expiry) = root.token().child_until(soon(), sleep(SHORT));
        let below = scope.token().child();
        let stopped = pending::<()>().until(expiry).await.unwrap_err();
        assert_eq!(stopped.to_string(), "deadline exceeded");
        assert!(is_deadline(below.token()));
        let scope = CancelScope::new();
        let expiry = scope.cancel_after(sleep(LONG));
        assert_eq!(async { 5 }.until(expiry).await.unwrap(), 5);
        assert!(!scope.token().is_cancelled());
    }

    #[test]
    fn tokio() {
        let threads = ::tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let spawn = |task: Task| drop(::tokio::spawn(task));
        threads.block_on(scenario(spawn, ::tokio::time::sleep));
        let thread = ::tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        thread.block_on(scenario(spawn, ::tokio::time::sleep));
    }

    #[test]
    fn smol() {
        ::smol::block_on(scenario(|task| ::smol::spawn(task).detach(), ::smol::Timer::after));
    }

    #[test]
    fn async_std() {
        let spawn = |task: Task| drop(::async_std::task::spawn(task));
        ::async_std::task::block_on(scenario(spawn, |limit| {
            Box::pin(::async_std::task::sleep(limit)) as Task
        }));
    }
}

/// The wake-up of its own cancel comes during its own poll.
#[test]
fn an_expiry_may_be_woken_while_it_is_polled() {
    struct Once(bool);
    impl Future for Once {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if core::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    let scope = CancelScope::new();
    let cancelled = pollster::block_on(scope.cancel_after(Once(false)));
    assert!(matches!(cancelled.reason(), Reason::Deadline));
    assert!(is_deadline(scope.token()));
}
