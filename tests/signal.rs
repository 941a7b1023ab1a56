//! `Signal` and its waits.

#![cfg(not(loom))]

mod common;

use core::cell::Cell;
use core::future::{pending, ready};
use core::mem::forget;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;

use common::{Bell, Foreign, look, panic_of, panic_quietly, poll};
use futures_util::future::FusedFuture;
use winddown::Signal;
use winddown::future::WaitClosed;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Asked,
    Broken,
}

/// Counts its drops.
#[derive(Debug)]
struct Counted<'a>(&'a Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Rule 6: once, for ever; the first closer is told so.
#[test]
fn a_signal_is_closed_once() {
    let signal = Signal::new();
    assert!(!signal.is_closed());
    assert_eq!(signal.get(), None);
    assert!(signal.close());
    assert!(!signal.close());
    assert!(signal.is_closed());
    assert_eq!(signal.get(), Some(&()));
}

/// Rule 6: the first closer's value wins, and the others get theirs back.
#[test]
fn the_first_value_wins_and_later_ones_come_back() {
    static WHY: Signal<Why> = Signal::typed();
    assert_eq!(WHY.get(), None);
    assert_eq!(WHY.close_with(Why::Asked), Ok(()));
    assert_eq!(WHY.close_with(Why::Broken), Err(Why::Broken));
    assert_eq!(WHY.close_with(Why::Asked), Err(Why::Asked));
    assert_eq!(WHY.get(), Some(&Why::Asked));
    assert!(!Signal::<Why>::default().is_closed());
}

/// Rule 6: a refused value is the very one that was given, untouched.
#[test]
fn a_refused_value_is_not_dropped() {
    let drops = Cell::new(0);
    let signal = Signal::typed();
    signal.close_with(Counted(&drops)).unwrap();
    let back = signal.close_with(Counted(&drops)).unwrap_err();
    assert_eq!(drops.get(), 0);
    drop(back);
    assert_eq!(drops.get(), 1);
    drop(signal);
    assert_eq!(drops.get(), 2);
}

/// Rules 6 and 7: of many closers one wins, and every waiter sees its value.
#[test]
fn of_many_closers_one_wins_and_all_waiters_agree() {
    for _ in 0..50 {
        let signal = Signal::typed();
        let start = Barrier::new(8);
        let winners = AtomicUsize::new(0);
        let seen: Vec<usize> = thread::scope(|scope| {
            let waiters: Vec<_> =
                (0..4).map(|_| scope.spawn(|| wait_for(&signal, &start))).collect();
            for closer in 0..4 {
                let (signal, start, winners) = (&signal, &start, &winners);
                scope.spawn(move || {
                    start.wait();
                    if signal.close_with(Box::new(closer)).is_ok() {
                        winners.fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(signal.is_closed());
                });
            }
            waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect()
        });
        assert_eq!(winners.load(Ordering::Relaxed), 1);
        assert!(seen.iter().all(|value| Some(value) == signal.get().map(|value| &**value)));
    }
}

fn wait_for(signal: &Signal<Box<usize>>, start: &Barrier) -> usize {
    start.wait();
    **pollster::block_on(signal.value())
}

/// Rule 7: before or after the close, any number of waiters see it.
#[test]
fn waiters_see_a_close_before_and_after() {
    let signal = Signal::new();
    let bells: Vec<_> = (0..100).map(|_| Bell::new()).collect();
    let mut waits: Vec<_> = bells.iter().map(|_| signal.closed()).collect();
    for (wait, bell) in waits.iter_mut().zip(&bells) {
        assert!(poll(wait, &bell.waker()).is_pending());
    }
    let mut late = signal.closed();
    assert!(signal.close());
    assert!(bells.iter().all(|bell| bell.rings() == 1));
    assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
    assert_eq!(look(&mut late), Poll::Ready(()));
    assert_eq!(look(&mut signal.closed()), Poll::Ready(()));
    assert!(!signal.close());
    assert!(bells.iter().all(|bell| bell.rings() == 1), "a later close wakes nobody");
}

/// Rule 6: the value that waiters get is the one in the signal, not a copy.
#[test]
fn a_value_is_lent_by_the_signal() {
    let signal = Signal::typed();
    let mut wait = signal.value();
    assert!(look(&mut wait).is_pending());
    signal.close_with(String::from("the disk is full")).unwrap();
    let Poll::Ready(value) = look(&mut wait) else { panic!("it is closed") };
    assert!(ptr::eq(value, signal.get().unwrap()));
    drop(wait);
    assert_eq!(value, "the disk is full", "it lives as long as the signal");
}

#[test]
fn the_waits_are_fused_and_ready_again() {
    let signal = Signal::typed();
    let (mut closed, mut value) = (signal.closed(), signal.value());
    assert!(look(&mut closed).is_pending() && look(&mut value).is_pending());
    assert!(!closed.is_terminated() && !value.is_terminated());
    signal.close_with(7).unwrap();
    for _ in 0..2 {
        assert_eq!(look(&mut closed), Poll::Ready(()));
        assert_eq!(look(&mut value), Poll::Ready(&7));
        assert!(closed.is_terminated() && value.is_terminated());
    }
}

#[test]
fn exclusive_access_changes_takes_and_opens_again() {
    let mut signal = Signal::typed();
    assert_eq!(signal.get_mut(), None);
    assert_eq!(signal.reset(), None);
    signal.close_with(1).unwrap();
    *signal.get_mut().unwrap() += 1;
    assert_eq!(signal.get(), Some(&2));
    assert_eq!(signal.reset(), Some(2));
    assert!(!signal.is_closed());
    assert_eq!(signal.get(), None);
    let bell = Bell::new();
    let mut wait = signal.value();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    signal.close_with(3).unwrap();
    assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(&3)));
    drop(wait);
    assert_eq!(signal.into_inner(), Some(3));
    assert_eq!(Signal::<u8>::typed().into_inner(), None);
}

