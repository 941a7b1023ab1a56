//! Spawning tasks that a group tracks, and waiting until all are done.

use alloc::sync::Arc;
use core::future::Future;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;
use std::time::Instant;

use async_executor::Executor;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use winddown::{ErrGroup, TaskGroup};

use crate::harness::{Family, Scale, alone, cores};
use crate::results::FLOOR;

/// How many tasks one batch has.
const TASKS: usize = 10_000;

pub(crate) fn spawn_and_drain(scale: Scale) -> Family {
    let mut family = Family::new(
        "Spawn tracked tasks and drain",
        "ns per task",
        "10,000 tasks that end at their first poll. Timed: spawning them all, each tracked, and the \
         wait until the last has gone. Floor: a counter that the tasks count down, and one \
         notification by the last. A runtime is built for each batch, before the clock starts.",
    );
    let work = Work { tasks: scale.ops(TASKS), turns: 1 };
    let workers = |count| move || built(Builder::new_multi_thread().worker_threads(count));
    let column = family.column("tokio, current thread");
    on_tokio(&mut family, column, work, one_thread);
    let column = family.column("tokio, 2 workers");
    on_tokio(&mut family, column, work, workers(2));
    if cores() > 2 {
        let column = family.column(&format!("tokio, {} workers", cores()));
        on_tokio(&mut family, column, work, workers(cores()));
    }
    on_smol(&mut family, work);
    family
}

pub(crate) fn by_tasks(scale: Scale) -> Family {
    let mut family = Family::new(
        "Spawn tracked tasks and drain, by their number",
        "ns per task",
        "As above, on tokio's current thread. Few tasks are spawned and drained again and again.",
    )
    .along("tasks");
    for tasks in scale.decades(10, 1_000_000) {
        let column = family.column_of(tasks);
        family.makes(column, tasks);
        on_tokio(&mut family, column, Work { tasks, turns: (1000 / tasks).max(1) }, one_thread);
    }
    family
}

/// What one batch does.
#[derive(Clone, Copy)]
struct Work {
    tasks: usize,
    /// How often all of it is spawned and drained.
    turns: usize,
}

fn one_thread() -> Runtime {
    built(&mut Builder::new_current_thread())
}

fn built(builder: &mut Builder) -> Runtime {
    builder.build().expect("a runtime")
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

/// Its wait takes the group.
struct Waitgroup(Mutex<Option<waitgroup::WaitGroup>>);

impl Default for Waitgroup {
    fn default() -> Self {
        Self(Mutex::new(Some(waitgroup::WaitGroup::new())))
    }
}

impl Tracking for Waitgroup {
    const NAME: &'static str = "waitgroup";

    fn track(&self, index: usize) -> impl Future<Output = ()> + Send + 'static {
        let group = self.0.lock().expect("no panic inside");
        let worker = group.as_ref().expect("not drained").worker();
        async move {
            work(index).await;
            drop(worker);
        }
    }

    async fn drain(&self) {
        let group = self.0.lock().expect("no panic inside").take();
        group.expect("drained once").wait().await;
    }
}

/// The nanoseconds of one task.
async fn time<T: Tracking>(of: Work, spawn: impl Fn(&T, usize)) -> f64 {
    let mut spent = Duration::ZERO;
    for _ in 0..of.turns {
        let tracking = T::default();
        let begin = Instant::now();
        for index in 0..of.tasks {
            spawn(&tracking, index);
        }
        tracking.drain().await;
        spent += begin.elapsed();
    }
    spent.as_nanos() as f64 / (of.turns * of.tasks) as f64
}

fn on_tokio(
    family: &mut Family,
    column: usize,
    of: Work,
    make: impl Fn() -> Runtime + Copy + 'static,
) {
    tracked_on_tokio::<Counter>(family, column, of, make);
    tracked_on_tokio::<TaskGroup>(family, column, of, make);
    tracked_on_tokio::<ErrGroup<()>>(family, column, of, make);
    tracked_on_tokio::<TaskTracker>(family, column, of, make);
    tracked_on_tokio::<Waitgroup>(family, column, of, make);
    family.add("JoinSet", column, move || {
        let runtime = make();
        alone(|| runtime.block_on(join_set(of)))
    });
}

fn tracked_on_tokio<T: Tracking>(
    family: &mut Family,
    column: usize,
    of: Work,
    make: impl Fn() -> Runtime + 'static,
) {
    family.add(T::NAME, column, move || {
        let runtime = make();
        alone(|| {
            runtime.block_on(time::<T>(of, |tracking, index| {
                drop(tokio::spawn(tracking.track(index)));
            }))
        })
    });
}

async fn join_set(of: Work) -> f64 {
    let mut spent = Duration::ZERO;
    for _ in 0..of.turns {
        let mut set = JoinSet::new();
        let begin = Instant::now();
        for index in 0..of.tasks {
            set.spawn(work(index));
        }
        while set.join_next().await.is_some() {}
        spent += begin.elapsed();
    }
    spent.as_nanos() as f64 / (of.turns * of.tasks) as f64
}

fn on_smol(family: &mut Family, of: Work) {
    let column = family.column("smol, one thread");
    tracked_on_smol::<Counter>(family, column, of);
    tracked_on_smol::<TaskGroup>(family, column, of);
    tracked_on_smol::<ErrGroup<()>>(family, column, of);
    tracked_on_smol::<TaskTracker>(family, column, of);
    tracked_on_smol::<Waitgroup>(family, column, of);
}

fn tracked_on_smol<T: Tracking>(family: &mut Family, column: usize, of: Work) {
    family.add(T::NAME, column, move || {
        let executor = Executor::new();
        alone(|| {
            let timed = time::<T>(of, |tracking, index| {
                executor.spawn(tracking.track(index)).detach();
            });
            futures_lite::future::block_on(executor.run(timed))
        })
    });
}
