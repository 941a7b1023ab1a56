//! One scope of a cancellation tree.
//!
//! **Trees point upward.** A child holds its parent; asking walks up and only loads; making and
//! dropping a child touches no list. **Invariant: a node's word ([`word`]) goes from open to
//! cancelled once, and its reason never changes.** The parent of a live node is never cut, so a
//! reason borrowed from an ancestor lives as long as the borrower.
//!
//! A node is hooked into its parent once, by its first wait or callback, so that cancelling reaches
//! those who wait below: [`Node::hook_up`]. Each step of it is made by the one who claimed it, and
//! whoever claimed also delivers to the node if its parent turns out to be cancelled, whether or not
//! it waits itself: others who wait on the node rely on it.
//!
//! A cancellation spreads without recursion: firing a node gives its hooks ([`Due`]); those of
//! children settle the child and give more; tasks and callbacks are foreign code and run when no
//! child is left.
//!
//! Edges, beside those of the hooks:
//!
//! * **D** (cancel to observer): what came before a cancel, and the reason, is seen by whoever sees
//!   the word cancelled, on this node or any below.
//! * **B**, **C** as for the signal: announcing and settling are read-modify-writes of one word.
//! * **G** (claim): of all who would hook a node up, one does, and writes `link`; it is read again
//!   when the last reference is gone.

mod word;

use core::any::Any;
use core::fmt;
use core::task::Waker;

use alloc::boxed::Box;

use crate::callback::Callback;
use crate::hook::{Due, Parked, Target, Task, Waiters};
use crate::reason::Reason;
#[cfg(feature = "std")]
use crate::sync::host::Instant;
use crate::sync::{
    Arc, AtomicPtr, AtomicUsize, Exclusive as _, FirstPanic, Ordering, Pile, UnsafeCell, Weak,
    fence,
};
use crate::wait::{Announced, Source};
use word::Word;

/// `hooking`: nobody has hooked the node into its parent, somebody does or has.
const NONE: usize = 0;
const CLAIMED: usize = 1;

/// One scope of a cancellation tree; see the module.
pub(crate) struct Node {
    /// Changed by cancels, deliveries, questions for the reason, and waits about to park.
    word: AtomicPtr<Reason>,
    waiters: Waiters<Aim>,
    parent: Option<Arc<Node>>,
    /// Cuts off cancellation and deadline from above.
    shielded: bool,
    /// `NONE` until somebody claims to hook the node into its parent.
    hooking: AtomicUsize,
    /// The registration in the parent; written by the claimer.
    link: UnsafeCell<Option<Parked<Aim>>>,
    /// Registrations of callbacks that stay for as long as the node does.
    detached: Pile<Parked<Aim>>,
    value: Option<Box<dyn Any + Send + Sync>>,
    #[cfg(feature = "std")]
    deadline: Option<Instant>,
}

// SAFETY: all fields but `link` are `Sync`; that one is written by the one thread that changed
//   `hooking` (G), and read through `&mut` alone.
unsafe impl Sync for Node {}

/// What a new node has beside its parent.
#[derive(Default)]
pub(crate) struct Traits {
    pub(crate) shielded: bool,
    pub(crate) value: Option<Box<dyn Any + Send + Sync>>,
    #[cfg(feature = "std")]
    pub(crate) deadline: Option<Instant>,
}