/// Rule 12: a forgotten wait is left behind by `reset`, and the next close still wakes the others.
#[test]
fn a_signal_that_forgot_waits_works_after_a_reset() {
    let mut signal = Signal::new();
    for round in 1..4 {
        let (forgotten, bell) = (Bell::new(), Bell::new());
        let mut lost = signal.closed();
        assert!(poll(&mut lost, &forgotten.waker()).is_pending());
        forget(lost);
        let mut wait = signal.closed();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        assert!(signal.close());
        assert_eq!((forgotten.rings(), bell.rings()), (1, 1), "round {round}");
        assert!(look(&mut wait).is_ready());
        drop(wait);
        assert_eq!(signal.reset(), Some(()));
    }
}

/// Rule 19: what forgotten waits have left goes with the signal, also if one of it panics. In the front, and in
/// the blocks behind it.
#[test]
fn what_forgotten_waits_have_left_is_dropped_though_one_panics() {
    const WAITS: usize = 80;
    for at in [0, 3, 4, 20, 50, WAITS - 1] {
        let signal = Signal::new();
        let others = Foreign::new().share();
        let panics = Foreign::new().on_drop(|| panic_quietly("drop")).share();
        for number in 0..WAITS {
            let waker = if number == at { panics.waker() } else { others.waker() };
            let mut lost = signal.closed();
            assert!(poll(&mut lost, &waker).is_pending());
            forget(lost);
            if number == at {
                assert_eq!(panic_of(|| drop(waker)), "drop");
            }
        }
        assert_eq!(others.alive(), WAITS - 1);
        assert_eq!(panic_of(|| drop(signal)), "drop");
        assert_eq!(others.alive(), 0, "{at}");
    }
}

/// Rule 6: whatever way out the value takes, it is dropped once.
#[test]
fn a_value_is_dropped_exactly_once() {
    let drops = Cell::new(0);
    drop(Signal::<Counted<'_>>::typed());
    assert_eq!(drops.get(), 0, "never closed");
    let closed = || {
        let signal = Signal::typed();
        signal.close_with(Counted(&drops)).unwrap();
        signal
    };
    drop(closed());
    assert_eq!(drops.replace(0), 1, "in the signal");
    let value = closed().into_inner();
    assert_eq!(drops.get(), 0, "taken out");
    drop(value);
    assert_eq!(drops.replace(0), 1);
    let mut signal = closed();
    drop(signal.reset());
    assert_eq!(drops.get(), 1, "reset");
    signal.close_with(Counted(&drops)).unwrap();
    drop(signal);
    assert_eq!(drops.get(), 2, "closed again");
}

/// Rule 6, for values that need no room but a drop, and for those that need neither.
#[test]
fn values_without_size_are_dropped_once_too() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Debug)]
    struct Marker;
    impl Drop for Marker {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    #[derive(Debug, PartialEq)]
    struct Plain;
    let signal = Signal::typed();
    signal.close_with(Marker).unwrap();
    drop(signal.close_with(Marker).unwrap_err());
    assert_eq!(DROPS.load(Ordering::Relaxed), 1);
    drop(signal);
    assert_eq!(DROPS.load(Ordering::Relaxed), 2);
    let plain = Signal::typed();
    assert_eq!(plain.close_with(Plain), Ok(()));
    assert_eq!(plain.close_with(Plain), Err(Plain));
    assert_eq!(look(&mut plain.value()), Poll::Ready(&Plain));
    assert_eq!(plain.into_inner(), Some(Plain));
}

