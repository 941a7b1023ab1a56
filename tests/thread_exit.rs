//! Threads that end while they hold something of the crate's: in their locals, for ever, or in the hands of others.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::any::Any;
use core::cell::RefCell;
use core::mem::forget;
use std::sync::Arc;
use std::thread;

use common::{Bell, Foreign, limited, look, poll};
use winddown::{CancelScope, Signal, TaskGroup, TaskGuard, WaitGroup};

thread_local! {
    static HELD: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps `it` in a local of this thread, whose end drops it.
fn hold(it: impl Any) {
    HELD.with_borrow_mut(|held| held.push(Box::new(it)));
}

/// Runs `work` on a thread, to its end and that of its locals.
fn on_a_thread<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(work).join().unwrap()
}

/// Rule 2: guards leave, a scope is cancelled, and a group is closed by the end of the thread that holds them.
#[test]
fn handles_in_the_locals_of_a_thread_go_with_it() {
    let (count, tasks) = (Arc::new(WaitGroup::new()), TaskGroup::new());
    let (waits, bell) = ((count.wait(), tasks.drained()), Bell::new());
    let (mut idle, mut drained) = waits;
    let (count_there, tasks_there) = (Arc::clone(&count), tasks.clone());
    count.add(1).unwrap();
    assert!(poll(&mut idle, &bell.waker()).is_pending());
    let (token, closing) = on_a_thread(move || {
        let (scope, group) = (CancelScope::new(), TaskGroup::new());
        let seen = (scope.token().clone(), group.closing().clone());
        hold(WaitGroup::guard_in(count_there));
        hold(tasks_there.guard().unwrap());
        hold((scope, group, tasks_there.guard().unwrap().cancel_on_drop()));
        seen
    });
    assert!(token.is_cancelled() && closing.is_cancelled() && tasks.token().is_cancelled());
    assert_eq!((count.count(), bell.rings()), (1, 0));
    count.done().unwrap();
    assert!(bell.rings() == 1 && look(&mut idle).is_ready() && look(&mut drained).is_ready());
}

/// Rule 12: waits, the registration that an abandoned wait left with its token, and callbacks, in the locals of a thread
/// that ends, leave nothing behind and swallow no wake.
#[test]
fn registrations_in_the_locals_of_a_thread_go_with_it() {
    let (scope, signal) = (CancelScope::new(), Arc::new(Signal::new()));
    let (count, queue) = (Arc::new(WaitGroup::new()), limited(1));
    let (_busy, place) = (count.guard(), queue.guard().unwrap());
    let gone = Foreign::new().share();
    for _ in 0..40 {
        let (token, signal, count) =
            (scope.token().clone(), Arc::clone(&signal), Arc::clone(&count));
        let (queue, waker) = (queue.clone(), Arc::clone(&gone));
        on_a_thread(move || {
            let waker = waker.waker();
            assert!(poll(&mut token.cancelled(), &waker).is_pending());
            let mut waits = (
                token.clone().cancelled_owned(),
                Signal::closed_in(signal),
                WaitGroup::wait_in(count),
                queue.guard_when_room_owned(),
            );
            assert!(poll(&mut waits.0, &waker).is_pending());
            assert!(poll(&mut waits.1, &waker).is_pending());
            assert!(poll(&mut waits.2, &waker).is_pending());
            assert!(poll(&mut waits.3, &waker).is_pending());
            hold((token.on_cancel(|| unreachable!("it was taken back")), token, waits));
        });
    }
    assert_eq!(gone.alive(), 0);
    let bell = Bell::new();
    let (mut cancelled, mut room) = (scope.token().cancelled(), queue.guard_when_room());
    assert!(poll(&mut cancelled, &bell.waker()).is_pending());
    assert!(poll(&mut room, &bell.waker()).is_pending());
    drop(place);
    assert!(scope.cancel() && signal.close());
    assert_eq!((bell.rings(), gone.woken()), (2, 0));
    assert!(look(&mut cancelled).is_ready() && look(&mut room).is_ready());
}

/// Rule 2: what a thread has forgotten stays, and is woken like anything else after the thread's end.
#[test]
fn what_an_ended_thread_has_forgotten_does_no_harm() {
    let (count, signal, bell) = (Arc::new(WaitGroup::new()), Arc::new(Signal::new()), Bell::new());
    let (count_there, signal_there, waker) =
        (Arc::clone(&count), Arc::clone(&signal), bell.waker());
    on_a_thread(move || {
        let mut wait = Signal::closed_in(signal_there);
        assert!(poll(&mut wait, &waker).is_pending());
        forget((wait, WaitGroup::guard_in(count_there)));
    });
    assert!(signal.close());
    assert_eq!((bell.rings(), count.count()), (1, 1));
    count.done().unwrap();
    assert!(look(&mut count.wait()).is_ready());
}

/// The index of a thread's shard is given again: more threads than shards come and go, take guards that other threads
/// drop, and drop guards of others. The count is right all the time.
#[test]
fn threads_that_end_leave_their_shards_to_others() {
    const THREADS: usize = 200;
    let group = TaskGroup::new();
    // Contention spreads the count, where there is more than one core. With one word the same holds.
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| (0..2_000).for_each(|_| drop(group.guard().unwrap())));
        }
    });
    let mut guards: Vec<TaskGuard> = Vec::new();
    for number in 0..THREADS {
        let (group, other) = (group.clone(), guards.pop());
        guards.extend(on_a_thread(move || {
            drop(other);
            hold(group.guard().unwrap());
            (0..2).map(|_| group.guard().unwrap()).collect::<Vec<_>>()
        }));
        assert_eq!(guards.len(), number + 2);
    }
    assert_eq!(group.len(), THREADS + 1);
    group.close();
    let last = guards.pop();
    on_a_thread(move || drop(guards));
    assert!(!group.is_drained());
    on_a_thread(move || hold(last));
    assert!(group.is_drained());
}
