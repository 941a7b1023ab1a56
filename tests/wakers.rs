//! Hostile wakers: they poll, close, drop and panic, inline.
//!
//! Each test stands for a lock that would be held: event-listener's list lock is not re-entrant, so
//! a waker that runs under it hangs or panics. What all types and methods have in common is in `hostile_world.rs`.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Poll, Waker};
use std::sync::{Arc, Mutex};

use common::{Bell, Foreign, look, panic_of, panic_quietly, poll};
use winddown::{Guard, Signal, WaitGroup};

type Group = Arc<WaitGroup>;
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that wakers may poll and drop.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Task>>>);

impl Slot {
    fn new(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(task)))))
    }

    fn poll(&self, waker: &Waker) -> Poll<()> {
        poll(self.0.lock().unwrap().as_mut().expect("not dropped yet"), waker)
    }

    fn drop_it(&self) {
        let task = self.0.lock().unwrap().take();
        drop(task);
    }
}

/// Both types, each with something that ends its waits.
trait Waitable: Send + Sync + Sized + 'static {
    type Busy: Send;

    fn busy() -> (Arc<Self>, Self::Busy);
    fn wait(this: &Arc<Self>) -> Slot;
    /// Every public method that takes a shared reference.
    fn use_everything(this: &Arc<Self>);
}

impl Waitable for WaitGroup {
    type Busy = Guard<Group>;

    fn busy() -> (Group, Self::Busy) {
        let group = Group::default();
        let guard = WaitGroup::guard_in(Arc::clone(&group));
        (group, guard)
    }

    fn wait(this: &Group) -> Slot {
        Slot::new(WaitGroup::wait_in(Arc::clone(this)))
    }

    fn use_everything(this: &Group) {
        assert!(this.is_idle());
        assert_eq!(this.count(), 0);
        this.done().unwrap_err();
        this.add(2).unwrap();
        let guard = WaitGroup::guard_in(Arc::clone(this));
        let clone = guard.clone();
        let mut wait = this.wait();
        assert!(look(&mut wait).is_pending());
        let limited = this.wait().block_for(core::time::Duration::ZERO);
        assert_eq!(limited.unwrap_err().left, 4);
        drop((this.guard(), WaitGroup::try_guard_in(Arc::clone(this)).unwrap()));
        this.done().unwrap();
        this.done().unwrap();
        drop((guard, clone));
        assert!(look(&mut wait).is_ready());
        this.wait().block();
        assert!(format!("{this:?}").contains("count: 0"));
    }
}

