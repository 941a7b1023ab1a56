use core::time::Duration;
use std::thread;

use futures_util::FutureExt as _;
use pollster::block_on;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../scenarios.rs"]
mod scenarios;

/// A thread that blocks for each task, and no runtime that could go.
const FORGETS: Forgets = Forgets::Nothing;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    block_on(main());
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(|| block_on(task));
}

/// It has no timer: any crate's will do.
fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    async_io::Timer::after(time).map(drop)
}

pub(super) fn check(report: &mut Report) {
    report.on("pollster, a thread for each task");
    scenarios::check(report);
    groups::check(report);
}
