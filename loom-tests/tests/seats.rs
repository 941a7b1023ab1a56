//! Models of waits in their seats: how blocks grow, open, are fired and open again while waits come and go. Where a
//! wait polls once, it is asked whether it was woken when no call is on its way any more.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::future::Future;
use core::ops::Deref;
use core::task::Waker;

use loom::sync::Mutex;
use loom::thread;
use winddown::future::Wait;
use winddown::{CancelScope, Signal, WaitGroup};
use winddown_loom_tests::{
    Arrival, Wakes, Work, alone_and_in_a_crowd, assert_full_or_free, check, check_within, crowd,
    lend, limited, make_queue, parked, poll, unexplored, waker_of,
};

type GroupWait = Wait<&'static WaitGroup>;

/// A wait that was polled once, with its waker, whose data was written by the thread that polled.
struct Polled<W> {
    wait: W,
    wakes: Arc<Wakes>,
    early: bool,
}

impl<W: Future<Output = ()> + Unpin> Polled<W> {
    fn new(mut wait: W) -> Self {
        let (wakes, seen) = (Wakes::new(), Arc::new(Work::default()));
        seen.finish();
        let waker = waker_of(
            {
                let wakes = wakes.waker();
                move || {
                    seen.assert_finished();
                    wakes.wake_by_ref();
                }
            },
            || {},
        );
        let early = poll(&mut wait, &waker).is_ready();
        Self { wait, wakes, early }
    }

    /// In one way only.
    fn parked(wait: W) -> Self {
        let this = unexplored(|| Self::new(wait));
        assert!(!this.early);
        this
    }

    /// To be called when what is waited for has come, and no call is on its way any more.
    #[track_caller]
    fn assert_woken(mut self) {
        assert!(self.early || self.wakes.count() > 0, "a wait was not woken");
        assert!(poll(&mut self.wait, Waker::noop()).is_ready());
    }
}

/// Where the next wait of a busy group finds a seat.
#[derive(Clone, Copy, PartialEq)]
enum Seats {
    /// In the front.
    Front,
    /// In a further block that is open, and empty.
    Open,
    /// In a further block that was fired, and is empty.
    Spent,
    /// In a further block that was fired, beside a wait that has not been polled since.
    HalfSpent,
    /// Nowhere: a block is to be made.
    Nowhere,
}

impl Seats {
    /// Makes them, in a group whose count is one. The waits stay where they are, and nobody asks for them.
    fn in_group(self, group: &'static WaitGroup) -> Vec<GroupWait> {
        unexplored(|| {
            group.add(1).unwrap();
            let wait = || parked(group.wait(), Waker::noop());
            if self == Self::Front {
                drop(wait());
                return Vec::new();
            }
            let front = wait();
            match self {
                Self::Front | Self::Nowhere => vec![front],
                Self::Open => {
                    drop(wait());
                    vec![front]
                }
                Self::Spent | Self::HalfSpent => {
                    let further = wait();
                    group.done().unwrap();
                    group.add(1).unwrap();
                    drop(front);
                    let mut waits = vec![wait()];
                    if self == Self::HalfSpent {
                        waits.push(further);
                    }
                    waits
                }
            }
        })
    }
}

/// Makes a test of a model for each of some [`Seats`].
macro_rules! with_seats {
    ($model:ident: $($name:ident $seats:ident),+) => {
        mod $model {$(
            #[test]
            fn $name() {
                super::$model(super::Seats::$seats);
            }
        )+}
    };
}

/// Rules 3 and 7: rounds end while a wait claims a seat, opens a block, arms its seat and announces itself: it is
/// woken, or finds itself too late and looks again.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: none yet.
fn rounds_pass_beside_a_first_wait(seats: Seats) {
    check(move || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _held = seats.in_group(group);
        let finisher = thread::spawn(move || {
            group.done().unwrap();
            group.add(1).unwrap();
            group.done().unwrap();
        });
        let wait = Polled::new(group.wait());
        finisher.join().unwrap();
        wait.assert_woken();
    });
}

