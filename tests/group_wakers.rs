//! Rule 11, S3.10: hostile wakers, callbacks and finalisers of groups: they enter, leave, close, cancel,
//! make children, wait, drop the last of everything, inline. What ran under a lock would hang here.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{Future, pending, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock};

use common::{Bell, Foreign, look};
use winddown::{CancelScope, ErrGroup, TaskGroup, TaskGuard};

/// What foreign code gets hold of: a group, the guard of a task, and an observer's wait.
#[derive(Clone, Default)]
struct Hostages(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    group: Option<TaskGroup>,
    guards: Vec<TaskGuard>,
    waits: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Hostages {
    /// Out of the lock before it is dropped.
    fn release_all(&self) {
        let held = core::mem::take(&mut *self.0.lock().unwrap());
        drop(held);
    }

    fn release_one(&self) {
        let mut held = self.0.lock().unwrap();
        let (guard, wait) = (held.guards.pop(), held.waits.pop());
        drop(held);
        drop((guard, wait));
    }

    fn poll_all(&self, waker: &Waker) {
        let mut waits = core::mem::take(&mut self.0.lock().unwrap().waits);
        for wait in &mut waits {
            let _ = wait.as_mut().poll(&mut Context::from_waker(waker));
        }
        self.0.lock().unwrap().waits.extend(waits);
    }

    fn group(&self) -> Option<TaskGroup> {
        self.0.lock().unwrap().group.clone()
    }
}

/// Every method that does not wait for ever.
fn use_everything(group: &TaskGroup) {
    let _ = group.close();
    assert!(group.is_closed() && group.guard().is_err() && group.track(ready(())).is_err());
    assert!(group.child().is_err() && group.child_err::<u8>().is_err());
    assert!(group.guard_when_room().block().is_err());
    assert!(!group.close());
    group.closed().block();
    let _ = (group.len(), group.is_empty(), group.panics(), group.is_drained());
    assert!(!format!("{group:?} {:?}", group.token()).is_empty());
    let _ = group.join().block_for(Duration::ZERO);
    let _ = group.shutdown(pending::<()>()).block_for(Duration::ZERO);
    let _ = look(&mut group.clone().drained_owned());
    let _ = group.token().child().cancel();
    drop(TaskGroup::builder().link(group).parent(group.token()).build());
}

type Act = fn(&Hostages);

const ACTS: [(&str, Act); 7] = [
    ("release all", |held| held.release_all()),
    ("release one", |held| held.release_one()),
    ("poll all", |held| held.poll_all(Waker::noop())),
    ("cancel", |held| drop(held.group().map(|group| group.cancel_with("foreign")))),
    ("clone a guard", |held| {
        let guard = held.0.lock().unwrap().guards.first().cloned();
        drop(guard.map(TaskGuard::leave));
    }),
    ("use everything", |held| {
        if let Some(group) = held.group() {
            use_everything(&group);
        }
    }),
    ("drop the handle", |held| {
        let handle = held.0.lock().unwrap().group.take();
        drop(handle);
    }),
];

/// A group with tasks inside, a child, a link and waits of all kinds, all in the hands of foreign code
/// that does `act` whenever it is run.
fn scenario(
    act: Act,
    with_finaliser: bool,
) -> (Hostages, CancelScope, Arc<Foreign>, Arc<AtomicUsize>) {
    let (held, scope, ends) =
        (Hostages::default(), CancelScope::new(), Arc::new(AtomicUsize::new(0)));
    let (ended, last) = (Arc::clone(&ends), held.clone());
    let group = TaskGroup::builder()
        .parent(scope.token())
        .finally(move || {
            ended.fetch_add(1, Ordering::Relaxed);
            if with_finaliser {
                act(&last);
            }
        })
        .build();
    let child = group.child().unwrap();
    let linked = TaskGroup::builder().link(&group).build();
    linked.close();
    let foreign = held.clone();
    let waker = Foreign::new().on_wake(move || act(&foreign)).share();
    for token in [group.token(), child.token()] {
        let foreign = held.clone();
        token.on_cancel(move || act(&foreign)).detach();
    }
    let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = vec![
        Box::pin(group.closing().clone().cancelled_owned()),
        Box::pin(child.closing().clone().cancelled_owned()),
        Box::pin(group.token().clone().cancelled_owned()),
        Box::pin(child.clone().drained_owned()),
        Box::pin(group.clone().drained_owned()),
        Box::pin(linked.drained_owned()),
    ];
    for wait in &mut waits {
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker.waker())).is_pending());
    }
    let guards = vec![group.guard().unwrap(), child.guard().unwrap(), child.guard().unwrap()];
    *held.0.lock().unwrap() = Held { group: Some(group), guards, waits };
    (held, scope, waker, ends)
}

/// Rules 11, 16, 18: whatever foreign code does, on whatever path it is run: the group ends once, and
/// nothing hangs or is left behind.
#[test]
fn foreign_code_may_do_anything_on_every_path() {
    let paths: [fn(&Hostages, CancelScope); 5] = [
        |held, _scope| assert!(held.group().is_some_and(|group| group.close())),
        |held, _scope| assert!(held.group().is_some_and(|group| group.cancel())),
        |_, scope| assert!(scope.cancel()),
        |_, scope| drop(scope),
        |held, _scope| {
            let guard = held.0.lock().unwrap().guards.pop();
            drop(guard.map(TaskGuard::cancel_on_drop));
        },
    ];
    for (name, act) in ACTS {
        for (at, path) in paths.into_iter().enumerate() {
            for with_finaliser in [false, true] {
                let (held, scope, waker, ends) = scenario(act, with_finaliser);
                path(&held, scope);
                // What foreign code has not released goes now.
                while !held.0.lock().unwrap().guards.is_empty() {
                    held.release_one();
                }
                held.release_all();
                assert_eq!(ends.load(Ordering::Relaxed), 1, "{name}, path {at}");
                assert_eq!(waker.alive(), 0, "{name}, path {at}: no wait is left");
            }
        }
    }
}

