//! What people build today in Go, with a tree and a wait group: the rows of `docs/capabilities.md`
//! that no other test shows by itself.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{pending, ready};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::thread;

use common::{Bell, look, never_but_tell, panic_of, panic_quietly, poll};
use winddown::{CancelScope, CancelToken, Cancelled, FutureUntil as _, Guard, Signal, WaitGroup};

const SHORT: Duration = Duration::from_millis(1);

/// The batch controller of S1: jobs are counted and stopped, and the parent is left alone.
#[derive(Debug)]
struct Controller {
    stop: CancelScope,
    jobs: Arc<WaitGroup>,
}

type Job = (CancelToken, Guard<Arc<WaitGroup>>);

impl Controller {
    fn below(parent: &CancelToken) -> Self {
        Self { stop: parent.child(), jobs: Arc::default() }
    }

    fn register<V: Send + Sync + 'static>(&self, request: V) -> Job {
        let guard = WaitGroup::guard_in(Arc::clone(&self.jobs));
        (self.stop.token().with_value(request).child().detach().token().clone(), guard)
    }
}

/// What a job does in a hot loop, and how it ends.
fn job((token, guard): Job, end: fn()) -> Cancelled {
    let _guard = guard;
    loop {
        if let Err(cancelled) = token.check() {
            end();
            return cancelled;
        }
        thread::yield_now();
    }
}

/// S1.1, S1.3, S1.4: from many threads, each with a value of its own; the parent stops all of them.
#[test]
fn a_parent_stops_every_job_that_was_registered() {
    let parent = CancelScope::new();
    let controller = Controller::below(parent.token());
    thread::scope(|threads| {
        let jobs: Vec<_> = (0..4_u32)
            .map(|id| {
                let controller = &controller;
                threads.spawn(move || {
                    let registered = controller.register(id);
                    assert_eq!(registered.0.value(), Some(&id));
                    job(registered, || {})
                })
            })
            .collect();
        while controller.jobs.count() < 4 {
            thread::yield_now();
        }
        parent.cancel_with("the parent").unwrap();
        controller.jobs.wait().block();
        for job in jobs {
            assert_eq!(job.join().unwrap().to_string(), "the parent");
        }
    });
}

/// S1.2, S1.7: the controller's own stop; each job knows why.
#[test]
fn a_controllers_own_stop_does_not_touch_its_parent() {
    let parent = CancelScope::new();
    let (one, other) = (Controller::below(parent.token()), Controller::below(parent.token()));
    let registered = one.register("job");
    let beside = other.register("beside");
    let job = thread::spawn(move || job(registered, || {}));
    one.stop.cancel_with("enough").unwrap();
    assert_eq!(job.join().unwrap().to_string(), "enough");
    one.jobs.wait().block();
    assert!(!parent.token().is_cancelled() && !beside.0.is_cancelled());
    assert_eq!(other.jobs.count(), 1);
}

/// S1.5: once on every way out.
#[test]
fn a_job_counts_out_once_however_it_ends() {
    let controller = Controller::below(&CancelToken::never());
    controller.stop.cancel();
    let ways: [fn(Job); 4] = [
        |registered| drop(job(registered, || {})),
        |registered| {
            assert_eq!(panic_of(|| job(registered, || panic_quietly("the job"))), "the job");
        },
        drop,
        |(token, guard)| {
            let mut task = guard.track(pending::<()>().until(token));
            assert!(look(&mut task).is_ready());
        },
    ];
    for way in ways {
        let registered = controller.register(());
        assert_eq!(controller.jobs.count(), 1);
        way(registered);
        assert!(controller.jobs.is_idle());
    }
}

/// S1.8, S1.9, S1.13: the wait is a handle; a timer beside it says "timed out", not "completed".
#[test]
fn a_wait_composes_with_a_timer() {
    let controller = Controller::below(&CancelToken::never());
    let registered = controller.register(());
    let unfinished = smol::block_on(controller.jobs.wait().until(smol::Timer::after(SHORT)));
    assert_eq!(unfinished.unwrap_err().left, 1);
    assert_eq!(controller.jobs.wait().block_for(SHORT).unwrap_err().left, 1);
    smol::block_on(async {
        let mut idle = controller.jobs.wait();
        let mut timer = futures_util::FutureExt::fuse(smol::Timer::after(SHORT));
        futures_util::select! {
            () = idle => unreachable!("a job is out"),
            _ = timer => drop(registered),
        }
        idle.await;
    });
    assert_eq!(controller.jobs.wait().block_for(SHORT), Ok(()));
}