with_seats!(rounds_pass_beside_a_first_wait:
    in_the_front Front, in_an_open_block Open, in_a_spent_block Spent, in_a_half_spent_block HalfSpent,
    in_a_new_block Nowhere);

/// Rule 7: two waits that find no seat grow the chain at once, or open a block again, and the thread of one of them
/// then ends the round.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: none yet.
fn two_waits_find_no_seat(seats: Seats) {
    check_within(2, move || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _held = seats.in_group(group);
        let other = thread::spawn(move || Polled::new(group.wait()));
        let wait = Polled::new(group.wait());
        group.done().unwrap();
        other.join().unwrap().assert_woken();
        wait.assert_woken();
    });
}

with_seats!(two_waits_find_no_seat:
    in_a_spent_block Spent, in_a_half_spent_block HalfSpent, in_a_new_block Nowhere);

/// As above, with a third thread that ends the round.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: none yet.
#[test]
fn two_waits_open_a_block_while_the_round_ends() {
    check_within(1, || {
        let group = WaitGroup::new();
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let _held = Seats::Spent.in_group(group);
        let other = thread::spawn(move || Polled::new(group.wait()));
        let finisher = thread::spawn(move || group.done().unwrap());
        let wait = Polled::new(group.wait());
        let other = other.join().unwrap();
        finisher.join().unwrap();
        other.assert_woken();
        wait.assert_woken();
    });
}

/// Rules 3 and 7: two threads end two rounds at once, and each may fire what the other has notified: a wait of
/// either round is woken, and what the firing thread reads is what the wait wrote.
///
/// Edges: A, B, C, F, L, S, V.
///
/// Mutants: none yet.
fn two_rounds_end_at_once(seats: Seats) {
    check_within(2, move || {
        let group = WaitGroup::new();
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let _held = seats.in_group(group);
        let old = Polled::parked(group.wait());
        let first = thread::spawn(move || group.done().unwrap());
        let second = thread::spawn(move || {
            group.add(1).unwrap();
            group.done().unwrap();
        });
        let wait = Polled::new(group.wait());
        first.join().unwrap();
        second.join().unwrap();
        old.assert_woken();
        wait.assert_woken();
    });
}

with_seats!(two_rounds_end_at_once: in_the_front Front, in_an_open_block Open);

/// Rule 12: a wait is dropped beside the delivery that may have fired it, and another one comes, to the same seat
/// or the one beside it: the one that stays is woken, and each waker is woken by the thread that fired it, and
/// dropped once.
///
/// Edges: B, C, F, L, S, V.
///
/// Mutants: none yet.
fn a_wait_goes_beside_the_end_of_a_round(seats: Seats) {
    check_within(2, move || {
        let group = WaitGroup::new();
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let _held = seats.in_group(group);
        let going = Polled::parked(group.wait());
        let finisher = thread::spawn(move || {
            group.done().unwrap();
            group.add(1).unwrap();
            group.done().unwrap();
        });
        let goes = thread::spawn(move || drop(going.wait));
        let wait = Polled::new(group.wait());
        finisher.join().unwrap();
        goes.join().unwrap();
        wait.assert_woken();
    });
}

with_seats!(a_wait_goes_beside_the_end_of_a_round: in_the_front Front, in_an_open_block Open);

/// Rule 7: a block that was fired is opened again, and notified, while the thread that has fired it is still to
/// fire what was below it on the stack.
///
/// Edges: F, L, V.
///
/// Mutants: none yet.
#[test]
fn a_fired_block_is_on_the_stack_again() {
    check(|| {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let (_held, old) = unexplored(|| {
            group.add(1).unwrap();
            // The front, and two blocks, of which the first is open and empty.
            let mut waits = Vec::from_iter((0..5).map(|_| parked(group.wait(), Waker::noop())));
            waits.truncate(4);
            waits.drain(1..3);
            let old = Polled::new(group.wait());
            (waits, old)
        });
        let first = thread::spawn(move || group.done().unwrap());
        group.add(1).unwrap();
        let wait = Polled::new(group.wait());
        group.done().unwrap();
        first.join().unwrap();
        old.assert_woken();
        wait.assert_woken();
    });
}

