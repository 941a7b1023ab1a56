use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use futures_util::FutureExt as _;
use smol::LocalExecutor;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

/// Its drop wakes all tasks and empties the queue; one that a foreign thread is about to put there
/// stays there.
const FORGETS: Forgets =
    Forgets::WhatIsWokenMeanwhile("an executor leaks tasks that are woken while it goes");

thread_local! {
    static CURRENT: RefCell<Rc<LocalExecutor<'static>>> = RefCell::default();
}

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    let executor = CURRENT.with_borrow(Rc::clone);
    smol::block_on(executor.run(async { main().await }));
    drop(executor);
    CURRENT.take();
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    CURRENT.with_borrow(|executor| executor.spawn(task).detach());
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    smol::Timer::after(time).map(drop)
}

pub(super) fn check(report: &mut Report) {
    report.on("smol, a LocalExecutor");
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
