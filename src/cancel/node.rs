//! One scope of a cancellation tree.
//!
//! **Trees point upward.** A child holds its parent; asking walks up and only loads; making and
//! dropping a child touches no list. **Invariant: a node's word ([`word`]) goes from open to
//! cancelled once, and its reason never changes.** The parent of a live node is never cut, so a
//! reason borrowed from an ancestor lives as long as the borrower.
//!
//! A node is hooked into its parent once, by its first wait or callback, so that cancelling reaches
//! the waits below: [`Node::hook_up`]. The thread that claimed the node makes each step of it, and
//! also delivers to the node if its parent turns out to be cancelled, whether or not it waits itself:
//! other waits on the node rely on it.
//!
//! A cancellation spreads without recursion: firing a node puts what it fires on a list of deferred work
//! ([`Deferred`]); a child is settled there, and adds its own; tasks and callbacks are foreign code and run when no
//! child is left.
//!
//! A node has three lists of seats: for tasks, in the node itself, so that a child with one wait allocates nothing
//! beside itself; for what is below; and for callbacks, in the order of their registration.
//!
//! Edges, beside those of the seats:
//!
//! * **D** (cancel to observer): what came before a cancel, and the reason, is seen by each thread that
//!   sees the word cancelled, on this node or any below.
//! * **B**, **C** as for the signal: announcing and settling are read-modify-writes of one word.
//! * **G** (claim): of all threads that would hook a node up, one does: the first that announces itself.

mod hooks;
mod remains;
mod targets;
mod word;

use core::any::Any;
use core::fmt;
use core::mem;
use core::ptr;

use alloc::boxed::Box;

use crate::cancel::callback::Callback;
use crate::cancel::reason::Reason;
use crate::park::deferred::Deferred;
use crate::park::seats::{Fires, List, Parked, Waiters};
use crate::park::wait::{Announced, Source};
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::sync::{Arc, AtomicPtr, Ordering, SealableStack, UnsafeCell, is_only, run_both, step};
use remains::Detached;
pub(crate) use targets::{Call, Follower, Observer, WeakFollower};
use word::Word;

/// One scope of a cancellation tree; see the module.
// What a question looks at comes first, so that it is one cache line a node.
#[repr(C)]
pub(crate) struct Node {
    /// Changed by cancels, deliveries, questions for the reason, and waits about to park.
    word: AtomicPtr<Reason>,
    parent: Option<Arc<Node>>,
    /// Cuts off cancellation and deadline from above.
    shielded: bool,
    /// A follower of what is above settles the node, which is not hooked in itself.
    follows: bool,
    /// What few nodes have.
    extras: Option<Box<Extras>>,
    observers: List<Observer>,
    children: Waiters<WeakFollower>,
    calls: Waiters<Call>,
    /// The registration in the parent. Belongs to the claimer, and then to the drop.
    link: UnsafeCell<Option<Parked<WeakFollower>>>,
    /// Registrations of callbacks that stay for as long as the node does.
    detached: SealableStack<Detached>,
}

// SAFETY: `link` is written by the claimer and touched by nobody else before the drop. (`Send` is derived.)
unsafe impl Sync for Node {}

/// What a new node has beside its parent.
#[derive(Default)]
pub(crate) struct Traits {
    pub(crate) shielded: bool,
    /// Whether [`Node::follow`] is to be called.
    pub(crate) follows: bool,
    pub(crate) extras: Extras,
}

/// See [`CancelToken::with_value`](crate::CancelToken::with_value) and
/// [`CancelToken::child_until`](crate::CancelToken::child_until).
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) value: Option<Box<dyn Any + Send + Sync>>,
    #[cfg(feature = "std")]
    pub(crate) deadline: Option<Instant>,
}

impl Extras {
    fn boxed(self) -> Option<Box<Self>> {
        let is_empty = self.value.is_none();
        #[cfg(feature = "std")]
        let is_empty = is_empty && self.deadline.is_none();
        (!is_empty).then(|| Box::new(self))
    }
}