/// Rule 7: a list that is longer than one batch is fired to its end, each wait once.
///
/// Edges: F, L.
///
/// Mutants: none yet.
#[test]
fn a_long_list_is_fired_to_its_end() {
    check_within(1, || {
        let signal = Signal::new();
        // SAFETY: the thread is joined below.
        let signal = unsafe { lend(&signal) };
        let waits = [(); 9].map(|()| Polled::parked(signal.closed()));
        let closer = thread::spawn(move || signal.close());
        assert!(closer.join().unwrap());
        unexplored(|| {
            assert!(waits.iter().all(|wait| wait.wakes.count() == 1));
            drop(waits);
        });
    });
}

/// Rule 7: waits that were fired in an old round, and go when they like, count for nothing in a new one: all its
/// waits are woken.
///
/// Edges: C, L, S, V.
///
/// Mutants: none yet.
#[test]
fn old_waits_take_nobodys_place_in_a_new_round() {
    check_within(2, || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        group.add(1).unwrap();
        let old = crowd(|| group.wait());
        unexplored(|| group.done().unwrap());
        group.add(1).unwrap();
        let waits = [(); 3].map(|()| Polled::parked(group.wait()));
        let finisher = thread::spawn(move || group.done().unwrap());
        drop(old);
        finisher.join().unwrap();
        assert!(waits.iter().all(|wait| wait.wakes.count() == 1));
        waits.into_iter().for_each(Polled::assert_woken);
    });
}

/// Two first waiters make one wait list between them, and each may use it.
///
/// Edges: P.
///
/// Mutants: none yet.
#[test]
fn two_first_waiters_share_one_list() {
    check(|| {
        let signal = Signal::new();
        // SAFETY: the thread is joined below.
        let signal = unsafe { lend(&signal) };
        let other = thread::spawn(move || Polled::new(signal.closed()));
        let wait = Polled::new(signal.closed());
        let waits = [wait, other.join().unwrap()];
        signal.close();
        assert!(waits.iter().all(|wait| wait.wakes.count() == 1));
        waits.into_iter().for_each(Polled::assert_woken);
    });
}

/// Rule 7: every announced wait is delivered to, though another one that sits beside it is coming, or going, at
/// the same time.
///
/// Edges: B, C, L, S, V.
///
/// Mutants: none yet.
fn a_wait_that_comes_and_goes_takes_no_place_in_a_delivery(crowded: bool) {
    check(move || {
        let signal = Signal::new();
        // SAFETY: the thread is joined below.
        let signal = unsafe { lend(&signal) };
        let _crowd = crowded.then(|| crowd(|| signal.closed()));
        let passing = thread::spawn(move || {
            let _ = poll(&mut signal.closed(), Waker::noop());
        });
        let wait = Polled::new(signal.closed());
        signal.close();
        assert!(!wait.early);
        assert_eq!(wait.wakes.count(), 1);
        passing.join().unwrap();
    });
}

alone_and_in_a_crowd!(a_wait_that_comes_and_goes_takes_no_place_in_a_delivery);

/// Rule 12: what a wait that was forgotten has left in its seat goes with the list, or is woken if the end comes
/// first; and its seat is nobody else's.
///
/// Edges: B, C, L, S.
///
/// Mutants: none yet.
#[test]
fn a_forgotten_wait_leaves_nothing_behind() {
    check(|| {
        let signal = Signal::new();
        {
            // SAFETY: the thread is joined below.
            let signal = unsafe { lend(&signal) };
            let wakes = Wakes::new();
            let forget = || core::mem::forget(parked(signal.closed(), &wakes.waker()));
            forget();
            forget();
            let other = thread::spawn(move || Polled::new(signal.closed()).early);
            forget();
            assert!(!other.join().unwrap());
            assert_eq!(wakes.count(), 0);
        }
        drop(signal);
    });
}

