//! Many tasks inside a group at once: counting them in, counting them out.

use alloc::sync::Arc;
use core::time::Duration;

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use winddown::{Guard, TaskGroup, TaskGuard, WaitGroup};

use crate::floors::Line;
use crate::harness::{Family, Scale, clock, on_main, parts};
use crate::results::FLOOR;

/// A group whose guards can be kept.
trait Held: 'static {
    const NAME: &'static str;
    type Guard;

    fn new() -> Self;
    fn enter(&self) -> Self::Guard;
}

pub(crate) fn held(scale: Scale) -> [Family; 2] {
    let mut families = [
        (
            "Enter tasks that stay",
            "Timed: counting so many tasks into one group and keeping their guards, in a vector that is \
             there already; one thread. Floor: a count of the group and one of its owners, and the \
             pointer kept.",
        ),
        (
            "Leave tasks that stayed",
            "Timed: dropping those guards, first made first; nobody waits. Floor: the two counts.",
        ),
    ]
    .map(|(title, what)| Family::new(title, "ns per task", what).along("tasks"));
    for tasks in scale.decades(10, 1_000_000) {
        add::<Counts>(&mut families, tasks, scale);
        add::<Arc<WaitGroup>>(&mut families, tasks, scale);
        add::<TaskGroup>(&mut families, tasks, scale);
        add::<TaskTracker>(&mut families, tasks, scale);
        add::<crossbeam_utils::sync::WaitGroup>(&mut families, tasks, scale);
        add::<waitgroup::WaitGroup>(&mut families, tasks, scale);
        add::<wg::WaitGroup>(&mut families, tasks, scale);
    }
    families
}

fn add<H: Held>(families: &mut [Family; 2], tasks: usize, scale: Scale) {
    let turns = (scale.ops(20_000) / tasks).max(1);
    let both = parts(move || {
        on_main(|| {
            let mut guards = Vec::with_capacity(tasks);
            // The first turn writes the vector's memory.
            stay::<H>(&mut guards, tasks);
            let mut spent = [Duration::ZERO; 2];
            for _ in 0..turns {
                let stayed = stay::<H>(&mut guards, tasks);
                stayed.into_iter().zip(&mut spent).for_each(|(it, sum)| *sum += it);
            }
            spent.map(|it| it.as_nanos() as f64 / (turns * tasks) as f64)
        })
    });
    for (family, batch) in families.iter_mut().zip(both) {
        let column = family.column_of(tasks);
        family.add(H::NAME, column, batch);
    }
}

fn stay<H: Held>(guards: &mut Vec<H::Guard>, tasks: usize) -> [Duration; 2] {
    let group = H::new();
    let entered = clock(|| guards.extend((0..tasks).map(|_| group.enter())));
    let left = clock(|| guards.clear());
    [entered, left]
}

struct Counts(Arc<Line>);

pub(crate) struct Counted(Arc<Line>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.down();
    }
}

impl Held for Counts {
    const NAME: &'static str = FLOOR;
    type Guard = Counted;

    fn new() -> Self {
        Self(Arc::default())
    }

    fn enter(&self) -> Counted {
        self.0.up();
        Counted(Arc::clone(&self.0))
    }
}

impl Held for Arc<WaitGroup> {
    const NAME: &'static str = "winddown WaitGroup, Arc";
    type Guard = Guard<Self>;

    fn new() -> Self {
        Self::default()
    }

    fn enter(&self) -> Self::Guard {
        WaitGroup::guard_in(Self::clone(self))
    }
}

impl Held for TaskGroup {
    const NAME: &'static str = "winddown TaskGroup";
    type Guard = TaskGuard;

    fn new() -> Self {
        Self::new()
    }

    fn enter(&self) -> TaskGuard {
        self.guard().expect("an open group")
    }
}

impl Held for TaskTracker {
    const NAME: &'static str = "TaskTracker";
    type Guard = TaskTrackerToken;

    fn new() -> Self {
        Self::new()
    }

    fn enter(&self) -> TaskTrackerToken {
        self.token()
    }
}

impl Held for crossbeam_utils::sync::WaitGroup {
    const NAME: &'static str = "crossbeam-utils";
    type Guard = Self;

    fn new() -> Self {
        Self::new()
    }

    fn enter(&self) -> Self {
        self.clone()
    }
}

impl Held for waitgroup::WaitGroup {
    const NAME: &'static str = "waitgroup";
    type Guard = waitgroup::Worker;

    fn new() -> Self {
        Self::new()
    }

    fn enter(&self) -> waitgroup::Worker {
        self.worker()
    }
}

/// Its `done` is a call; the drop of a handle counts nobody out.
pub(crate) struct Done(wg::WaitGroup);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl Held for wg::WaitGroup {
    const NAME: &'static str = "wg";
    type Guard = Done;

    fn new() -> Self {
        Self::new()
    }

    fn enter(&self) -> Done {
        Done(self.add(1))
    }
}
