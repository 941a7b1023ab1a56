//! Groups with a limit, and waits for a place in them.

use core::num::NonZeroUsize;
use core::task::Poll;
use std::sync::Arc;

use winddown::future::WaitRoom;
use winddown::{TaskGroup, TaskGuard};

use super::{Bell, look, poll};

/// A group in which as many tasks may be inside.
pub(crate) fn limited(places: usize) -> TaskGroup {
    TaskGroup::builder().limit(NonZeroUsize::new(places).unwrap()).build()
}

/// A wait at the end of the queue, with a waker that counts.
#[track_caller]
pub(crate) fn queued(group: &TaskGroup) -> (WaitRoom<&TaskGroup>, Arc<Bell>) {
    let (mut wait, bell) = (group.guard_when_room(), Bell::new());
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    (wait, bell)
}

/// The guard of a wait that has been granted a place.
#[track_caller]
pub(crate) fn seated(wait: &mut WaitRoom<&TaskGroup>) -> TaskGuard {
    match look(wait) {
        Poll::Ready(Ok(guard)) => guard,
        other => panic!("no place: {other:?}"),
    }
}