/// S1.10: several waiters, some of which give up.
#[test]
fn waiters_are_independent_and_may_give_up() {
    let controller = Controller::below(&CancelToken::never());
    let registered = controller.register(());
    let (polled, is_polled) = mpsc::channel();
    let bell = Bell::new();
    thread::scope(|threads| {
        for _ in 0..2 {
            let (wait, polled) = (controller.jobs.wait(), polled.clone());
            threads.spawn(|| wait.until(never_but_tell(polled)).block().unwrap());
            is_polled.recv().unwrap();
        }
        let mut abandoned = controller.jobs.wait();
        assert!(poll(&mut abandoned, &bell.waker()).is_pending());
        drop(abandoned);
        assert_eq!(Arc::strong_count(&bell), 1, "it left nothing");
        drop(registered);
    });
    assert_eq!(bell.rings(), 0);
}

/// S1.11, S1.12: without a stop; and what is done then is told.
#[test]
fn a_wait_completes_when_the_jobs_end_by_themselves() {
    let controller = Controller::below(&CancelToken::never());
    controller.jobs.wait().block();
    let log = AtomicUsize::new(0);
    let (_, guard) = controller.register(());
    let task = async {
        controller.jobs.wait().await;
        log.fetch_add(1, Ordering::Relaxed);
    };
    let mut task = Box::pin(task);
    assert!(look(&mut task).is_pending());
    assert!(look(&mut guard.track(ready(()))).is_ready());
    assert!(look(&mut task).is_ready());
    assert_eq!(log.load(Ordering::Relaxed), 1);
    assert!(!controller.stop.token().is_cancelled());
}

/// S2.17: the token goes first, through every layer; what belongs to the request alone is on it, by
/// a type of its own, and what a function works on is a parameter.
#[test]
fn the_token_travels_as_the_first_parameter() {
    struct Trace(&'static str);
    fn handle(token: &CancelToken, numbers: &[u32]) -> Result<String, Cancelled> {
        let request = token.child();
        let sum = sum(&request.token().with_value(Trace("inner")), numbers)?;
        Ok(format!("{}: {sum}", token.value::<Trace>().map_or("none", |trace| trace.0)))
    }
    fn sum(token: &CancelToken, numbers: &[u32]) -> Result<u32, Cancelled> {
        assert_eq!(token.value::<Trace>().unwrap().0, "inner");
        numbers.iter().try_fold(0, |sum, number| token.check().map(|()| sum + number))
    }
    let scope = CancelScope::new();
    let token = scope.token().with_value(Trace("outer"));
    assert_eq!(handle(&token, &[1, 2, 3]).unwrap(), "outer: 6");
    assert_eq!(handle(&CancelToken::never(), &[]).unwrap(), "none: 0");
    scope.cancel_with("the client went away").unwrap();
    assert_eq!(handle(&token, &[1]).unwrap_err().to_string(), "the client went away");
}

/// S2.18: a cause on timeout, of one's own instead of the deadline's.
#[test]
fn a_timeout_may_have_a_reason_of_its_own() {
    let scope = CancelScope::new();
    let below = scope.token().child();
    smol::block_on(async {
        let limit = smol::Timer::after(SHORT);
        if below.token().cancelled().until(limit).await.is_err() {
            scope.cancel_with("the upstream is too slow").unwrap();
        }
    });
    assert_eq!(below.token().reason().unwrap().to_string(), "the upstream is too slow");
}

/// S2.18 (`WaitGroup.Go`), S3.11: the count is taken before the task starts, and there is no way to
/// take it inside.
#[test]
fn a_task_is_counted_before_it_starts() {
    let group = Arc::new(WaitGroup::new());
    let ran = Arc::new(AtomicUsize::new(0));
    let executor = smol::LocalExecutor::new();
    for _ in 0..3 {
        let ran = Arc::clone(&ran);
        let work = async move {
            ran.fetch_add(1, Ordering::Relaxed);
        };
        executor.spawn(WaitGroup::guard_in(Arc::clone(&group)).track(work)).detach();
    }
    assert_eq!((group.count(), ran.load(Ordering::Relaxed)), (3, 0), "none has begun");
    assert!(look(&mut group.wait()).is_pending());
    smol::block_on(executor.run(group.wait()));
    assert_eq!(ran.load(Ordering::Relaxed), 3);
}

/// S3.5, S3.12: closing twice is harmless, and the state can be read at any time.
#[test]
fn a_signal_is_closed_once_and_says_so() {
    let signal = Signal::new();
    assert!(!signal.is_closed());
    assert!(signal.close() && !signal.close());
    assert!(signal.is_closed());
    signal.closed().block();
}