impl Node {
    pub(crate) fn new(parent: Option<Arc<Node>>, traits: Traits) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicPtr::new(Word::OPEN.0),
            waiters: Waiters::new(),
            parent,
            shielded: traits.shielded,
            hooking: AtomicUsize::new(NONE),
            link: UnsafeCell::new(None),
            detached: Pile::new(),
            value: traits.value,
            #[cfg(feature = "std")]
            deadline: traits.deadline,
        })
    }

    /// The node and all above it, nearest first.
    fn line(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// The node and all above it that can cancel it or end its time.
    fn scopes(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |node| node.upper().map(|parent| &**parent))
    }

    /// The parent whose cancellation reaches this node.
    #[inline]
    fn upper(&self) -> Option<&Arc<Self>> {
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
            node = node.upper()?;
        }
    }

    /// The reason of this node, for ever: if it comes from above, it is fixed here before anybody
    /// hears of it.
    pub(crate) fn reason(&self) -> Option<&Reason> {
        let found = Word::borrowed(self.found()?);
        // It is fixed in all that lie between, too, so that the next question below them is short. Who
        // waits there is fired by the delivery that is on its way: a question runs nobody's code.
        for node in self.scopes().take_while(|node| node.own_reason().is_none()) {
            node.step(|now| now.fix(found));
        }
        self.own_reason()
    }

    /// Cancels the node in its word alone: who waits here and below is left to a `settle` that is on
    /// its way.
    pub(crate) fn fix(&self, reason: &'static Reason) {
        self.step(|now| now.fix(Word::borrowed(reason)));
    }

    /// Cancels the node and all below it, unless it is cancelled.
    pub(crate) fn cancel(&self, reason: Reason) -> Result<(), Reason> {
        let (outcome, due) = self.settle(reason);
        due.run();
        outcome
    }

    /// The own work of a cancellation; the hooks that it gives are run last.
    pub(crate) fn settle(&self, reason: Reason) -> (Result<(), Reason>, Due<Aim>) {
        // An ancestor's cancellation came first, and its reason is ours.
        if let Some(found) = self.found() {
            return (Err(reason), self.pass_on(found));
        }
        let word = Word::keeping(reason);
        let before = self.step(|now| now.settle(word));
        let refused = match before {
            Some(before) if before.is_open() => None,
            // SAFETY: `word` came from `keeping` and did not get into the node.
            _ => Some(unsafe { word.take() }),
        };
        let outcome = match refused {
            None => Ok(()),
            Some(Some(content)) => Err(*content),
            // SAFETY: not in a box, so static.
            Some(None) => Err(unsafe { &*word.reason() }.copy()),
        };
        (outcome, self.fire(before))
    }

    /// Passes an ancestor's cancellation on to this node and all below it.
    fn deliver(&self, reason: &Reason) {
        self.pass_on(reason).run();
    }

    fn pass_on(&self, reason: &Reason) -> Due<Aim> {
        self.fire(self.step(|now| now.settle(Word::borrowed(reason))))
    }

    /// Gives those who wait here and below, if the step from `before` took `WAITERS` away.
    fn fire(&self, before: Option<Word>) -> Due<Aim> {
        match before {
            Some(before) if before.has_waiters() => spread(self.waiters.fire()),
            _ => Due::default(),
        }
    }

    /// Whether nobody but the holder of `this` can tell if the node is cancelled: no other handle, no
    /// descendant, no callback.
    pub(crate) fn is_alone(this: &Arc<Self>) -> bool {
        if Arc::strong_count(this) > 1 {
            return false;
        }
        // Acquires what those did who dropped the other references: they may have left a callback.
        fence(Ordering::Acquire);
        this.detached.is_empty()
    }

    /// Makes a step of the word, if there is one to make, and gives what was there before.
    fn step(&self, step: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        let mut now = self.load();
        loop {
            let next = step(now)?;
            // D: publishes what came before a cancel, and the reason. B: one of announcing and
            // settling is second. C: publishes what was registered.
            match self.word.compare_exchange_weak(
                now.0,
                next.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(now),
                Err(other) => now = Word(other),
            }
        }
    }

    /// Hooks the node into its parent, the parent into its own, and so on up to the first that is
    /// hooked, or being hooked, already.
    fn hook_up(this: &Arc<Self>) {
        let mut node = this;
        while let Some(parent) = node.upper() {
            // G: one claimer. Relaxed: who comes second needs nothing of the first.
            let claim =
                node.hooking.compare_exchange(NONE, CLAIMED, Ordering::Relaxed, Ordering::Relaxed);
            if claim.is_err() {
                return;
            }
            let aim = Aim::Child(Descent::new(node));
            if let Ok(parked) = Parked::new(&parent.waiters, aim) {
                // SAFETY: the one claimer writes the link, once.
                unsafe { *node.link.write_ptr() = Some(parked) };
                if parent.step(Word::announce).is_some() {
                    node = parent;
                    continue;
                }
            }
            // The parent was cancelled meanwhile, and may have fired before our hook was there.
            if let Some(reason) = parent.own_reason() {
                node.deliver(reason);
            }
            return;
        }
    }

    /// Registers `callback` to be run when the node is cancelled; runs it at once if it is.
    pub(crate) fn register(this: &Arc<Self>, callback: Callback) -> Parked<Aim> {
        let (Ok(parked) | Err(parked)) = Parked::new(&this.waiters, Aim::Call(callback));
        // Also where nothing was registered: a node is fired only when it is cancelled.
        if let Announced::Over = this.announce(None) {
            if let Some(reason) = this.found() {
                this.deliver(reason);
            }
            // A delivery that came before our hook has passed it by.
            if let Aim::Call(callback) = parked.target() {
                callback.run();
            }
        }
        parked
    }

    /// Registers `follower` for as long as the node lives. Nobody else has the node yet, so it is open
    /// itself; a cancellation above reaches it as it is hooked up, or is on its way here then.
    pub(crate) fn follow(this: &Arc<Self>, follower: Box<dyn Follower>) {
        let (Ok(parked) | Err(parked)) = Parked::new(&this.waiters, Aim::Follow(follower));
        this.keep(parked);
        this.step(Word::announce);
        Self::hook_up(this);
    }

    /// Keeps a registration that nobody will take back.
    pub(crate) fn keep(&self, parked: Parked<Aim>) {
        let spent = matches!(parked.target(), Aim::Call(callback) if callback.is_spent());
        if parked.is_live() && !spent {
            // Never sealed.
            let _ = self.detached.push(parked);
        }
    }

    /// The nearest value of type `V`.
    pub(crate) fn value<V: Any>(&self) -> Option<&V> {
        self.line().find_map(|node| node.value.as_ref()?.downcast_ref())
    }

    /// The scope whose time is up first.
    #[cfg(feature = "std")]
    pub(crate) fn nearest_deadline(&self) -> Option<(Instant, &Self)> {
        self.scopes().filter_map(|node| Some((node.deadline?, node))).min_by_key(|(at, _)| *at)
    }
}

