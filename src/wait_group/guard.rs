//! `Guard`: one piece of work in flight.

use core::fmt;
use core::future::IntoFuture;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr;

use futures_core::Stream;

use super::WaitGroup;
use super::word::Word;
use crate::combine::{Tracked, TrackedStream};
use crate::park::deferred::Deferred;

/// One piece of work in flight: counts out when it is dropped. Made by [`WaitGroup::guard`] and
/// [`WaitGroup::guard_in`].
///
/// `P` is the pointer to the group: `&WaitGroup`, `Arc<WaitGroup>`, `Rc<WaitGroup>`, or your own. A guard of a
/// `static` group is just `Guard`. It is `Send` if its pointer is, so it may be dropped on another thread than
/// the one that took it, and, for a pointer that allows it, in an interrupt.
///
/// A clone counts one more piece of work in. `mem::forget` of a guard means "never done".
///
/// # Examples
///
/// ```
/// use winddown::{Guard, WaitGroup};
///
/// static GROUP: WaitGroup = WaitGroup::new();
///
/// let guard: Guard = GROUP.guard();
/// let second = guard.clone();
/// drop(guard);
/// assert_eq!(GROUP.count(), 1);
/// drop(second);
/// GROUP.wait().block();
/// ```
///
/// # Panics
///
/// Its drop panics only with the panic of a waker that it woke, after all the others were woken, and not while
/// the thread is unwinding. Its clone panics if the group is full, with nothing counted.
///
/// # Size
///
/// Its pointer and a word of 64 bits (32 on targets without 64-bit atomics).
///
/// # Availability
///
/// The drop is a [`done`](WaitGroup::done), and the clone a [`guard_in`](WaitGroup::guard_in); see
/// [`WaitGroup`](WaitGroup#availability). All other calls neither allocate nor block, may be made in an
/// interrupt, and run no foreign code. The futures and streams that [`track`](Self::track) and
/// [`track_stream`](Self::track_stream) make are not polled in an interrupt.
///
/// # Compared with
///
/// * `tokio_util::task::task_tracker::TaskTrackerToken`: the same for a `TaskTracker`, which is always an
///   `Arc`.
/// * Go's `defer wg.Done()`: a call that may be forgotten, or come once too often.
#[must_use = "dropping it counts the work out"]
pub struct Guard<P: Deref<Target = WaitGroup> = &'static WaitGroup> {
    pub(super) group: P,
    /// The word as the entry left it, where `leave` begins.
    pub(super) entered: Word,
}

impl<P: Deref<Target = WaitGroup>> Guard<P> {
    /// The pointer to the group: with a pointer of your own, the state that the work needs.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{ops::Deref, sync::Arc};
    /// use winddown::{Guard, WaitGroup};
    ///
    /// struct Server { in_flight: WaitGroup, name: String }
    ///
    /// #[derive(Clone)]
    /// struct Handle(Arc<Server>);
    ///
    /// impl Deref for Handle {
    ///     type Target = WaitGroup;
    ///     fn deref(&self) -> &WaitGroup { &self.0.in_flight }
    /// }
    ///
    /// fn greet(request: &Guard<Handle>) -> String {
    ///     format!("this is {}", request.group().0.name)
    /// }
    ///
    /// let server = Handle(Arc::new(Server { in_flight: WaitGroup::new(), name: "a".into() }));
    /// let request = WaitGroup::guard_in(server.clone());
    /// assert_eq!(greet(&request), "this is a");
    /// # drop(request);
    /// ```
    pub fn group(&self) -> &P {
        &self.group
    }

