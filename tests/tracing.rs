//! What the feature `tracing` tells, when, and that a subscriber is foreign code like any other.

#![cfg(all(feature = "tracing", feature = "std", not(loom)))]

mod common;

use core::fmt;
use core::fmt::Write as _;
use core::future::{pending, ready};
use core::time::Duration;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use common::{look, panic_of, panic_quietly};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, with_default};
use tracing::{Event, Level, Metadata, Subscriber, span};
use winddown::{CancelScope, Reason, Stopped, TaskGroup};

/// What comes first: the level and the message; then the fields but the address.
type Lines = Arc<Mutex<Vec<String>>>;

/// Writes each event down, and then calls `react` with its line.
struct Writer<F> {
    lines: Lines,
    level: LevelFilter,
    react: F,
}

impl<F: Fn(&str) + 'static> Subscriber for Writer<F>
where
    F: Send + Sync,
{
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "winddown" && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        unreachable!("there are no spans")
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let line = format!("{} {}:{}", event.metadata().level(), line.message, line.fields);
        self.lines.lock().unwrap().push(line.clone());
        (self.react)(&line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "group" | "scope" => assert!(format!("{value:?}").starts_with("0x"), "{value:?}"),
            // It names lines of this file.
            "holders" => self.fields += " holders",
            name => write!(self.fields, " {name}={value:?}").unwrap(),
        }
    }
}

/// The events of `work`.
fn told(work: impl FnOnce()) -> Vec<String> {
    reacted(|_| (), work)
}

/// The events of `work`, at each of which `react` runs within the subscriber.
fn reacted(react: impl Fn(&str) + Send + Sync + 'static, work: impl FnOnce()) -> Vec<String> {
    told_to(LevelFilter::TRACE, react, work)
}

/// The events of `work` that a subscriber for `level` gets. One subscriber at a time: the level that the crate sees
/// is the highest one of all.
fn told_to(
    level: LevelFilter,
    react: impl Fn(&str) + Send + Sync + 'static,
    work: impl FnOnce(),
) -> Vec<String> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = Lines::default();
    with_default(Writer { lines: Arc::clone(&lines), level, react }, work);
    drop(one);
    let lines = lines.lock().unwrap();
    lines.clone()
}

const CLOSED: &str = "DEBUG group closed:";
const DRAINED: &str = "DEBUG group drained: forced=false panics=0";

#[test]
fn a_close_and_a_drain_are_told_once() {
    let lines = told(|| {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        assert!(group.close() && !group.close());
        drop(guard);
        group.join().block();
    });
    assert_eq!(lines, [format!("{CLOSED} len=1 reason=the group was closed"), DRAINED.into()]);
}

#[test]
fn the_drop_of_the_last_handle_is_told_as_a_close() {
    let lines = told(|| drop(TaskGroup::new()));
    assert_eq!(lines, [format!("{CLOSED} len=0 reason=the group was closed"), DRAINED.into()]);
}

#[test]
fn a_cancel_is_told_with_its_reason_and_the_drain_says_that_it_was_forced() {
    let lines = told(|| {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap();
        group.cancel_with("the disk is full").unwrap();
        group.cancel_with("again").unwrap_err();
        drop(guard);
    });
    assert_eq!(
        lines,
        [
            format!("{CLOSED} len=1 reason=the group was closed"),
            "DEBUG group cancelled: len=1 reason=the disk is full".into(),
            "DEBUG group drained: forced=true panics=0".into(),
        ]
    );
}

/// The child tells why it was closed; its cancel is its parent's.
#[test]
fn a_child_tells_what_came_from_above() {
    let scope = CancelScope::new();
    let lines = told(|| {
        let parent = TaskGroup::builder().parent(scope.token()).build();
        let child = parent.child().unwrap();
        let guard = child.guard().unwrap();
        scope.cancel_with(Reason::Message("power fails")).unwrap();
        drop(guard);
        assert!(parent.is_drained());
    });
    let closed = format!("{CLOSED} len=1 reason=power fails");
    let drained = "DEBUG group drained: forced=true panics=0".to_owned();
    let scope = "DEBUG scope cancelled: reason=power fails".to_owned();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert_eq!(lines.iter().filter(|it| **it == closed).count(), 2, "{lines:#?}");
    assert_eq!(lines.iter().filter(|it| **it == scope).count(), 1, "{lines:#?}");
    assert_eq!(lines[3..], [drained.clone(), drained], "{lines:#?}");
}

