//! A waker whose every function is the test's own code. `std::task::Wake` hides clone and drop.

use core::fmt;
use core::mem::forget;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{RawWaker, RawWakerVTable, Waker};
use std::sync::Arc;

type Act = Box<dyn Fn() + Send + Sync>;

/// What the wakers made from it do. By default they count.
#[derive(Default)]
pub(crate) struct Foreign {
    on_clone: Option<Act>,
    on_wake: Option<Act>,
    on_drop: Option<Act>,
    woken: AtomicUsize,
    alive: AtomicUsize,
}

impl Foreign {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn on_clone(mut self, act: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_clone = Some(Box::new(act));
        self
    }

    pub(crate) fn on_wake(mut self, act: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_wake = Some(Box::new(act));
        self
    }

    pub(crate) fn on_drop(mut self, act: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(act));
        self
    }

    pub(crate) fn share(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// A waker whose counts are not asked for.
    pub(crate) fn into_waker(self) -> Waker {
        self.share().waker()
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        // SAFETY: the vtable keeps the contract of `RawWaker`: each waker holds one reference of
        //   the `Arc`, and what is inside is `Send` and `Sync`.
        unsafe { Waker::from_raw(self.raw()) }
    }

    /// How often a waker was woken.
    pub(crate) fn woken(&self) -> usize {
        self.woken.load(Ordering::Relaxed)
    }

    /// How many wakers there are.
    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    fn raw(self: &Arc<Self>) -> RawWaker {
        self.alive.fetch_add(1, Ordering::Relaxed);
        RawWaker::new(Arc::into_raw(Arc::clone(self)).cast(), &VTABLE)
    }

    fn wake(&self) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        act(self.on_wake.as_ref());
    }
}

fn act(it: Option<&Act>) {
    if let Some(it) = it {
        it();
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// Takes over the reference that a waker holds.
unsafe fn take(data: *const ()) -> Arc<Foreign> {
    // SAFETY: `data` is of `Arc::into_raw` in `raw`, and the caller says that the reference is its.
    unsafe { Arc::from_raw(data.cast::<Foreign>()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned keeps what it points to.
    let this = unsafe { &*data.cast::<Foreign>() };
    act(this.on_clone.as_ref());
    // SAFETY: the reference stays with the waker that is cloned: it is forgotten below.
    let this = unsafe { take(data) };
    let raw = this.raw();
    forget(this);
    raw
}

unsafe fn wake(data: *const ()) {
    /// Also when the wake panics.
    struct Release(*const ());
    impl Drop for Release {
        fn drop(&mut self) {
            // SAFETY: the waker gives its reference up.
            unsafe { release(self.0) };
        }
    }
    let waker = Release(data);
    // SAFETY: the waker is alive until `release`.
    unsafe { wake_by_ref(waker.0) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker that is woken keeps what it points to.
    unsafe { &*data.cast::<Foreign>() }.wake();
}

unsafe fn release(data: *const ()) {
    // SAFETY: the waker gives its reference up.
    let this = unsafe { take(data) };
    this.alive.fetch_sub(1, Ordering::Relaxed);
    act(this.on_drop.as_ref());
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign").field("woken", &self.woken).finish_non_exhaustive()
    }
}