impl Node {
    pub(crate) fn new(parent: Option<Arc<Node>>, traits: Traits) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicPtr::new(Word::OPEN.0),
            observers: List::new(Fires::Once),
            children: Waiters::new(),
            calls: Waiters::new(),
            parent,
            shielded: traits.shielded,
            follows: traits.follows,
            link: UnsafeCell::new(None),
            detached: SealableStack::new(),
            extras: traits.extras.boxed(),
        })
    }

    /// The node and all above it, nearest first.
    fn ancestors(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// The node and all above it that can cancel it or end its time.
    fn cancelling_scopes(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |node| node.cancelling_parent().map(|parent| &**parent))
    }

    /// The parent whose cancellation reaches this node.
    #[inline]
    fn cancelling_parent(&self) -> Option<&Arc<Self>> {
        if self.shielded { None } else { self.parent.as_ref() }
    }

    #[inline]
    fn load(&self) -> Word {
        // D: a cancelled word acquires what led to it, and the reason.
        Word(self.word.load(Ordering::Acquire))
    }

    /// The reason in the node's own word.
    #[inline]
    fn own_reason(&self) -> Option<&Reason> {
        // SAFETY: null, or static, or in a box that lives as long as the node that owns it, which
        //   is this one or one above: its word never changes the pointer, and it is held by us.
        unsafe { self.load().reason().as_ref() }
    }

    /// The reason of the nearest cancelled node, from here up. Loads only.
    #[inline]
    pub(crate) fn found(&self) -> Option<&Reason> {
        let mut node = self;
        loop {
            if let Some(reason) = node.own_reason() {
                return Some(reason);
            }
            node = node.cancelling_parent()?;
        }
    }

    /// The reason of the node that was the nearest cancelled one at some instant during the call (rule 8).
    ///
    /// One walk does not tell: behind it a nearer node may be cancelled, and then the one that it finds. If a second
    /// walk finds the same reason, all nodes that it passed were open when it began, since it saw them open later; and
    /// the scope that the reason comes from was cancelled by then. (The node where the walk ends may have recorded the
    /// reason since: by this rule, too.) Each further walk is due to another cancel.
    fn nearest(&self) -> Option<&Reason> {
        let mut last = None;
        loop {
            let found = self.found()?;
            if last.is_some_and(|last| ptr::eq(last, found)) {
                return Some(found);
            }
            last = Some(found);
        }
    }

    /// The reason of this node, for ever: if it comes from above, it is fixed here before anybody
    /// hears of it.
    pub(crate) fn reason(&self) -> Option<&Reason> {
        let found = Word::borrowed(self.nearest()?);
        // It is fixed in all that lie between, too, so that the next question below them is short. Waits
        // there are fired by the delivery that is on its way: a question runs no foreign code.
        for node in self.cancelling_scopes().take_while(|node| node.own_reason().is_none()) {
            node.step(|now| now.record_reason(found));
        }
        self.own_reason()
    }

    /// The own work of cancelling the node and all below it, unless it is cancelled; the rest is deferred.
    pub(crate) fn settle(
        this: &Arc<Self>,
        reason: Reason,
        deferred: &mut Deferred,
    ) -> Result<(), Reason> {
        // An ancestor's cancellation came first, and its reason is ours.
        if let Some(found) = this.nearest() {
            Self::pass_on(this, found, deferred);
            return Err(reason);
        }
        let word = Word::keeping(reason);
        let before = this.step(|now| now.settle(word));
        Self::fire(this, before, deferred);
        if before.is_some_and(Word::is_open) {
            return Ok(());
        }
        // SAFETY: `word` came from `keeping` and did not get into the node.
        Err(match unsafe { word.take() } {
            Some(content) => *content,
            // SAFETY: not in a box, so static.
            None => unsafe { &*word.reason() }.copy(),
        })
    }

    /// Passes an ancestor's cancellation on to this node and all below it.
    fn pass_on(this: &Arc<Self>, reason: &Reason, deferred: &mut Deferred) {
        let before = this.step(|now| now.settle(Word::borrowed(reason)));
        Self::fire(this, before, deferred);
    }

    /// Passes the parent's cancellation on to this node and all below it. The reference comes back, unless a
    /// delivery holds it now.
    fn settle_below(this: Arc<Self>, deferred: &mut Deferred) -> Option<Arc<Self>> {
        let reason = this.cancelling_parent().and_then(|parent| parent.own_reason());
        let before = reason.and_then(|reason| this.step(|now| now.settle(Word::borrowed(reason))));
        let mut lends = true;
        Self::fire_lending(&this, before, &mut lends, deferred);
        if lends {
            return Some(this);
        }
        mem::forget(this);
        None
    }

    fn fire(this: &Arc<Self>, before: Option<Word>, deferred: &mut Deferred) {
        Self::fire_lending(this, before, &mut false, deferred);
    }

    /// Fires what is here and below, if the step from `before` took `WAITERS` away. If the caller `lends` its
    /// reference, the first delivery may take it, and says so.
    fn fire_lending(
        this: &Arc<Self>,
        before: Option<Word>,
        lends: &mut bool,
        deferred: &mut Deferred,
    ) {
        if before.is_some_and(Word::has_waiters) {
            // C: the step has acquired all announcements.
            // SAFETY: `this` keeps the node.
            unsafe { List::<Observer>::fire(Arc::as_ptr(this), lends) }.settle(deferred);
            // The callbacks of a scope come before those of the scopes below it.
            deferred.settle(this.calls.fire());
            deferred.settle(this.children.fire());
        }
    }

    /// Whether nobody but the holder of `this` can tell if the node is cancelled: no other handle, no
    /// descendant, no callback.
    pub(crate) fn is_alone(this: &Arc<Self>) -> bool {
        // A thread that dropped another reference may have left a callback.
        is_only(this) && this.detached.is_empty()
    }

    /// Makes a step of the word, if there is one to make, and gives what was there before.
    fn step(&self, next: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        // D: publishes what came before a cancel, and the reason. B: one of announcing and settling is
        // second. C: publishes what was registered, and acquires it in the step that takes `WAITERS` away.
        step(&self.word, self.load().0, Ordering::AcqRel, Ordering::Acquire, |now| {
            let next = next(Word(now)).ok_or(())?;
            Ok::<_, ()>((next.0, Word(now)))
        })
        .ok()
    }

    /// Registers `callback` to be run when the node is cancelled. If it is, the callback runs here, after
    /// those that were registered before. The node outlives the registration.
    pub(crate) fn register(this: &Arc<Self>, callback: &Arc<Callback>) -> Option<Parked<Call>> {
        // Looked at first: a callback that is in no list runs on this thread.
        if let Some(reason) = this.nearest() {
            let mut deferred = Deferred::new();
            Self::pass_on(this, reason, &mut deferred);
            run_both(|| deferred.run(), || callback.run());
            return None;
        }
        // SAFETY: the caller's promise.
        let parked =
            unsafe { Parked::new(this.calls.home(Fires::Once), false, Call(Arc::clone(callback))) };
        let mut deferred = Deferred::new();
        // Also where nothing was registered: a node is fired only when it is cancelled.
        let announced = this.announce(None, &mut deferred);
        if let Announced::Over = announced {
            Self::pass_on(this, this.nearest()?, &mut deferred);
        }
        run_both(
            || deferred.run(),
            || {
                // A delivery that came before our seat was armed has passed it by.
                if let Announced::Over = announced {
                    callback.run();
                }
            },
        );
        parked.ok()
    }

    /// The nearest value of type `V`.
    pub(crate) fn value<V: Any>(&self) -> Option<&V> {
        self.ancestors().find_map(|node| node.extras.as_ref()?.value.as_ref()?.downcast_ref())
    }

    /// When the first of the scopes here and above has its time up.
    #[cfg(feature = "std")]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.cancelling_scopes().filter_map(Self::own_deadline).min()
    }

    /// The highest scope whose time is up at `now`: the one to cancel, with all below it.
    #[cfg(feature = "std")]
    pub(crate) fn overdue(this: &Arc<Self>, now: Instant) -> Option<&Arc<Self>> {
        let scopes = core::iter::successors(Some(this), |node| node.cancelling_parent());
        scopes.filter(|node| node.own_deadline().is_some_and(|at| at <= now)).last()
    }

    #[cfg(feature = "std")]
    fn own_deadline(&self) -> Option<Instant> {
        self.extras.as_ref()?.deadline
    }
}

impl Source for Arc<Node> {
    type Seen = ();
    type Target = Observer;

    #[inline]
    fn home(&self) -> *const Node {
        Arc::as_ptr(self)
    }

    #[inline]
    fn is_over(&self, _: Option<()>) -> bool {
        self.found().is_some()
    }

    #[inline]
    fn announce(&self, _: Option<()>, deferred: &mut Deferred) -> Announced<()> {
        let Some(before) = self.step(Word::announce) else { return Announced::Over };
        if !before.has_waiters() {
            // G: of all announcements one is the first, and claims the node.
            Node::hook_up(self, deferred);
        }
        // An ancestor may have been cancelled above the part of the chain that was hooked then. The
        // claimer of that part delivers, but we need not wait for it.
        if self.found().is_some() { Announced::Over } else { Announced::Parked(()) }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the parents: a chain may be long.
        f.debug_struct("Node").field("reason", &self.reason()).finish_non_exhaustive()
    }
}