#[test]
fn a_deadline_is_told() {
    let lines = told(|| {
        let scope = CancelScope::new();
        let mut expiry = scope.cancel_after(ready(()));
        assert!(look(&mut expiry).is_ready());
    });
    assert_eq!(lines, ["DEBUG scope cancelled: reason=deadline exceeded"]);
}

/// With the feature `holders` also what holds the group up.
#[test]
fn a_limit_that_comes_first_is_told_with_what_is_left() {
    let holders = if cfg!(feature = "holders") { " holders" } else { "" };
    let overrun = |left: usize, cancelled: bool| {
        let message = "WARN a limit came before the group was drained:";
        format!("{message} left={left} cancelled={cancelled}{holders}")
    };
    let lines = told(|| {
        let group = TaskGroup::new();
        let guards = [group.guard().unwrap(), group.guard().unwrap()];
        group.join().block_for(Duration::ZERO).unwrap_err();
        assert!(look(&mut group.drained().until(ready(()))).is_ready());
        let mut twice = group.drained().until(pending::<()>()).until(ready(()));
        assert!(look(&mut twice).is_ready());
        let mut stop = group.shutdown(pending::<()>()).until(ready(()));
        assert!(look(&mut stop).is_ready());
        drop(guards);
        assert_eq!(group.shutdown(ready(())).block(), Stopped::Forced);
    });
    assert_eq!(
        lines,
        [
            format!("{CLOSED} len=2 reason=the group was closed"),
            overrun(2, false),
            overrun(2, false),
            overrun(2, false),
            "DEBUG group cancelled: len=2 reason=cancelled".into(),
            overrun(2, true),
            "DEBUG group drained: forced=true panics=0".into(),
        ]
    );
}

/// What a subscriber asks for is told, and nothing below.
#[test]
fn a_subscriber_gets_the_levels_that_it_asks_for() {
    let levels = [LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::DEBUG];
    for (level, events) in levels.into_iter().zip([0, 1, 3]) {
        let lines = told_to(
            level,
            |_| (),
            || {
                let group = TaskGroup::new();
                let guard = group.guard().unwrap();
                group.join().block_for(Duration::ZERO).unwrap_err();
                drop(guard);
            },
        );
        assert_eq!(lines.len(), events, "{level}: {lines:#?}");
    }
}

/// A slice of a wait that goes on is no overrun, nor is a wait that ends in time.
#[test]
fn a_wait_that_is_not_given_up_tells_nothing() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    group.close();
    let lines = told(|| {
        group.join().block_slice(Duration::ZERO).unwrap_err();
        drop(guard);
        group.join().block_for(Duration::ZERO).unwrap();
    });
    assert_eq!(lines, [DRAINED]);
}

thread_local! {
    static GROUP: RefCell<Option<TaskGroup>> = const { RefCell::new(None) };
}

/// When the event comes, the close is done: the door is closed, and the waits for it are woken.
#[test]
fn a_subscriber_may_call_back_into_the_group() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    GROUP.set(Some(group.clone()));
    let react = |line: &str| {
        GROUP.with_borrow(|group| {
            let group = group.as_ref().unwrap();
            assert!(group.guard().is_err() && !group.close());
            if line.starts_with(CLOSED) {
                group.cancel();
            }
            assert!(group.token().is_cancelled());
            assert_eq!(group.is_drained(), line.starts_with("DEBUG group drained"));
        });
    };
    // tracing tells nothing of what happens within a subscriber: the cancel is not among the lines.
    let lines = reacted(react, || {
        group.close();
        drop(guard);
    });
    GROUP.take();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(group.is_drained());
}

/// As the panic of a callback: all that the close has to do is done, and the caller gets the panic.
#[test]
fn a_subscriber_that_panics_harms_no_group() {
    let ran = Arc::new(Mutex::new(0));
    let counts = Arc::clone(&ran);
    let group = TaskGroup::builder().finally(move || *counts.lock().unwrap() += 1).build();
    let full = |_: &str| panic_quietly("the log is full");
    let lines = reacted(full, || assert_eq!(panic_of(|| group.close()), "the log is full"));
    assert_eq!(lines.len(), 2, "closed and drained: {lines:#?}");
    assert!(group.is_drained());
    assert_eq!(*ran.lock().unwrap(), 1);
    group.join().block();
}

/// The limit of `Level::WARN` keeps the crate from making events of a lower level at all.
#[test]
fn without_a_subscriber_nothing_is_told() {
    assert!(!tracing::enabled!(target: "winddown", Level::DEBUG));
    let group = TaskGroup::new();
    group.close();
    assert!(group.is_drained());
}
