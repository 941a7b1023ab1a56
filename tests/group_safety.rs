//! Rule 12: every wait of a group is dropped at every point, forgotten, moved, polled by other tasks.
//! The other waits are not affected. API 5.4: what is fused, and what is ready again.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{Future, pending, ready};
use core::marker::PhantomPinned;
use core::mem::forget;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::thread;

use common::{Bell, Foreign, look, poll};
use futures_util::future::FusedFuture;
use futures_util::{FutureExt as _, select};
use winddown::future::{WaitCancelled, WaitDrained, WaitErrors, WaitRoom, WaitShutdown};
use winddown::{ErrGroup, Stopped, TaskGroup};

type Form<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Every wait of a group, closing or not, alone and with a limit.
fn forms(group: &TaskGroup) -> Vec<Form<'_>> {
    vec![
        Box::pin(group.drained()),
        Box::pin(group.clone().drained_owned()),
        Box::pin(group.join()),
        Box::pin(async { group.join().until(pending::<()>()).await.unwrap() }),
        Box::pin(group.shutdown(pending::<()>()).map(drop)),
        Box::pin(async {
            let stop = group.shutdown(pending::<()>()).until(group.drained()).await;
            assert_eq!(stop.map_or(Stopped::Gracefully, |it| it), Stopped::Gracefully);
        }),
        Box::pin(async { futures_util::join!(group.join(), group.drained()).0 }),
    ]
}

/// Each of the forms is given up: never polled, polled, woken, over; the others hear of the end once.
#[test]
fn a_wait_may_be_dropped_at_any_point() {
    let count = forms(&TaskGroup::new()).len();
    for gives_up in 0..count {
        for point in 0..4 {
            let group = TaskGroup::new();
            let guard = group.guard().unwrap();
            let bells: Vec<_> = (0..count).map(|_| Bell::new()).collect();
            let mut waits: Vec<_> = forms(&group).into_iter().map(Some).collect();
            let poll_all = |waits: &mut Vec<Option<Form<'_>>>| {
                for (at, wait) in waits.iter_mut().enumerate() {
                    if point == 0 && at == gives_up {
                        *wait = None;
                    }
                    if let Some(wait) = wait {
                        assert!(poll(wait, &bells[at].waker()).is_pending());
                    }
                }
            };
            poll_all(&mut waits);
            let drop_it_at = |waits: &mut Vec<Option<Form<'_>>>, now| {
                if point == now {
                    waits[gives_up] = None;
                }
            };
            drop_it_at(&mut waits, 1);
            group.close();
            drop(guard);
            drop_it_at(&mut waits, 2);
            for (at, wait) in waits.iter_mut().enumerate() {
                assert!(wait.as_mut().is_none_or(|wait| look(wait).is_ready()));
                assert!(bells[at].rings() >= 1 || at == gives_up && point < 2);
            }
            drop_it_at(&mut waits, 3);
        }
    }
}

/// Rule 12: what closed the door stays closed, though the wait that did it is gone.
#[test]
fn an_abandoned_join_has_closed_the_door() {
    let closers: [fn(&TaskGroup); 3] = [
        |group| assert!(look(&mut group.join()).is_pending()),
        |group| assert!(look(&mut group.shutdown(pending::<()>())).is_pending()),
        |group| assert!(look(&mut group.join().until(ready(()))).is_ready()),
    ];
    for close in closers {
        let group = TaskGroup::new();
        let _guard = group.guard().unwrap();
        close(&group);
        assert!(group.is_closed() && !group.token().is_cancelled());
    }
}

/// Rule 12: forgotten waits of each kind; the group ends, and goes.
#[test]
fn waits_may_be_forgotten() {
    let waker = Foreign::new().share();
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    for mut wait in forms(&group) {
        assert!(poll(&mut wait, &waker.waker()).is_pending());
        forget(wait);
    }
    let mut room = group.guard_when_room();
    assert!(look(&mut room).is_ready());
    drop(guard);
    let bell = Bell::new();
    let mut wait = group.drained();
    assert!(poll(&mut wait, &bell.waker()).is_ready(), "the joins have closed it");
    assert!(waker.woken() >= 7);
}