/// Closes when it is dropped.
struct Closer(Arc<Signal>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Waitable for Signal {
    type Busy = Closer;

    fn busy() -> (Arc<Self>, Closer) {
        let signal = Arc::new(Self::new());
        (Arc::clone(&signal), Closer(signal))
    }

    fn wait(this: &Arc<Self>) -> Slot {
        Slot::new(Self::closed_in(Arc::clone(this)))
    }

    fn use_everything(this: &Arc<Self>) {
        assert!(this.is_closed());
        assert!(!this.close());
        assert_eq!(this.close_with(()), Err(()));
        assert_eq!(this.get(), Some(&()));
        assert!(look(&mut this.closed()).is_ready());
        assert!(look(&mut Self::closed_in(Arc::clone(this))).is_ready());
        assert!(look(&mut this.value()).is_ready());
        this.closed().block();
        assert_eq!(this.value().block_for(core::time::Duration::ZERO), Ok(&()));
        assert!(format!("{this:?}").contains("closed: true"));
    }
}

/// Runs a test for both types.
macro_rules! for_both {
    ($($(#[$meta:meta])* $name:ident: $body:ident;)+) => {$(
        $(#[$meta])*
        mod $name {
            #[test]
            fn of_a_group() {
                super::$body::<super::WaitGroup>();
            }

            #[test]
            fn of_a_signal() {
                super::$body::<super::Signal>();
            }
        }
    )+};
}

for_both! {
    /// Rule 11: the other waits of the same object, whether they were woken already or not.
    a_waker_that_polls_all_other_waits_finds_them_over: polls_others;
    /// Rule 11 and 12: waits that are woken, about to be woken, and the one that is being woken.
    a_waker_may_drop_every_wait: drops_all;
    /// Rule 11: the wait and the pointer that it holds.
    a_waker_may_drop_the_last_handle: drops_the_last_handle;
    /// Rule 11: with `std` a second panic in one delivery does not abort.
    of_two_panics_the_first_comes_out: two_panic;
    /// Rule 11: a panic while the thread unwinds already must not abort.
    a_panicking_waker_does_not_abort_an_unwinding_thread: panics_while_unwinding;
    /// Rule 11: nothing is registered, and the next poll works.
    a_panic_in_clone_leaves_nothing_behind: panics_in_clone;
    /// Rule 11: where a waker is used up, replaced, or abandoned with its wait.
    a_panic_in_the_drop_of_a_waker_harms_nobody: panics_in_drop;
    /// Rule 11: in the drop of a waker whose wait was dropped while it was due.
    a_panic_in_the_drop_of_a_due_waker_harms_nobody: panics_in_drop_when_due;
    /// Rule 11: when its wait is abandoned, and in the middle of the poll that replaces it.
    the_drop_of_a_waker_may_end_the_wait: drop_ends;
    /// Rules 11 and 12: in the middle of a poll, between the look and the registration.
    a_clone_may_drop_the_other_waits: clone_drops;
    /// Rule 11: a clone that ends the wait that it is cloned for.
    a_clone_may_end_the_wait: clone_ends;
    /// First in, first out, in a list that is used for the first time.
    wakers_run_in_the_order_of_registration: in_order;
    /// Rule 7: also where the first was dropped, polled again, or came back.
    each_is_woken_once_after_changes: each_after_changes;
    /// Rules 11 and 12: an executor whose clones are never equal registers anew at each poll.
    a_waker_that_is_never_the_same_is_woken_once: never_the_same;
    /// Rule 11: in the middle of the poll that would have replaced it.
    the_waker_that_a_clone_uses_up_may_panic: used_up_by_a_clone;
    /// Rule 11: a chain of objects, each ended by a waker of the one before.
    a_waker_may_end_the_next_object: chain;
}

fn polls_others<W: Waitable>() {
    let (object, busy) = W::busy();
    let slots: Arc<Vec<Slot>> = Arc::new((0..20).map(|_| W::wait(&object)).collect());
    let wakers: Vec<_> = (0..20).map(|_| polls_each(&slots).share()).collect();
    for (slot, waker) in slots.iter().zip(&wakers) {
        assert!(slot.poll(&waker.waker()).is_pending());
    }
    drop(busy);
    assert!(wakers.iter().all(|waker| (waker.woken(), waker.alive()) == (1, 0)));
}

fn polls_each(slots: &Arc<Vec<Slot>>) -> Foreign {
    let slots = Arc::clone(slots);
    Foreign::new()
        .on_wake(move || assert!(slots.iter().all(|slot| slot.poll(Waker::noop()).is_ready())))
}

fn drops_all<W: Waitable>() {
    for killer in 0..10 {
        let (object, busy) = W::busy();
        let slots: Arc<Vec<Slot>> = Arc::new((0..10).map(|_| W::wait(&object)).collect());
        let bells: Vec<_> = (0..10).map(|_| Foreign::new().share()).collect();
        let all = Arc::clone(&slots);
        let kill = Foreign::new().on_wake(move || all.iter().for_each(Slot::drop_it)).share();
        for (at, (slot, bell)) in slots.iter().zip(&bells).enumerate() {
            let waker = if at == killer { kill.waker() } else { bell.waker() };
            assert!(slot.poll(&waker).is_pending());
        }
        drop(busy);
        let woken: usize = bells.iter().map(|bell| bell.woken()).sum();
        assert_eq!((kill.woken(), woken), (1, 9), "due is due, whether the wait lives or not");
        assert!(bells.iter().chain([&kill]).all(|waker| waker.alive() == 0));
        assert_eq!(Arc::strong_count(&object), 1);
    }
}

fn drops_the_last_handle<W: Waitable>() {
    let (object, busy) = W::busy();
    let weak = Arc::downgrade(&object);
    let slot = W::wait(&object);
    let last = Mutex::new(Some((slot.clone(), object)));
    let waker = Foreign::new()
        .on_wake(move || {
            let (slot, object) = last.lock().unwrap().take().expect("once");
            slot.drop_it();
            drop(object);
        })
        .share();
    assert!(slot.poll(&waker.waker()).is_pending());
    // What ends the wait holds the very last handle, and is still at work while wakers run.
    drop(busy);
    assert_eq!((waker.woken(), waker.alive(), weak.strong_count()), (1, 0, 0));
}

fn two_panic<W: Waitable>() {
    let (object, busy) = W::busy();
    let slots: Vec<_> = (0..6).map(|_| W::wait(&object)).collect();
    let texts = ["", "first", "", "second", "third", ""];
    let wakers: Vec<_> = texts
        .iter()
        .map(|text| {
            Foreign::new().on_wake(|| {
                if !text.is_empty() {
                    panic_quietly(text)
                }
            })
        })
        .map(Foreign::share)
        .collect();
    for (slot, waker) in slots.iter().zip(&wakers) {
        assert!(slot.poll(&waker.waker()).is_pending());
    }
    assert_eq!(panic_of(|| drop(busy)), "first");
    assert!(wakers.iter().all(|waker| waker.woken() == 1));
    W::use_everything(&object);
}

fn panics_while_unwinding<W: Waitable>() {
    let (object, busy) = W::busy();
    let slots: Vec<_> = (0..3).map(|_| W::wait(&object)).collect();
    let bad = Foreign::new().on_wake(|| panic_quietly("the waker")).share();
    let bell = Bell::new();
    assert!(slots[0].poll(&bad.waker()).is_pending());
    assert!(slots[1].poll(&bad.waker()).is_pending());
    assert!(slots[2].poll(&bell.waker()).is_pending());
    let text = panic_of(|| {
        let _busy = busy;
        panic_quietly("the worker");
    });
    assert_eq!((text.as_str(), bad.woken(), bell.rings()), ("the worker", 2, 1));
    assert!(slots.iter().all(|slot| slot.poll(Waker::noop()).is_ready()));
}

fn panics_in_clone<W: Waitable>() {
    let (object, busy) = W::busy();
    let bad = Foreign::new().on_clone(|| panic_quietly("the clone")).share();
    let (fresh, parked, other) = (W::wait(&object), W::wait(&object), W::wait(&object));
    let bells = [Bell::new(), Bell::new(), Bell::new()];
    assert!(parked.poll(&bells[1].waker()).is_pending());
    assert!(other.poll(&bells[2].waker()).is_pending());
    for slot in [&fresh, &parked] {
        // The slot is not poisoned: it is taken out while it is polled.
        let mut task = slot.0.lock().unwrap().take().unwrap();
        assert_eq!(panic_of(|| poll(&mut task, &bad.waker())), "the clone");
        *slot.0.lock().unwrap() = Some(task);
    }
    assert_eq!(bad.alive(), 0);
    assert!(fresh.poll(&bells[0].waker()).is_pending());
    drop(busy);
    assert_eq!(bells.each_ref().map(|bell| bell.rings()), [1, 1, 1], "the old waker is kept");
    assert!([fresh, parked, other].iter().all(|slot| slot.poll(Waker::noop()).is_ready()));
}

fn panics_in_drop<W: Waitable>() {
    let (object, busy) = W::busy();
    // Armed only when the test is about to drop what the wait holds.
    let armed = Arc::new(AtomicBool::new(false));
    let bad = || {
        let armed = Arc::clone(&armed);
        let act = move || {
            if armed.swap(false, Ordering::Relaxed) {
                panic_quietly("the drop");
            }
        };
        Foreign::new().on_drop(act).share()
    };
    let (first, second, third, bell) = (bad(), bad(), bad(), Bell::new());
    let task = |slot: &Slot| slot.0.lock().unwrap().take().unwrap();
    let (mut replaced, mut abandoned) = (task(&W::wait(&object)), task(&W::wait(&object)));
    let over = W::wait(&object);
    assert!(poll(&mut replaced, &first.waker()).is_pending());
    assert!(poll(&mut abandoned, &second.waker()).is_pending());
    assert!(over.poll(&third.waker()).is_pending());
    let waker = bell.waker();
    armed.store(true, Ordering::Relaxed);
    assert_eq!(panic_of(|| poll(&mut replaced, &waker)), "the drop");
    armed.store(true, Ordering::Relaxed);
    assert_eq!(panic_of(|| drop(abandoned)), "the drop");
    // A wake uses its waker up.
    armed.store(true, Ordering::Relaxed);
    assert_eq!(panic_of(|| drop(busy)), "the drop");
    assert_eq!((first.woken(), second.woken(), third.woken(), bell.rings()), (0, 0, 1, 1));
    assert_eq!(look(&mut replaced), Poll::Ready(()));
    assert!(over.poll(Waker::noop()).is_ready());
    assert_eq!([first, second, third].map(|waker| waker.alive()), [0; 3]);
}

fn panics_in_drop_when_due<W: Waitable>() {
    let (object, busy) = W::busy();
    let slots: Arc<Vec<Slot>> = Arc::new((0..5).map(|_| W::wait(&object)).collect());
    let all = Arc::clone(&slots);
    let alone = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&alone);
    let first = Foreign::new().on_wake(move || {
        all.iter().skip(1).for_each(Slot::drop_it);
        armed.store(true, Ordering::Relaxed);
    });
    let bad = Foreign::new().on_drop(move || {
        if alone.load(Ordering::Relaxed) {
            panic_quietly("the drop");
        }
    });
    // A second panic, which must not meet the first.
    let worse = Foreign::new().on_wake(|| panic_quietly("the waker"));
    let wakers = [first, Foreign::new(), bad, worse, Foreign::new()].map(Foreign::share);
    for (slot, waker) in slots.iter().zip(&wakers) {
        assert!(slot.poll(&waker.waker()).is_pending());
    }
    assert_eq!(panic_of(|| drop(busy)), "the drop");
    assert_eq!(wakers.each_ref().map(|waker| waker.woken()), [1; 5]);
    slots[0].drop_it();
    assert_eq!(wakers.map(|waker| waker.alive()), [0; 5]);
}

/// Rules 3 and 11: a wait whose zero was there keeps it, although the drop of its waker panicked and the
/// group is busy again.
#[test]
fn a_zero_is_kept_although_the_drop_of_the_waker_panics() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    let bad = Foreign::new().on_drop(move || {
        if is_armed.load(Ordering::Relaxed) {
            panic_quietly("the drop");
        }
    });
    let mut wait = group.wait();
    assert!(poll(&mut wait, &bad.into_waker()).is_pending());
    armed.store(true, Ordering::Relaxed);
    assert_eq!(panic_of(|| drop(guard)), "the drop");
    let _busy = group.guard();
    assert_eq!(look(&mut wait), Poll::Ready(()));
}

/// Rule 3: also where the first poll found that zero as it registered, and had to drop its new waker.
#[test]
fn a_zero_that_is_found_while_registering_is_kept_although_the_drop_of_the_waker_panics() {
    let group = Group::default();
    let guard = Mutex::new(Some(WaitGroup::guard_in(Arc::clone(&group))));
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    // The clone comes after the first look, and before the announcement.
    let bad = Foreign::new()
        .on_clone(move || {
            drop(guard.lock().unwrap().take());
            armed.store(true, Ordering::Relaxed);
        })
        .on_drop(move || {
            if is_armed.swap(false, Ordering::Relaxed) {
                panic_quietly("the drop");
            }
        });
    let mut wait = group.wait();
    assert_eq!(panic_of(|| poll(&mut wait, &bad.into_waker())), "the drop");
    let _busy = group.guard();
    assert_eq!(look(&mut wait), Poll::Ready(()));
}

fn used_up_by_a_clone<W: Waitable>() {
    let (object, busy) = W::busy();
    let (slot, other, bell) = (W::wait(&object), W::wait(&object), Bell::new());
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    let old = Foreign::new().on_drop(move || {
        if is_armed.load(Ordering::Relaxed) {
            panic_quietly("the drop");
        }
    });
    assert!(slot.poll(&old.into_waker()).is_pending());
    assert!(other.poll(&bell.waker()).is_pending());
    let busy = Mutex::new(Some(busy));
    let ends = Foreign::new().on_clone(move || {
        let busy = busy.lock().unwrap().take();
        drop(busy);
    });
    let mut task = slot.0.lock().unwrap().take().unwrap();
    armed.store(true, Ordering::Relaxed);
    assert_eq!(panic_of(|| poll(&mut task, &ends.into_waker())), "the drop");
    assert_eq!(bell.rings(), 1);
    assert_eq!(look(&mut task), Poll::Ready(()));
}

fn drop_ends<W: Waitable>() {
    for replaced in [false, true] {
        let (object, busy) = W::busy();
        let (slot, other) = (W::wait(&object), W::wait(&object));
        let (bell, other_bell) = (Bell::new(), Bell::new());
        let busy = Mutex::new(Some(busy));
        let armed = Arc::new(AtomicBool::new(false));
        let is_armed = Arc::clone(&armed);
        let waker = Foreign::new().on_drop(move || {
            if is_armed.load(Ordering::Relaxed) {
                drop(busy.lock().unwrap().take());
            }
        });
        assert!(slot.poll(&waker.into_waker()).is_pending());
        assert!(other.poll(&other_bell.waker()).is_pending());
        armed.store(true, Ordering::Relaxed);
        if replaced {
            let now = slot.poll(&bell.waker());
            assert!(now.is_ready() || bell.rings() == 1);
            assert!(slot.poll(Waker::noop()).is_ready());
        } else {
            slot.drop_it();
        }
        assert_eq!(other_bell.rings(), 1);
        assert!(other.poll(Waker::noop()).is_ready());
    }
}

fn clone_drops<W: Waitable>() {
    let (object, busy) = W::busy();
    let others: Vec<_> = (0..3).map(|_| W::wait(&object)).collect();
    let bells: Vec<_> = others.iter().map(|_| Foreign::new().share()).collect();
    for (other, bell) in others.iter().zip(&bells) {
        assert!(other.poll(&bell.waker()).is_pending());
    }
    let slot = W::wait(&object);
    let waker = Foreign::new().on_clone(move || others.iter().for_each(Slot::drop_it)).share();
    assert!(slot.poll(&waker.waker()).is_pending());
    drop(busy);
    assert!(bells.iter().all(|bell| (bell.woken(), bell.alive()) == (0, 0)));
    assert_eq!((waker.woken(), slot.poll(Waker::noop())), (1, Poll::Ready(())));
}

fn clone_ends<W: Waitable>() {
    let (object, busy) = W::busy();
    let other = W::wait(&object);
    let bell = Bell::new();
    assert!(other.poll(&bell.waker()).is_pending());
    let slot = W::wait(&object);
    let busy = Mutex::new(Some(busy));
    let waker =
        Foreign::new().on_clone(move || drop(busy.lock().map(|mut busy| busy.take()))).share();
    assert_eq!(slot.poll(&waker.waker()), Poll::Ready(()));
    assert_eq!((bell.rings(), waker.woken(), waker.alive()), (1, 0, 0));
}

/// Wakers that note their number.
fn numbered(count: usize) -> (Vec<Waker>, Arc<Mutex<Vec<usize>>>) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let wakers = (0..count)
        .map(|number| {
            let order = Arc::clone(&order);
            Foreign::new().on_wake(move || order.lock().unwrap().push(number)).into_waker()
        })
        .collect();
    (wakers, order)
}

