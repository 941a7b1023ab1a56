//! Jobs, and the lists that they stand in.

use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::ptr;

use super::Deferred;
use crate::sync::{Arc, AtomicPtr, Ordering};

/// What can stand in a [`Deferred`] list.
///
/// # Safety
///
/// `HEAD` is the offset of a field of type [`Head`] that was made by `Head::of::<Self>()`.
pub(crate) unsafe trait Job: Sized + 'static {
    /// Where the head is.
    const HEAD: usize;

    /// Own work: runs nobody's code. Puts itself back on the list, if something is left.
    fn settle(this: Arc<Self>, deferred: &mut Deferred);

    /// Foreign code, and the drop of the job.
    fn run(this: Arc<Self>);

    /// Foreign code that `settle` follows, also if this panics.
    fn finalise(&self) {}
}

/// The link of a job, and what it does. Belongs to the owner of the reference that a list holds.
pub(crate) struct Head {
    next: AtomicPtr<Head>,
    kind: &'static Kind,
}

/// The functions of one type of jobs, each for the head of a job whose reference it takes over;
/// `finalise` only looks.
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

/// The head of a job, which holds the reference from now on.
pub(super) fn into_head<J: Job>(job: Arc<J>) -> *mut Head {
    Arc::into_raw(job).cast_mut().wrapping_byte_add(J::HEAD).cast()
}

/// # Safety
///
/// `head` came from `into_head::<J>`, and this takes the reference over.
unsafe fn from_head<J: Job>(head: *mut Head) -> Arc<J> {
    // SAFETY: the caller's promise, and `Job`'s.
    unsafe { Arc::from_raw(head.wrapping_byte_sub(J::HEAD).cast_const().cast()) }
}

unsafe fn settle<J: Job>(head: *mut Head, deferred: &mut Deferred) {
    // SAFETY: the list calls it for a head of this type that it has taken out.
    J::settle(unsafe { from_head::<J>(head) }, deferred);
}

unsafe fn run<J: Job>(head: *mut Head) {
    // SAFETY: as above.
    J::run(unsafe { from_head::<J>(head) });
}

unsafe fn finalise<J: Job>(head: *mut Head) {
    // SAFETY: as above; the reference stays with the list.
    let job = ManuallyDrop::new(unsafe { from_head::<J>(head) });
    job.finalise();
}

/// Jobs in order, each with one reference.
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

    /// Puts `head`, whose job holds a reference for us, behind all others.
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
            // SAFETY: the queue is not empty, and holds a reference to its last job.
            unsafe { &*self.last }.next.store(more.first, Ordering::Relaxed);
        }
        self.last = more.last;
    }

    pub(super) fn pop(&mut self) -> Option<*mut Head> {
        if self.is_empty() {
            return None;
        }
        let head = self.first;
        // SAFETY: the queue holds a reference to its first job.
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

    /// Puts `job` behind all others.
    pub(crate) fn push(&mut self, job: Arc<J>) {
        self.jobs.push(into_head(job));
    }

    /// Puts all of `more` behind all others.
    pub(crate) fn append(&mut self, more: Self) {
        self.jobs.append(more.jobs);
    }

    pub(super) fn into_queue(self) -> Queue {
        self.jobs
    }

    /// Takes the first job out.
    pub(crate) fn pop(&mut self) -> Option<Arc<J>> {
        // SAFETY: all heads in here came from `into_head::<J>`, by `push` or from a `Stack<J>`.
        self.jobs.pop().map(|head| unsafe { from_head(head) })
    }
}

/// Jobs of one type that are pushed by many, and taken all at once.
///
/// Edge **F** (fired): publishes a job, with its link, to the taker of the stack.
pub(crate) struct Stack<J: Job> {
    /// The job that was pushed last, or null; each holds one reference.
    newest: AtomicPtr<Head>,
    _jobs: PhantomData<fn(Arc<J>)>,
}

impl<J: Job> Stack<J> {
    pub(crate) fn new() -> Self {
        Self { newest: AtomicPtr::new(ptr::null_mut()), _jobs: PhantomData }
    }

    pub(crate) fn push(&self, job: Arc<J>) {
        let head = into_head(job);
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: the job is ours until the exchange succeeds.
            unsafe { &*head }.next.store(newest, Ordering::Relaxed);
            // F: publishes the job and its link; the reference goes over to the stack.
            match self.newest.compare_exchange_weak(
                newest,
                head,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    /// Takes what has been pushed, by this thread or by another: first pushed first.
    pub(crate) fn take(&self) -> Batch<J> {
        // F: acquires every job on the stack. Each was pushed by a compare-and-swap on top of the one
        // below, so the last push's release sequence reaches down to the first.
        let mut newest = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        let mut batch = Batch::new();
        batch.jobs.last = newest;
        // SAFETY: null, or the head of a job whose reference the stack held; it goes over to `batch`.
        while let Some(head) = unsafe { newest.as_ref() } {
            let older = head.next.load(Ordering::Relaxed);
            head.next.store(batch.jobs.first, Ordering::Relaxed);
            batch.jobs.first = mem::replace(&mut newest, older);
        }
        batch
    }
}
