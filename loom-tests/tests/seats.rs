//! Models of waits in their seats: how blocks grow, open, are fired and open again while waits come and go. Where a
//! wait polls once, the model asks whether it was woken when every other call has returned.

#![cfg(loom)]

extern crate alloc;

use alloc::sync::Arc;
use core::future::Future;
use core::ops::Deref;
use core::task::Waker;

use loom::sync::Mutex;
use loom::thread;
use winddown::future::Wait;
use winddown::model::sit_apart;
use winddown::{CancelScope, Signal, WaitGroup};
use winddown_loom_tests::{
    Arrival, Turns, Wakes, Work, alone_and_in_a_crowd, assert_full_or_free, check, check_within,
    crowd, lend, limited, make_queue, parked, poll, unexplored, waker_of,
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

    /// Polls in one interleaving only.
    fn parked(wait: W) -> Self {
        let this = unexplored(|| Self::new(wait));
        assert!(!this.early);
        this
    }

    /// To be called when the wait must be over, and every other call has returned.
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
    /// Makes them, in a group whose count is one. The waits that it returns only hold their seats.
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

/// Makes a test of a model for each of [`Seats`].
macro_rules! wherever_it_sits {
    ($model:ident) => {
        mod $model {
            #[test]
            fn in_the_front() {
                super::$model(super::Seats::Front);
            }

            #[test]
            fn in_an_open_block() {
                super::$model(super::Seats::Open);
            }

            #[test]
            fn in_a_spent_block() {
                super::$model(super::Seats::Spent);
            }

            #[test]
            fn in_a_half_spent_block() {
                super::$model(super::Seats::HalfSpent);
            }

            #[test]
            fn in_a_new_block() {
                super::$model(super::Seats::Nowhere);
            }
        }
    };
}

/// As above, where a block is open.
macro_rules! where_a_block_is_open {
    ($model:ident) => {
        mod $model {
            #[test]
            fn in_the_front() {
                super::$model(super::Seats::Front);
            }

            #[test]
            fn in_an_open_block() {
                super::$model(super::Seats::Open);
            }
        }
    };
}

/// As above, where a block is to be opened.
macro_rules! where_no_block_is_open {
    ($model:ident) => {
        mod $model {
            #[test]
            fn in_a_spent_block() {
                super::$model(super::Seats::Spent);
            }

            #[test]
            fn in_a_new_block() {
                super::$model(super::Seats::Nowhere);
            }
        }
    };
}

/// Rules 3 and 7: rounds end while a wait claims a seat, opens a block, arms its seat and announces itself: it is
/// woken, or finds itself too late and looks again.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: `block-fire-front-does-not-acquire`, `block-opening-is-passed-by`,
/// `listener-ready-ignored`, `seat-arm-ignores-fired`.
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

wherever_it_sits!(rounds_pass_beside_a_first_wait);

/// Rule 7: two waits that find no seat grow the chain at once, or open a block again, and the thread of one of them
/// then ends the round.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: `block-open-before-it-listens`, `chain-load-relaxed`, `chain-publish-relaxed`,
/// `hint-load-relaxed`, `hint-publish-relaxed`, `listening-counted-late`.
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

where_no_block_is_open!(two_waits_find_no_seat);

/// Two threads make a block each. The one whose block is the newer has a hint that leads to it, and from there to the
/// other block, which it has not got by the chain.
///
/// Edges: P.
///
/// Mutants: `chain-grow-failure-relaxed`, `chain-grow-load-relaxed`.
#[test]
fn a_hint_leads_to_a_block_that_another_thread_has_just_made() {
    check_within(2, || {
        let scope = CancelScope::new();
        // Each callback sits in a block of its own.
        let token = scope.token().clone();
        let other = thread::spawn(move || token.on_cancel(|| {}));
        let _newer = scope.token().on_cancel(|| {});
        let _searches = unexplored(|| scope.token().on_cancel(|| {}));
        drop(other.join().unwrap());
    });
}

/// As above, with a third thread that ends the round.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: `block-reopen-relaxed`.
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

/// Rules 3 and 7: a thread ends a round, and then waits itself for the end of the next one, while another one
/// opens a block: whichever of them opens it, both are woken.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: `block-missed-is-spent`, `block-open-does-not-release`, `block-reopen-relaxed`.
#[test]
fn a_block_is_opened_beside_an_opener_that_is_late() {
    check_within(2, || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _held = Seats::Spent.in_group(group);
        let other = thread::spawn(move || Polled::new(group.wait()));
        group.done().unwrap();
        group.add(1).unwrap();
        let wait = Polled::new(group.wait());
        group.done().unwrap();
        other.join().unwrap().assert_woken();
        wait.assert_woken();
    });
}

