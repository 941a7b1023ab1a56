use core::time::Duration;

use tokio::runtime::Builder;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../scenarios.rs"]
mod scenarios;

const FORGETS: Forgets = Forgets::Nothing;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap().block_on(main());
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    tokio::time::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    report.on("tokio, threads");
    scenarios::check(report);
    groups::check(report);
}
