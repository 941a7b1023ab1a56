use core::cell::RefCell;
use core::time::Duration;

use futures_executor::{LocalPool, LocalSpawner};
use futures_util::FutureExt as _;
use futures_util::task::LocalSpawnExt as _;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

const FORGETS: Forgets = Forgets::Nothing;

thread_local! {
    static CURRENT: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
}

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    let mut pool = LocalPool::new();
    CURRENT.set(Some(pool.spawner()));
    pool.run_until(async { main().await });
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    CURRENT.with_borrow(|pool| pool.as_ref().unwrap().spawn_local(task).unwrap());
}

/// It has no timer: any crate's will do.
fn sleep(time: Duration) -> impl Future<Output = ()> {
    async_io::Timer::after(time).map(drop)
}

pub(super) fn check(report: &mut Report) {
    report.on("futures-executor, a LocalPool");
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
