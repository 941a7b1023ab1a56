use core::cell::RefCell;
use core::time::Duration;

use futures_executor::{ThreadPool, block_on};
use futures_util::FutureExt as _;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../scenarios.rs"]
mod scenarios;

const FORGETS: Forgets = Forgets::Nothing;

thread_local! {
    static CURRENT: RefCell<Option<ThreadPool>> = const { RefCell::new(None) };
}

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    CURRENT.set(Some(ThreadPool::builder().pool_size(2).create().unwrap()));
    block_on(main());
    CURRENT.take();
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    CURRENT.with_borrow(|pool| pool.as_ref().unwrap().spawn_ok(task));
}

/// It has no timer: any crate's will do.
fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    async_io::Timer::after(time).map(drop)
}

pub(super) fn check(report: &mut Report) {
    report.on("futures-executor, a ThreadPool");
    scenarios::check(report);
    groups::check(report);
}
