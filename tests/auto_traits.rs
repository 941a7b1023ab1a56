//! What the types promise to the compiler, both ways.

#![cfg(not(loom))]
#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

use core::cell::Cell;
use core::error::Error;
use core::fmt::Debug;
use core::future::{Pending, Ready};
use core::hash::Hash;
use core::marker::PhantomPinned;
use core::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::{Arc, MutexGuard};

use futures_util::future::FusedFuture;
use static_assertions::{
    assert_eq_size, assert_impl_all as yes, assert_not_impl_any as no, assert_type_eq_all as same,
};
use winddown::future::{Tracked, Wait, WaitClosed, WaitUntil, WaitValue};
use winddown::{Guard, Overflow, Signal, Unbalanced, Unfinished, WaitGroup};

/// `Send`, but not `Sync`.
type NotSync = Cell<u8>;
/// Neither `Send` nor `Sync`.
type Neither = Rc<u8>;
/// `Sync`, but not `Send`.
type NotSend = MutexGuard<'static, u8>;
/// A future that must be pinned.
type Immovable = Pinned;

#[derive(Debug)]
struct Pinned(PhantomPinned);

impl Future for Pinned {
    type Output = ();

    fn poll(
        self: core::pin::Pin<&mut Self>,
        _: &mut core::task::Context<'_>,
    ) -> core::task::Poll<()> {
        core::task::Poll::Pending
    }
}

// The objects.
yes!(WaitGroup: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default, Debug);
no!(WaitGroup: Clone, Copy);
yes!(Signal: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default, Debug);
no!(Signal: Clone, Copy);
// A signal lends its value to all, and drops it on any thread.
yes!(Signal<String>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug);
yes!(Signal<NotSync>: Send, Unpin, UnwindSafe, Debug);
no!(Signal<NotSync>: Sync, RefUnwindSafe);
no!(Signal<Neither>: Send, Sync);
yes!(Signal<NotSend>: Unpin);
no!(Signal<NotSend>: Send, Sync);
no!(Signal<&'static mut u8>: UnwindSafe);
no!(Signal<Pinned>: Unpin);

// Guards follow their pointer.
yes!(Guard: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Debug);
yes!(Guard<&'static WaitGroup>: Send, Sync);
yes!(Guard<Arc<WaitGroup>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Debug);
yes!(Guard<Rc<WaitGroup>>: Unpin, UnwindSafe, RefUnwindSafe, Clone, Debug);
no!(Guard<Rc<WaitGroup>>: Send, Sync);
yes!(Guard<Box<WaitGroup>>: Send, Sync);
no!(Guard<Box<WaitGroup>>: Clone);
no!(Guard: Copy);
same!(Guard, Guard<&'static WaitGroup>);

// Waits follow their pointer, and never need to be pinned.
yes!(Wait: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(Wait<Arc<WaitGroup>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(Wait<Rc<WaitGroup>>: Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
no!(Wait<Rc<WaitGroup>>: Send, Sync);
same!(Wait, Wait<&'static WaitGroup>);

yes!(WaitClosed: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitClosed<Arc<Signal<u8>>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture);
yes!(WaitClosed<Rc<Signal>>: Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
no!(WaitClosed<Rc<Signal>>: Send, Sync);
no!(WaitClosed<&'static Signal<NotSync>>: Send, Sync);
no!(WaitClosed<&'static Signal<Neither>>: Send, Sync);
no!(WaitClosed<&'static Signal<NotSend>>: Send, Sync);
no!(WaitClosed<Arc<Signal<NotSync>>>: Send, Sync);
same!(WaitClosed, WaitClosed<&'static Signal>);

yes!(WaitValue<'static, String>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitValue<'static, Pinned>: Unpin, FusedFuture, Debug);
no!(WaitValue<'static, NotSync>: Send, Sync);
no!(WaitValue<'static, Neither>: Send, Sync);
no!(WaitValue<'static, NotSend>: Send, Sync);

// Waits with a limit, and tracked futures, follow what they hold.
yes!(WaitUntil<Wait, Ready<()>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitUntil<WaitValue<'static, u8>, Pending<()>>: Send, Unpin, FusedFuture);
yes!(WaitUntil<WaitUntil<Wait, Pending<()>>, Immovable>: Send, Sync, FusedFuture);
no!(WaitUntil<Wait, Immovable>: Unpin);
no!(WaitUntil<WaitUntil<Wait, Immovable>, Pending<()>>: Unpin);
no!(WaitUntil<Wait, Ready<Neither>>: Send, Sync);
no!(WaitUntil<Wait<Rc<WaitGroup>>, Ready<()>>: Send, Sync);

yes!(Tracked<Ready<()>, Guard>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(Tracked<Ready<Neither>, Guard>: Unpin, FusedFuture);
no!(Tracked<Ready<Neither>, Guard>: Send, Sync);
no!(Tracked<Ready<()>, Guard<Rc<WaitGroup>>>: Send, Sync);
no!(Tracked<Immovable, Guard>: Unpin);

// Errors.
yes!(Overflow: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(Unbalanced: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(Unfinished: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(Unfinished<String>: Clone, PartialEq, Eq, Hash, Error);
no!(Unfinished<String>: Copy);
no!(Unfinished<Neither>: Send, Sync);
no!(Overflow: Default);
no!(Unbalanced: Default);

// A state word and a pointer.
#[cfg(target_pointer_width = "64")]
assert_eq_size!(WaitGroup, Signal, [usize; 2]);
#[cfg(target_pointer_width = "64")]
assert_eq_size!(Signal<u64>, Signal<Box<u8>>, [usize; 3]);
assert_eq_size!(Guard, Guard<Arc<WaitGroup>>, usize);

fn is_static<T: 'static>() {}
fn is_future<T: Future<Output = O>, O>() {}

/// The assertions above are the compiler's; these are of bounds that it does not take there.
#[test]
fn waits_are_static_where_their_pointers_are() {
    is_static::<Guard>();
    is_static::<Wait<Arc<WaitGroup>>>();
    is_static::<WaitClosed<Arc<Signal<String>>>>();
    is_static::<WaitUntil<Wait<Rc<WaitGroup>>, Pending<()>>>();
    is_static::<Tracked<Ready<()>, Guard<Arc<WaitGroup>>>>();
}

#[test]
fn waits_give_what_they_promise() {
    is_future::<Wait, ()>();
    is_future::<WaitClosed, ()>();
    is_future::<WaitValue<'static, String>, &'static String>();
    is_future::<WaitUntil<Wait, Ready<u8>>, Result<(), Unfinished<u8>>>();
    is_future::<WaitUntil<WaitValue<'static, u8>, Ready<()>>, Result<&'static u8, Unfinished>>();
    is_future::<Tracked<Ready<u8>, Guard>, u8>();
}

#[test]
fn a_limit_need_not_be_sized_by_a_runtime() {
    fn nameable(_: Option<WaitUntil<WaitClosed<Arc<Signal>>, Pending<()>>>) {}
    nameable(Some(Signal::closed_in(Arc::new(Signal::new())).until(core::future::pending())));
}

#[test]
fn every_object_can_be_a_static() {
    static GROUP: WaitGroup = WaitGroup::new();
    static SIGNAL: Signal = Signal::new();
    static TYPED: Signal<Vec<String>> = Signal::typed();
    assert!(GROUP.is_idle() && !SIGNAL.is_closed() && !TYPED.is_closed());
    static MANY: [Signal<u8>; 2] = [const { Signal::typed() }; 2];
    assert!(MANY.iter().all(|signal| !signal.is_closed()));
}
