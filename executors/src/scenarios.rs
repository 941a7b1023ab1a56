//! What every runtime must do. Tasks are `Send` where the runtime asks for it.

use core::future::{pending, poll_fn, ready};
use core::mem;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use winddown::future::Wait;
use winddown::{
    CancelScope, CancelToken, Cancelled, FutureUntil as _, Reason, Signal, StreamUntil, WaitGroup,
};

use super::{FORGETS, Forgets, run, sleep, spawn};
use crate::report::Report;

const SHORT: Duration = Duration::from_millis(1);
/// Never comes.
const LONG: Duration = Duration::from_secs(60);
const TASKS: usize = 6;

pub(super) fn check(report: &mut Report) {
    match FORGETS {
        Forgets::Nothing | Forgets::NothingWhenItRunsAgain => {}
        Forgets::WhatIsWokenMeanwhile(why) | Forgets::WhatSleeps(why) | Forgets::WhatWaits(why) => {
            report.remark(why);
        }
    }
    crate::report::check!(report:
        workers_are_stopped_from_a_foreign_thread,
        who_comes_after_the_close_sees_it,
        foreign_threads_wake_an_idle_runtime_again_and_again,
        select_takes_waits_without_a_pin,
        a_group_is_used_for_many_rounds,
        a_service_is_cancelled_from_a_foreign_thread,
        one_request_is_cancelled_and_no_other,
        a_failure_cancels_the_siblings,
        a_deadline_cancels_a_request,
        a_loop_selects_anew_in_each_turn,
        streams_end_with_their_token,
    );
    for tasks in [Tasks::Idle, Tasks::Busy] {
        report.check(
            &format!("a_runtime_goes_and_then_its_tasks_are_stopped: {tasks:?}"),
            move || {
                a_runtime_goes(tasks, Stop::Later);
            },
        );
        report.check(
            &format!("a_runtime_goes_while_its_tasks_are_stopped: {tasks:?}"),
            move || {
                for _ in 0..20 {
                    a_runtime_goes(tasks, Stop::Meanwhile);
                }
            },
        );
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Asked,
}

/// What the tasks of a scenario share.
#[derive(Default)]
struct Service {
    tasks: Arc<WaitGroup>,
    /// Who is at its last wait.
    waiting: WaitGroup,
    stop: Signal<Why>,
    stopped: AtomicUsize,
}

impl Service {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Counts a task, and whether it was stopped.
    fn track<F: Future<Output = Result<(), Cancelled>>>(
        self: &Arc<Self>,
        task: F,
    ) -> impl Future<Output = ()> + use<F> {
        let service = Arc::clone(self);
        WaitGroup::guard_in(Arc::clone(&self.tasks)).track(async move {
            if task.await.is_err() {
                service.stopped.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// Waits for all tasks, and tells how many of them were stopped.
    async fn stopped(&self) -> usize {
        self.tasks.wait().await;
        self.stopped.load(Ordering::Relaxed)
    }

    /// Runs `stop` on a thread when so many tasks are at their last wait, and blocks there until all
    /// tasks have left.
    fn stop_from_a_foreign_thread(
        self: &Arc<Self>,
        waiting: usize,
        stop: impl FnOnce(&Self) + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let service = Arc::clone(self);
        thread::spawn(move || {
            while service.waiting.count() < waiting {
                thread::yield_now();
            }
            stop(&service);
            service.tasks.wait().block();
        })
    }
}

/// Rules 3, 5, 7, 12: and the runtime's timer as the limit of a drain.
async fn workers_are_stopped_from_a_foreign_thread() {
    let service = Service::new();
    for _ in 0..TASKS {
        let guard = WaitGroup::guard_in(Arc::clone(&service.tasks));
        spawn(guard.track(work(Arc::clone(&service))));
    }
    abandoned_waits(&service).await;
    let unfinished = service.tasks.wait().until(sleep(SHORT)).await.unwrap_err();
    assert_eq!(unfinished.left, TASKS);
    let closer = service.stop_from_a_foreign_thread(TASKS, |service| {
        assert_eq!(service.stop.close_with(Why::Asked), Ok(()));
    });
    assert_eq!(service.stopped().await, TASKS);
    closer.join().unwrap();
}

async fn work(service: Arc<Service>) {
    // A turn of work, and then another: each gives up its wait for the stop.
    for _ in 0..3 {
        service.stop.closed().until(sleep(SHORT)).await.unwrap_err();
    }
    service.waiting.add(1).unwrap();
    assert_eq!(service.stop.value().await, &Why::Asked);
    service.stopped.fetch_add(1, Ordering::Relaxed);
}

/// Parked and dropped, also while others are parked.
async fn abandoned_waits(service: &Service) {
    for _ in 0..100 {
        let unfinished = service.tasks.wait().until(ready('x')).await.unwrap_err();
        assert_eq!((unfinished.left, unfinished.by), (TASKS, 'x'));
        assert!(service.stop.value().now_or_never().is_none());
    }
}

/// Rule 7.
async fn who_comes_after_the_close_sees_it() {
    let service = Service::new();
    service.stop.close_with(Why::Asked).unwrap();
    for _ in 0..TASKS {
        let of_task = Arc::clone(&service);
        spawn(service.track(async move {
            of_task.stop.closed().await;
            assert_eq!(of_task.stop.value().until(sleep(LONG)).await, Ok(&Why::Asked));
            of_task.stopped.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }));
    }
    assert_eq!(service.stopped().await, TASKS);
}

/// Rules 3, 7: nothing but a thread of its own wakes the runtime, which has no timer running.
async fn foreign_threads_wake_an_idle_runtime_again_and_again() {
    const ROUNDS: usize = 200;
    let rounds: Arc<Vec<_>> =
        Arc::new((0..ROUNDS).map(|_| (Signal::new(), Signal::new())).collect());
    let of_thread = Arc::clone(&rounds);
    let foreign = thread::spawn(move || {
        for (ask, answer) in &*of_thread {
            ask.closed().block();
            assert!(answer.close());
        }
    });
    for (ask, answer) in &*rounds {
        assert!(ask.close());
        answer.closed().await;
    }
    foreign.join().unwrap();
}

/// `futures::select!` takes waits by `&mut`, without a pin, and in a loop.
async fn select_takes_waits_without_a_pin() {
    let (group, stop) = (Arc::new(WaitGroup::new()), Arc::new(Signal::new()));
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    spawn(guard.track(Signal::closed_in(Arc::clone(&stop))));
    let mut idle: Wait<Arc<WaitGroup>> = WaitGroup::wait_in(Arc::clone(&group));
    let mut told = stop.closed();
    let mut turns = 0;
    loop {
        futures_util::select! {
            () = idle => break,
            () = told => continue,
            () = pin!(sleep(SHORT).fuse()) => {
                turns += 1;
                if turns == 3 {
                    stop.close();
                }
            }
        }
    }
    assert!(turns >= 3);
    assert!(group.is_idle());
}

/// Rule 3: the group is used again at once, and each round is waited for.
async fn a_group_is_used_for_many_rounds() {
    let group = Arc::new(WaitGroup::new());
    let finished = Arc::new(AtomicUsize::new(0));
    for round in 1..=50 {
        for _ in 0..4 {
            let (guard, finished) =
                (WaitGroup::guard_in(Arc::clone(&group)), Arc::clone(&finished));
            spawn(async move {
                let _guard = guard;
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        group.wait().await;
        assert_eq!(finished.load(Ordering::Relaxed), 4 * round);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Id(usize);

/// Rule 8, S2.10, S2.14: a tree of tasks, and none of them is left behind.
async fn a_service_is_cancelled_from_a_foreign_thread() {
    let scope = CancelScope::new();
    let service = Service::new();
    for id in 0..TASKS {
        let token = scope.token().with_value(Id(id));
        spawn(service.track(request(token, Arc::clone(&service))));
    }
    let canceller = scope.canceller();
    let closer = service.stop_from_a_foreign_thread(2 * TASKS, move |_| {
        canceller.cancel_with("shutdown").unwrap();
    });
    assert_eq!(service.stopped().await, TASKS);
    closer.join().unwrap();
    assert_eq!(scope.token().reason().unwrap().to_string(), "shutdown");
}

/// Some turns of work, then two parts at once, each with a scope of its own.
async fn request(token: CancelToken, service: Arc<Service>) -> Result<(), Cancelled> {
    for _ in 0..3 {
        token.cancelled().until(sleep(SHORT)).await.unwrap_err();
        token.run_until_cancelled(sleep(SHORT)).await?;
    }
    assert!(token.value::<Id>().unwrap().0 < TASKS);
    let parts = [token.child(), token.child()];
    let [one, other] = parts.each_ref().map(|part| {
        service.waiting.add(1).unwrap();
        part.token().run_until_cancelled(pending::<()>())
    });
    let (one, other) = futures_util::join!(one, other);
    assert!(one.is_err() && other.is_err());
    assert!(parts.iter().all(|part| part.token().reason().unwrap().to_string() == "shutdown"));
    token.check()
}

/// S2.10: a child is stopped by its own scope.
async fn one_request_is_cancelled_and_no_other() {
    let parent = CancelScope::new();
    let service = Service::new();
    let scopes: Vec<_> = (0..TASKS).map(|_| parent.token().child()).collect();
    for scope in &scopes {
        let wait = scope.token().clone().cancelled_owned();
        let token = scope.token().clone();
        spawn(service.track(async move {
            wait.await;
            token.check()
        }));
    }
    assert!(scopes[2].cancel());
    while service.tasks.count() == TASKS {
        sleep(SHORT).await;
    }
    let unfinished = service.tasks.wait().until(sleep(SHORT)).await.unwrap_err();
    assert_eq!(unfinished.left, TASKS - 1);
    assert!(!parent.token().is_cancelled());
    drop(parent);
    assert_eq!(service.stopped().await, TASKS);
    let reasons = scopes.iter().map(|scope| scope.token().reason().unwrap());
    assert_eq!(reasons.filter(|why| matches!(why, Reason::Dropped)).count(), TASKS - 1);
}

/// S2.15: one failing request makes its siblings fail.
async fn a_failure_cancels_the_siblings() {
    let scope = CancelScope::new();
    let service = Service::new();
    for id in 0..TASKS {
        let (token, fail) = (scope.token().clone(), scope.canceller());
        spawn(service.track(async move {
            let work = async {
                sleep(SHORT).await;
                if id == 4 {
                    fail.cancel_with("request 4 failed").unwrap();
                }
                pending::<()>().await;
            };
            work.until(&token).await
        }));
    }
    assert_eq!(service.stopped().await, TASKS);
    assert_eq!(scope.token().check().unwrap_err().to_string(), "request 4 failed");
}

/// S2.6, S2.13: driven beside the work, or by a task of its own, which ends in any case.
async fn a_deadline_cancels_a_request() {
    let parent = CancelScope::new();
    let (short, expiry) = parent.token().child_until(Instant::now() + SHORT, sleep(SHORT));
    let stopped = pending::<()>().until(expiry).await.unwrap_err();
    assert!(matches!(stopped.reason(), Reason::Deadline));
    assert!(short.token().is_cancelled() && !parent.token().is_cancelled());
    let service = Service::new();
    for limit in [SHORT, LONG] {
        let (scope, expiry) = parent.token().child_until(Instant::now() + limit, sleep(limit));
        spawn(service.track(async move { Err(expiry.await) }));
        let token = scope.token().child().detach().token().clone();
        if limit == SHORT {
            token.cancelled().await;
            assert!(matches!(token.reason(), Some(Reason::Deadline)));
        }
        drop(scope);
    }
    assert_eq!(service.stopped().await, 2, "no timer is left behind");
}

/// Rule 12: a wait that is given up in each turn, with the wake that counts at the end.
async fn a_loop_selects_anew_in_each_turn() {
    let parent = CancelScope::new();
    let child = parent.token().child();
    let service = Service::new();
    for _ in 0..TASKS {
        let token = child.token().clone();
        let of_task = Arc::clone(&service);
        spawn(service.track(async move {
            let count = |turn| {
                if turn == 20 {
                    of_task.waiting.add(1).unwrap()
                }
            };
            select_anew(&token, count).await
        }));
    }
    let canceller = parent.canceller();
    let closer = service.stop_from_a_foreign_thread(TASKS, move |_| {
        canceller.cancel();
    });
    assert_eq!(service.stopped().await, TASKS);
    closer.join().unwrap();
}

async fn select_anew(token: &CancelToken, each_turn: impl Fn(u64)) -> Result<(), Cancelled> {
    for turn in 0.. {
        futures_util::select! {
            () = token.cancelled() => break,
            () = pin!(turn_of_work(turn).fuse()) => each_turn(turn),
        }
    }
    token.check()
}

/// It sleeps at times, since monoio runs a task that wakes itself before all others.
async fn turn_of_work(turn: u64) {
    if turn % 8 == 7 {
        sleep(SHORT).await;
    } else {
        yield_now().await;
    }
}

/// Lets others run.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A stream that always has an item, and one that never has.
async fn streams_end_with_their_token() {
    let scope = CancelScope::new();
    let service = Service::new();
    for busy in [true, false] {
        let (token, of_task) = (scope.token().clone(), Arc::clone(&service));
        spawn(service.track(async move {
            of_task.waiting.add(1).unwrap();
            if busy {
                let items = stream::iter(0_u64..).then(turn_of_work);
                StreamUntil::until(Box::pin(items), &token).for_each(|_| async {}).await;
            } else {
                let mut none = StreamUntil::until(stream::pending::<()>(), &token);
                assert_eq!(none.next().await, None);
            }
            token.check()
        }));
    }
    let canceller = scope.canceller();
    let closer = service.stop_from_a_foreign_thread(2, move |_| {
        canceller.cancel();
    });
    assert_eq!(service.stopped().await, 2);
    closer.join().unwrap();
}

/// The tasks of a runtime that goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tasks {
    /// They wait for their end alone.
    Idle,
    /// They work, or sleep by the runtime's timer.
    Busy,
}

/// When another thread stops them.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stop {
    Meanwhile,
    Later,
}

/// Whether tasks that were stopped by now, and whose runtime has gone, must be gone too. If it has to run
/// again for that, it runs until `end`.
pub(super) fn nothing_stays(
    tasks: Tasks,
    stop: Stop,
    end: impl Future<Output = ()> + Send + 'static,
) -> bool {
    match FORGETS {
        Forgets::Nothing => true,
        Forgets::NothingWhenItRunsAgain => {
            run(|| end);
            true
        }
        Forgets::WhatIsWokenMeanwhile(_) => stop == Stop::Later,
        Forgets::WhatSleeps(_) => tasks == Tasks::Idle,
        Forgets::WhatWaits(_) => false,
    }
}

/// Rules 2, 7, 11, 12: a task that waits is dropped with its runtime, or stopped, or dropped by the waker
/// that is used up, whatever comes first, and nothing of it is left.
fn a_runtime_goes(tasks: Tasks, stop: Stop) {
    let service = Service::new();
    let scope = CancelScope::new();
    let leaving = Arc::new(Signal::new());
    let gone = Arc::new(Signal::new());
    let closer = {
        let (service, canceller) = (Arc::clone(&service), scope.canceller());
        let signal = Arc::clone(if stop == Stop::Meanwhile { &leaving } else { &gone });
        thread::spawn(move || {
            signal.closed().block();
            assert_eq!(service.stop.close_with(Why::Asked), Ok(()));
            assert!(canceller.cancel());
        })
    };
    let (of_main, token) = (Arc::clone(&service), scope.token().clone());
    run(move || async move {
        for _ in 0..TASKS {
            let (of_task, token) = (Arc::clone(&of_main), token.clone());
            match tasks {
                Tasks::Idle => spawn(of_main.track(be_idle(of_task, token))),
                Tasks::Busy => spawn(of_main.track(be_busy(of_task, token))),
            }
        }
        while of_main.waiting.count() < TASKS {
            sleep(SHORT).await;
        }
        leaving.close();
    });
    gone.close();
    closer.join().unwrap();
    let of_runtime = Arc::clone(&service.tasks);
    if !nothing_stays(tasks, stop, async move { of_runtime.wait().await }) {
        return;
    }
    service.tasks.wait().block();
    // A task of a thread that goes on has left before it is dropped.
    while Arc::strong_count(&service) > 1 {
        thread::yield_now();
    }
}

async fn be_idle(service: Arc<Service>, token: CancelToken) -> Result<(), Cancelled> {
    let child = token.child();
    service.waiting.add(1).unwrap();
    futures_util::join!(service.stop.closed(), child.token().cancelled());
    token.check()
}

async fn be_busy(service: Arc<Service>, token: CancelToken) -> Result<(), Cancelled> {
    service.waiting.add(1).unwrap();
    select_anew(&token, |_| {}).await
}
