//! The reason with which the first error of an `ErrGroup` cancels it. Without `std` as well, on a host that
//! unwinds; but there a second panic in one record may abort.

#![cfg(not(loom))]

mod common;

use core::error::Error;
use core::fmt;
use core::future::{pending, ready};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use std::sync::{Arc, Barrier};
use std::thread;

use common::{Bell, Drops, look, panic_of, panic_quietly, poll};
use winddown::{CancelScope, CancelToken, ChildError, ErrGroup, Reason, Refused, TaskGroup};

/// An error that makes its reason as it likes.
struct Failure(Box<dyn Fn() -> Reason + Send + Sync>);

impl Failure {
    fn with(reason: impl Fn() -> Reason + Send + Sync + 'static) -> Self {
        Self(Box::new(reason))
    }

    /// One that counts how often it is asked.
    fn counting(text: &'static str, asked: &Arc<AtomicUsize>) -> Self {
        let asked = Arc::clone(asked);
        Self::with(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            Reason::Message(text)
        })
    }
}

fn ask(failure: &Failure) -> Reason {
    failure.0()
}

fn asking() -> ErrGroup<Failure> {
    TaskGroup::builder().build_err_with(ask)
}

/// How an error gets into its group: from a task, and by hand.
fn fail_by(way: usize, group: &ErrGroup<Failure>, failure: Failure) {
    if way == 0 {
        let mut task = group.try_track(ready(Err(failure))).unwrap();
        assert!(look(&mut task).is_ready());
    } else {
        assert!(group.record(failure).is_ok());
    }
}

fn text(token: &CancelToken) -> Option<String> {
    token.reason().map(ToString::to_string)
}

/// How many errors there are when the group has ended.
fn errors(group: &ErrGroup<Failure>) -> usize {
    pollster::block_on(group.join()).map_or_else(|errors| errors.iter().count(), |()| 0)
}

/// A typed error, copied into the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Code(u32);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}", self.0)
    }
}

impl Error for Code {}

/// Rule 15: every sibling, and all below, can tell what failed; by its text, or by its type.
#[test]
fn siblings_see_what_failed() {
    let group = TaskGroup::builder().build_err_with(|code: &Code| code.clone().into());
    let bell = Bell::new();
    let sibling = group.group().guard().unwrap();
    let below = group.group().child().unwrap();
    let mut wait = sibling.token().cancelled();
    assert!(poll(&mut wait, &bell.waker()).is_pending());
    let mut task = group.try_track(ready(Err(Code(7)))).unwrap();
    assert_eq!(look(&mut task), Poll::Ready(()));
    assert_eq!((bell.rings(), look(&mut wait)), (1, Poll::Ready(())));
    let cancelled = sibling.token().check().unwrap_err();
    assert_eq!(cancelled.reason().downcast_ref(), Some(&Code(7)));
    assert_eq!(cancelled.source().unwrap().to_string(), "code 7");
    assert_eq!(text(below.token()).unwrap(), "code 7");
    assert!(group.group().is_closed());
    drop(wait);
    drop(sibling);
    let errors = pollster::block_on(group.join()).unwrap_err();
    assert_eq!(errors.first(), Some(&Code(7)), "the error itself stays in the group");
}

