use core::time::Duration;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

/// Its tasks are the thread's, and run only while that blocks on one of them.
const FORGETS: Forgets = Forgets::WhatWaits;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    async_std::task::block_on(main());
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    drop(async_std::task::spawn_local(task));
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    async_std::task::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    report.on("async-std, spawn_local");
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
