use core::time::Duration;

use glommio::LocalExecutorBuilder;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

/// A task owns the queue of the wakes that come from other threads, and that owns the task.
const FORGETS: Forgets = Forgets::WhatWaits("an executor that goes leaks the tasks that wait");

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    LocalExecutorBuilder::default().make().unwrap().run(main());
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(task).detach();
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    glommio::timer::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    const NAME: &str = "glommio";
    // First the kernel: without io_uring, glommio panics.
    if let Err(reason) = super::uring() {
        return report.skip(NAME, format_args!("no io_uring here: {reason}"));
    }
    if let Err(reason) = LocalExecutorBuilder::default().make() {
        return report.skip(NAME, reason);
    }
    report.on(NAME);
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
