//! What an operation leaves to be done when its own work is finished: the one list of it.
//!
//! **Invariant: foreign code runs from here and from nowhere else, with nothing of ours unfinished.** An
//! operation changes its words and collects; then it calls [`Deferred::run`], which works in this order
//! (rule 18):
//!
//! 1. own work that is left: children and groups below that a cancellation reaches, groups without a
//!    finaliser that have come to their end;
//! 2. foreign code: wakers, callbacks, drops of what only the list still holds;
//! 3. finalisers, each followed by the drain that it belongs to.
//!
//! Each stage may add to every other, and each job is taken from the earliest stage that has one. So a
//! callback finds an idle group drained, and may wait for it. There is no recursion over trees or chains
//! of groups: what is found on the way is added to the list.
//!
//! A job that panics does not keep the others from running ([`run_to_end`]). A list is never dropped
//! before it was run; should that happen, a debug assertion names it, and the list runs all the same.
//!
//! Jobs are linked through a [`Head`] in themselves, so collecting takes no memory.
//!
//! # Depth
//!
//! Foreign code may drop what has foreign code of its own: a callback owns a scope, whose callback owns a
//! scope, and so on. Each such drop runs its list where it is, so that whoever dropped something finds it
//! done; but from a depth of [`NESTED`] on it adds its list to the one that is being run on this thread.
//! So chains of any length are taken apart on a small stack. Without `std` there are no thread-locals
//! to tell that a list is being run, and such a chain needs stack for each of its links.

use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::ptr;

use crate::sync::{Arc, AtomicPtr, Ordering, run_to_end};

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

/// The link of a job, and what it does. Belongs to whoever owns the reference that a list holds.
pub(crate) struct Head {
    next: AtomicPtr<Head>,
    kind: &'static Kind,
}

/// The functions of one type of jobs, each for the head of a job whose reference it takes over;
/// `finalise` only looks.
struct Kind {
    settle: unsafe fn(*mut Head, &mut Deferred),
    run: unsafe fn(*mut Head),
    finalise: unsafe fn(*mut Head),
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
unsafe fn kind_of(head: *mut Head) -> &'static Kind {
    // SAFETY: the caller's promise.
    unsafe { &*head }.kind
}

/// The head of a job, which holds the reference from now on.
fn into_head<J: Job>(job: Arc<J>) -> *mut Head {
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
struct Queue {
    first: *mut Head,
    /// Of no meaning while `first` is null.
    last: *mut Head,
}

impl Queue {
    const EMPTY: Self = Self { first: ptr::null_mut(), last: ptr::null_mut() };

    #[inline]
    fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Puts `head`, whose job holds a reference for us, behind all others.
    fn push(&mut self, head: *mut Head) {
        self.append(Self { first: head, last: head });
    }

    fn append(&mut self, more: Self) {
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

    fn pop(&mut self) -> Option<*mut Head> {
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
fn is_unwinding() -> bool {
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

/// The list; see the module.
#[must_use = "what was deferred is to be run"]
pub(crate) struct Deferred {
    own: Queue,
    foreign: Queue,
    finalisers: Queue,
}

impl Deferred {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { own: Queue::EMPTY, foreign: Queue::EMPTY, finalisers: Queue::EMPTY }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.foreign.is_empty() && self.finalisers.is_empty()
    }

    /// To be settled first.
    pub(crate) fn settle<J: Job>(&mut self, jobs: Batch<J>) {
        self.own.append(jobs.jobs);
    }

    /// As [`settle`](Self::settle), for one.
    pub(crate) fn settle_one<J: Job>(&mut self, job: Arc<J>) {
        self.own.push(into_head(job));
    }

    /// To be run when all own work is done.
    pub(crate) fn run_later<J: Job>(&mut self, jobs: Batch<J>) {
        self.foreign.append(jobs.jobs);
    }

    /// As [`run_later`](Self::run_later), for one.
    pub(crate) fn run_one_later<J: Job>(&mut self, job: Arc<J>) {
        self.foreign.push(into_head(job));
    }

    /// To be finalised at the very end, and settled again then.
    pub(crate) fn finalise<J: Job>(&mut self, job: Arc<J>) {
        self.finalisers.push(into_head(job));
    }

    /// Drops `value`, which is foreign code, when all own work is done. Allocates.
    pub(crate) fn drop_later<T: 'static>(&mut self, value: T) {
        self.run_one_later(Dropped::new(value));
    }

    /// Does all that is on the list, and what comes of it. Foreign code: nothing of the caller's may be
    /// unfinished.
    pub(crate) fn run(self) {
        if !self.is_empty() {
            self.run_after(|| ());
        }
    }

    /// Calls `first`, which is foreign code, and then does all that is on the list.
    pub(crate) fn run_after(self, first: impl FnOnce()) {
        // It is empty in the end, also if a panic goes on.
        let mut list = ManuallyDrop::new(self);
        let this: *mut Self = &raw mut *list;
        let _running = nesting::Running::on(this);
        let mut first = Some(first);
        run_to_end(|| match first.take() {
            Some(first) => {
                first();
                true
            }
            // SAFETY: `list` lives until the end of this function, and is used by its address alone,
            //   here and by drops that foreign code nests on this thread.
            None => unsafe { Self::step(this) },
        });
    }

    /// [`run`](Self::run) for the end of a drop, which may be one of a chain.
    #[inline]
    pub(crate) fn run_in_drop(self) {
        if !self.is_empty() {
            nesting::run_nested(self);
        }
    }

    fn settle_next(&mut self) -> bool {
        let Some(head) = self.own.pop() else { return false };
        // SAFETY: taken out of a queue of this list, so its reference is ours.
        let kind = unsafe { kind_of(head) };
        // SAFETY: as above, and of its own kind.
        unsafe { (kind.settle)(head, self) };
        true
    }

    /// Does the next job; false if there is none.
    ///
    /// # Safety
    ///
    /// `this` is alive, and nobody borrows from it: foreign code may add to it meanwhile.
    unsafe fn step(this: *mut Self) -> bool {
        // SAFETY: by the caller's promise; the borrow ends before foreign code begins.
        let list = unsafe { &mut *this };
        if list.settle_next() {
            return true;
        }
        if let Some(head) = list.foreign.pop() {
            // SAFETY: as in `settle_next`.
            let kind = unsafe { kind_of(head) };
            // SAFETY: as above, and of its own kind.
            unsafe { (kind.run)(head) };
            return true;
        }
        let head = list.finalisers.first;
        if head.is_null() {
            return false;
        }
        // It stays where it is meanwhile, so that a panic does not lose it; `settle` knows that it was
        // finalised.
        let _settle = SettleAfter(this);
        // SAFETY: the queue holds a reference to it.
        let kind = unsafe { kind_of(head) };
        // SAFETY: as above, and of its own kind.
        unsafe { (kind.finalise)(head) };
        true
    }
}

/// Moves the first of the finalisers to the own work, when its foreign code is over.
struct SettleAfter(*mut Deferred);

impl Drop for SettleAfter {
    fn drop(&mut self) {
        // SAFETY: made by `Deferred::step`, which ends after this; foreign code is over.
        let list = unsafe { &mut *self.0 };
        if let Some(head) = list.finalisers.pop() {
            list.own.push(head);
        }
    }
}

impl Drop for Deferred {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            debug_assert!(is_unwinding(), "deferred work was dropped, not run");
            mem::replace(self, Self::new()).run();
        }
    }
}

/// Does `operation`, and then what it has deferred.
#[inline]
pub(crate) fn and_then_run<R>(operation: impl FnOnce(&mut Deferred) -> R) -> R {
    let mut deferred = Deferred::new();
    let result = operation(&mut deferred);
    deferred.run();
    result
}

/// Drops `value`, which is foreign code, from within a drop of ours, which may be one of a chain.
pub(crate) fn drop_in_drop<T: 'static>(value: T) {
    #[cfg(feature = "std")]
    if nesting::is_deep() {
        let mut deferred = Deferred::new();
        deferred.drop_later(value);
        return deferred.run_in_drop();
    }
    Deferred::new().run_after(|| drop(value));
}