/// Rule 6: a value with a great alignment is where it should be.
#[test]
fn a_value_is_aligned() {
    #[derive(Debug)]
    #[repr(align(128))]
    struct Wide(u8);
    let signal = Signal::typed();
    signal.close_with(Wide(7)).unwrap();
    let wide = signal.get().unwrap();
    assert_eq!((ptr::from_ref(wide).addr() % 128, wide.0), (0, 7));
}

/// Rule 18: a panic in the drop of a value does no harm.
#[test]
fn a_panic_in_the_drop_of_a_value_does_no_harm() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic_quietly("the drop fails");
        }
    }
    let other = Signal::new();
    let bell = Bell::new();
    let mut wait = other.closed();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    let signal = Arc::new(Signal::typed());
    let mut owned = Signal::closed_in(Arc::clone(&signal));
    assert!(look(&mut owned).is_pending());
    assert!(signal.close_with(Bad).is_ok());
    assert!(look(&mut owned).is_ready());
    drop(owned);
    assert_eq!(panic_of(|| drop(signal)), "the drop fails");
    let mut again = Signal::typed();
    assert!(again.close_with(Bad).is_ok());
    assert_eq!(panic_of(|| drop(again.reset())), "the drop fails");
    assert!(!again.is_closed(), "reset came before the drop");
    assert!(again.close_with(Bad).is_ok());
    forget(again);
    other.close();
    assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
}

/// Rule 6: a signal may be closed from a drop, also while its thread is unwinding.
#[test]
fn a_signal_may_be_closed_while_a_thread_unwinds() {
    struct CloseOnDrop(Arc<Signal<Why>>);
    impl Drop for CloseOnDrop {
        fn drop(&mut self) {
            let _ = self.0.close_with(Why::Broken);
        }
    }
    let signal = Arc::new(Signal::typed());
    let closer = CloseOnDrop(Arc::clone(&signal));
    let bell = Bell::new();
    let mut wait = signal.value();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    let worker = thread::spawn(move || {
        let _closer = closer;
        panic_quietly("the worker fails");
    });
    worker.join().unwrap_err();
    assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(&Why::Broken)));
}

/// A pointer of the user's own, into a struct that holds the signal.
#[derive(Clone)]
struct App(Rc<(String, Signal<Why>)>);

impl Deref for App {
    type Target = Signal<Why>;

    fn deref(&self) -> &Signal<Why> {
        &self.0.1
    }
}

/// Rule 7, for every kind of pointer.
fn closes_over<P: Deref<Target = Signal<Why>> + Clone>(signal: P) {
    let bell = Bell::new();
    let mut wait = Signal::closed_in(signal.clone());
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    assert_eq!(signal.close_with(Why::Asked), Ok(()));
    assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
}

#[test]
fn waits_go_over_any_pointer() {
    closes_over(&Signal::typed());
    closes_over(Arc::new(Signal::typed()));
    closes_over(Rc::new(Signal::typed()));
    closes_over(App(Rc::new((String::new(), Signal::typed()))));
}

#[test]
fn a_wait_that_owns_its_signal_can_be_stored_and_sent() {
    struct Worker {
        stop: WaitClosed<Arc<Signal>>,
    }
    static STOP: Signal = Signal::new();
    let _is_the_default: WaitClosed = STOP.closed();
    let signal = Arc::new(Signal::new());
    let worker = Worker { stop: Signal::closed_in(Arc::clone(&signal)) };
    let worker = thread::spawn(move || pollster::block_on(worker.stop));
    signal.close();
    worker.join().unwrap();
    assert_eq!(Arc::strong_count(&signal), 1);
}

