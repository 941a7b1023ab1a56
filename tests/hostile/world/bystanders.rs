//! The bystanders of a world: waits of all kinds, each with a hostile waker of its own.

use core::future::{Future, IntoFuture as _};
use core::pin::Pin;
use core::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use winddown::{Signal, WaitGroup};

use super::World;
use crate::common::{Foreign, poll};
use crate::hostile::foreign::waker_of;

/// A wait of a bystander.
pub(super) struct Parked {
    of: &'static str,
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
    waker: Arc<Foreign>,
}

pub(super) type Waits = Mutex<Vec<Parked>>;

impl World {
    /// Two waits of each kind.
    pub(super) fn park(&self) {
        for _ in 0..2 {
            if let Some(group) = self.group.get() {
                self.park_one("a wait group", WaitGroup::wait_in(group));
            }
            if let (Some(signal), Some(flag)) = (self.signal.get(), self.flag.get()) {
                self.park_one("a signal", Signal::closed_in(Arc::clone(&signal)));
                self.park_one("a signal", async move { drop(Signal::value_in(signal).await) });
                self.park_one("a flag", Signal::closed_in(flag));
            }
            if let (Some(canceller), Some(token)) = (self.canceller.get(), self.token.get()) {
                self.park_one("a root", canceller.token().clone().cancelled_owned());
                self.park_one("a token", token.clone().cancelled_owned());
                let reason = token.into_future();
                self.park_one("a reason", async move { drop(reason.await) });
            }
            if let (Some(tasks), Some(below)) = (self.tasks.get(), self.below.get()) {
                self.park_one("a door", tasks.closing().clone().cancelled_owned());
                self.park_one("a group's token", tasks.token().clone().cancelled_owned());
                let room = tasks.clone().guard_when_room_owned();
                self.park_one("a queue", async move { drop(room.await) });
                self.park_one("a drain", tasks.drained_owned());
                self.park_one("a drain below", below.drained_owned());
            }
            if let (Some(linked), Some(errors)) = (self.linked.get(), self.errors.get()) {
                // Not for their drains: such a wait holds a handle, and the last one is to be the world's.
                self.park_one("a linked door", linked.closing().clone().cancelled_owned());
                self.park_one("a failure", errors.group().token().clone().cancelled_owned());
                self.park_one("a failing door", errors.group().closing().clone().cancelled_owned());
            }
        }
        if let Some(token) = self.token.take() {
            // Leaves a spare registration with the handle.
            assert!(poll(&mut token.cancelled(), &waker_of("a spare").waker()).is_pending());
            self.token.put(token);
        }
    }

    fn park_one(&self, of: &'static str, wait: impl Future<Output = ()> + Send + 'static) {
        let mut parked = Parked { of, wait: Box::pin(wait), waker: waker_of(of) };
        assert!(poll(&mut parked.wait, &parked.waker.waker()).is_pending(), "{of}");
        self.waits.lock().unwrap().push(parked);
    }

    /// Polls all waits, and drops those that are over. Gives each of those to `over`.
    fn poll_each(&self, over: impl Fn(&Parked)) {
        let mut waits = core::mem::take(&mut *self.waits.lock().unwrap());
        waits.retain_mut(|it| {
            let polled = poll(&mut it.wait, &it.waker.waker());
            if polled.is_ready() {
                over(it);
            }
            polled.is_pending()
        });
        self.waits.lock().unwrap().append(&mut waits);
    }

    /// As an executor that polls in `wake`.
    pub(crate) fn poll_all(&self) {
        self.poll_each(|_| ());
    }

    /// No wait is over that was not woken. The finaliser did not run twice.
    pub(crate) fn check(&self) {
        self.poll_each(|it| assert!(it.waker.woken() > 0, "a wait for {} was not woken", it.of));
        assert!(self.finalised.load(Ordering::Relaxed) < 2);
    }

    /// Every wait is over, and each of them was woken.
    pub(crate) fn check_ended(&self) {
        self.check();
        let left: Vec<_> = self.waits.lock().unwrap().iter().map(|it| it.of).collect();
        assert!(left.is_empty(), "waits for {left:?} do not end");
        assert_eq!(self.finalised.load(Ordering::Relaxed), 1, "the finaliser runs once");
        let groups = [self.tasks.get(), self.below.get(), self.linked.get()];
        let errors = self.errors.get().map(|it| it.group().clone());
        let mut groups = groups.iter().chain([&errors]).flatten();
        assert!(groups.all(|it| it.is_drained() && it.is_empty()));
    }

    pub(crate) fn drop_waits(&self) {
        let waits = core::mem::take(&mut *self.waits.lock().unwrap());
        drop(waits);
    }
}
