//! One scenario with a tree of scopes on every executor: requests below a service, deadlines by the
//! runtime's timer, loops that select anew each turn, cancels from foreign threads.

#![cfg(all(feature = "std", not(loom)))]

use core::future::{Future, pending};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt as _};
use winddown::{
    CancelScope, CancelToken, Cancelled, Canceller, FutureUntil as _, Reason, StreamUntil,
    WaitGroup,
};

const SHORT: Duration = Duration::from_millis(1);
/// Comes only if the scenario hangs.
const LONG: Duration = Duration::from_secs(60);
const REQUESTS: usize = 6;

/// What a scenario needs of an executor.
trait Runtime: 'static {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
    fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send + 'static;
}

/// The same for tasks that stay on their thread.
trait LocalRuntime: 'static {
    fn spawn_local(&self, task: impl Future<Output = ()> + 'static);
    fn sleep(at_most: Duration) -> impl Future<Output = ()> + 'static;
}

#[derive(Debug, PartialEq, Eq)]
struct Id(usize);

/// What the tasks of a scenario tell.
#[derive(Debug, Default)]
struct Report {
    tasks: WaitGroup,
    /// Who is at its last wait.
    waiting: WaitGroup,
    stopped: AtomicUsize,
}

impl Report {
    fn spawn<R: Runtime>(
        self: &Arc<Self>,
        runtime: &R,
        task: impl Future<Output = Result<(), Cancelled>> + Send + 'static,
    ) {
        self.tasks.add(1).unwrap();
        let report = Arc::clone(self);
        runtime.spawn(async move {
            if task.await.is_err() {
                report.stopped.fetch_add(1, Ordering::Relaxed);
            }
            report.tasks.done().unwrap();
        });
    }

    /// Waits for all tasks, and tells how many of them were stopped.
    async fn stopped<R: Runtime>(&self) -> usize {
        self.tasks.wait().until(R::sleep(LONG)).await.expect("they were told to stop");
        self.stopped.load(Ordering::Relaxed)
    }
}

async fn scenario<R: Runtime>(runtime: &R) {
    a_service_is_stopped_from_a_foreign_thread(runtime).await;
    one_request_is_stopped_and_no_other(runtime).await;
    a_failure_stops_the_siblings(runtime).await;
    a_deadline_stops_a_request(runtime).await;
    a_loop_selects_anew_in_each_turn::<R>(runtime).await;
    streams_end_with_their_token(runtime).await;
}

/// S2.10, S2.14: a tree of tasks, and none of them is left behind.
async fn a_service_is_stopped_from_a_foreign_thread<R: Runtime>(runtime: &R) {
    let service = CancelScope::new();
    let report = Arc::new(Report::default());
    for id in 0..REQUESTS {
        let token = service.token().with_value(Id(id));
        report.spawn(runtime, request::<R>(token, Arc::clone(&report)));
    }
    let closer = cancel_from_a_foreign_thread(&service, &report, 2 * REQUESTS);
    assert_eq!(report.stopped::<R>().await, REQUESTS);
    closer.join().unwrap();
    assert_eq!(service.token().reason().unwrap().to_string(), "shutdown");
}

/// Some turns of work, then two parts at once, each with a scope of its own.
async fn request<R: Runtime>(token: CancelToken, report: Arc<Report>) -> Result<(), Cancelled> {
    for _ in 0..3 {
        token.cancelled().until(R::sleep(SHORT)).await.unwrap_err();
        token.run_until_cancelled(R::sleep(SHORT)).await?;
    }
    assert!(token.value::<Id>().unwrap().0 < REQUESTS);
    let parts = [token.child(), token.child()];
    let [one, other] = parts.each_ref().map(|part| {
        report.waiting.add(1).unwrap();
        part.token().run_until_cancelled(pending::<()>())
    });
    let (one, other) = futures_util::join!(one, other);
    assert!(one.is_err() && other.is_err());
    assert!(parts.iter().all(|part| part.token().reason().unwrap().to_string() == "shutdown"));
    token.check()
}

/// When all are at their last wait.
fn cancel_from_a_foreign_thread(
    scope: &CancelScope,
    report: &Arc<Report>,
    waiting: usize,
) -> thread::JoinHandle<()> {
    let (canceller, report) = (scope.canceller(), Arc::clone(report));
    thread::spawn(move || {
        while report.waiting.count() < waiting {
            thread::yield_now();
        }
        canceller.cancel_with("shutdown").unwrap();
    })
}

