//! What the types promise to the compiler, both ways.

#![cfg(not(loom))]

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
use futures_util::stream::{FusedStream, Stream};
use static_assertions::{
    assert_eq_size, assert_impl_all as yes, assert_not_impl_any as no, assert_type_eq_all as same,
};
use winddown::future::{
    Expiry, Tracked, TrackedErr, TrackedStream, Until, UntilStream, Value, Wait, WaitAny,
    WaitCancelled, WaitClosed, WaitDrained, WaitErrors, WaitReason, WaitRoom, WaitShutdown,
    WaitUntil, WaitValue, WaitValueIn,
};
use winddown::{
    CancelScope, CancelToken, Cancelled, Canceller, ChildError, ErrGroup, Errors, Guard, Overflow,
    Reason, Refused, Registration, Signal, Stopped, TaskGroup, TaskGroupBuilder, TaskGuard,
    Unbalanced, Unfinished, Unlimited, WaitGroup,
};

/// `Send`, but not `Sync`.
type NotSync = Cell<u8>;
/// Neither `Send` nor `Sync`.
type Neither = Rc<u8>;
/// `Sync`, but not `Send`.
type NotSend = MutexGuard<'static, u8>;
type Items<T> = futures_util::stream::Pending<T>;
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
// S4.11: none is copied by accident.
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

yes!(TrackedStream<Items<u8>, Guard>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedStream);
yes!(TrackedStream<Items<u8>, TaskGuard>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug);
yes!(TrackedStream<Items<Neither>, Guard>: Unpin, FusedStream);
no!(TrackedStream<Items<Neither>, Guard>: Send, Sync);
no!(TrackedStream<Items<u8>, Guard<Rc<WaitGroup>>>: Send, Sync);
no!(TrackedStream<Immovable, Guard>: Unpin);

