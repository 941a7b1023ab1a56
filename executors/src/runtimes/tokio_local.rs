use core::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

const FORGETS: Forgets = Forgets::Nothing;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(async { main().await }));
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(task);
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    tokio::time::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    report.on("tokio, a LocalSet");
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