/// A wait is polled by one task, then by another: the last one is woken.
#[test]
fn the_last_task_that_polled_is_woken() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    let (old, new) = (Bell::new(), Bell::new());
    let (mut join, mut closed) = (group.join(), group.closed());
    let mut stop = group.shutdown(pending::<()>());
    assert!(poll(&mut closed, &old.waker()).is_pending());
    assert!(poll(&mut closed, &new.waker()).is_pending());
    for bell in [&old, &new] {
        assert!(poll(&mut join, &bell.waker()).is_pending());
        assert!(poll(&mut stop, &bell.waker()).is_pending());
    }
    drop(guard);
    assert_eq!((old.rings(), new.rings()), (0, 3));
}

/// API 5.4: terminated after ready, ready again, and none of it before.
#[test]
fn waits_are_fused() {
    let group = ErrGroup::<u8>::new();
    let guard = group.group().guard().unwrap();
    let mut closed = group.group().closed();
    let mut drained = group.group().drained();
    let mut errors = group.join();
    let mut stop = group.group().shutdown(pending::<()>());
    let mut limited = group.group().drained().until(pending::<()>());
    assert!(!closed.is_terminated() && !drained.is_terminated());
    assert!(look(&mut limited).is_pending() && !limited.is_terminated());
    assert!(look(&mut errors).is_pending() && look(&mut stop).is_pending());
    assert!(!errors.is_terminated() && !stop.is_terminated());
    drop(guard);
    assert!(look(&mut limited).is_ready() && limited.is_terminated());
    for _ in 0..2 {
        assert!(look(&mut closed).is_ready() && look(&mut drained).is_ready());
        assert_eq!(look(&mut errors), Poll::Ready(Ok(())));
        assert_eq!(look(&mut stop), Poll::Ready(Stopped::Gracefully));
        assert!(closed.is_terminated() && drained.is_terminated());
        assert!(errors.is_terminated() && stop.is_terminated());
    }
}

/// Named, stored and selected without a pin.
#[test]
fn waits_need_no_pin() {
    struct Task<'a> {
        closed: WaitCancelled,
        drained: WaitDrained,
        borrowed: WaitDrained<&'a TaskGroup>,
        room: WaitRoom<&'a TaskGroup>,
        stop: WaitShutdown<'a, core::future::Pending<()>>,
        errors: WaitErrors<'a, u8>,
    }
    let errors = ErrGroup::<u8>::new();
    let group = errors.group();
    let mut task = Task {
        closed: group.closing().clone().cancelled_owned(),
        drained: group.clone().drained_owned(),
        borrowed: group.drained(),
        room: group.guard_when_room(),
        stop: group.shutdown(pending()),
        errors: errors.join(),
    };
    let room = look(&mut task.room);
    let Poll::Ready(Ok(guard)) = room else { panic!("there is room") };
    let thread = thread::spawn(move || {
        guard.closed().block();
    });
    pollster::block_on(async {
        select! {
            _ = task.errors => {}
            _ = task.stop => {}
        }
        select! {
            () = task.closed => {}
            () = task.drained => {}
            () = task.borrowed => {}
        }
    });
    thread.join().unwrap();
}

/// API 5.4: a grace and a limit that must be pinned are no hindrance to blocking.
#[test]
fn a_grace_need_not_be_unpin() {
    struct Immovable(PhantomPinned);
    impl Future for Immovable {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let immovable = || Immovable(PhantomPinned);
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    let thread = thread::spawn(move || guard.token().cancelled().block());
    assert_eq!(group.shutdown(immovable()).block(), Stopped::Forced);
    thread.join().unwrap();
    let mut stop = pin!(group.shutdown(immovable()));
    assert!(stop.as_mut().poll(&mut Context::from_waker(core::task::Waker::noop())).is_ready());
    assert!(stop.is_terminated());
    assert!(group.shutdown(immovable()).until(immovable()).block().is_ok());
}
