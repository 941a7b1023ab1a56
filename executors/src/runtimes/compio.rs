use core::time::Duration;

use compio::runtime::Runtime;

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
    Runtime::new().unwrap().block_on(async { main().await });
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    compio::runtime::spawn(task).detach();
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    compio::time::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    const NAME: &str = "compio";
    match Runtime::new() {
        Ok(runtime) => println!("{NAME} drives its I/O by {:?}", runtime.driver_type()),
        Err(reason) => return report.skip(NAME, reason),
    }
    report.on(NAME);
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
