//! What is made of groups and needs no type of its own: phases in order, guards by id, and waits for
//! anything else. The recipes of `docs/recipes.md` are doctests.

#![cfg(all(feature = "std", not(loom)))]

use core::future::pending;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use winddown::{CancelScope, Reason, Refused, Signal, Stopped, TaskGroup, TaskGuard, WaitGroup};

const SHORT: Duration = Duration::from_millis(1);

/// Several services in order, under one overall limit: a phase that hangs costs what is left of it,
/// and those after it are still told to stop and looked at once.
#[test]
fn phases_are_shut_down_in_order_under_one_limit() {
    for hangs in 0..4 {
        let phases = [(); 3].map(|()| TaskGroup::new());
        let overall = CancelScope::new();
        let ended = Mutex::new(Vec::new());
        let stuck = phases.get(hangs).map(|group| group.guard().unwrap());
        thread::scope(|threads| {
            for (at, group) in phases.iter().enumerate() {
                let (guard, ended, before) =
                    (group.guard().unwrap(), &ended, phases.get(at.wrapping_sub(1)));
                threads.spawn(move || {
                    guard.closed().block();
                    assert!(before.is_none_or(|before| before.is_drained() || at > hangs));
                    ended.lock().unwrap().push(at);
                });
            }
            let outcomes: Vec<_> = phases
                .iter()
                .map(|group| {
                    if Some(group.len()) == stuck.as_ref().map(|_| 2) {
                        // As the driver of the limit does when the time is up.
                        overall.cancel_with(Reason::Deadline).unwrap();
                        while group.len() > 1 {
                            group.close();
                            thread::yield_now();
                        }
                    }
                    let grace = pending::<()>();
                    group.shutdown(grace).until(overall.token()).block().map_err(|it| it.left)
                })
                .collect();
            for (at, outcome) in outcomes.into_iter().enumerate() {
                if at < hangs {
                    assert_eq!(outcome, Ok(Stopped::Gracefully));
                } else if at == hangs {
                    assert_eq!(outcome, Err(1));
                }
            }
        });
        assert!(phases.iter().all(TaskGroup::is_closed));
        assert_eq!(ended.lock().unwrap().len(), 3);
        drop(stuck);
    }
}

/// S4.2, S4.3, S4.10: guards by id, in a map of the user's: done from another thread, once; unknown
/// ids change nothing; the set can be listed, and made from a list.
#[test]
fn guards_by_id_are_a_map_of_the_users() {
    #[derive(Debug, PartialEq)]
    struct Unknown;
    let group = TaskGroup::new();
    let next = AtomicUsize::new(0);
    let ids = Mutex::new(HashMap::<usize, TaskGuard>::new());
    let add = || -> Result<usize, Refused> {
        let guard = group.guard()?;
        let id = next.fetch_add(1, Ordering::Relaxed);
        ids.lock().unwrap().insert(id, guard);
        Ok(id)
    };
    let done = |id: usize| -> Result<(), Unknown> {
        // Out of the lock before it is dropped: that may be the end of the group.
        let guard = ids.lock().unwrap().remove(&id).ok_or(Unknown);
        guard.map(drop)
    };
    let first = thread::scope(|threads| {
        let adders: Vec<_> = (0..4).map(|_| threads.spawn(|| add().unwrap())).collect();
        adders.into_iter().map(|adder| adder.join().unwrap()).min().unwrap()
    });
    assert_eq!((first, group.len()), (0, 4));
    thread::scope(|threads| drop(threads.spawn(|| assert_eq!(done(2), Ok(())))));
    assert_eq!([done(2), done(99)], [Err(Unknown), Err(Unknown)]);
    let mut inside: Vec<_> = ids.lock().unwrap().keys().copied().collect();
    inside.sort_unstable();
    assert_eq!((inside, group.len()), (vec![0, 1, 3], 3));
    let listed: HashMap<_, _> = [10, 11].map(|id| (id, group.guard().unwrap())).into();
    ids.lock().unwrap().extend(listed);
    group.close();
    assert_eq!(add(), Err(Refused::Closed));
    assert!([0, 1, 3, 10].into_iter().all(|id| done(id).is_ok()) && !group.is_drained());
    assert_eq!(done(11), Ok(()));
    assert!(group.is_drained());
}

/// S4.8: anything that can be waited on is a tracked task that awaits it.
#[test]
fn anything_that_can_be_waited_on_is_a_tracked_task() {
    static OTHERS: WaitGroup = WaitGroup::new();
    static READY: Signal = Signal::new();
    let (scope, send) = (CancelScope::new(), mpsc::channel::<()>());
    let work = OTHERS.guard();
    let group = TaskGroup::new();
    let waitables: Vec<core::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = vec![
        Box::pin(OTHERS.wait()),
        Box::pin(READY.closed()),
        Box::pin(scope.token().clone().cancelled_owned()),
    ];
    let waiters: Vec<_> = waitables
        .into_iter()
        .map(|waitable| {
            let task = group.track(waitable).unwrap();
            thread::spawn(|| pollster::block_on(task))
        })
        .collect();
    // A thread that is to be joined: its handle's wait is a task, too.
    let guard = group.guard().unwrap();
    let thread = thread::spawn(move || send.1.recv().unwrap_err());
    let joins = thread::spawn(move || {
        let _guard = guard;
        thread.join().unwrap();
    });
    assert_eq!(group.join().block_for(SHORT).unwrap_err().left, 4);
    drop(work);
    READY.close();
    scope.cancel();
    drop(send.0);
    group.join().block();
    waiters.into_iter().chain([joins]).for_each(|waiter| waiter.join().unwrap());
}