#[test]
fn a_value_need_not_be_sync_on_one_thread() {
    let signal = Signal::typed();
    signal.close_with(Cell::new(1)).unwrap();
    signal.get().unwrap().set(2);
    assert_eq!(signal.into_inner(), Some(Cell::new(2)));
}

#[test]
fn a_limit_on_a_signal_says_that_nothing_is_left() {
    let signal = Signal::typed();
    let Poll::Ready(Err(unfinished)) = look(&mut signal.value().until(ready("limit"))) else {
        panic!("the limit is ready");
    };
    assert_eq!((unfinished.left, unfinished.by), (0, "limit"));
    assert_eq!(unfinished.to_string(), "the limit came before the wait was over");
    signal.close_with(7).unwrap();
    assert_eq!(look(&mut signal.value().until(ready(()))), Poll::Ready(Ok(&7)), "a tie");
    assert_eq!(look(&mut signal.closed().until(pending::<()>())), Poll::Ready(Ok(())));
}

#[test]
fn debug_shows_whether_it_is_closed() {
    let signal = Signal::typed();
    assert_eq!(format!("{signal:?}"), "Signal { closed: false, value: None, .. }");
    let mut wait = signal.value();
    assert!(look(&mut wait).is_pending());
    assert!(format!("{wait:?}").contains("Parked"));
    signal.close_with(7).unwrap();
    assert_eq!(format!("{signal:?}"), "Signal { closed: true, value: Some(7), .. }");
    assert!(look(&mut wait).is_ready());
    assert!(format!("{wait:?}").contains("Over"));
}

#[cfg(feature = "std")]
mod blocking {
    use core::time::Duration;
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use common::never_but_tell;

    #[test]
    fn blocking_on_a_closed_signal_returns() {
        let signal = Signal::typed();
        signal.close_with(7).unwrap();
        signal.closed().block();
        assert_eq!(signal.value().block(), &7);
        assert_eq!(signal.value().block_for(Duration::ZERO), Ok(&7), "a tie");
        assert_eq!(signal.value().block_until(Instant::now()), Ok(&7));
    }

    #[test]
    fn a_time_limit_comes_first_on_an_open_signal() {
        let signal = Signal::<u8>::typed();
        assert_eq!(signal.value().block_for(Duration::from_millis(1)).unwrap_err().left, 0);
        assert!(signal.closed().block_until(Instant::now()).is_err());
    }

    /// Rule 5: a thread that observes the close sees what was written before it.
    #[test]
    fn block_returns_when_another_thread_closes() {
        let signal = Signal::typed();
        let written = AtomicUsize::new(0);
        let (tell, registered) = mpsc::channel();
        thread::scope(|scope| {
            let (signal, written) = (&signal, &written);
            scope.spawn(move || {
                registered.recv().unwrap();
                written.store(1, Ordering::Relaxed);
                signal.close_with(Why::Asked).unwrap();
            });
            let wait = signal.value().until(never_but_tell(tell));
            assert_eq!(wait.block_for(Duration::MAX), Ok(Ok(&Why::Asked)), "means for ever");
            assert_eq!(written.load(Ordering::Relaxed), 1);
        });
    }

    /// Rule 5, for a look that finds it closed.
    #[test]
    fn a_look_that_finds_it_closed_sees_what_came_before() {
        let signal = Signal::new();
        let written = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                written.store(1, Ordering::Relaxed);
                signal.close();
            });
            while !signal.is_closed() {
                thread::yield_now();
            }
            assert_eq!(written.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn threads_and_tasks_wait_together() {
        let signal = Signal::new();
        let (tell, registered) = mpsc::channel();
        let bell = Bell::new();
        let mut task = signal.closed();
        assert!(poll(&mut task, &bell.waker()).is_pending());
        thread::scope(|scope| {
            for _ in 0..8 {
                let wait = signal.closed().until(never_but_tell(tell.clone()));
                scope.spawn(move || assert_eq!(wait.block(), Ok(())));
            }
            for _ in 0..8 {
                registered.recv().unwrap();
            }
            signal.close();
        });
        assert_eq!((bell.rings(), look(&mut task)), (1, Poll::Ready(())));
    }
}
