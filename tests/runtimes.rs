//! One scenario on every executor: workers that are counted and told to stop, timers of the runtime
//! as limits, abandoned waits, wakers from foreign threads, `select!` without a pin.

#![cfg(not(loom))]

use core::future::Future;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;

use futures_util::future::{FutureExt as _, ready};
use winddown::future::Wait;
use winddown::{Signal, WaitGroup};

const SHORT: Duration = Duration::from_millis(1);
/// Comes only if the scenario hangs.
const LONG: Duration = Duration::from_secs(60);
const WORKERS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Asked,
}

/// What a scenario needs of an executor.
trait Runtime: 'static {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
    fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send;
}

/// The same for tasks that stay on their thread.
trait LocalRuntime: 'static {
    fn spawn_local(&self, task: impl Future<Output = ()> + 'static);
    fn sleep(at_most: Duration) -> impl Future<Output = ()>;
}

/// Stops workers from a foreign thread, and waits for them.
async fn scenario<R: Runtime>(runtime: &R) {
    let service = Arc::new(Service::default());
    for _ in 0..WORKERS {
        let guard = WaitGroup::guard_in(Arc::clone(&service.tasks));
        runtime.spawn(guard.track(work::<R>(Arc::clone(&service))));
    }
    abandoned_waits(&service).await;
    let unfinished = service.tasks.wait().until(R::sleep(SHORT)).await.unwrap_err();
    assert_eq!(unfinished.left, WORKERS);
    let closer = close_from_a_foreign_thread(&service);
    service.tasks.wait().until(R::sleep(LONG)).await.expect("they were told to stop");
    assert_eq!(service.stopped.load(Ordering::Relaxed), WORKERS);
    closer.join().unwrap();
    selects_without_a_pin::<R>(runtime).await;
    many_rounds(runtime).await;
}

#[derive(Default)]
struct Service {
    tasks: Arc<WaitGroup>,
    ready: WaitGroup,
    stop: Signal<Why>,
    stopped: AtomicUsize,
}

async fn work<R: Runtime>(service: Arc<Service>) {
    // A turn of work, and then another: each gives up its wait for the stop.
    for _ in 0..3 {
        service.stop.closed().until(R::sleep(SHORT)).await.unwrap_err();
    }
    service.ready.add(1).unwrap();
    assert_eq!(service.stop.value().await, &Why::Asked);
    service.stopped.fetch_add(1, Ordering::Relaxed);
}

/// Parked and dropped, also while others are parked.
async fn abandoned_waits(service: &Service) {
    for _ in 0..100 {
        let unfinished = service.tasks.wait().until(ready('x')).await.unwrap_err();
        assert_eq!((unfinished.left, unfinished.by), (WORKERS, 'x'));
        assert!(service.stop.value().now_or_never().is_none());
    }
}

/// When all workers are at their last wait.
fn close_from_a_foreign_thread(service: &Arc<Service>) -> thread::JoinHandle<()> {
    let service = Arc::clone(service);
    thread::spawn(move || {
        while service.ready.count() < WORKERS {
            thread::yield_now();
        }
        assert_eq!(service.stop.close_with(Why::Asked), Ok(()));
    })
}