    /// Counts the work out and gives the pointer, for what comes after: a wait for the same group, or the next
    /// piece of work. (A thread that waits while it holds a guard waits for itself.)
    ///
    /// # Panics
    ///
    /// Only with the panic of a waker that it woke, after all the others were woken, or of the pointer's
    /// `Deref`. The pointer is dropped then, and the work is counted out: if the `Deref` panicked, by the
    /// guard's drop.
    ///
    /// # Memory ordering
    ///
    /// As [`WaitGroup::done`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use winddown::WaitGroup;
    ///
    /// let group = Arc::new(WaitGroup::new());
    /// let threads = [1, 2].map(|_| {
    ///     let guard = WaitGroup::guard_in(Arc::clone(&group));
    ///     std::thread::spawn(move || {
    ///         // ... work; then on only when the others are done, too:
    ///         let group = guard.leave();
    ///         group.wait().block();
    ///     })
    /// });
    /// for thread in threads {
    ///     thread.join().unwrap();
    /// }
    /// assert!(group.is_idle());
    /// ```
    pub fn leave(self) -> P {
        // The pointer's `Deref` is foreign code. If it panics, nothing has changed, and the drop tries again.
        let woken = self.count_out();
        // Counted out: from here on the drop must not run.
        let this = ManuallyDrop::new(self);
        // SAFETY: the pointer is read once, and the guard, which is never dropped, is not used again.
        let group = unsafe { ptr::read(&raw const this.group) };
        // Foreign code, with nothing unfinished. If it panics, the pointer is dropped.
        if let Some(woken) = woken {
            woken.run();
        }
        group
    }

    /// Counts out, once; gives the waits to wake, if this ended a round. It asks the pointer for its group once,
    /// before anything changes, so that a panic in there does not come between the step to zero and its wake-ups.
    #[inline]
    fn count_out(&self) -> Option<Deferred> {
        let group: &WaitGroup = &self.group;
        // An error here means that somebody's `done` took this guard's count: it is out already.
        match group.leave(self.entered) {
            Ok(true) => Some(group.end_round()),
            Ok(false) | Err(_) => None,
        }
    }

    /// Wraps `future`, so that the guard is held until the future is done.
    ///
    /// When the future is ready, it is dropped first, then the guard, and then its output is returned. A drop
    /// before that drops both in the same order.
    ///
    /// # Examples
    ///
    /// ```
    /// use winddown::WaitGroup;
    ///
    /// static GROUP: WaitGroup = WaitGroup::new();
    ///
    /// let task = GROUP.guard().track(async { 7 });
    /// assert_eq!(GROUP.count(), 1);
    /// assert_eq!(pollster::block_on(task), 7);
    /// assert!(GROUP.is_idle());
    /// ```
    pub fn track<F: IntoFuture>(self, future: F) -> Tracked<F::IntoFuture, Self> {
        Tracked::new(future.into_future(), self)
    }

    /// Wraps `stream`, so that the guard is held until the stream has ended. For work that is handed on piece
    /// by piece, such as the body of a response.
    ///
    /// At the end the stream is dropped first, then the guard, and then `None` is returned. If the stream is
    /// dropped before that, or panics, both go in the same order.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::stream::{self, StreamExt as _};
    /// use winddown::WaitGroup;
    ///
    /// static GROUP: WaitGroup = WaitGroup::new();
    ///
    /// # pollster::block_on(async {
    /// let mut body = GROUP.guard().track_stream(stream::iter(["one", "two"]));
    /// assert_eq!(body.next().await, Some("one"));
    /// assert_eq!(body.next().await, Some("two"));
    /// assert_eq!(GROUP.count(), 1);
    /// assert_eq!(body.next().await, None);
    /// assert!(GROUP.is_idle());
    /// # });
    /// ```
    pub fn track_stream<S: Stream>(self, stream: S) -> TrackedStream<S, Self> {
        TrackedStream::new(stream, self)
    }
}

impl<P: Deref<Target = WaitGroup>> Drop for Guard<P> {
    #[inline]
    fn drop(&mut self) {
        if let Some(woken) = self.count_out() {
            woken.run_in_drop();
        }
    }
}

impl<P: Deref<Target = WaitGroup> + Clone> Clone for Guard<P> {
    /// Counts one more piece of work in.
    #[track_caller]
    fn clone(&self) -> Self {
        WaitGroup::guard_in(self.group.clone())
    }
}

impl<P: Deref<Target = WaitGroup>> fmt::Debug for Guard<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("group", &*self.group).finish()
    }
}

impl<P: Deref<Target = WaitGroup>> UnwindSafe for Guard<P> {}
impl<P: Deref<Target = WaitGroup>> RefUnwindSafe for Guard<P> {}
