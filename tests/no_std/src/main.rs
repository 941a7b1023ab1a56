//! A program without std that counts, stops and waits. It exits with 0 only if all is right.
//!
//! It runs on the host, but like a small device: one core, a critical section of its own, in which
//! it sees whether foreign code runs, and interrupts that come at the moment when a section ends.

#![no_std]
#![no_main]

extern crate alloc;

mod host;

use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::{Future, pending};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use host::{allocated, cancel_interrupt, in_section, in_use, interrupt_at, sections};
use winddown::{Guard, Signal, WaitGroup};

#[derive(Debug, PartialEq)]
enum Why {
    Asked,
    Broken,
}

static IN_FLIGHT: WaitGroup = WaitGroup::new();
static STOP: Signal<Why> = Signal::typed();

fn check_everything() {
    nobody_waits();
    a_parked_wait_is_woken();
    a_value_reaches_more_waiters_than_one_batch();
    wakers_use_what_they_like();
    an_interrupt_in_a_poll_is_not_lost();
    an_interrupt_in_a_delivery_wakes_nobody_twice();
    everything_is_freed();
}

/// Wakes by counting, and never in a critical section.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        assert!(!in_section());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn look<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

/// Rule 13: no allocation and no critical section.
fn nobody_waits() {
    let before = (allocated(), sections());
    let guard: Guard = IN_FLIGHT.guard();
    drop(guard.clone());
    IN_FLIGHT.add(2).unwrap();
    assert_eq!(IN_FLIGHT.count(), 3);
    IN_FLIGHT.done().unwrap();
    IN_FLIGHT.done().unwrap();
    assert_eq!(look(&mut guard.track(core::future::ready(7))), Poll::Ready(7));
    assert!(IN_FLIGHT.done().is_err());
    assert!(look(&mut IN_FLIGHT.wait()).is_ready());
    let signal = Signal::typed();
    assert!(!signal.is_closed() && signal.get().is_none());
    assert_eq!(signal.close_with(Why::Asked), Ok(()));
    assert_eq!(signal.close_with(Why::Broken), Err(Why::Broken));
    assert_eq!(look(&mut signal.value()), Poll::Ready(&Why::Asked));
    assert_eq!(signal.into_inner(), Some(Why::Asked));
    assert_eq!((allocated(), sections()), before);
}

/// Rule 3, and that it is the first wait that allocates.
fn a_parked_wait_is_woken() {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let guard = IN_FLIGHT.guard();
    let before = allocated();
    let mut wait = IN_FLIGHT.wait();
    let mut limited = IN_FLIGHT.wait().until(pending::<()>());
    assert!(poll(&mut wait, &waker).is_pending() && poll(&mut limited, &waker).is_pending());
    assert!(allocated() > before);
    let parked = allocated();
    assert!(poll(&mut wait, &waker).is_pending());
    drop(guard);
    assert_eq!((allocated(), bell.rings()), (parked, 2));
    assert!(poll(&mut wait, &waker).is_ready());
    assert_eq!(poll(&mut limited, &waker), Poll::Ready(Ok(())));
}

/// Rule 7, where a delivery takes several critical sections.
fn a_value_reaches_more_waiters_than_one_batch() {
    let bells: Vec<_> = (0..110).map(|_| Arc::new(Bell::default())).collect();
    let mut waits: Vec<_> = bells.iter().map(|_| STOP.value()).collect();
    for (wait, bell) in waits.iter_mut().zip(&bells) {
        assert!(poll(wait, &Arc::clone(bell).into()).is_pending());
    }
    assert_eq!(STOP.close_with(Why::Asked), Ok(()));
    assert!(bells.iter().all(|bell| bell.rings() == 1));
    assert!(waits.iter_mut().all(|wait| look(wait) == Poll::Ready(&Why::Asked)));
}