/// Rule 15: the first error gives the reason, and nothing is asked after that.
#[test]
fn the_first_error_is_asked_and_no_other() {
    for way in 0..2 {
        let (group, asked) = (asking(), Arc::default());
        let mut sibling = group.try_track(ready(Err(Failure::counting("second", &asked)))).unwrap();
        fail_by(way, &group, Failure::counting("first", &asked));
        assert!(look(&mut sibling).is_ready());
        assert!(group.record(Failure::counting("too late", &asked)).is_err(), "it is drained");
        assert_eq!((text(group.group().token()).as_deref(), errors(&group)), (Some("first"), 2));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}

/// Nothing is asked where nothing would come of it: the group goes on, or is cancelled already.
#[test]
fn an_error_that_cancels_nothing_is_not_asked() {
    for way in 0..2 {
        let asked = Arc::default();
        let goes_on = TaskGroup::builder().cancel_on_error(false).build_err_with(ask);
        fail_by(way, &goes_on, Failure::counting("asked", &asked));
        assert!(!goes_on.group().token().is_cancelled());
        assert_eq!(errors(&goes_on), 1);

        let scope = CancelScope::new();
        let below = TaskGroup::builder().parent(scope.token()).build_err_with(ask);
        let mut task = below.try_track(ready(Err(Failure::counting("asked", &asked)))).unwrap();
        scope.cancel_with("from above").unwrap();
        assert!(look(&mut task).is_ready());
        assert_eq!(text(below.group().token()).as_deref(), Some("from above"));
        assert_eq!((errors(&below), asked.load(Ordering::Relaxed)), (1, 0));
    }
}

/// Without the function the reason is what it was.
#[test]
fn without_a_function_the_reason_is_failed() {
    let parent = TaskGroup::new();
    let groups = [TaskGroup::builder().build_err(), parent.child_err().unwrap()];
    for group in groups {
        assert_eq!(group.record(Code(1)), Ok(()));
        assert!(matches!(group.group().token().reason(), Some(Reason::Failed)));
    }
}

/// No lock is held: the function may use the group, and the task that failed is still inside.
#[test]
fn the_function_may_use_the_group() {
    for way in 0..2 {
        let group = asking();
        let inside = group.clone();
        let failure = Failure::with(move || {
            let before = inside.group().len();
            let guard = inside.group().guard().unwrap();
            fail_by(way, &inside, Failure::with(|| Reason::Message("from within")));
            drop(guard);
            format!("{before} inside").into()
        });
        let holds = group.group().guard().unwrap();
        fail_by(way, &group, failure);
        drop(holds);
        assert_eq!(text(group.group().token()).as_deref(), Some("from within"), "it came first");
        assert_eq!(errors(&group), 2);
    }
}

/// The error is recorded, the group is cancelled, and the task is counted out, though the function panics. It
/// is no panic of the task.
#[test]
fn an_error_is_recorded_though_the_function_panics() {
    for way in 0..2 {
        let (group, bell) = (asking(), Bell::new());
        let sibling = group.group().guard().unwrap();
        let mut wait = sibling.token().cancelled();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        let failure = Failure::with(|| panic_quietly("no reason"));
        assert_eq!(panic_of(|| fail_by(way, &group, failure)), "no reason");
        assert!(matches!(sibling.token().reason(), Some(Reason::Failed)));
        assert_eq!((bell.rings(), group.group().len()), (1, 1));
        drop(wait);
        drop(sibling);
        assert_eq!(errors(&group), 1);
        #[cfg(feature = "std")]
        assert_eq!(group.group().panics(), 0);
    }
}

/// A record that comes too late asks, since it cannot know, and changes nothing; the error comes back.
#[test]
fn a_record_that_is_refused_changes_nothing() {
    let (group, drops) = (asking(), Drops::default());
    group.group().close();
    let failing = drops.clone();
    let failure =
        Failure::with(move || Reason::from(Box::<dyn Error + Send + Sync>::from(failing.calm())));
    let failure = group.record(failure).unwrap_err();
    assert_eq!(drops.count(), 1, "the reason that nobody took");
    drop(failure);
    drops.assert_all_gone(1);
    assert_eq!((text(group.group().token()), errors(&group)), (None, 0));
}

/// A reason that is not the first is dropped last: a panic in there keeps nothing from its end.
#[test]
fn a_reason_that_comes_second_is_dropped_last() {
    for (way, panics) in [(0, false), (0, true), (1, false), (1, true)] {
        let (group, drops) = (asking(), Drops::default());
        let (handle, faults) = (group.group().clone(), drops.clone());
        let failure = Failure::with(move || {
            handle.cancel_with("elsewhere").unwrap();
            let fault = if panics { faults.panicking() } else { faults.calm() };
            Box::<dyn Error + Send + Sync>::from(fault).into()
        });
        let holds = group.group().guard().unwrap();
        if panics {
            assert_eq!(panic_of(|| fail_by(way, &group, failure)), "a drop");
        } else {
            fail_by(way, &group, failure);
        }
        assert_eq!((drops.count(), group.group().len()), (1, 1));
        drop(holds);
        assert_eq!(
            (text(group.group().token()).as_deref(), errors(&group)),
            (Some("elsewhere"), 1)
        );
        #[cfg(feature = "std")]
        assert_eq!(group.group().panics(), 0);
    }
}

/// A future that panics in its drop, and a function that panics because of its error: the first goes on.
#[cfg(feature = "std")]
#[test]
fn a_future_and_the_function_may_panic_in_one_poll() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic_quietly("the drop");
        }
    }
    let group = asking();
    let (bad, mut failure) = (Bad, Some(Failure::with(|| panic_quietly("no reason"))));
    let work = core::future::poll_fn(move |_| {
        let _: &Bad = &bad;
        Poll::Ready(Err(failure.take().unwrap()))
    });
    let mut task = group.try_track(work).unwrap();
    assert_eq!(panic_of(|| look(&mut task)), "the drop");
    assert!(matches!(group.group().token().reason(), Some(Reason::Failed)));
    assert_eq!((group.group().panics(), errors(&group)), (1, 1), "that of the future");
}