// Errors.
yes!(Overflow: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(Unbalanced: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(Unfinished: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(Unlimited: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(Unfinished<String>: Clone, PartialEq, Eq, Hash, Error);
no!(Unfinished<String>: Copy);
no!(Unfinished<Neither>: Send, Sync);
no!(Overflow: Default);
no!(Unbalanced: Default);
no!(Unlimited: Default);

// The ends of a scope. Handles can be compared; none is made from nothing but a root.
yes!(CancelScope: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default, Debug);
no!(CancelScope: Clone, Copy, PartialEq, core::ops::Deref);
yes!(Canceller: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, PartialEq, Eq, Hash, Debug);
no!(Canceller: Copy, Default, PartialOrd);
yes!(CancelToken: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, PartialEq, Eq, Hash, Debug);
no!(CancelToken: Copy, Default, PartialOrd);
yes!(Registration: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug);
no!(Registration: Clone, Copy, Default);
yes!(CancelToken: IntoFuture);
yes!(&'static CancelToken: IntoFuture);

// Waits for tokens never need to be pinned.
yes!(WaitCancelled: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitCancelled<&'static CancelToken>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
yes!(WaitReason: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitReason<&'static CancelToken>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
yes!(WaitAny<'static, 0>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitAny<'static, 3>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Clone, Debug);
yes!(WaitCancelled: Clone);
same!(WaitCancelled, WaitCancelled<CancelToken>);
same!(WaitReason, WaitReason<CancelToken>, <CancelToken as IntoFuture>::IntoFuture);
same!(WaitReason<&'static CancelToken>, <&'static CancelToken as IntoFuture>::IntoFuture);

// A type that holds a foreign future or stream has the auto traits of that.
yes!(Expiry<Ready<()>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(Expiry<Immovable>: Send, Sync, FusedFuture, Debug);
no!(Expiry<Immovable>: Unpin);
no!(Expiry<Ready<Neither>>: Send, Sync);
yes!(Until<Ready<()>, WaitReason>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
no!(Until<Immovable, WaitReason>: Unpin);
no!(Until<Ready<()>, Immovable>: Unpin);
no!(Until<Ready<Neither>, WaitReason>: Send, Sync);
no!(Until<Ready<()>, Ready<Neither>>: Send, Sync);
yes!(UntilStream<Items<u8>, WaitReason>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Stream);
yes!(UntilStream<Items<u8>, WaitReason>: FusedStream, Debug);
no!(UntilStream<Items<u8>, Immovable>: Unpin);
no!(UntilStream<Items<Neither>, WaitReason>: Send, Sync);
yes!(WaitUntil<WaitCancelled, Ready<()>>: Send, Sync, Unpin, FusedFuture, Debug);
yes!(WaitUntil<WaitAny<'static, 2>, WaitReason>: Send, Sync, Unpin, FusedFuture, Debug);

// Reasons.
yes!(Reason: Send, Sync, Unpin, Debug, core::fmt::Display);
yes!(Reason: From<&'static str>, From<String>, From<core::fmt::Error>, From<Cancelled>);
yes!(Reason: From<Box<dyn Error + Send + Sync>>);
no!(Reason: Clone, Error, UnwindSafe, RefUnwindSafe);
yes!(Cancelled: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Debug, Error);
no!(Cancelled: Copy, Default);

// Groups: handles, those inside, and how they are made.
yes!(TaskGroup: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Default, Debug);
no!(TaskGroup: Copy, PartialEq, core::ops::Deref);
yes!(TaskGuard: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Debug);
no!(TaskGuard: Copy, Default, core::ops::Deref);
yes!(TaskGroupBuilder: Send, Sync, Unpin, Default, Debug);
no!(TaskGroupBuilder: Clone, UnwindSafe, RefUnwindSafe);
yes!(ErrGroup<String>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Default, Debug);
yes!(ErrGroup<Pinned>: Send, Sync, Unpin, Clone);
no!(ErrGroup<String>: Copy, core::ops::Deref);
no!(ErrGroup<Neither>: Send, Sync, Default);
no!(ErrGroup<NotSync>: Send, Sync, Default);
no!(ErrGroup<NotSend>: Send, Sync, Default);
yes!(Errors<core::fmt::Error>: Send, Sync, Unpin, Clone, PartialEq, Eq, Debug, Error);
yes!(Errors<String>: Send, Sync, Unpin, Clone, PartialEq, Eq, Debug, UnwindSafe);
no!(Errors<String>: Copy, Error, Default);
no!(Errors<Neither>: Send, Sync);
no!(Errors<NotSync>: Send, Sync);

// Their waits never need to be pinned, unless they hold a grace that does.
yes!(WaitDrained: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitDrained<&'static TaskGroup>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture);
yes!(WaitRoom: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitShutdown<'static, Ready<()>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture);
yes!(WaitShutdown<'static, Immovable>: Send, Sync, FusedFuture, Debug);
no!(WaitShutdown<'static, Immovable>: Unpin);
no!(WaitShutdown<'static, Ready<Neither>>: Send, Sync);
yes!(WaitErrors<'static, u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture, Debug);
yes!(WaitErrors<'static, Pinned>: Unpin);
no!(WaitErrors<'static, NotSync>: Send, Sync);
yes!(WaitDrained: Clone);
yes!(WaitRoom: Clone);
yes!(WaitRoom<&'static TaskGroup>: Clone);
yes!(WaitErrors<'static, NotSync>: Clone);
no!(WaitShutdown<'static, Ready<()>>: Clone);
same!(WaitRoom, WaitRoom<TaskGroup>);
same!(WaitDrained, WaitDrained<TaskGroup>);
yes!(WaitUntil<WaitShutdown<'static, Pending<()>>, WaitReason>: Send, Sync, Unpin, FusedFuture);
yes!(Tracked<Ready<()>, TaskGuard>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, FusedFuture);
yes!(Tracked<Ready<Neither>, TaskGuard>: Unpin);
no!(Tracked<Ready<Neither>, TaskGuard>: Send, Sync);
yes!(TrackedErr<Pending<Result<(), u8>>, u8>: Send, Sync, Unpin, FusedFuture, Debug);
no!(TrackedErr<Ready<Neither>, u8>: Send, Sync);
no!(TrackedErr<Immovable, u8>: Unpin);

// Their answers and errors.
yes!(Refused: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(ChildError: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash, Error);
yes!(ChildError: From<Refused>);
yes!(Stopped: Send, Sync, Unpin, UnwindSafe, Debug, Clone, Copy, PartialEq, Eq, Hash);

#[cfg(feature = "holders")]
mod holders {
    use super::*;
    use winddown::{Holder, Holders};

    yes!(Holder: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Debug, core::fmt::Display);
    yes!(Holders: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Clone, Debug, Default);
    yes!(Holders: IntoIterator<Item = Holder>, AsRef<[Holder]>, core::fmt::Display);
    yes!(&'static Holders: IntoIterator<IntoIter = core::slice::Iter<'static, Holder>>);
    no!(Holders: Copy, core::ops::Deref);
}

// A state word and a pointer.
#[cfg(target_pointer_width = "64")]
assert_eq_size!(WaitGroup, Signal, [usize; 2]);
#[cfg(target_pointer_width = "64")]
assert_eq_size!(Signal<u64>, Signal<Box<u8>>, [usize; 3]);
// A pointer and what the word was.
#[cfg(target_pointer_width = "64")]
assert_eq_size!(Guard, Guard<Arc<WaitGroup>>, [usize; 2]);

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
    is_static::<TrackedStream<Items<u8>, Guard<Arc<WaitGroup>>>>();
    is_static::<(CancelScope, Canceller, CancelToken, Registration, Cancelled, Reason)>();
    is_static::<(WaitCancelled, WaitReason, Expiry<Pending<()>>)>();
    is_static::<Until<Pending<()>, WaitReason>>();
    is_static::<(TaskGroup, TaskGuard, TaskGroupBuilder, ErrGroup<String>, Errors<String>)>();
    is_static::<(WaitRoom, WaitDrained, Tracked<Ready<()>, TaskGuard>)>();
    is_static::<TrackedErr<Ready<Result<(), u8>>, u8>>();
}

#[test]
fn waits_give_what_they_promise() {
    is_future::<Wait, ()>();
    is_future::<WaitClosed, ()>();
    is_future::<WaitValue<'static, String>, &'static String>();
    is_future::<WaitUntil<Wait, Ready<u8>>, Result<(), Unfinished<u8>>>();
    is_future::<WaitUntil<WaitValue<'static, u8>, Ready<()>>, Result<&'static u8, Unfinished>>();
    is_future::<Tracked<Ready<u8>, Guard>, u8>();
    is_future::<WaitCancelled, ()>();
    is_future::<WaitReason, Cancelled>();
    is_future::<WaitAny<'static, 2>, Cancelled>();
    is_future::<Expiry<Ready<u8>>, Cancelled>();
    is_future::<Until<Ready<u8>, WaitReason>, Result<u8, Cancelled>>();
    is_future::<WaitUntil<WaitCancelled, WaitReason>, Result<(), Unfinished<Cancelled>>>();
    is_future::<WaitValueIn<Arc<Signal<u8>>>, Value<Arc<Signal<u8>>>>();
    is_future::<WaitDrained, ()>();
    is_future::<WaitRoom, Result<TaskGuard, Refused>>();
    is_future::<WaitShutdown<'static, Ready<u8>>, Stopped>();
    is_future::<WaitErrors<'static, u8>, Result<(), Errors<u8>>>();
    is_future::<TrackedErr<Ready<Result<(), u8>>, u8>, ()>();
    is_future::<
        WaitUntil<WaitShutdown<'static, Ready<()>>, Ready<u8>>,
        Result<Stopped, Unfinished<u8>>,
    >();
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
    static NEVER: CancelToken = CancelToken::never();
    assert!(!NEVER.is_cancelled());
    static MANY: [Signal<u8>; 2] = [const { Signal::typed() }; 2];
    assert!(MANY.iter().all(|signal| !signal.is_closed()));
}
