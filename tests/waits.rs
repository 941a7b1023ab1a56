//! What all waits have in common: clones, slices of time, owned forms.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::Future;
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use common::{Bell, limited, look, poll};
use winddown::{
    CancelScope, CancelToken, ErrGroup, Refused, Signal, TaskGroup, Unfinished, WaitGroup,
};

const SHORT: Duration = Duration::from_millis(1);

mod clones {
    use super::*;

    /// A clone is registered by itself, whatever became of the wait that it was made of.
    fn clones_wait<W>(wait: W, end: impl FnOnce())
    where
        W: Future + Unpin + Clone,
    {
        let bells = [(); 3].map(|()| Bell::new());
        let mut first = wait;
        assert!(poll(&mut first, &bells[0].waker()).is_pending());
        let mut second = first.clone();
        assert!(poll(&mut second, &bells[1].waker()).is_pending());
        let mut third = second.clone();
        drop(second);
        assert!(poll(&mut third, &bells[2].waker()).is_pending());
        let fresh = first.clone();
        end();
        assert_eq!(bells[0].rings(), 1);
        assert_eq!(bells[1].rings(), 0, "it was dropped");
        assert_eq!(bells[2].rings(), 1);
        for mut wait in [first.clone(), third, first, fresh] {
            assert!(look(&mut wait).is_ready());
            assert!(look(&mut wait.clone()).is_ready());
        }
    }

    #[test]
    fn of_owned_waits() {
        let group = Arc::new(WaitGroup::new());
        group.add(1).unwrap();
        clones_wait(WaitGroup::wait_in(Arc::clone(&group)), || group.done().unwrap());

        let signal = Arc::new(Signal::<u8>::typed());
        clones_wait(Signal::closed_in(Arc::clone(&signal)), || signal.close_with(1).unwrap());

        let signal = Arc::new(Signal::<u8>::typed());
        clones_wait(Signal::value_in(Arc::clone(&signal)), || signal.close_with(1).unwrap());

        let scope = CancelScope::new();
        let token = scope.token().clone();
        clones_wait(token.clone().cancelled_owned(), || assert!(scope.cancel()));
        let scope = CancelScope::new();
        let token = scope.token().clone();
        clones_wait(IntoFuture::into_future(token), || assert!(scope.cancel()));

        let group = TaskGroup::new();
        clones_wait(group.clone().drained_owned(), || assert!(group.close()));
    }

    #[test]
    fn of_borrowed_waits() {
        let group = WaitGroup::new();
        let guard = group.guard();
        clones_wait(group.wait(), || drop(guard));

        let signal = Signal::<u8>::typed();
        clones_wait(signal.value(), || signal.close_with(1).unwrap());

        let scope = CancelScope::new();
        clones_wait(scope.token().cancelled(), || assert!(scope.cancel()));

        let group = TaskGroup::new();
        clones_wait(group.closed(), || assert!(group.close()));

        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        clones_wait(group.join(), || drop(guard));

        let group = ErrGroup::<u8>::new();
        let guard = group.group().guard().unwrap();
        clones_wait(group.join(), || drop(guard));

        let scopes = [CancelScope::new(), CancelScope::new()];
        let any = CancelToken::any([scopes[0].token(), scopes[1].token()]);
        clones_wait(any, || assert!(scopes[1].cancel()));
    }

    /// The clone of a wait in a queue stands behind it, in a turn of its own.
    #[test]
    fn of_a_wait_for_room() {
        let group = limited(1);
        let inside = group.guard().unwrap();
        let mut first = group.clone().guard_when_room_owned();
        assert!(look(&mut first).is_pending());
        let mut second = first.clone();
        assert!(look(&mut second).is_pending());
        drop(inside);
        assert!(look(&mut second).is_pending());
        let Poll::Ready(Ok(guard)) = look(&mut first) else { panic!("it is the first") };
        drop(guard);
        assert!(matches!(look(&mut second), Poll::Ready(Ok(_))));
        let mut third = first.clone();
        assert!(matches!(look(&mut third), Poll::Ready(Ok(_))), "the one before is over");
    }