fn in_order<W: Waitable>() {
    let (object, busy) = W::busy();
    let (wakers, order) = numbered(100);
    let slots: Vec<_> = wakers.iter().map(|_| W::wait(&object)).collect();
    for (slot, waker) in slots.iter().zip(&wakers) {
        assert!(slot.poll(waker).is_pending());
    }
    drop(busy);
    assert!(order.lock().unwrap().iter().copied().eq(0..100));
}

fn each_after_changes<W: Waitable>() {
    let (object, busy) = W::busy();
    let (wakers, order) = numbered(8);
    let slots: Vec<_> = wakers.iter().map(|_| W::wait(&object)).collect();
    for at in [0, 1, 2, 3, 4, 5] {
        assert!(slots[at].poll(&wakers[at]).is_pending());
    }
    slots[0].drop_it();
    assert!(slots[6].poll(&wakers[6]).is_pending());
    assert!(slots[1].poll(&wakers[7]).is_pending(), "another waker is another registration");
    assert!(slots[2].poll(&wakers[2]).is_pending(), "the same one keeps its place");
    slots[4].drop_it();
    drop(busy);
    let mut woken = order.lock().unwrap().clone();
    woken.sort_unstable();
    assert_eq!(woken, [2, 3, 5, 6, 7]);
}

