use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

/// When a runtime goes, the tasks that wait are owned by their wakers, and a wake is then their end. Its
/// timer is different: that is owned by whoever sleeps, and wakes nobody any more.
const FORGETS: Forgets = Forgets::WhatSleeps("a runtime that goes leaks the tasks that sleep");

static ON_URING: AtomicBool = AtomicBool::new(false);

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    let main = async { main().await };
    if ON_URING.load(Ordering::Relaxed) {
        let builder = RuntimeBuilder::<IoUringDriver>::new().enable_timer();
        builder.build().unwrap().block_on(main);
    } else {
        let builder = RuntimeBuilder::<LegacyDriver>::new().enable_timer();
        builder.build().unwrap().block_on(main);
    }
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    monoio::spawn(task);
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    monoio::time::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    const URING: &str = "monoio on io_uring";
    match super::uring() {
        Ok(()) => check_on(report, URING, true),
        Err(reason) => report.skip(URING, format_args!("no io_uring here: {reason}")),
    }
    check_on(report, "monoio on epoll", false);
}

fn check_on(report: &mut Report, name: &'static str, uring: bool) {
    ON_URING.store(uring, Ordering::Relaxed);
    report.on(name);
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