/// S2.10: a child is stopped by its own scope.
async fn one_request_is_stopped_and_no_other<R: Runtime>(runtime: &R) {
    let service = CancelScope::new();
    let report = Arc::new(Report::default());
    let scopes: Vec<_> = (0..REQUESTS).map(|_| service.token().child()).collect();
    for scope in &scopes {
        let wait = scope.token().clone().cancelled_owned();
        let token = scope.token().clone();
        report.spawn(runtime, async move {
            wait.await;
            token.check()
        });
    }
    assert!(scopes[2].cancel());
    while report.tasks.count() == REQUESTS {
        R::sleep(SHORT).await;
    }
    let unfinished = report.tasks.wait().until(R::sleep(SHORT)).await.unwrap_err();
    assert_eq!(unfinished.left, REQUESTS - 1);
    assert!(!service.token().is_cancelled());
    drop(service);
    assert_eq!(report.stopped::<R>().await, REQUESTS);
    let reasons = scopes.iter().map(|scope| scope.token().reason().unwrap());
    assert_eq!(reasons.filter(|why| matches!(why, Reason::Dropped)).count(), REQUESTS - 1);
}

/// S2.15: one failing request makes its siblings fail.
async fn a_failure_stops_the_siblings<R: Runtime>(runtime: &R) {
    let scope = CancelScope::new();
    let report = Arc::new(Report::default());
    for id in 0..REQUESTS {
        let (token, fail) = (scope.token().clone(), scope.canceller());
        report.spawn(runtime, async move {
            let work = async {
                R::sleep(SHORT).await;
                if id == 4 {
                    fail.cancel_with("request 4 failed").unwrap();
                }
                pending::<()>().await;
            };
            work.until(&token).await
        });
    }
    assert_eq!(report.stopped::<R>().await, REQUESTS);
    assert_eq!(scope.token().check().unwrap_err().to_string(), "request 4 failed");
}

/// S2.6, S2.13: driven beside the work, or by a task of its own, which ends in any case.
async fn a_deadline_stops_a_request<R: Runtime>(runtime: &R) {
    let service = CancelScope::new();
    let (short, expiry) = service.token().child_until(Instant::now() + SHORT, R::sleep(SHORT));
    let stopped = pending::<()>().until(expiry).await.unwrap_err();
    assert!(matches!(stopped.reason(), Reason::Deadline));
    assert!(short.token().is_cancelled() && !service.token().is_cancelled());
    let report = Arc::new(Report::default());
    for limit in [SHORT, LONG] {
        let (scope, expiry) = service.token().child_until(Instant::now() + limit, R::sleep(limit));
        report.spawn(runtime, async move { Err(expiry.await) });
        let token = scope.token().child().detach().token().clone();
        if limit == SHORT {
            token.cancelled().await;
            assert!(matches!(token.reason(), Some(Reason::Deadline)));
        }
        drop(scope);
    }
    assert_eq!(report.stopped::<R>().await, 2, "no timer is left behind");
}

/// "Hooks are reused": on an executor, across threads, with the wake that counts at the end.
async fn a_loop_selects_anew_in_each_turn<R: Runtime>(runtime: &R) {
    let service = CancelScope::new();
    let child = service.token().child();
    let report = Arc::new(Report::default());
    for _ in 0..REQUESTS {
        let token = child.token().clone();
        let waiting = Arc::clone(&report);
        report.spawn(runtime, async move {
            for turn in 0.. {
                let mut stop = token.cancelled();
                let mut work = if turn % 8 == 7 {
                    R::sleep(SHORT).boxed().fuse()
                } else {
                    yield_now().boxed().fuse()
                };
                futures_util::select! {
                    () = stop => break,
                    () = work => {}
                }
                if turn == 20 {
                    waiting.waiting.add(1).unwrap();
                }
            }
            token.check()
        });
    }
    let closer = cancel_from_a_foreign_thread(&service, &report, REQUESTS);
    assert_eq!(report.stopped::<R>().await, REQUESTS);
    closer.join().unwrap();
}

/// Lets others run.
async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|cx| {
        if core::mem::replace(&mut yielded, true) {
            return core::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        core::task::Poll::Pending
    })
    .await;
}

/// A stream that always has an item, and one that never has.
async fn streams_end_with_their_token<R: Runtime>(runtime: &R) {
    let scope = CancelScope::new();
    let report = Arc::new(Report::default());
    for busy in [true, false] {
        let (token, waiting) = (scope.token().clone(), Arc::clone(&report));
        report.spawn(runtime, async move {
            waiting.waiting.add(1).unwrap();
            if busy {
                let items = stream::iter(0_u64..).then(|item| async move {
                    yield_now().await;
                    item
                });
                StreamUntil::until(Box::pin(items), &token).for_each(|_| async {}).await;
            } else {
                let mut none = StreamUntil::until(stream::pending::<()>(), &token);
                assert_eq!(none.next().await, None);
            }
            token.check()
        });
    }
    let closer = cancel_from_a_foreign_thread(&scope, &report, 2);
    assert_eq!(report.stopped::<R>().await, 2);
    closer.join().unwrap();
}

