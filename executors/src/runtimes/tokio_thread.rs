use core::future::ready;
use core::time::Duration;
use std::sync::Arc;

use tokio::runtime::Builder;
use winddown::future::{Wait, WaitClosed};
use winddown::{Signal, WaitGroup};

use super::Forgets;
use crate::report::Report;

#[path = "../groups.rs"]
mod groups;
#[path = "../scenarios.rs"]
mod scenarios;

const FORGETS: Forgets = Forgets::Nothing;

fn run<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    Builder::new_current_thread().enable_time().build().unwrap().block_on(main());
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    tokio::time::sleep(time)
}

pub(super) fn check(report: &mut Report) {
    report.on("tokio, the current thread");
    scenarios::check(report);
    groups::check(report);
    crate::report::check!(report: select_takes_fields_by_reference_and_without_a_pin,);
}

struct Worker {
    stop: WaitClosed<Arc<Signal>>,
    idle: Wait<Arc<WaitGroup>>,
}

/// tokio's own `select!`.
async fn select_takes_fields_by_reference_and_without_a_pin() {
    let (group, stop) = (Arc::new(WaitGroup::new()), Arc::new(Signal::new()));
    let mut guard = Some(WaitGroup::guard_in(Arc::clone(&group)));
    let mut worker = Worker {
        stop: Signal::closed_in(Arc::clone(&stop)),
        idle: WaitGroup::wait_in(Arc::clone(&group)),
    };
    let mut turns = 0;
    while guard.is_some() {
        tokio::select! {
            () = &mut worker.idle => unreachable!("a guard is out"),
            () = &mut worker.stop => drop(guard.take()),
            () = sleep(Duration::from_millis(1)) => {
                turns += 1;
                if turns == 3 {
                    assert!(stop.close());
                }
            }
        }
    }
    tokio::select! {
        biased;
        () = &mut worker.idle => {}
        () = ready(()) => unreachable!("it is idle"),
    }
    assert!(turns >= 3);
}
