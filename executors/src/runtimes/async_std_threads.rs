use core::time::Duration;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../scenarios.rs"]
mod scenarios;

/// Its threads are for ever.
const FORGETS: Forgets = Forgets::Nothing;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    async_std::task::block_on(main());
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(async_std::task::spawn(task));
}

fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    async_std::task::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    report.on("async-std, threads");
    scenarios::check(report);
    groups::check(report);
}
