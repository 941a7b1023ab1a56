//! Things that call out: each call of foreign code that the crate makes comes here, is numbered, and at one number
//! misbehaves.

mod tasks;

use core::cell::{Cell, RefCell};
use core::fmt;
use core::ops::Deref;
use core::sync::atomic::{AtomicIsize, Ordering};
use std::borrow::Cow;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use winddown::Reason;

use crate::common::{Foreign, panic_quietly};
pub(crate) use tasks::IntoTask;
#[cfg(feature = "std")]
pub(crate) use tasks::Task;

/// What is called, and of what: the `wake` of a waker, the `drop` of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) what: &'static str,
    pub(crate) of: &'static str,
}

/// The text of each panic.
pub(crate) const PANICS: &str = "panics";

/// What one call is to do.
pub(crate) type Act = fn();

thread_local! {
    /// The calls of this thread while a method runs.
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
    /// The number of the call that misbehaves, and how.
    static PLAN: Cell<Option<(usize, Act)>> = const { Cell::new(None) };
    static LISTENS: Cell<bool> = const { Cell::new(false) };
    /// Whether each call panics.
    static REVOLTS: Cell<bool> = const { Cell::new(false) };
}

/// What a method did.
pub(crate) struct Seen {
    /// The foreign code that it called, in order.
    pub(crate) calls: Vec<Call>,
    /// Whether the planned call was among them.
    pub(crate) misbehaved: bool,
    /// What it panicked with.
    pub(crate) panic: Option<&'static str>,
}

/// Runs `method`, and `plan` at the call with that number.
pub(crate) fn observe(plan: Option<(usize, Act)>, method: impl FnOnce()) -> Seen {
    PLAN.set(plan);
    CALLS.take();
    LISTENS.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(method));
    LISTENS.set(false);
    REVOLTS.set(false);
    let panic = outcome.err().map(|panic| match panic.downcast::<&'static str>() {
        Ok(text) => *text,
        Err(panic) => resume_unwind(panic),
    });
    Seen { calls: CALLS.take(), misbehaved: plan.is_some() && PLAN.take().is_none(), panic }
}

/// From now on each call panics, until the method ends.
#[cfg(feature = "std")]
pub(crate) fn revolt() {
    REVOLTS.set(true);
    panic_quietly(PANICS);
}

/// Part of a method's row that is no method: its calls do not count, and all are calm.
pub(crate) fn calmly<R>(prepare: impl FnOnce() -> R) -> R {
    let listens = LISTENS.replace(false);
    let result = prepare();
    LISTENS.set(listens);
    result
}

/// Each call of foreign code comes here.
fn call(what: &'static str, of: &'static str) {
    if !LISTENS.get() {
        return;
    }
    let number = CALLS.with_borrow_mut(|calls| {
        calls.push(Call { what, of });
        calls.len() - 1
    });
    // A panic while another one unwinds is the user's own abort.
    if REVOLTS.get() && !thread::panicking() {
        panic_quietly(PANICS);
    }
    if let Some((_, act)) = PLAN.get().filter(|(at, _)| *at == number) {
        PLAN.set(None);
        act();
    }
}

/// How many things there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<AtomicIsize>);

impl Tally {
    pub(crate) fn alive(&self) -> isize {
        self.0.load(Ordering::Relaxed)
    }

    /// A value, an error, or what a closure captures.
    pub(crate) fn thing(&self, of: &'static str) -> Thing {
        self.0.fetch_add(1, Ordering::Relaxed);
        Thing { of, tally: self.clone() }
    }

    /// A pointer of a foreign type.
    pub(crate) fn pointer<T>(&self, to: &Arc<T>) -> Pointer<T> {
        Pointer { to: Arc::clone(to), thing: self.thing("a pointer") }
    }
}

/// Counts, and calls out when it is dropped, compared, converted and shown.
pub(crate) struct Thing {
    of: &'static str,
    tally: Tally,
}

impl Thing {
    pub(crate) fn call(&self, what: &'static str) {
        call(what, self.of);
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.tally.0.fetch_sub(1, Ordering::Relaxed);
        self.call("drop");
    }
}

impl PartialEq for Thing {
    fn eq(&self, _: &Self) -> bool {
        self.call("eq");
        true
    }
}

impl fmt::Debug for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call("fmt");
        f.write_str("a thing")
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Error for Thing {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.call("source");
        None
    }
}

/// Becomes a reason, or a label, by foreign code.
pub(crate) struct Becomes(pub(crate) Thing);

impl From<Becomes> for Box<dyn Error + Send + Sync> {
    fn from(it: Becomes) -> Self {
        it.0.call("into");
        Box::new(it.0)
    }
}

impl From<Becomes> for Cow<'static, str> {
    fn from(it: Becomes) -> Self {
        it.0.call("into");
        "a label".into()
    }
}

/// What explains an error of a group.
pub(crate) fn explain(error: &Thing) -> Reason {
    error.call("explain");
    Reason::from(error.tally.thing("an explanation"))
}

/// See [`Tally::pointer`].
pub(crate) struct Pointer<T> {
    to: Arc<T>,
    thing: Thing,
}

impl<T> Clone for Pointer<T> {
    fn clone(&self) -> Self {
        self.thing.call("clone");
        self.thing.tally.pointer(&self.to)
    }
}

impl<T> Deref for Pointer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.thing.call("deref");
        &self.to
    }
}

impl<T> fmt::Debug for Pointer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.thing, f)
    }
}

/// What is printed to by `Debug` and `Display`.
pub(crate) struct Paper;

impl fmt::Write for Paper {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        call("write", "a formatter");
        Ok(())
    }
}

/// A waker whose every function calls out.
pub(crate) fn waker_of(of: &'static str) -> Arc<Foreign> {
    Foreign::new()
        .on_clone(move || call("clone of a waker", of))
        .on_wake(move || call("wake", of))
        .on_drop(move || call("drop of a waker", of))
        .share()
}
