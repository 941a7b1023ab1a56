//! Jobs, and the lists that they stand in.

use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::ptr;

use super::Deferred;
use crate::sync::{Arc, AtomicPtr, Ordering, replace};

/// A pointer to what can stand in a [`Deferred`] list; it has all that it needs until it is run.
///
/// # Safety
///
/// `into_head` gives a head that was made by `Head::of::<Self>()`, and that is alive, and linked by nobody else,
/// until `from_head` has made the pointer again.
pub(crate) unsafe trait Job: Sized + 'static {
    /// Goes over to a list.
    fn into_head(self) -> *mut Head;

    /// Comes back.
    ///
    /// # Safety
    ///
    /// `head` came from `into_head`, and comes back once.
    unsafe fn from_head(head: *mut Head) -> Self;

    /// Own work: runs nobody's code. Puts itself back on the list, if something is left.
    fn settle(self, deferred: &mut Deferred);

    /// Foreign code, and the drop of the job.
    fn run(self);

    /// Foreign code that `settle` follows, also if this panics.
    fn finalise(&self) {}
}

/// What stands in a list by a reference that is counted.
///
/// # Safety
///
/// `HEAD` is the offset of a field of type [`Head`] that was made by `Head::of::<Arc<Self>>()`.
pub(crate) unsafe trait Linked: Sized + 'static {
    /// Where the head is.
    const HEAD: usize;

    /// As [`Job::settle`].
    fn settle(this: Arc<Self>, deferred: &mut Deferred);

    /// As [`Job::run`].
    fn run(this: Arc<Self>) {
        drop(this);
    }

    /// As [`Job::finalise`].
    fn finalise(&self) {}
}

// SAFETY: the head is in what the reference keeps, as `Linked` promises; and one list at a time has it.
unsafe impl<L: Linked> Job for Arc<L> {
    fn into_head(self) -> *mut Head {
        Self::into_raw(self).cast_mut().wrapping_byte_add(L::HEAD).cast()
    }

    unsafe fn from_head(head: *mut Head) -> Self {
        // SAFETY: the caller's promise, and that of `Linked`.
        unsafe { Self::from_raw(head.wrapping_byte_sub(L::HEAD).cast_const().cast()) }
    }

    fn settle(self, deferred: &mut Deferred) {
        L::settle(self, deferred);
    }

    fn run(self) {
        L::run(self);
    }

    fn finalise(&self) {
        (**self).finalise();
    }
}

/// The link of a job, and what it does. Belongs to the list that the job stands in.
pub(crate) struct Head {
    next: AtomicPtr<Head>,
    kind: &'static Kind,
}

/// The functions of one type of jobs, each for the head of a job that it takes over; `finalise` only looks.
pub(super) struct Kind {
    pub(super) settle: unsafe fn(*mut Head, &mut Deferred),
    pub(super) run: unsafe fn(*mut Head),
    pub(super) finalise: unsafe fn(*mut Head),
}

impl Head {
    pub(crate) fn of<J: Job>() -> Self {
        let kind = const { &Kind { settle: settle::<J>, run: run::<J>, finalise: finalise::<J> } };
        Self { next: AtomicPtr::new(ptr::null_mut()), kind }
    }
}

/// # Safety
///
/// The job of `head` is alive.
pub(super) unsafe fn kind_of(head: *mut Head) -> &'static Kind {
    // SAFETY: the caller's promise.
    unsafe { &*head }.kind
}

unsafe fn settle<J: Job>(head: *mut Head, deferred: &mut Deferred) {
    // SAFETY: the list calls it for a head of this type that it has taken out.
    unsafe { J::from_head(head) }.settle(deferred);
}

unsafe fn run<J: Job>(head: *mut Head) {
    // SAFETY: as above.
    unsafe { J::from_head(head) }.run();
}

unsafe fn finalise<J: Job>(head: *mut Head) {
    // SAFETY: as above; the job stays with the list.
    let job = ManuallyDrop::new(unsafe { J::from_head(head) });
    job.finalise();
}

/// Jobs in order.
pub(super) struct Queue {
    first: *mut Head,
    /// Of no meaning while `first` is null.
    last: *mut Head,
}

impl Queue {
    pub(super) const EMPTY: Self = Self { first: ptr::null_mut(), last: ptr::null_mut() };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// The first job, which stays.
    pub(super) fn first(&self) -> Option<*mut Head> {
        (!self.is_empty()).then_some(self.first)
    }