/// Rule 16: a finaliser may close, cancel, clone, ask, and drop the last handle; it gets no child.
#[test]
fn a_finaliser_may_use_its_own_group() {
    let own = Arc::new(OnceLock::<Mutex<Option<TaskGroup>>>::new());
    let (of, ran) = (Arc::clone(&own), Arc::new(AtomicBool::new(false)));
    let here = Arc::clone(&ran);
    let group = TaskGroup::builder()
        .finally(move || {
            let group = of.get().unwrap().lock().unwrap().take().unwrap();
            use_everything(&group);
            let _ = group.cancel();
            drop(group.clone());
            drop(group);
            here.store(true, Ordering::Relaxed);
        })
        .build();
    let token = group.token().clone();
    let guard = group.guard().unwrap();
    group.close();
    own.set(Mutex::new(Some(group))).unwrap();
    drop(guard);
    assert!(ran.load(Ordering::Relaxed) && token.is_cancelled());
}

/// Rule 18: a finaliser ends other groups, its parent's last task among them, inline.
#[test]
fn a_finaliser_may_end_other_groups() {
    let ends = Arc::new(AtomicUsize::new(0));
    let counts = |ends: &Arc<AtomicUsize>| {
        let ends = Arc::clone(ends);
        move || assert!(ends.fetch_add(1, Ordering::Relaxed) < 2)
    };
    let parent = TaskGroup::builder().finally(counts(&ends)).build();
    let other = TaskGroup::builder().finally(counts(&ends)).build();
    let (parents_last, others_last, handle) =
        (parent.guard().unwrap(), other.guard().unwrap(), parent.clone());
    let mut on_end = Some(move || {
        handle.close();
        drop((parents_last, others_last, other));
    });
    let child = parent.child_with(TaskGroup::builder().finally(move || {
        let end = on_end.take().unwrap();
        end();
    }));
    drop(child.unwrap());
    assert_eq!(ends.load(Ordering::Relaxed), 2);
    assert!(parent.is_drained());
}

/// Rule 11: the drop of an error, of a reason and of what a callback holds may use the group.
#[test]
fn drops_of_foreign_values_may_use_the_group() {
    #[derive(Debug)]
    struct Uses(TaskGroup);
    impl Drop for Uses {
        fn drop(&mut self) {
            let _ = (self.0.close(), self.0.cancel(), self.0.guard().is_err());
            let _ = look(&mut self.0.join());
        }
    }
    impl core::fmt::Display for Uses {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("uses")
        }
    }
    impl core::error::Error for Uses {}
    let other = TaskGroup::new();
    let group = TaskGroup::builder().keep_errors(1).cancel_on_error(false).build_err::<Uses>();
    for _ in 0..3 {
        group.record(Uses(other.clone())).unwrap();
    }
    assert!(group.group().cancel_with(Uses(other.clone())).is_ok());
    assert!(group.group().cancel_with(Uses(group.group().clone())).is_err());
    let uses = Uses(other.clone());
    group.group().token().on_cancel(move || drop(uses)).detach();
    let errors = group.join().block().unwrap_err();
    assert_eq!((errors.iter().len(), errors.dropped()), (1, 2));
    drop((group, errors));
    assert!(other.is_drained());
}

/// Rule 11: an error is recorded by a waker that the first error's cancel woke.
#[test]
fn an_error_may_be_recorded_while_another_is() {
    let group = ErrGroup::<u8>::new();
    let guard = group.group().guard().unwrap();
    let other = group.clone();
    guard.token().on_cancel(move || other.record(2).unwrap()).detach();
    group.record(1).unwrap();
    drop(guard);
    let errors = group.join().block().unwrap_err();
    assert_eq!(errors.iter().copied().collect::<Vec<_>>(), [1, 2]);
}

/// Rule 11: a wake that drops its own wait, and the handle that it borrows from, once over.
#[test]
fn the_last_of_everything_may_go_in_a_wake() {
    let bell = Bell::new();
    for of_drain in [false, true] {
        let place = Arc::new(Mutex::new(None));
        let wait = Arc::clone(&place);
        let waker = Foreign::new().on_wake(move || drop(wait.lock().unwrap().take())).share();
        let group = TaskGroup::new();
        let token = group.token().clone();
        let callback = Arc::clone(&bell);
        token.on_cancel(move || callback.waker().wake()).detach();
        let guard = group.guard().unwrap();
        let mut wait: Pin<Box<dyn Future<Output = ()> + Send>> = if of_drain {
            Box::pin(group.clone().drained_owned())
        } else {
            Box::pin(group.closing().clone().cancelled_owned())
        };
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker.waker())).is_pending());
        *place.lock().unwrap() = Some(wait);
        group.close();
        drop(group);
        drop(guard);
        assert!(place.lock().unwrap().is_none());
        assert!(token.is_cancelled(), "the group is gone");
    }
    assert_eq!(bell.rings(), 2);
}