/// Rule 11: also in here, where a second borrow of event-listener's list would panic.
fn wakers_use_what_they_like() {
    struct Nosy {
        group: WaitGroup,
        rings: AtomicUsize,
    }
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            assert!(!in_section());
            let guard = self.group.guard();
            let (mut first, mut second) = (self.group.wait(), self.group.wait());
            assert!(look(&mut first).is_pending() && look(&mut second).is_pending());
            drop(guard);
            assert!(look(&mut first).is_ready());
            self.rings.fetch_add(1, Ordering::Relaxed);
        }
    }
    let nosy = Arc::new(Nosy { group: WaitGroup::new(), rings: AtomicUsize::new(0) });
    let guard = nosy.group.guard();
    let mut waits: Vec<_> = (0..10).map(|_| nosy.group.wait()).collect();
    for wait in &mut waits {
        assert!(poll(wait, &Arc::clone(&nosy).into()).is_pending());
    }
    drop(guard);
    assert_eq!(nosy.rings.load(Ordering::Relaxed), 10);
    assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
}

static INTERRUPTED: WaitGroup = WaitGroup::new();

/// Rule 3: before or behind whichever critical section of a poll the last piece of work ends, the
/// wait is over or it is woken.
fn an_interrupt_in_a_poll_is_not_lost() {
    let mut came = 0;
    for moment in 0..10 {
        INTERRUPTED.add(1).unwrap();
        // Behind others, so that event-listener is in it.
        let mut others: Vec<_> = (0..4).map(|_| INTERRUPTED.wait()).collect();
        assert!(others.iter_mut().all(|other| look(other).is_pending()));
        let bell = Arc::new(Bell::default());
        let mut wait = INTERRUPTED.wait();
        interrupt_at(moment, || INTERRUPTED.done().unwrap());
        let now = poll(&mut wait, &Arc::clone(&bell).into());
        if cancel_interrupt() {
            assert!(now.is_pending());
            INTERRUPTED.done().unwrap();
        } else {
            came += 1;
        }
        assert!(now.is_ready() || bell.rings() == 1);
        assert!(look(&mut wait).is_ready());
        assert!(others.iter_mut().all(|other| look(other).is_ready()));
    }
    assert!((4..10).contains(&came), "two sections at least, and none for ever");
}

/// Rules 11, 14: a delivery in several batches may be interrupted between any two of them by a second
/// round of the same group; every waiter is woken once.
fn an_interrupt_in_a_delivery_wakes_nobody_twice() {
    let mut came = 0;
    for moment in 0..30 {
        let bells: Vec<_> = (0..110).map(|_| Arc::new(Bell::default())).collect();
        INTERRUPTED.add(1).unwrap();
        let mut waits: Vec<_> = bells.iter().map(|_| INTERRUPTED.wait()).collect();
        for (wait, bell) in waits.iter_mut().zip(&bells) {
            assert!(poll(wait, &Arc::clone(bell).into()).is_pending());
        }
        interrupt_at(moment, a_round_of_its_own);
        INTERRUPTED.done().unwrap();
        came += usize::from(!cancel_interrupt());
        assert!(bells.iter().all(|bell| bell.rings() == 1));
        assert!(waits.iter_mut().all(|wait| look(wait).is_ready()));
    }
    assert!((6..30).contains(&came), "three batches at least");
}

fn a_round_of_its_own() {
    INTERRUPTED.add(1).unwrap();
    let bell = Arc::new(Bell::default());
    let mut wait = INTERRUPTED.wait();
    assert!(poll(&mut wait, &Arc::clone(&bell).into()).is_pending());
    INTERRUPTED.done().unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(look(&mut wait).is_ready());
}

/// Rule 12.
fn everything_is_freed() {
    let before = in_use();
    let (group, signal) = (WaitGroup::new(), Signal::new());
    waits_come_and_go(&group, &signal);
    drop((group, signal));
    assert_eq!(in_use(), before);
}

fn waits_come_and_go(group: &WaitGroup, signal: &Signal) {
    let guard = group.guard();
    let mut waits: Vec<_> = (0..20).map(|_| (group.wait(), signal.closed())).collect();
    for (wait, closed) in &mut waits {
        assert!(look(wait).is_pending() && look(closed).is_pending());
    }
    waits.truncate(10);
    drop(guard);
}