/// A value that is to be dropped.
struct Dropped<T> {
    head: Head,
    _value: T,
}

impl<T: 'static> Dropped<T> {
    fn new(value: T) -> Arc<Self> {
        Arc::new(Self { head: Head::of::<Self>(), _value: value })
    }
}

// SAFETY: `HEAD` is the offset of `head`, which `new` makes.
unsafe impl<T: 'static> Job for Dropped<T> {
    const HEAD: usize = mem::offset_of!(Self, head);

    fn settle(this: Arc<Self>, deferred: &mut Deferred) {
        deferred.run_one_later(this);
    }

    fn run(this: Arc<Self>) {
        drop(this);
    }
}

/// How many drops may run their lists inside of each other.
#[cfg(feature = "std")]
const NESTED: usize = 8;

/// Which list is being run on this thread.
#[cfg(feature = "std")]
mod nesting {
    use core::cell::Cell;
    use core::ptr;

    use super::{Deferred, NESTED};
    use crate::sync::host::thread_local;

    /// The innermost list that is being run, and how many there are.
    type Innermost = Cell<(*mut Deferred, usize)>;

    #[cfg(not(loom))]
    thread_local! {
        static RUNNING: Innermost = const { Cell::new((ptr::null_mut(), 0)) };
    }
    #[cfg(loom)]
    thread_local! {
        static RUNNING: Innermost = Cell::new((ptr::null_mut(), 0));
    }

    fn innermost() -> (*mut Deferred, usize) {
        // A thread that is ending runs its lists where they are.
        RUNNING.try_with(Cell::get).unwrap_or((ptr::null_mut(), 0))
    }

    /// A list that is being run, until this is dropped.
    pub(super) struct Running {
        outer: (*mut Deferred, usize),
    }

    impl Running {
        pub(super) fn on(list: *mut Deferred) -> Self {
            let outer = innermost();
            let _ = RUNNING.try_with(|it| it.set((list, outer.1 + 1)));
            Self { outer }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = RUNNING.try_with(|it| it.set(self.outer));
        }
    }

    pub(super) fn is_deep() -> bool {
        innermost().1 >= NESTED
    }

    /// Runs `list`; or adds it to the one that is being run, if it is nested deep enough.
    pub(super) fn run_nested(mut list: Deferred) {
        let (outer, depth) = innermost();
        if depth < NESTED {
            return list.run();
        }
        // Own work is done before the drop returns, however deep it is.
        while list.settle_next() {}
        // SAFETY: it is being run on this thread, further down the stack, so it is alive; it is not
        //   borrowed while foreign code runs, which is where we are.
        let outer = unsafe { &mut *outer };
        for (to, from) in [
            (&mut outer.own, &mut list.own),
            (&mut outer.foreign, &mut list.foreign),
            (&mut outer.finalisers, &mut list.finalisers),
        ] {
            to.append(core::mem::replace(from, super::Queue::EMPTY));
        }
    }
}

#[cfg(not(feature = "std"))]
mod nesting {
    use super::Deferred;

    pub(super) struct Running;

    impl Running {
        pub(super) fn on(_: *mut Deferred) -> Self {
            Self
        }
    }

    pub(super) fn run_nested(list: Deferred) {
        list.run();
    }
}
