use core::time::Duration;

use futures_util::FutureExt as _;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../scenarios.rs"]
mod scenarios;

/// Its threads are for ever.
const FORGETS: Forgets = Forgets::Nothing;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    smol::block_on(main());
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    smol::spawn(task).detach();
}

fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    smol::Timer::after(time).map(drop)
}

pub(super) fn check(report: &mut Report) {
    report.on("smol, threads");
    scenarios::check(report);
    groups::check(report);
}
