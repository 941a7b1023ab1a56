//! Models of `Signal`.

#![cfg(loom)]

extern crate alloc;

use core::task::{Poll, Waker};

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use winddown::Signal;
use winddown::model::Arc;
use winddown_loom_tests::{
    Wakes, Work, alone_and_in_a_crowd, check, check_within, crowd, lend, parked, poll, unexplored,
};

/// A thread that does `work` and then closes `signal`.
fn closer(signal: &Arc<Signal>, work: &Arc<Work>) -> thread::JoinHandle<()> {
    let (signal, work) = (Arc::clone(signal), Arc::clone(work));
    thread::spawn(move || {
        work.finish();
        assert!(signal.close());
    })
}

/// Rule 5: a wait sees what came before the close. Rule 7: it is woken, whenever it registers.
///
/// Edges: B, C, D, P.
///
/// Mutants: `signal-announce-acquire`, `signal-announce-without-a-look`, `signal-claim-relaxed`,
/// `signal-is-published-relaxed`, `signal-no-fire`, `wait-announce-before-registering`.
fn a_wait_sees_what_came_before_the_close(crowded: bool) {
    check(move || {
        let (signal, work) = (Arc::new(Signal::new()), Arc::new(Work::default()));
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        let closer = closer(&signal, &work);
        block_on(signal.closed());
        work.assert_finished();
        closer.join().unwrap();
    });
}

alone_and_in_a_crowd!(a_wait_sees_what_came_before_the_close);

/// Rule 5: a wait whose announcement finds the close sees what came before. (Its seat may have been
/// fired by the closer: to find that acquires nothing.)
///
/// Edges: D.
///
/// Mutants: `signal-announce-release`.
#[test]
fn an_announcement_that_finds_the_close_sees_what_came_before() {
    check(|| {
        let (signal, work) = (Arc::new(Signal::new()), Arc::new(Work::default()));
        // The closer finds that there was a wait, and fires its seat.
        unexplored(|| {
            let mut dropped = signal.closed();
            assert!(poll(&mut dropped, Waker::noop()).is_pending());
        });
        let closer = closer(&signal, &work);
        let mut wait = signal.closed();
        if poll(&mut wait, Waker::noop()).is_ready() {
            work.assert_finished();
        }
        closer.join().unwrap();
    });
}

/// Rule 7: a close wakes all, tasks and blocked threads alike, and leaves none behind.
///
/// Edges: B, C, D, F, K, L, P.
///
/// Mutants: `signal-no-fire`.
#[test]
fn a_close_wakes_a_task_and_a_blocked_thread() {
    check_within(1, || {
        let lent = (Signal::new(), Work::default());
        // SAFETY: the threads are joined below.
        let (signal, work) = unsafe { lend(&lent) };
        // The list is there.
        drop(parked(signal.closed(), Waker::noop()));
        let blocked = thread::spawn(move || {
            signal.closed().block();
            work.assert_finished();
        });
        let closer = thread::spawn(move || {
            work.finish();
            assert!(signal.close());
        });
        block_on(signal.closed());
        work.assert_finished();
        blocked.join().unwrap();
        closer.join().unwrap();
    });
}

/// Rules 5 and 6: of two closers exactly one is first, and a wait is over whichever it is. The other
/// sees what came before the first close.
///
/// Edges: B, C, D.
///
/// Mutants: `signal-no-fire`, `signal-refused-close-sees-nothing`.
#[test]
fn of_two_closers_exactly_one_is_first() {
    check_within(2, || {
        let signal = Arc::new(Signal::new());
        let works = Arc::new([Work::default(), Work::default()]);
        let closers = [(0, 1), (1, 0)].map(|(own, other)| {
            let (signal, works) = (Arc::clone(&signal), Arc::clone(&works));
            thread::spawn(move || {
                works[own].finish();
                let first = signal.close();
                if !first {
                    works[other].assert_finished();
                }
                first
            })
        });
        signal.closed().block();
        assert!(signal.is_closed());
        let firsts = closers.into_iter().map(|it| it.join().unwrap());
        assert_eq!(firsts.filter(|first| *first).count(), 1);
    });
}

/// Rules 5 and 6: a signal with a value is closed from the claim on, and what came before that claim
/// is seen by a thread that sees the signal closed, also before the value is there.
///
/// Edges: D, W.
///
/// Mutants: `signal-claim-relaxed`, `signal-is-closed-relaxed`, `signal-is-published-relaxed`,
/// `signal-publish-relaxed`, `signal-published-before-written`.
#[test]
fn a_look_sees_what_came_before_the_claim() {
    check(|| {
        let (signal, work) = (Arc::new(Signal::<u32>::typed()), Arc::new(Work::default()));
        let closer = thread::spawn({
            let (signal, work) = (Arc::clone(&signal), Arc::clone(&work));
            move || {
                work.finish();
                signal.close_with(7).unwrap();
            }
        });
        if signal.is_closed() {
            work.assert_finished();
        }
        if let Some(value) = signal.get() {
            assert_eq!(*value, 7);
            assert!(signal.is_closed());
        }
        closer.join().unwrap();
        assert_eq!(signal.get(), Some(&7));
    });
}

