//! What the methods are called on: one object of each type, with waits, callbacks and values of hostile kinds at all
//! of them. After a call everything can be ended, and what has to hold then is checked here.

mod bystanders;

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

#[cfg(feature = "std")]
use winddown::future::Expiry;
use winddown::{
    CancelScope, CancelToken, Canceller, ErrGroup, Guard, Registration, Signal, TaskGroup,
    TaskGuard, WaitGroup,
};

#[cfg(feature = "std")]
use super::foreign::Task;
use super::foreign::{Becomes, Pointer, Tally, Thing, explain, waker_of};
use crate::common::poll;
use bystanders::Waits;

/// A handle that foreign code may take away at any moment. No lock is held while it is used or dropped.
pub(crate) struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    fn new(it: T) -> Self {
        Self(Mutex::new(Some(it)))
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap().take()
    }

    pub(crate) fn put(&self, it: T) {
        let old = self.0.lock().unwrap().replace(it);
        drop(old);
    }

    pub(crate) fn get(&self) -> Option<T>
    where
        T: Clone,
    {
        self.0.lock().unwrap().clone()
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) tally: Tally,
    pub(crate) group: Slot<Arc<WaitGroup>>,
    pub(crate) busy: Slot<Guard<Pointer<WaitGroup>>>,
    pub(crate) signal: Slot<Arc<Signal<Thing>>>,
    pub(crate) flag: Slot<Arc<Signal>>,
    pub(crate) scope: Slot<CancelScope>,
    pub(crate) canceller: Slot<Canceller>,
    pub(crate) child: Slot<CancelScope>,
    pub(crate) token: Slot<CancelToken>,
    pub(crate) registration: Slot<Registration>,
    pub(crate) tasks: Slot<TaskGroup>,
    pub(crate) guard: Slot<TaskGuard>,
    pub(crate) below: Slot<TaskGroup>,
    pub(crate) linked: Slot<TaskGroup>,
    pub(crate) errors: Slot<ErrGroup<Thing>>,
    pub(crate) failing: Slot<TaskGuard>,
    /// A scope whose time is up, which no call has noticed.
    #[cfg(feature = "std")]
    pub(crate) late: Slot<(CancelScope, Expiry<Task>)>,
    /// Of the bystanders.
    waits: Waits,
    /// For the end: no call keeps what these lead to.
    ends: (Weak<WaitGroup>, Weak<Signal<Thing>>, Weak<Signal>),
    /// How often the finaliser of `tasks` has run.
    finalised: Arc<AtomicUsize>,
}

/// A task and a child group are inside of the group with a limit, so it is full.
const PLACES: NonZeroUsize = NonZeroUsize::new(2).unwrap();

impl World {
    /// All objects are in use, and are waited for.
    pub(crate) fn new() -> Arc<Self> {
        let tally = Tally::default();
        let group = Arc::new(WaitGroup::new());
        let busy = WaitGroup::guard_in(tally.pointer(&group));
        let (signal, flag) = (Arc::new(Signal::typed()), Arc::new(Signal::new()));
        let scope = CancelScope::new();
        let child = scope.token().with_value(tally.thing("a value of a token")).child();
        let token = child.token().with_value(tally.thing("a value of a token"));
        let callback = tally.thing("a callback");
        let registration = token.on_cancel(move || callback.call("run"));
        for token in [scope.token(), &token] {
            let callback = tally.thing("a callback");
            token.on_cancel(move || callback.call("run")).detach();
        }
        let finalised = Arc::new(AtomicUsize::new(0));
        let (finaliser, runs) = (tally.thing("a finaliser"), Arc::clone(&finalised));
        let tasks = TaskGroup::builder()
            .parent(&token)
            .limit(PLACES)
            .finally(move || {
                runs.fetch_add(1, Ordering::Relaxed);
                finaliser.call("run");
            })
            .build();
        let guard = tasks.guard().unwrap().label_with(|| Becomes(tally.thing("a label")));
        let below = tasks.child().unwrap();
        let linked = TaskGroup::builder().link(&tasks).build();
        let callback = tally.thing("a callback");
        below.token().on_cancel(move || callback.call("run")).detach();
        let errors = TaskGroup::builder().keep_errors(2).build_err_with(explain);
        let failing = errors.group().guard().unwrap();
        let world = Self {
            #[cfg(feature = "std")]
            late: Slot::new(
                scope.token().child_until(std::time::Instant::now(), tally.task("a timer", 9)),
            ),
            ends: (Arc::downgrade(&group), Arc::downgrade(&signal), Arc::downgrade(&flag)),
            group: Slot::new(group),
            busy: Slot::new(busy),
            signal: Slot::new(signal),
            flag: Slot::new(flag),
            canceller: Slot::new(scope.canceller()),
            scope: Slot::new(scope),
            child: Slot::new(child),
            token: Slot::new(token),
            registration: Slot::new(registration),
            tasks: Slot::new(tasks),
            guard: Slot::new(guard),
            below: Slot::new(below),
            linked: Slot::new(linked),
            errors: Slot::new(errors),
            failing: Slot::new(failing),
            waits: Waits::default(),
            finalised,
            tally,
        };
        world.park();
        Arc::new(world)
    }

