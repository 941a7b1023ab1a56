//! What runtimes must do that take tasks which stay on their thread.

use core::cell::{Cell, RefCell};
use core::future::pending;
use core::time::Duration;
use std::rc::Rc;

use winddown::{CancelScope, Canceller, Signal, TaskGroup, WaitGroup};

use super::{run, sleep, spawn};
use crate::report::Report;

const SHORT: Duration = Duration::from_millis(1);
const TASKS: usize = 6;

pub(super) fn check(report: &mut Report) {
    crate::report::check!(report:
        guards_and_values_may_stay_on_their_thread,
        cancelled_work_may_stay_on_its_thread,
        a_group_tracks_what_stays_on_its_thread,
    );
}

/// Rules 3, 6: nothing in here is `Send`.
async fn guards_and_values_may_stay_on_their_thread() {
    let group = Rc::new(WaitGroup::new());
    let stop = Rc::new(Signal::<Rc<str>>::typed());
    let log = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..TASKS {
        let (stop, log) = (Rc::clone(&stop), Rc::clone(&log));
        let task = WaitGroup::guard_in(Rc::clone(&group)).track(async move {
            let why = Rc::clone(stop.value().await);
            log.borrow_mut().push(why);
        });
        spawn(task);
    }
    let unfinished = WaitGroup::wait_in(Rc::clone(&group)).until(sleep(SHORT)).await.unwrap_err();
    assert_eq!(unfinished.left, TASKS);
    stop.close_with(Rc::from("enough")).unwrap();
    group.wait().await;
    assert_eq!(Rc::strong_count(&group), 1, "the guards gave their pointers back");
    assert!(log.borrow().iter().map(|why| &**why).eq(["enough"; TASKS]));
}

/// Rules 8, 12: what a cancelled task holds is dropped on its thread.
async fn cancelled_work_may_stay_on_its_thread() {
    let service = CancelScope::new();
    let stopped = Rc::new(Cell::new(0));
    let tasks = Rc::new(WaitGroup::new());
    let fail: Canceller = service.canceller();
    for id in 0..TASKS {
        let (stopped, fail) = (Rc::clone(&stopped), fail.clone());
        let scope = service.token().child();
        let guard = WaitGroup::guard_in(Rc::clone(&tasks));
        spawn(guard.track(async move {
            let work = async {
                sleep(SHORT).await;
                if id == 3 {
                    fail.cancel();
                }
                pending::<()>().await;
            };
            assert!(scope.token().run_until_cancelled(work).await.is_err());
            stopped.set(stopped.get() + 1);
        }));
    }
    tasks.wait().await;
    assert_eq!((stopped.get(), Rc::strong_count(&tasks)), (TASKS, 1));
}

/// Rule 2: the group goes anywhere, what its tasks hold does not.
async fn a_group_tracks_what_stays_on_its_thread() {
    let group = TaskGroup::new();
    let held = Rc::new(Cell::new(0));
    for _ in 0..TASKS {
        let (guard, held) = (group.guard().unwrap(), Rc::clone(&held));
        let token = guard.token().clone();
        spawn(guard.track(async move {
            token.cancelled().await;
            held.set(held.get() + 1);
        }));
    }
    let handle = group.clone();
    let canceller = std::thread::spawn(move || assert!(handle.cancel()));
    group.join().await;
    assert_eq!((held.get(), Rc::strong_count(&held)), (TASKS, 1));
    canceller.join().unwrap();
}
