//! Tasks whose executor is gone: nothing owns them but the wakers that their own waits registered.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use std::sync::{Arc, Mutex, Weak};
use std::task::Wake;

/// A task that ran until it had to wait, on an executor that has gone since.
pub(crate) struct Orphan(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Wake for Orphan {
    fn wake(self: Arc<Self>) {}
}

/// Runs `task` until it waits. From then on only the waker that it registered owns it.
pub(crate) fn abandon(task: impl Future<Output = ()> + Send + 'static) -> Weak<Orphan> {
    let orphan = Arc::new(Orphan(Mutex::new(Box::pin(task))));
    let waker = Waker::from(Arc::clone(&orphan));
    let polled = orphan.0.lock().unwrap().as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    Arc::downgrade(&orphan)
}