/// Does the rest of a cancellation's own work: settles all children among the hooks, and theirs, and
/// gives the hooks of all, to be run.
fn spread(mut work: Due<Aim>) -> Due<Aim> {
    let mut settled = Due::default();
    while let Some(hook) = work.pop() {
        match hook.target() {
            Aim::Child(child) => work.append(child.descend()),
            Aim::Follow(follower) => follower.settle(),
            Aim::Task(_) | Aim::Call(_) => {}
        }
        settled.push(hook);
    }
    settled
}

impl Source for Arc<Node> {
    type Seen = ();
    type Target = Aim;

    #[inline]
    fn waiters(&self) -> &Waiters<Aim> {
        &self.waiters
    }

    #[inline]
    fn is_over(&self, _: Option<()>) -> bool {
        self.found().is_some()
    }

    #[inline]
    fn announce(&self, _: Option<()>) -> Announced<()> {
        if self.step(Word::announce).is_none() {
            return Announced::Over;
        }
        Node::hook_up(self);
        // An ancestor may have been cancelled above the part of the chain that was hooked then. Whoever
        // claimed that part delivers, but we need not wait for it.
        if self.found().is_some() { Announced::Over } else { Announced::Parked(()) }
    }
}

impl Drop for Node {
    /// Leaves nothing in the parent, and drops the chain above in a loop as far as it is ours alone.
    fn drop(&mut self) {
        // Values and errors are foreign code, whose drop may panic.
        let mut panic = FirstPanic::none();
        // SAFETY: `&mut self` makes this the only access.
        drop(unsafe { (*self.link.write_ptr()).take() });
        let mut next = self.parent.take();
        while let Some(mut node) = next.take().and_then(Arc::into_inner) {
            next = node.parent.take();
            panic.catch(|| drop(node));
        }
        let value = self.value.take();
        panic.catch(|| drop(value));
        let word = Word(self.word.replace_mut(Word::OPEN.0));
        // SAFETY: an owned reason came from `keeping`; the node is going, and with it all borrowers.
        let reason = unsafe { word.take() };
        panic.catch(|| drop(reason));
        panic.resume();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the parents: a chain may be long.
        f.debug_struct("Node").field("reason", &self.found()).finish_non_exhaustive()
    }
}

/// What a hook of a node runs.
pub(crate) enum Aim {
    /// Wakes a task, or a thread.
    Task(Task),
    /// Passes a cancellation on.
    Child(Descent),
    /// Runs a callback.
    Call(Callback),
    /// Does what follows from a cancellation.
    Follow(Box<dyn Follower>),
}

/// What follows from the cancellation of a node, beside waking those who wait.
pub(crate) trait Follower: Send + Sync {
    /// Own work: runs nobody's code.
    fn settle(&self);

    /// What may be foreign code, after `settle` and everybody else's.
    fn run(&self);
}

impl From<Waker> for Aim {
    fn from(waker: Waker) -> Self {
        Self::Task(waker.into())
    }
}

impl Target for Aim {
    fn run(&self) {
        match self {
            Self::Task(task) => task.run(),
            Self::Child(child) => child.release(),
            Self::Call(callback) => callback.run(),
            Self::Follow(follower) => follower.run(),
        }
    }

    #[inline]
    fn will_wake(&self, waker: &Waker) -> bool {
        matches!(self, Self::Task(own) if own.will_wake(waker))
    }
}

/// The way from a node to a child.
pub(crate) struct Descent {
    child: Weak<Node>,
    /// Keeps the child from its settling to the end of the delivery: dropping it may be foreign
    /// code. Belongs to the delivery that popped the hook.
    kept: UnsafeCell<Option<Arc<Node>>>,
}

// SAFETY: `kept` is touched only by the one delivery that has the fired hook, or by its drop.
unsafe impl Sync for Descent {}

impl Descent {
    fn new(child: &Arc<Node>) -> Self {
        Self { child: Arc::downgrade(child), kept: UnsafeCell::new(None) }
    }

    /// Settles the child, if it lives, with its parent's reason, and gives who waits there.
    fn descend(&self) -> Due<Aim> {
        let Some(child) = self.child.upgrade() else { return Due::default() };
        let reason = child.upper().and_then(|parent| parent.own_reason());
        let before = reason.and_then(|it| child.step(|now| now.settle(Word::borrowed(it))));
        let due = match before {
            Some(before) if before.has_waiters() => child.waiters.fire(),
            _ => Due::default(),
        };
        // SAFETY: a hook is fired once, and whoever popped it has it alone.
        unsafe { *self.kept.write_ptr() = Some(child) };
        due
    }

    fn release(&self) {
        // SAFETY: as above.
        drop(unsafe { (*self.kept.write_ptr()).take() });
    }
}