/// A pointer that leads to a group for as long as the group lives, and does not keep it.
struct Lent(&'static WaitGroup);

impl Deref for Lent {
    type Target = WaitGroup;

    fn deref(&self) -> &WaitGroup {
        self.0
    }
}

/// Rule 12: a wait over a pointer of a foreign type may be dropped when what the pointer led to is gone: it keeps
/// the list that its seat is in.
///
/// Edges: V.
///
/// Mutants: none yet.
#[test]
fn the_list_outlives_the_primitive() {
    check(|| {
        let group = Box::new(WaitGroup::new());
        // SAFETY: all that is done with the waits after the group has gone is to drop them.
        let lent = unsafe { lend(&*group) };
        lent.add(1).unwrap();
        let wait = || parked(WaitGroup::wait_in(Lent(lent)), Waker::noop());
        let waits = [wait(), wait()];
        let late = thread::spawn(move || drop(waits));
        drop(group);
        late.join().unwrap();
    });
}

/// Rule 12: two threads put registrations into one handle, and take them out: what a thread takes is whole, and
/// each is freed once.
///
/// Edges: T.
///
/// Mutants: none yet.
#[test]
fn a_kept_registration_is_taken_by_one_of_two() {
    check_within(2, || {
        let scope = CancelScope::new().detach();
        // SAFETY: the thread is joined below.
        let token = unsafe { lend(scope.token()) };
        drop(parked(token.cancelled(), Waker::noop()));
        // Its own registration is taken out, and put back in.
        let turn = || assert!(poll(&mut token.cancelled(), Waker::noop()).is_pending());
        let other = thread::spawn(turn);
        turn();
        other.join().unwrap();
    });
}

/// First come, first served: a wait leaves the queue beside the thread that serves it, and another one comes, which
/// may get the block of the first, but not its place.
///
/// Edges: B, C, F, L, V.
///
/// Mutants: none yet.
#[test]
fn a_wait_leaves_the_queue_beside_its_server() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let guard = group.guard().unwrap();
        let (gone, behind) = unexplored(|| (Arrival::at(group), Arrival::at(group)));
        let leaver = thread::spawn(move || drop(guard));
        drop(gone);
        let mut late = Arrival::at(group);
        leaver.join().unwrap();
        assert!(late.is_queued(), "a newcomer overtakes");
        assert_full_or_free(group, 1, 1);
        drop(behind.outcome().unwrap());
        drop(late.outcome().unwrap());
        assert_full_or_free(group, 1, 0);
    });
}

/// As above, with nobody behind it: the one that comes gets in.
///
/// Edges: B, C, F, L, V.
///
/// Mutants: none yet.
#[test]
fn a_lone_wait_leaves_the_queue_beside_its_server() {
    check(|| {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        make_queue(group);
        let guard = group.guard().unwrap();
        let gone = unexplored(|| Arrival::at(group));
        let leaver = thread::spawn(move || drop(guard));
        drop(gone);
        let wait = Arrival::at(group);
        leaver.join().unwrap();
        drop(wait.outcome().unwrap());
        assert_full_or_free(group, 1, 0);
    });
}

/// Rule 10: callbacks run in the order of their registration, also where one that was taken back made room; and
/// one that is taken back beside the cancel runs once or never.
///
/// Edges: B, C, F, L, S, V.
///
/// Mutants: none yet.
#[test]
fn a_callback_that_is_taken_back_gives_its_place_to_nobody() {
    check(|| {
        let scope = CancelScope::new().detach();
        // SAFETY: the thread is joined below.
        let scope = unsafe { lend(&scope) };
        let order = Arc::new(Mutex::new(Vec::new()));
        let register = |place: usize| {
            let order = Arc::clone(&order);
            scope.token().on_cancel(move || order.lock().unwrap().push(place))
        };
        let [going, early] = unexplored(|| [1, 2].map(register));
        let canceller = thread::spawn(move || scope.cancel());
        let in_time = going.deregister();
        let late = unexplored(|| register(3));
        assert!(canceller.join().unwrap());
        let order = order.lock().unwrap().clone();
        let mut of_the_cancel = Vec::from_iter((!in_time).then_some(1));
        of_the_cancel.push(2);
        let expected = order.iter().copied().filter(|place| *place != 3);
        assert!(expected.eq(of_the_cancel));
        assert_eq!(order.iter().filter(|place| **place == 3).count(), 1);
        drop((early, late));
    });
}
