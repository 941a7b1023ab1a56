//! Spawning tasks that a group tracks, and waiting until all are done.

use alloc::sync::Arc;
use core::future::Future;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_executor::Executor;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use winddown::{ErrGroup, TaskGroup};

use crate::harness::{FLOOR, Family, Scale, alone};

/// How many tasks one batch has.
const TASKS: usize = 10_000;

pub(crate) fn spawn_and_drain(scale: Scale) -> Family {
    let mut family = Family::new(
        "Spawn tracked tasks and drain",
        "ns per task",
        "10,000 tasks that end at their first poll. Timed: spawning them all, each tracked, and the \
         wait until the last has gone. Floor: a counter that the tasks count down, and one \
         notification by the last.",
    );
    let tasks = scale.ops(TASKS);
    on_tokio(&mut family, "tokio, current thread", tasks, Builder::new_current_thread);
    on_tokio(&mut family, "tokio, 2 workers", tasks, || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        builder
    });
    on_smol(&mut family, tasks);
    family
}

/// Spawns `tasks` futures and waits for them, by some way to count them.
trait Tracking: Default + Send + 'static {
    const NAME: &'static str;

    fn track(&self, index: usize) -> impl Future<Output = ()> + Send + 'static;

    fn drain(&self) -> impl Future<Output = ()>;
}

async fn work(index: usize) {
    black_box(index);
}

#[derive(Default)]
struct Counter(Arc<(AtomicUsize, Notify)>);

impl Tracking for Counter {
    const NAME: &'static str = FLOOR;

    fn track(&self, index: usize) -> impl Future<Output = ()> + Send + 'static {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        let counter = Arc::clone(&self.0);
        async move {
            work(index).await;
            if counter.0.fetch_sub(1, Ordering::AcqRel) == 1 {
                counter.1.notify_one();
            }
        }
    }

    async fn drain(&self) {
        while self.0.0.load(Ordering::Acquire) > 0 {
            self.0.1.notified().await;
        }
    }
}

impl Tracking for TaskGroup {
    const NAME: &'static str = "winddown TaskGroup";

    fn track(&self, index: usize) -> impl Future<Output = ()> + Send + 'static {
        self.track(work(index)).expect("an open group")
    }

    async fn drain(&self) {
        self.join().await;
    }
}

impl Tracking for ErrGroup<()> {
    const NAME: &'static str = "winddown ErrGroup";

    fn track(&self, index: usize) -> impl Future<Output = ()> + Send + 'static {
        let fallible = async move {
            work(index).await;
            Ok(())
        };
        self.try_track(fallible).expect("an open group")
    }

    async fn drain(&self) {
        self.join().await.expect("no task fails");
    }
}

impl Tracking for TaskTracker {
    const NAME: &'static str = "TaskTracker";

    fn track(&self, index: usize) -> impl Future<Output = ()> + Send + 'static {
        self.track_future(work(index))
    }

    async fn drain(&self) {
        self.close();
        self.wait().await;
    }
}

/// The nanoseconds of one task.
async fn time<T: Tracking>(tasks: usize, spawn: impl Fn(&T, usize)) -> f64 {
    let tracking = T::default();
    let begin = Instant::now();
    for index in 0..tasks {
        spawn(&tracking, index);
    }
    tracking.drain().await;
    begin.elapsed().as_nanos() as f64 / tasks as f64
}

fn on_tokio(family: &mut Family, heading: &str, tasks: usize, make: fn() -> Builder) {
    let column = family.column(heading);
    tracked_on_tokio::<Counter>(family, column, tasks, make);
    tracked_on_tokio::<TaskGroup>(family, column, tasks, make);
    tracked_on_tokio::<ErrGroup<()>>(family, column, tasks, make);
    tracked_on_tokio::<TaskTracker>(family, column, tasks, make);
    family.add("JoinSet", column, move || {
        let runtime = built(make);
        alone(|| runtime.block_on(join_set(tasks)))
    });
}

fn built(make: fn() -> Builder) -> Runtime {
    make().build().expect("a runtime")
}

fn tracked_on_tokio<T: Tracking>(
    family: &mut Family,
    column: usize,
    tasks: usize,
    make: fn() -> Builder,
) {
    family.add(T::NAME, column, move || {
        let runtime = built(make);
        alone(|| {
            runtime.block_on(time::<T>(tasks, |tracking, index| {
                drop(tokio::spawn(tracking.track(index)));
            }))
        })
    });
}

async fn join_set(tasks: usize) -> f64 {
    let mut set = JoinSet::new();
    let begin = Instant::now();
    for index in 0..tasks {
        set.spawn(work(index));
    }
    while set.join_next().await.is_some() {}
    begin.elapsed().as_nanos() as f64 / tasks as f64
}

fn on_smol(family: &mut Family, tasks: usize) {
    let column = family.column("smol, one thread");
    tracked_on_smol::<Counter>(family, column, tasks);
    tracked_on_smol::<TaskGroup>(family, column, tasks);
    tracked_on_smol::<ErrGroup<()>>(family, column, tasks);
    tracked_on_smol::<TaskTracker>(family, column, tasks);
}

fn tracked_on_smol<T: Tracking>(family: &mut Family, column: usize, tasks: usize) {
    family.add(T::NAME, column, move || {
        let executor = Executor::new();
        alone(|| {
            let timed = time::<T>(tasks, |tracking, index| {
                executor.spawn(tracking.track(index)).detach();
            });
            futures_lite::future::block_on(executor.run(timed))
        })
    });
}
