use core::time::Duration;

use monoio::{IoUringDriver, RuntimeBuilder};

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

/// When a runtime goes, the tasks that wait are owned by their wakers, and so by themselves.
const FORGETS: Forgets = Forgets::WhatWaits;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    let builder = RuntimeBuilder::<IoUringDriver>::new().enable_timer();
    builder.build().unwrap().block_on(async { main().await });
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    monoio::spawn(task);
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    monoio::time::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    const NAME: &str = "monoio on io_uring";
    if let Err(reason) = super::uring() {
        return report.skip(NAME, format_args!("no io_uring here: {reason}"));
    }
    report.on(NAME);
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
