//! The least that the hardware or the kernel asks for the same effect.

use alloc::sync::Arc;
use core::hint::black_box;
use core::marker::PhantomData;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Mutex;
use std::thread::{self, Thread};

use crate::memory;
use crate::results::FLOOR;
use crate::subjects::{Blocking, Event, Tree};

/// The bit that is asked for.
const FLAG: u64 = 1 << 1;

/// One word that has its cache lines to itself.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Line(AtomicU64);

impl Line {
    /// A count up and a count down, as any counter must do.
    #[inline]
    pub(crate) fn two_rmws(&self) {
        self.up();
        self.down();
    }

    #[inline]
    pub(crate) fn up(&self) {
        black_box(self.0.fetch_add(1, Ordering::Relaxed));
    }

    #[inline]
    pub(crate) fn down(&self) {
        black_box(self.0.fetch_sub(1, Ordering::Release));
    }

    #[inline]
    pub(crate) fn load(&self) {
        black_box(self.is_set());
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) & FLAG != 0
    }
}

/// Waiters in a vector that is long enough from the start, under a mutex: a lock, a clone of the
/// waker and a store to register; one lock and a call each to wake; a lock and a store to leave.
/// Nothing is allocated for a waiter.
pub(crate) struct Wakers {
    list: Mutex<(bool, Vec<Option<Waker>>)>,
}

pub(crate) struct InWakers<'a> {
    wakers: &'a Wakers,
    index: Option<usize>,
}

impl Event for Wakers {
    const NAME: &'static str = FLOOR;
    type Wait<'a> = InWakers<'a>;

    fn new(waiters: usize) -> Self {
        Self { list: Mutex::new((false, Vec::with_capacity(waiters))) }
    }

    fn wait(&self) -> InWakers<'_> {
        InWakers { wakers: self, index: None }
    }

    fn end(&self) {
        let woken = {
            let mut list = self.list.lock().expect("no panic inside");
            list.0 = true;
            core::mem::take(&mut list.1)
        };
        for waker in woken.iter().flatten() {
            waker.wake_by_ref();
        }
        // As with the others, the waiter frees what it was registered with.
        self.list.lock().expect("no panic inside").1 = woken;
    }
}

impl Future for InWakers<'_> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut list = self.wakers.list.lock().expect("no panic inside");
        if list.0 {
            return Poll::Ready(());
        }
        let index = list.1.len();
        list.1.push(Some(waker));
        drop(list);
        self.index = Some(index);
        Poll::Pending
    }
}

impl Drop for InWakers<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(index) = self.index {
            let mut list = self.wakers.list.lock().expect("no panic inside");
            let waker = list.1[index].take();
            drop(list);
            drop(waker);
        }
    }
}

/// A tree that is none: each scope is a written block of the size of an idle child of `T`, and a
/// count of what it is under, which all of them share; the waits are in one vector.
pub(crate) struct Blocks<T> {
    shared: Arc<(Wakers, usize)>,
    _block: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T> Blocks<T> {
    #[inline]
    fn under(shared: Arc<(Wakers, usize)>) -> Self {
        let block = black_box(vec![1; shared.1]);
        Self { shared, _block: block, of: PhantomData }
    }
}

impl<T: Tree> Event for Blocks<T> {
    const NAME: &'static str = FLOOR;
    type Wait<'a> = InWakers<'a>;

    fn new(waiters: usize) -> Self {
        Self::under(Arc::new((Wakers::new(waiters), memory::size_of_a_child::<T>())))
    }

    #[inline]
    fn wait(&self) -> InWakers<'_> {
        self.shared.0.wait()
    }

    fn end(&self) {
        self.shared.0.end();
    }
}

impl<T: Tree> Tree for Blocks<T> {
    #[inline]
    fn child(&self) -> Self {
        Self::under(Arc::clone(&self.shared))
    }
}

/// A word that the kernel waits on: 0, or 1 when it is over.
#[cfg(target_os = "linux")]
pub(crate) struct Futex(AtomicU32);

#[cfg(target_os = "linux")]
impl Blocking for Futex {
    const NAME: &'static str = FLOOR;

    fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn block(&self) {
        while self.0.load(Ordering::Acquire) == 0 {
            // SAFETY: the word outlives the call, and without a timeout the kernel reads no other
            //   pointer.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                    0,
                    core::ptr::null::<libc::timespec>(),
                )
            };
        }
    }

    fn end(&self) {
        self.0.store(1, Ordering::Release);
        // SAFETY: the kernel takes the address as a key and does not access it.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                1,
            )
        };
    }
}

/// A flag and the standard library's park and unpark, with the thread told beforehand: what a
/// blocking wait can do without a line of unsafe code.
pub(crate) struct Unpark {
    over: AtomicU32,
    waiter: Mutex<Option<Thread>>,
}

impl Blocking for Unpark {
    const NAME: &'static str = "std park / unpark";

    fn new() -> Self {
        Self { over: AtomicU32::new(0), waiter: Mutex::new(None) }
    }

    fn block(&self) {
        *self.waiter.lock().expect("no panic inside") = Some(thread::current());
        while self.over.load(Ordering::Acquire) == 0 {
            thread::park();
        }
    }

    fn end(&self) {
        self.over.store(1, Ordering::Release);
        let waiter = self.waiter.lock().expect("no panic inside").take();
        if let Some(thread) = waiter {
            thread.unpark();
        }
    }
}