/// Of errors that come at the same time one gives the reason, and all are recorded.
#[test]
fn of_errors_at_once_one_gives_the_reason() {
    const THREADS: usize = 4;
    const TEXTS: [&str; THREADS] = ["a", "b", "c", "d"];
    for _ in 0..200 {
        let (group, asked, start) = (asking(), Arc::default(), Barrier::new(THREADS));
        let holds = group.group().guard().unwrap();
        thread::scope(|threads| {
            for (at, text) in TEXTS.into_iter().enumerate() {
                let (group, asked, start) = (&group, &asked, &start);
                threads.spawn(move || {
                    start.wait();
                    assert!(group.record(Failure::counting(text, asked)).is_ok(), "{at}");
                });
            }
        });
        drop(holds);
        let reason = text(group.group().token()).unwrap();
        assert!(TEXTS.contains(&reason.as_str()));
        assert!((1..=THREADS).contains(&asked.load(Ordering::Relaxed)));
        assert_eq!(errors(&group), THREADS);
    }
}

/// A child takes what its builder says, and tells its own reason to its own tasks alone.
#[test]
fn a_child_may_have_a_function_and_a_limit() {
    let parent = TaskGroup::new();
    let builder = || TaskGroup::builder().limit(NonZeroUsize::MIN).keep_errors(0);
    let child = parent.child_err_with(builder(), ask).unwrap();
    let running = child.try_track(pending()).unwrap();
    assert_eq!(child.try_track(pending()).unwrap_err(), Refused::Full);
    assert!(child.record(Failure::with(|| Reason::Message("no such row"))).is_ok());
    assert_eq!(text(child.group().token()).as_deref(), Some("no such row"));
    assert!(!parent.is_closed() && !parent.token().is_cancelled());
    drop(running);
    let errors = pollster::block_on(child.join()).unwrap_err();
    assert_eq!((errors.iter().count(), errors.dropped()), (0, 1));

    let linked = parent.child_err_with(builder().link(&TaskGroup::new()), ask);
    assert_eq!(linked.err(), Some(ChildError::NotARoot));
    let token = CancelToken::never();
    let below = parent.child_err_with(builder().parent(&token), ask);
    assert_eq!(below.err(), Some(ChildError::NotARoot));
    parent.close();
    let late = parent.child_err_with(builder(), ask);
    let late = late.unwrap_err();
    assert_eq!(late, ChildError::Refused(Refused::Closed));
    assert_eq!(late.to_string(), Refused::Closed.to_string());
    assert!(late.source().is_some() && ChildError::NotARoot.source().is_none());
    assert!(parent.is_drained());
}
