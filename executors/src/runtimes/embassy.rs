use core::cell::Cell;
use core::pin::Pin;
use core::time::Duration;
use std::rc::Rc;

use embassy_executor::{Executor, Spawner};
use embassy_time::Timer;

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../local.rs"]
mod local;
#[path = "../scenarios.rs"]
mod scenarios;

/// Its tasks are statics: nobody but their executor drops them.
const FORGETS: Forgets = Forgets::NothingWhenItRunsAgain;

thread_local! {
    static EXECUTOR: *mut Executor = Box::leak(Box::new(Executor::new()));
    static CURRENT: Cell<Option<Spawner>> = const { Cell::new(None) };
}

/// Its tasks cannot be generic.
#[embassy_executor::task(pool_size = 512)]
async fn erased(task: Pin<Box<dyn Future<Output = ()>>>) {
    task.await;
}

fn run<F: Future<Output = ()> + 'static>(main: impl FnOnce() -> F + 'static) {
    let done = Rc::new(Cell::new(false));
    let is_done = Rc::clone(&done);
    // SAFETY: it is leaked, it is this thread's, and what borrowed it before has returned.
    let executor = EXECUTOR.with(|it| unsafe { &mut **it });
    executor.run_until(
        |spawner| {
            CURRENT.set(Some(spawner));
            spawn(async move {
                main().await;
                done.set(true);
            });
        },
        || is_done.get(),
    );
}

fn spawn(task: impl Future<Output = ()> + 'static) {
    let task = erased(Box::pin(task)).expect("room in the pool");
    CURRENT.get().expect("a running executor").spawn(task);
}

fn sleep(time: Duration) -> impl Future<Output = ()> {
    Timer::after(time.try_into().unwrap())
}

pub(super) fn check(report: &mut Report) {
    report.on("embassy-executor on std");
    scenarios::check(report);
    groups::check(report);
    local::check(report);
}