/// `futures::select!` takes waits by `&mut`, without a pin, and in a loop.
async fn selects_without_a_pin<R: Runtime>(runtime: &R) {
    let (group, stop) = (Arc::new(WaitGroup::new()), Arc::new(Signal::new()));
    let guard = WaitGroup::guard_in(Arc::clone(&group));
    runtime.spawn(guard.track(Signal::closed_in(Arc::clone(&stop))));
    let mut idle: Wait<Arc<WaitGroup>> = WaitGroup::wait_in(Arc::clone(&group));
    let mut told = stop.closed();
    let mut turns = 0;
    loop {
        futures_util::select! {
            () = idle => break,
            () = told => continue,
            () = Box::pin(R::sleep(SHORT)).fuse() => {
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

/// The group is used again at once, and each round is waited for.
async fn many_rounds<R: Runtime>(runtime: &R) {
    let group = Arc::new(WaitGroup::new());
    let finished = Arc::new(AtomicUsize::new(0));
    for round in 1..=50 {
        for _ in 0..4 {
            let (guard, finished) =
                (WaitGroup::guard_in(Arc::clone(&group)), Arc::clone(&finished));
            runtime.spawn(async move {
                let _guard = guard;
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        group.wait().until(R::sleep(LONG)).await.expect("they have nothing to wait for");
        assert_eq!(finished.load(Ordering::Relaxed), 4 * round);
    }
}

/// Guards, signals and values that stay on one thread.
async fn local_scenario<R: LocalRuntime>(runtime: &R) {
    let group = Rc::new(WaitGroup::new());
    let stop = Rc::new(Signal::<Rc<str>>::typed());
    let log = Rc::new(Mutex::new(Vec::new()));
    for _ in 0..WORKERS {
        let (stop, log) = (Rc::clone(&stop), Rc::clone(&log));
        let task = WaitGroup::guard_in(Rc::clone(&group)).track(async move {
            let why = Rc::clone(stop.value().await);
            log.lock().unwrap().push(why);
        });
        runtime.spawn_local(task);
    }
    let unfinished =
        WaitGroup::wait_in(Rc::clone(&group)).until(R::sleep(SHORT)).await.unwrap_err();
    assert_eq!(unfinished.left, WORKERS);
    stop.close_with(Rc::from("enough")).unwrap();
    group.wait().until(R::sleep(LONG)).await.expect("they were told to stop");
    assert_eq!(Rc::strong_count(&group), 1, "the guards gave their pointers back");
    assert!(log.lock().unwrap().iter().map(|why| &**why).eq(["enough"; WORKERS]));
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

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send {
            tokio::time::sleep(at_most)
        }
    }

    impl LocalRuntime for Spawner {
        fn spawn_local(&self, task: impl Future<Output = ()> + 'static) {
            tokio::task::spawn_local(task);
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> {
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

    #[test]
    fn select_takes_a_wait_by_reference_and_without_a_pin() {
        thread().block_on(select());
        threads().block_on(select());
    }

    async fn select() {
        struct Worker {
            stop: winddown::future::WaitClosed<Arc<Signal>>,
            idle: Wait<Arc<WaitGroup>>,
        }
        let (group, stop) = (Arc::new(WaitGroup::new()), Arc::new(Signal::new()));
        let guard = WaitGroup::guard_in(Arc::clone(&group));
        let mut worker = Worker {
            stop: Signal::closed_in(Arc::clone(&stop)),
            idle: WaitGroup::wait_in(Arc::clone(&group)),
        };
        let mut guard = Some(guard);
        let mut turns = 0;
        while guard.is_some() {
            tokio::select! {
                () = &mut worker.idle => unreachable!("a guard is out"),
                () = &mut worker.stop => drop(guard.take()),
                () = tokio::time::sleep(SHORT) => {
                    turns += 1;
                    if turns == 3 {
                        assert!(stop.close());
                    }
                }
            }
        }
        tokio::select! {
            biased;
            () = &mut worker.idle => {}
            () = ready(()) => unreachable!("it is idle"),
        }
        assert!(turns >= 3);
    }
}

mod on_smol {
    use super::*;

    struct Spawner;

    impl Runtime for Spawner {
        fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            smol::spawn(task).detach();
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send {
            smol::Timer::after(at_most).map(drop)
        }
    }

    struct Local(Rc<smol::LocalExecutor<'static>>);

    impl LocalRuntime for Local {
        fn spawn_local(&self, task: impl Future<Output = ()> + 'static) {
            self.0.spawn(task).detach();
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> {
            smol::Timer::after(at_most).map(drop)
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

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send {
            async_std::task::sleep(at_most)
        }
    }

    #[test]
    fn on_its_executor() {
        async_std::task::block_on(scenario(&Spawner));
    }
}

/// An executor that brings no timer: any crate's will do.
fn timer(at_most: Duration) -> impl Future<Output = ()> + Send {
    async_io::Timer::after(at_most).map(drop)
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

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send {
            timer(at_most)
        }
    }

    impl LocalRuntime for Pool {
        fn spawn_local(&self, task: impl Future<Output = ()> + 'static) {
            self.0.spawn_local(task).unwrap();
        }

        fn sleep(at_most: Duration) -> impl Future<Output = ()> {
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

        fn sleep(at_most: Duration) -> impl Future<Output = ()> + Send {
            timer(at_most)
        }
    }

    #[test]
    fn on_threads() {
        pollster::block_on(scenario(&Threads));
    }
}