/// Work, values and callbacks' captures that stay on one thread.
async fn local_scenario<R: LocalRuntime>(runtime: &R) {
    let service = CancelScope::new();
    let stopped = Rc::new(core::cell::Cell::new(0));
    let tasks = Rc::new(WaitGroup::new());
    let fail: Canceller = service.canceller();
    for id in 0..REQUESTS {
        let (stopped, fail) = (Rc::clone(&stopped), fail.clone());
        let scope = service.token().child();
        let guard = WaitGroup::guard_in(Rc::clone(&tasks));
        runtime.spawn_local(guard.track(async move {
            let work = async {
                R::sleep(SHORT).await;
                if id == 3 {
                    fail.cancel();
                }
                pending::<()>().await;
            };
            assert!(scope.token().run_until_cancelled(work).await.is_err());
            stopped.set(stopped.get() + 1);
        }));
    }
    tasks.wait().until(R::sleep(LONG)).await.expect("they were told to stop");
    assert_eq!((stopped.get(), Rc::strong_count(&tasks)), (REQUESTS, 1));
}

mod on_tokio {
    use tokio::runtime::{Builder, Runtime as Tokio};
    use tokio::task::LocalSet;

    use super::*;

    struct Spawner;

    impl Runtime for Spawner {
        fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            tokio::spawn(task);
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send + 'static {
            tokio::time::sleep(at_most)
        }
    }

    impl LocalRuntime for Spawner {
        fn spawn_local(&self, task: impl Future<Output = ()> + 'static) {
            tokio::task::spawn_local(task);
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + 'static {
            tokio::time::sleep(at_most)
        }
    }

    fn threads() -> Tokio {
        Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
    }

    fn thread() -> Tokio {
        Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn on_many_threads() {
        threads().block_on(scenario(&Spawner));
    }

    #[test]
    fn on_the_current_thread() {
        thread().block_on(scenario(&Spawner));
    }

    #[test]
    fn on_a_local_set() {
        thread().block_on(LocalSet::new().run_until(local_scenario(&Spawner)));
    }

    /// A runtime that goes drops its tasks wherever they are.
    #[test]
    fn a_runtime_that_goes_leaves_nothing_behind() {
        let service = CancelScope::new();
        let held = Arc::new(());
        let runtime = threads();
        for _ in 0..REQUESTS {
            let (token, held) =
                (service.token().child().detach().token().clone(), Arc::clone(&held));
            runtime.spawn(async move {
                let _held = held;
                loop {
                    tokio::select! {
                        () = token.cancelled() => break,
                        () = tokio::task::yield_now() => {}
                    }
                }
            });
        }
        drop(runtime);
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(service.cancel());
    }
}

mod on_smol {
    use super::*;

    struct Spawner;

    impl Runtime for Spawner {
        fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            smol::spawn(task).detach();
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send + 'static {
            FutureExt::map(smol::Timer::after(at_most), drop)
        }
    }

    struct Local(Rc<smol::LocalExecutor<'static>>);

    impl LocalRuntime for Local {
        fn spawn_local(&self, task: impl Future<Output = ()> + 'static) {
            self.0.spawn(task).detach();
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + 'static {
            FutureExt::map(smol::Timer::after(at_most), drop)
        }
    }

    #[test]
    fn on_its_global_executor() {
        smol::block_on(scenario(&Spawner));
    }

    #[test]
    fn on_a_local_executor() {
        let local = Local(Rc::default());
        let executor = Rc::clone(&local.0);
        smol::block_on(executor.run(local_scenario(&local)));
    }
}

mod on_async_std {
    use super::*;

    struct Spawner;

    impl Runtime for Spawner {
        fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            drop(async_std::task::spawn(task));
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send + 'static {
            async_std::task::sleep(at_most)
        }
    }

    #[test]
    fn on_its_executor() {
        async_std::task::block_on(scenario(&Spawner));
    }
}

/// An executor that brings no timer: any crate's will do.
fn timer(at_most: Duration) -> impl Future<Output = ()> + Send + 'static {
    FutureExt::map(async_io::Timer::after(at_most), drop)
}

mod on_futures_executor {
    use futures_executor::{LocalPool, LocalSpawner};
    use futures_util::task::{LocalSpawnExt as _, SpawnExt as _};

    use super::*;

    struct Pool(LocalSpawner);

    impl Runtime for Pool {
        fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            self.0.spawn(task).unwrap();
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send + 'static {
            timer(at_most)
        }
    }

    impl LocalRuntime for Pool {
        fn spawn_local(&self, task: impl Future<Output = ()> + 'static) {
            self.0.spawn_local(task).unwrap();
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + 'static {
            timer(at_most)
        }
    }

    #[test]
    fn on_a_pool_of_one_thread() {
        let mut pool = LocalPool::new();
        let spawner = Pool(pool.spawner());
        pool.run_until(scenario(&spawner));
    }

    #[test]
    fn with_tasks_that_stay() {
        let mut pool = LocalPool::new();
        let spawner = Pool(pool.spawner());
        pool.run_until(local_scenario(&spawner));
    }
}

mod on_pollster {
    use super::*;

    /// A thread for each task.
    struct Threads;

    impl Runtime for Threads {
        fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            thread::spawn(|| pollster::block_on(task));
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send + 'static {
            timer(at_most)
        }
    }

    #[test]
    fn on_threads() {
        pollster::block_on(scenario(&Threads));
    }
}