    /// Puts `head`, whose job is ours now, behind all others.
    pub(super) fn push(&mut self, head: *mut Head) {
        self.append(Self { first: head, last: head });
    }

    pub(super) fn append(&mut self, more: Self) {
        let more = ManuallyDrop::new(more);
        if more.is_empty() {
            return;
        }
        if self.is_empty() {
            self.first = more.first;
        } else {
            // SAFETY: the queue is not empty, and has its last job.
            unsafe { &*self.last }.next.store(more.first, Ordering::Relaxed);
        }
        self.last = more.last;
    }

    pub(super) fn pop(&mut self) -> Option<*mut Head> {
        if self.is_empty() {
            return None;
        }
        let head = self.first;
        // SAFETY: the queue has its first job.
        let next = &unsafe { &*head }.next;
        self.first = next.load(Ordering::Relaxed);
        // A job's link ends where its queue does; `push` relies on it.
        next.store(ptr::null_mut(), Ordering::Relaxed);
        Some(head)
    }
}

impl Drop for Queue {
    #[inline]
    fn drop(&mut self) {
        debug_assert!(self.is_empty() || is_unwinding(), "deferred work was dropped, not run");
    }
}

/// Whether an assertion would abort.
pub(super) fn is_unwinding() -> bool {
    #[cfg(feature = "std")]
    return crate::sync::host::panicking();
    #[cfg(not(feature = "std"))]
    return false;
}

/// Jobs of one type that nobody has decided about yet.
#[must_use = "what was taken is to be deferred, or decided one by one"]
pub(crate) struct Batch<J: Job> {
    jobs: Queue,
    _jobs: PhantomData<J>,
}

impl<J: Job> Batch<J> {
    pub(crate) fn new() -> Self {
        Self { jobs: Queue::EMPTY, _jobs: PhantomData }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The head of the job that is behind all others.
    #[inline]
    pub(crate) fn last(&self) -> Option<*mut Head> {
        (!self.is_empty()).then_some(self.jobs.last)
    }

    /// Puts `job` behind all others.
    pub(crate) fn push(&mut self, job: J) {
        self.jobs.push(job.into_head());
    }

    /// Does the own work of all of them here and now. Not for jobs that lead to others of their kind: that nests.
    #[inline]
    pub(crate) fn settle(mut self, deferred: &mut Deferred) {
        while let Some(job) = self.pop() {
            job.settle(deferred);
        }
    }

    pub(super) fn into_queue(self) -> Queue {
        self.jobs
    }

    /// Takes the first job out.
    pub(crate) fn pop(&mut self) -> Option<J> {
        // SAFETY: all heads in here came from `push`.
        self.jobs.pop().map(|head| unsafe { J::from_head(head) })
    }
}

/// Heads that are pushed by many, and taken all at once. It keeps none of them alive.
///
/// Edge **F** (fired): publishes a head, with its link, to the taker of the stack.
pub(crate) struct Stack {
    /// The head that was pushed last, or null.
    newest: AtomicPtr<Head>,
}

impl Stack {
    pub(crate) fn new() -> Self {
        Self { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// # Safety
    ///
    /// Nobody else touches the link of `head`, and it is alive, until the iterator of the `take` that gets it has
    /// given it out.
    pub(crate) unsafe fn push(&self, head: *mut Head) {
        let (newest, relaxed) = (self.newest.load(Ordering::Relaxed), Ordering::Relaxed);
        // F: publishes the head and its link.
        replace(&self.newest, newest, Ordering::Release, relaxed, |newest| {
            // SAFETY: the head is ours until the exchange succeeds.
            unsafe { &*head }.next.store(newest, relaxed);
            head
        });
    }

    /// Takes what has been pushed, by this thread or by another: first pushed first.
    pub(crate) fn take(&self) -> impl Iterator<Item = *mut Head> + use<> {
        // F: acquires every head on the stack. Each was pushed by a compare-and-swap on top of the one
        // below, so the last push's release sequence reaches down to the first.
        let mut newest = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        let mut queue = ManuallyDrop::new(Queue { first: ptr::null_mut(), last: newest });
        // SAFETY: null, or a head that `push` had, which is ours now.
        while let Some(head) = unsafe { newest.as_ref() } {
            let older = head.next.load(Ordering::Relaxed);
            head.next.store(queue.first, Ordering::Relaxed);
            queue.first = mem::replace(&mut newest, older);
        }
        // The link is read, and forgotten, before the head is given out.
        core::iter::from_fn(move || queue.pop())
    }
}