/// Rules 3 and 7: a notifier uses up the listener of a block that is being opened. When the block listens again, behind
/// another one, the next notifier reads the link that it has written itself, and finds both.
///
/// Edges: B, C, F, L, V.
///
/// Mutants: `block-missed-does-not-acquire`.
#[test]
fn a_block_that_was_missed_is_on_the_stack_again() {
    check_within(2, || {
        let group = WaitGroup::new();
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let _held = Seats::Spent.in_group(group);
        let first = thread::spawn(move || group.done().unwrap());
        let second = thread::spawn(move || {
            group.add(1).unwrap();
            let wait = unexplored(|| Polled::new(group.wait()));
            group.done().unwrap();
            wait
        });
        let wait = Polled::new(group.wait());
        first.join().unwrap();
        second.join().unwrap().assert_woken();
        wait.assert_woken();
    });
}

/// Rules 3 and 7: two threads end two rounds at once, and each may fire what the other has notified: a wait of
/// either round is woken, and what the firing thread reads is what the wait wrote.
///
/// Edges: A, B, C, F, L, S, V.
///
/// Mutants: `block-fire-does-not-acquire`.
#[test]
fn two_rounds_end_at_once() {
    check_within(2, || {
        let group = WaitGroup::new();
        // SAFETY: the threads are joined below.
        let group = unsafe { lend(&group) };
        let _held = Seats::Open.in_group(group);
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

/// Rule 7: a notifier takes blocks from the stack that another one has notified meanwhile: it finds them all.
///
/// Edges: F, L.
///
/// Mutants: `stack-push-relaxed`, `stack-take-relaxed`.
#[test]
fn a_notifier_takes_what_another_has_notified() {
    check(|| {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        group.add(1).unwrap();
        // The front, and a block.
        let mut waits = Vec::from_iter((0..3).map(|_| Polled::parked(group.wait())));
        let finisher = thread::spawn(move || group.done().unwrap());
        group.add(1).unwrap();
        // Two blocks, if the finisher is still to fire the first ones.
        unexplored(|| waits.extend((0..4).map(|_| Polled::new(group.wait()))));
        group.done().unwrap();
        finisher.join().unwrap();
        waits.into_iter().for_each(Polled::assert_woken);
    });
}

/// Rule 12: a wait is dropped beside the delivery that may have fired it, and another one comes, to the same seat
/// or the one beside it: the one that stays is woken, and each waker is woken by the thread that fired it, and
/// dropped once.
///
/// Edges: B, C, F, L, S, V.
///
/// Mutants: `block-delivered-early`, `block-delivered-relaxed`, `seat-armed-relaxed`,
/// `seat-claim-relaxed`, `seat-claimed-in-a-fired-block`, `seat-freed-relaxed`,
/// `seat-read-when-freed`, `seat-written-by-a-delivery`.
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

where_a_block_is_open!(a_wait_goes_beside_the_end_of_a_round);

/// Rule 7: a block that was fired is opened again, and notified, while the thread that has fired it is still to
/// fire what was below it on the stack.
///
/// Edges: F, L, V.
///
/// Mutants: `block-fire-does-not-release`, `block-link-read-when-fired`.
#[test]
fn a_fired_block_is_on_the_stack_again() {
    check(|| {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let (_held, old) = unexplored(|| {
            group.add(1).unwrap();
            // The front, and two blocks, of which the first is open and empty.
            let mut waits = Vec::from_iter((0..4).map(|_| parked(group.wait(), Waker::noop())));
            let old = Polled::new(group.wait());
            waits.drain(1..3);
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
/// Mutants: `fire-front-or-further`, `notify-not-additional`, `notify-one-batch`.
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

/// Rule 7: two threads that wait anew meet at one block, and at a seat that one of them has just freed: each gets a
/// seat of its own, in that block or in one that it opens for itself, and both are woken.
///
/// Edges: B, C, F, L, P, S, V.
///
/// Mutants: `claim-alone-believes-its-guess`, `claim-alone-relaxed`.
fn threads_that_meet_sit_apart(seats: Seats) {
    check_within(2, move || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _held = seats.in_group(group);
        let old = parked(group.wait(), Waker::noop());
        let other = thread::spawn(move || {
            sit_apart(1);
            drop(old);
            Polled::new(group.wait())
        });
        sit_apart(0);
        let wait = Polled::new(group.wait());
        group.done().unwrap();
        other.join().unwrap().assert_woken();
        wait.assert_woken();
    });
}

where_a_block_is_open!(threads_that_meet_sit_apart);

/// Rule 12: a wait that goes takes its waker out of its seat, while another one comes.
///
/// Edges: V.
///
/// Mutants: `seat-not-freed`.
fn a_wait_that_goes_takes_its_waker_along(seats: Seats) {
    check(move || {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let _held = seats.in_group(group);
        let other = thread::spawn(move || {
            let Polled { wait, wakes, .. } = Polled::new(group.wait());
            drop(wait);
            assert_eq!(Arc::strong_count(&wakes), 1, "the waker is gone");
        });
        let wait = Polled::new(group.wait());
        other.join().unwrap();
        unexplored(|| group.done().unwrap());
        wait.assert_woken();
    });
}

where_a_block_is_open!(a_wait_that_goes_takes_its_waker_along);

/// Two first waiters make one wait list between them, and each may use it.
///
/// Edges: P.
///
/// Mutants: `list-get-relaxed`, `list-publish-relaxed`.
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
/// Mutants: `fire-front-or-further`.
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
/// first. No other wait gets its seat.
///
/// Edges: B, C, L, S.
///
/// Mutants: `forgotten-target-not-dropped`.
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
/// Mutants: `wait-holds-nothing`.
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
/// Mutants: `spare-full-relaxed`, `spare-in-two-steps`, `spare-lend-relaxed`.
#[test]
fn a_spare_registration_is_taken_by_one_of_two() {
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

/// Rule 12: a handle forgets the registration that it has, and a wait of another thread puts one in.
///
/// Edges: T.
///
/// Mutants: `spare-empty-relaxed`.
#[test]
fn a_spare_registration_is_forgotten_beside_a_wait() {
    check_within(2, || {
        let scope = CancelScope::new().detach();
        // SAFETY: the thread is joined below.
        let token = unsafe { lend(scope.token()) };
        drop(parked(token.cancelled(), Waker::noop()));
        let other = thread::spawn(|| token.forget_wait());
        assert!(poll(&mut token.cancelled(), Waker::noop()).is_pending());
        other.join().unwrap();
    });
}

/// First come, first served: a wait leaves the queue beside the thread that serves it, and another one comes, which
/// may get the block of the first, but not its place.
///
/// Edges: B, C, F, L, V.
///
/// Mutants: `block-left-is-spent`, `fire-one-fires-two`, `listening-counted-down-twice`,
/// `ordered-seat-left-in-place`.
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

/// As above, with no other wait behind it: the wait that comes gets in.
///
/// Edges: B, C, F, L, V.
///
/// Mutants: `block-left-is-spent`.
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

/// First come, first served: a wait opens a block of the queue again, whose last wait got a place, while another wait
/// is in line: that one is next, and neither is dismissed.
///
/// Edges: B, C, F, L, V.
///
/// Mutants: `listener-dropped-not-discarded`.
#[test]
fn a_block_of_the_queue_is_opened_again() {
    check_within(2, || {
        let group = limited(1);
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let (guard, second) = unexplored(|| {
            let guard = group.guard().unwrap();
            let (first, second) = (Arrival::at(group), Arrival::at(group));
            drop(guard);
            (first.outcome().unwrap(), second)
        });
        let leaver = thread::spawn(move || drop(guard));
        let mut late = Arrival::at(group);
        leaver.join().unwrap();
        let guard = second.outcome().unwrap();
        assert!(late.is_queued());
        drop(guard);
        drop(late.outcome().unwrap());
        assert_full_or_free(group, 1, 0);
    });
}

/// Rule 10: a callback is registered in the block of one that is taken back at the same time.
///
/// Edges: V.
///
/// Mutants: `block-left-relaxed`.
#[test]
fn a_callback_comes_to_the_block_of_one_that_goes() {
    check(|| {
        let scope = CancelScope::new().detach();
        // SAFETY: the thread is joined below.
        let token = unsafe { lend(scope.token()) };
        let turns = Turns::default();
        // SAFETY: as above.
        let turns = unsafe { lend(&turns) };
        let going = unexplored(|| token.on_cancel(|| unreachable!("it was taken back")));
        let other = thread::spawn(move || {
            assert!(going.deregister());
            turns.take();
        });
        let wakes = Wakes::new();
        let waker = wakes.waker();
        turns.take();
        let _coming = token.on_cancel(move || waker.wake());
        other.join().unwrap();
        unexplored(|| assert!(scope.cancel()));
        assert_eq!(wakes.count(), 1);
    });
}

/// Rule 10: callbacks run in the order of their registration, also where one that was taken back made room; and
/// one that is taken back beside the cancel runs once or never.
///
/// Edges: B, C, F, L, S, V.
///
/// Mutants: `ordered-seat-left-in-place`.
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
        let (late, is_in_line) = unexplored(|| (register(3), !scope.token().is_cancelled()));
        assert!(canceller.join().unwrap());
        let order = order.lock().unwrap().clone();
        let mut of_the_cancel = Vec::from_iter((!in_time).then_some(1));
        of_the_cancel.push(2);
        let expected = order.iter().copied().filter(|place| *place != 3);
        assert!(expected.eq(of_the_cancel));
        assert!(!is_in_line || order.last() == Some(&3));
        assert_eq!(order.iter().filter(|place| **place == 3).count(), 1);
        drop((early, late));
    });
}

/// Rules 7 and 12: a wait opens a block again while an old one, which was fired there, frees its seat: the wait may
/// get that seat, when the old one is done with it.
///
/// Edges: V.
///
/// Mutants: `block-open-does-not-acquire`.
#[test]
fn a_seat_is_freed_while_its_block_is_opened() {
    check(|| {
        let group = WaitGroup::new();
        // SAFETY: the thread is joined below.
        let group = unsafe { lend(&group) };
        let mut held = Seats::HalfSpent.in_group(group);
        let old = held.pop();
        let goes = thread::spawn(move || drop(old));
        let wait = Polled::new(group.wait());
        goes.join().unwrap();
        unexplored(|| group.done().unwrap());
        wait.assert_woken();
    });
}

/// Rule 12: a wait over a pointer of a foreign type, which is polled with another waker beside the end of its round,
/// gives its old registration up, with the hold that it had of the list.
///
/// Edges: B, C, S, V.
///
/// Mutants: `wait-old-registration-kept`.
#[test]
fn a_registration_that_is_replaced_goes() {
    check(|| {
        let group = Box::new(WaitGroup::new());
        // SAFETY: the thread is joined below, before the group goes.
        let lent = unsafe { lend(&*group) };
        lent.add(1).unwrap();
        let (before, after) = (Wakes::new(), Wakes::new());
        let mut wait = parked(WaitGroup::wait_in(Lent(lent)), &before.waker());
        let finisher = thread::spawn(move || lent.done().unwrap());
        let pending = poll(&mut wait, &after.waker()).is_pending();
        finisher.join().unwrap();
        assert!(!pending || after.count() == 1);
        assert!(poll(&mut wait, Waker::noop()).is_ready());
    });
}

/// Rule 7: a child that sits down in a block of its parent which is being fired hears of the cancel by its own
/// look, since it has acquired what led to the firing.
///
/// Edges: B, D, S.
///
/// Mutants: `seat-arm-does-not-acquire`.
#[test]
fn a_child_that_sits_down_too_late_hears_of_the_cancel() {
    sits_down_too_late(2);
}

/// The same in a front, which has a seat beside only with `--more-seats`.
///
/// Edges: B, D, S.
///
/// Mutants: `block-fire-front-does-not-release`.
#[test]
fn a_child_that_sits_down_too_late_in_a_front_hears_of_the_cancel() {
    sits_down_too_late(1);
}

/// A child waits for the first time while its parent, in which so many sit already, is cancelled.
fn sits_down_too_late(before: usize) {
    check(move || {
        let root = CancelScope::new().detach();
        // SAFETY: the thread is joined below.
        let root = unsafe { lend(&root) };
        let children = [(); 3].map(|()| root.token().child());
        let sit =
            |child: &CancelScope| parked(child.token().clone().cancelled_owned(), Waker::noop());
        let _crowd: Vec<_> = children[..before].iter().map(sit).collect();
        let canceller = thread::spawn(move || assert!(root.cancel()));
        let wait = Polled::new(children[2].token().cancelled());
        canceller.join().unwrap();
        wait.assert_woken();
    });
}