    /// A wait over a pointer of the user's holds what it is registered in; a clone of one that is over does too.
    #[test]
    fn of_a_wait_that_is_over_hold_what_they_wait_for() {
        let group = Arc::new(WaitGroup::new());
        let mut over = WaitGroup::wait_in(Arc::clone(&group));
        assert!(look(&mut over).is_ready());
        group.add(1).unwrap();
        let bell = Bell::new();
        let mut clone = over.clone();
        assert!(poll(&mut clone, &bell.waker()).is_pending());
        assert!(look(&mut over).is_ready(), "for ever");
        group.done().unwrap();
        assert_eq!(bell.rings(), 1);
        assert!(look(&mut clone).is_ready());
    }
}

mod slices {
    use super::*;

    #[test]
    fn a_wait_goes_on_after_a_slice() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let mut join = group.join();
        assert_eq!(join.block_slice(SHORT).unwrap_err().left, 1);
        assert_eq!(join.block_slice(Duration::ZERO).unwrap_err().left, 1);
        assert!(group.is_closed() && !group.token().is_cancelled());
        let thread = thread::spawn(move || {
            thread::sleep(SHORT);
            drop(guard);
        });
        join.block_slice(Duration::MAX).unwrap();
        join.block_slice(SHORT).expect("over for ever");
        thread.join().unwrap();
    }

    /// The turn in a queue is not lost between two slices.
    #[test]
    fn a_slice_keeps_the_turn_in_a_queue() {
        let group = limited(1);
        let inside = group.guard().unwrap();
        let mut first = group.guard_when_room();
        assert!(first.block_slice(SHORT).is_err());
        let mut second = group.guard_when_room();
        assert!(look(&mut second).is_pending());
        drop(inside);
        assert!(look(&mut second).is_pending());
        let guard = first.block_slice(Duration::from_secs(60)).unwrap().unwrap();
        drop(guard);
        assert!(look(&mut second).is_ready());
    }

    #[test]
    fn a_slice_of_a_wait_with_a_limit() {
        let signal = Signal::<u8>::typed();
        let stop = CancelScope::new();
        let mut wait = signal.value().until(stop.token());
        assert!(matches!(wait.block_slice(Duration::ZERO), Err(Unfinished { left: 0, .. })));
        assert!(wait.block_slice(SHORT).is_err());
        stop.cancel();
        assert!(wait.block_slice(SHORT).unwrap().is_err(), "the inner limit came");
    }
}

mod values {
    use super::*;

    #[test]
    fn the_output_owns_a_pointer_and_shows_the_value() {
        let signal = Arc::new(Signal::<String>::typed());
        let mut wait = Signal::value_in(Arc::clone(&signal));
        assert!(look(&mut wait).is_pending());
        signal.close_with("enough".to_owned()).unwrap();
        let Poll::Ready(value) = look(&mut wait) else { panic!("it is closed") };
        drop((wait, signal));
        assert_eq!(*value, "enough");
        assert_eq!(value.len(), 6);
        assert_eq!(format!("{value} {value:?}"), r#"enough "enough""#);
        assert_eq!(*value.clone(), "enough");
    }
}

mod rooms {
    use super::*;

    /// A place that is waited for can be kept in a field, and sent.
    #[test]
    fn an_owned_wait_for_room_can_be_stored_and_sent() {
        let group = limited(1);
        let inside = group.guard().unwrap();
        let mut wait = group.clone().guard_when_room_owned();
        assert!(look(&mut wait).is_pending());
        let thread = thread::spawn(move || wait.block());
        drop(inside);
        let guard = thread.join().unwrap().unwrap();
        assert_eq!(guard.group().len(), 1);
        drop(group);
        assert!(guard.is_closed(), "the wait and its handle are gone");
    }