fn never_the_same<W: Waitable>() {
    let (object, busy) = W::busy();
    let slot = W::wait(&object);
    let wakers: Vec<_> = (0..1000).map(|_| Foreign::new().share()).collect();
    for waker in &wakers {
        assert!(slot.poll(&waker.waker()).is_pending());
    }
    let (last, old) = wakers.split_last().unwrap();
    assert!(old.iter().all(|waker| waker.alive() == 0));
    drop(busy);
    assert_eq!((last.woken(), old.iter().map(|waker| waker.woken()).sum::<usize>()), (1, 0));
}

fn chain<W: Waitable>() {
    let mut next: Option<W::Busy> = None;
    let mut links = Vec::new();
    for _ in 0..50 {
        let (object, busy) = W::busy();
        let slot = W::wait(&object);
        let next = Mutex::new(next.replace(busy));
        let waker = foreign_that_drops(next);
        assert!(slot.poll(&waker.waker()).is_pending());
        links.push((slot, waker));
    }
    drop(next);
    assert!(links.iter().all(|(_, waker)| waker.woken() == 1));
    assert!(links.iter().all(|(slot, _)| slot.poll(Waker::noop()).is_ready()));
}

fn foreign_that_drops<B: Send + 'static>(held: Mutex<Option<B>>) -> Arc<Foreign> {
    Foreign::new()
        .on_wake(move || {
            let held = held.lock().unwrap().take();
            drop(held);
        })
        .share()
}
