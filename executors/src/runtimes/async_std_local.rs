use core::time::Duration;
use std::thread;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

/// What goes is the thread, with smol's executor in it.
const FORGETS: Forgets =
    Forgets::WhatIsWokenMeanwhile("a thread leaks tasks that are woken while it goes");

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F + Send) {
    thread::scope(|scope| scope.spawn(|| async_std::task::block_on(main())).join().unwrap());
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
