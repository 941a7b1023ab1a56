//! Entering and leaving a group.

use alloc::sync::Arc;
use core::hint::black_box;

use crossbeam_utils::sync::WaitGroup as Crossbeam;
use tokio_util::task::TaskTracker;
use winddown::{TaskGroup, WaitGroup};

use crate::floors::Line;
use crate::harness::{FLOOR, Family, Scale, contend};

pub(crate) fn enter_and_leave(scale: Scale) -> Family {
    let mut family = Family::new(
        "Enter and leave a group",
        "ns per enter and leave",
        "All threads use one group; nobody waits. Timed: a loop that counts one piece of work in \
         and out again, each contender by its own guard. `winddown` stands in the group by \
         reference (`guard`), `winddown Arc` holds a pointer to it in each guard as the others do \
         (`guard_in`). `TaskGroup` also has a door; `TaskGroup child` is one level below another; \
         threads that contend for either come to count on a line for each core. Floor: two \
         read-modify-writes of one word; `own line` is those on a line for each thread.",
    );
    for threads in [1, 2, 4, 8, 16] {
        column(&mut family, threads, scale);
    }
    family
}

/// What `make` gives is shared by the threads and made anew for each batch; `turn` is what a thread
/// repeats.
fn add<G: Sync>(
    family: &mut Family,
    contender: &'static str,
    threads: usize,
    scale: Scale,
    make: impl Fn() -> G + 'static,
    turn: impl Fn(&G) + Sync + 'static,
) {
    let plural = if threads == 1 { "" } else { "s" };
    let column = family.column(&format!("{threads} thread{plural}"));
    // About as much work in all, so that threads which share a core still meet.
    let ops = scale.ops(if threads <= 2 { 50_000 } else { 200_000 / threads });
    family.add(contender, column, move || {
        let group = make();
        contend(threads, ops, |gate, ops| gate.time(ops, || turn(&group)))
    });
}

fn child() -> (TaskGroup, TaskGroup) {
    let parent = TaskGroup::new();
    let child = parent.child().expect("an open group");
    (parent, child)
}

fn column(family: &mut Family, threads: usize, scale: Scale) {
    add(family, FLOOR, threads, scale, || Box::new(Line::default()), |line| line.two_rmws());
    own_line(family, threads, scale);
    add(family, "winddown", threads, scale, Box::<WaitGroup>::default, |group| {
        drop(black_box(group.guard()));
    });
    add(family, "winddown Arc", threads, scale, Arc::<WaitGroup>::default, |group| {
        drop(black_box(WaitGroup::guard_in(Arc::clone(group))));
    });
    add(family, "winddown TaskGroup", threads, scale, TaskGroup::new, |group| {
        drop(black_box(group.guard()));
    });
    add(family, "winddown TaskGroup child", threads, scale, child, |(_, group)| {
        drop(black_box(group.guard()));
    });
    add(family, "TaskTracker", threads, scale, TaskTracker::new, |tracker| {
        drop(black_box(tracker.token()));
    });
    add(family, "crossbeam-utils", threads, scale, Crossbeam::new, |group| {
        drop(black_box(group.clone()));
    });
    add(family, "waitgroup", threads, scale, waitgroup::WaitGroup::new, |group| {
        drop(black_box(group.worker()));
    });
    add(family, "wg", threads, scale, wg::WaitGroup::new, |group| {
        black_box(group.add(1)).done();
    });
    add(family, "wg (future)", threads, scale, wg::future::WaitGroup::new, |group| {
        black_box(group.add(1)).done();
    });
}

/// What a count that is never shared costs.
fn own_line(family: &mut Family, threads: usize, scale: Scale) {
    std::thread_local! {
        static LINE: Line = Line::default();
    }
    add(family, "own line", threads, scale, || (), |()| LINE.with(Line::two_rmws));
}