    /// Dropped with the last handle in it, it first leaves the queue, and then closes the door.
    #[test]
    fn an_owned_wait_for_room_may_be_the_last_handle() {
        let group = limited(1);
        let inside = group.guard().unwrap();
        let mut wait = group.guard_when_room_owned();
        let mut other = wait.clone();
        assert!(look(&mut wait).is_pending() && look(&mut other).is_pending());
        drop(inside);
        // It was granted the place, and passes it on.
        drop(wait);
        let Poll::Ready(Ok(guard)) = look(&mut other) else { panic!("its turn has come") };
        assert!(!guard.is_closed());
        drop(other);
        assert!(guard.is_closed());
        assert_eq!(guard.group().guard().unwrap_err(), Refused::Closed);
        let late = guard.group().clone().guard_when_room_owned();
        assert_eq!(late.block().unwrap_err(), Refused::Closed);
    }

    #[test]
    fn an_owned_wait_for_room_is_looked_at_after_its_limit() {
        let group = limited(1);
        let stop = CancelScope::new();
        stop.cancel();
        let stopped = group.clone().guard_when_room_owned().until(stop.token()).block();
        assert_eq!(stopped.unwrap_err().left, 0);
        assert!(group.is_empty());
    }
}

mod shutdowns {
    use super::*;
    use core::future::{pending, ready};
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;

    use common::{Drops, Foreign, panic_quietly};
    use winddown::{Reason, Stopped};

    /// Rule 4: a limit that comes before the grace is the end of the grace, too.
    #[test]
    fn a_limit_before_the_grace_tells_the_tasks_to_stop() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let mut shutdown = group.shutdown(pending::<()>()).until(ready("the limit"));
        let Poll::Ready(Err(unfinished)) = look(&mut shutdown) else {
            panic!("the limit has come")
        };
        assert_eq!((unfinished.left, unfinished.by), (1, "the limit"));
        assert!(matches!(group.token().reason(), Some(Reason::Cancelled)));
        drop(guard);
        assert_eq!(group.shutdown(pending::<()>()).block(), Stopped::Forced);
    }

    #[test]
    fn a_thread_whose_time_is_up_tells_the_tasks_to_stop() {
        for (at_once, outer) in [(true, false), (false, false), (false, true)] {
            let group = TaskGroup::new();
            let guard = group.guard().unwrap();
            let shutdown = group.shutdown(pending::<()>());
            let time = if at_once { Duration::ZERO } else { SHORT };
            let left = if outer {
                shutdown.until(pending::<()>()).block_for(time).unwrap_err().left
            } else {
                shutdown.block_for(time).unwrap_err().left
            };
            assert_eq!(left, 1);
            assert!(guard.token().is_cancelled());
        }
    }

    /// Rule 11: two panics of foreign code do not meet, which would abort.
    #[test]
    fn a_waker_that_panics_at_the_limit_takes_along_what_the_limit_gave() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let waker = Foreign::new().on_wake(|| panic_quietly("a waker")).share();
        let mut told = guard.token().cancelled();
        assert!(poll(&mut told, &waker.waker()).is_pending());
        let drops = Drops::default();
        let mut shutdown = group.shutdown(pending::<()>()).until(ready(drops.panicking()));
        let panic = catch_unwind(AssertUnwindSafe(|| look(&mut shutdown).is_ready())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"a waker"));
        drop(shutdown);
        drops.assert_all_gone(1);
        assert!(look(&mut told).is_ready());
    }

    /// Only a limit cancels the group: neither the drop of the wait nor the end of a slice does.
    #[test]
    fn a_shutdown_that_is_given_up_without_a_limit_cancels_nothing() {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        let mut shutdown = group.shutdown(pending::<()>());
        assert!(shutdown.block_slice(SHORT).is_err());
        drop(shutdown);
        assert!(guard.is_closed() && !guard.token().is_cancelled());
    }

    /// A limit that comes after the drain does not force the group.
    #[test]
    fn a_limit_after_the_end_forces_nothing() {
        let group = TaskGroup::new();
        let shutdown = group.shutdown(pending::<()>()).until(ready(()));
        assert_eq!(shutdown.block().unwrap(), Stopped::Gracefully);
        assert!(!group.token().is_cancelled());
    }
}