    /// Everything was ended before.
    pub(crate) fn ended() -> Arc<Self> {
        let world = Self::new();
        world.end();
        world.check();
        world
    }

    /// Closes what can be closed.
    pub(crate) fn close(&self) {
        if let Some(signal) = self.ends.1.upgrade() {
            let _ = signal.close_with(self.tally.thing("a value of a signal"));
        }
        if let Some(flag) = self.ends.2.upgrade() {
            flag.close();
        }
        let errors = self.errors.get().map(|it| it.group().clone());
        let groups = [self.tasks.get(), self.below.get(), self.linked.get(), errors];
        groups.into_iter().flatten().for_each(|it| _ = it.close());
    }

    /// Cancels what can be cancelled.
    pub(crate) fn cancel(&self) {
        let reason = || Becomes(self.tally.thing("a reason"));
        if let Some(child) = self.token.get() {
            drop(child.child().cancel_with(reason()));
        }
        if let Some(root) = self.canceller.get() {
            drop(root.cancel_with(reason()));
        }
        let errors = self.errors.get().map(|it| it.group().clone());
        for group in [self.below.get(), self.tasks.get(), errors].into_iter().flatten() {
            drop(group.cancel_with(reason()));
        }
    }

    /// Ends everything that was begun.
    pub(crate) fn end(&self) {
        self.close();
        self.cancel();
        drop((self.busy.take(), self.guard.take(), self.failing.take()));
        if let Some(group) = self.ends.0.upgrade() {
            while group.count() > 0 {
                group.done().unwrap();
            }
        }
    }

    /// Drops each handle and each guard, the last ones among them.
    pub(crate) fn drop_handles(&self) {
        drop((self.busy.take(), self.group.take(), self.signal.take(), self.flag.take()));
        drop((self.registration.take(), self.token.take(), self.canceller.take()));
        drop((self.tasks.take(), self.below.take(), self.guard.take(), self.failing.take()));
        drop((self.errors.take(), self.linked.take(), self.child.take(), self.scope.take()));
        #[cfg(feature = "std")]
        drop(self.late.take());
    }

    /// Calls what can be called without an end of anything.
    pub(crate) fn use_everything(&self) {
        let waker = waker_of("a visitor").waker();
        if let Some(group) = self.group.get() {
            group.add(1).unwrap();
            let guard = WaitGroup::guard_in(self.tally.pointer(&group));
            let _ = poll(&mut group.wait(), &waker);
            drop((guard.clone(), guard, group.done(), format!("{group:?}")));
        }
        if let Some(signal) = self.signal.get() {
            let _ = poll(&mut signal.closed(), &waker);
            let _ = poll(&mut signal.value(), &waker);
            assert!(signal.get().is_none() || signal.is_closed());
            drop(format!("{signal:?}"));
        }
        self.token.get().iter().for_each(|token| self.use_token(token, &waker));
        let errors = self.errors.get().map(|it| it.group().clone());
        let groups = [self.tasks.get(), self.below.get(), self.linked.get(), errors];
        groups.iter().flatten().for_each(|group| self.use_group(group, &waker));
        if let Some(errors) = self.errors.get().filter(|it| it.group().is_closed()) {
            drop(errors.record(self.tally.thing("an error")));
            let _ = poll(&mut errors.join(), &waker);
        }
    }

    fn use_token(&self, token: &CancelToken, waker: &core::task::Waker) {
        let cancelled = token.is_cancelled();
        let callback = self.tally.thing("a callback");
        token.on_cancel(move || callback.call("run")).deregister();
        let _ = poll(&mut token.cancelled(), waker);
        drop(format!("{:?} {token:?}", token.reason()));
        let below = token.with_value(self.tally.thing("a value of a token")).child();
        let _ = poll(&mut below.token().cancelled(), waker);
        assert!(below.token().value::<Thing>().is_some());
        assert!(!cancelled || token.is_cancelled() && below.token().check().is_err());
        drop(token.shielded().child());
    }

    fn use_group(&self, group: &TaskGroup, waker: &core::task::Waker) {
        let task = self.tally.task("a tracked task", 0);
        if let Ok(mut tracked) = group.track(task) {
            assert!(poll(&mut tracked, waker).is_ready());
        }
        assert!(!group.is_drained() || group.is_closed() && group.guard().is_err());
        let _ = poll(&mut group.guard_when_room(), waker);
        let _ = poll(&mut group.closed(), waker);
        let _ = poll(&mut group.drained(), waker);
        drop((group.child(), group.set_limit(PLACES), format!("{group:?}")));
        drop(TaskGroup::builder().link(group).parent(group.token()).build());
    }
}