/// Rule 6: `closed` of a signal with a value is over only when the value is there.
///
/// Edges: B, C, W.
///
/// Mutants: `signal-publish-does-not-acquire`, `signal-fire-before-publishing`, `signal-fire-by-the-claim`,
/// `signal-no-fire`.
#[test]
fn a_wait_is_not_over_before_the_value_is_there() {
    check(|| {
        let signal = Arc::new(Signal::<u32>::typed());
        let closer = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.close_with(7).unwrap()
        });
        block_on(signal.closed());
        assert_eq!(signal.get(), Some(&7));
        closer.join().unwrap();
    });
}

/// A value that counts its drops.
#[derive(Debug)]
struct Value {
    id: usize,
    drops: alloc::sync::Arc<AtomicUsize>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// Rule 6: the first closer's value wins for ever, the other one comes back, every query sees
/// the winner or nothing yet, and each value is dropped exactly once.
///
/// Edges: B, C, W.
///
/// Mutants: `signal-publish-relaxed`, `signal-published-before-written`,
/// `signal-second-close-wins`.
#[test]
fn the_first_value_wins_and_each_is_dropped_once() {
    check_within(2, || {
        let drops = alloc::sync::Arc::new(AtomicUsize::new(0));
        let signal = Arc::new(Signal::<Value>::typed());
        let closer = |id| {
            let signal = Arc::clone(&signal);
            let value = Value { id, drops: alloc::sync::Arc::clone(&drops) };
            thread::spawn(move || match signal.close_with(value) {
                Ok(()) => true,
                Err(mine) => {
                    assert_eq!(mine.id, id);
                    assert!(signal.is_closed());
                    false
                }
            })
        };
        let closers = [closer(0), closer(1)];
        let early = signal.get().map(|value| value.id);
        let winner = signal.value().block().id;
        assert!(early.is_none_or(|early| early == winner));
        for (id, closer) in closers.into_iter().enumerate() {
            assert_eq!(closer.join().unwrap(), id == winner);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1, "the loser's");
        drop(signal);
        assert_eq!(drops.load(Ordering::Relaxed), 2, "and the winner's");
    });
}

/// Rule 7: a waker that is replaced while the signal is closed: if the poll that brought it was too
/// early, it is the one that is woken.
///
/// Edges: B, C, F, L.
///
/// Mutants: `signal-announce-by-a-load`, `wait-any-waker-will-do`.
fn the_waker_of_the_last_poll_is_woken(crowded: bool) {
    check(move || {
        let (signal, work) = (Arc::new(Signal::new()), Arc::new(Work::default()));
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        let (before, after) = (Wakes::new(), Wakes::new());
        let mut wait = signal.closed();
        assert!(poll(&mut wait, &before.waker()).is_pending());
        let closer = closer(&signal, &work);
        let pending = poll(&mut wait, &after.waker()).is_pending();
        closer.join().unwrap();
        if pending {
            assert_eq!(after.count(), 1);
        }
        assert_eq!(poll(&mut wait, &after.waker()), Poll::Ready(()));
        work.assert_finished();
    });
}

alone_and_in_a_crowd!(the_waker_of_the_last_poll_is_woken);

/// Rule 7: the same waker, polled again while the signal is closed, is woken if that poll was too
/// early.
///
/// Edges: B, C, F, L.
///
/// Mutants: `signal-no-fire`.
fn a_wait_that_is_polled_again_is_woken(crowded: bool) {
    check(move || {
        let (signal, work) = (Arc::new(Signal::new()), Arc::new(Work::default()));
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        let wakes = Wakes::new();
        let waker = wakes.waker();
        let mut wait = signal.closed();
        assert!(poll(&mut wait, &waker).is_pending());
        let closer = closer(&signal, &work);
        let pending = poll(&mut wait, &waker).is_pending();
        closer.join().unwrap();
        if pending {
            assert!(wakes.count() > 0);
        }
        assert_eq!(poll(&mut wait, &waker), Poll::Ready(()));
        work.assert_finished();
    });
}

alone_and_in_a_crowd!(a_wait_that_is_polled_again_is_woken);

/// Rule 12: a wait that is dropped while the signal is closed takes no other wait's wake with it.
///
/// Edges: B, C, F, L.
///
/// Mutants: `signal-no-fire`.
fn a_dropped_wait_swallows_nothing(crowded: bool) {
    check_within(2, move || {
        let (signal, work) = (Arc::new(Signal::new()), Arc::new(Work::default()));
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        let wakes = Wakes::new();
        let mut dropped = signal.closed();
        assert!(poll(&mut dropped, &wakes.waker()).is_pending());
        let closer = closer(&signal, &work);
        let waiter = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.closed().block()
        });
        drop(dropped);
        waiter.join().unwrap();
        work.assert_finished();
        closer.join().unwrap();
    });
}

alone_and_in_a_crowd!(a_dropped_wait_swallows_nothing);
