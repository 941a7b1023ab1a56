//! Waits of one task: the first poll, and the polls after it.

use core::hint::black_box;
use core::pin::pin;

use tokio_util::sync::CancellationToken;
use winddown::Canceller;

use crate::floors::Line;
use crate::harness::{Family, Gate, Scale, Span, THREADS, contend};
use crate::results::FLOOR;
use crate::subjects::{Event, Token, Waits, for_each_event, poll};

pub(crate) fn poll_a_fresh_wait(scale: Scale) -> Family {
    let family = Family::new(
        "Poll a fresh wait once and drop it, pending",
        "ns per wait",
        "What a turn of a `select!` loop does. Timed: a loop that makes a wait, polls it once and \
         drops it; all threads wait for one object. In the last column another wait is parked all the \
         while. Floor: two read-modify-writes of one word.",
    );
    let mut family = each_event(family.along("threads"), scale, 20_000, Fresh, Line::two_rmws);

    let ops = scale.ops(20_000);
    let beside = family.column("1 thread, beside a parked wait");
    floor(&mut family, beside, 1, ops, Line::two_rmws);
    for_each_event!(add_beside(&mut family, beside, ops));
    family
}

pub(crate) fn poll_a_pending_wait_again(scale: Scale) -> Family {
    let family = Family::new(
        "Poll a pending wait again with the same waker",
        "ns per poll",
        "Each thread has one wait for the one object, polled once before the clock starts. Timed: a \
         loop that polls it. Floor: one load of a word that nobody writes.",
    );
    each_event(family.along("threads"), scale, 50_000, Again, Line::load)
}

pub(crate) fn a_turn_of_select(scale: Scale, own: bool) -> Family {
    let (title, whose) = if own {
        (
            "A turn of `select!` over a token, a handle each",
            "Every thread waits on a clone of its own, as tasks do.",
        )
    } else {
        (
            "A turn of `select!` over a token, one handle",
            "All threads wait on the same by reference.",
        )
    };
    let what = format!(
        "Timed: a loop that makes `token.cancelled()` anew, polls it once, pending, and drops it. \
         {whose} Floor: two read-modify-writes of a line that the thread has to itself.",
    );
    let family = Family::new(title, "ns per turn", &what).along("threads");
    each_token(family, scale, 20_000, own, Fresh, Line::two_rmws)
}

pub(crate) fn poll_a_token_again(scale: Scale) -> Family {
    let family = Family::new(
        "Poll a pending wait for a token again",
        "ns per poll",
        "Each thread has a clone of the token and one wait, polled once before the clock starts. \
         Timed: a loop that polls it. Floor: one load of a line that the thread has to itself.",
    );
    each_token(family.along("threads"), scale, 50_000, true, Again, Line::load)
}

fn each_token(
    mut family: Family,
    scale: Scale,
    full: usize,
    own: bool,
    measure: impl Measure,
    op: fn(&Line),
) -> Family {
    for threads in THREADS {
        let ops = scale.each(threads, full);
        let column = family.column_of(threads);
        family.add(FLOOR, column, move || {
            contend(threads, ops, |gate, ops| {
                let line = Box::new(Line::default());
                gate.time(ops, || op(&line))
            })
        });
        add_token::<Canceller>(&mut family, column, (threads, ops), own, measure);
        add_token::<CancellationToken>(&mut family, column, (threads, ops), own, measure);
    }
    family
}

fn add_token<T: Token>(
    family: &mut Family,
    column: usize,
    (threads, ops): (usize, usize),
    own: bool,
    measure: impl Measure,
) {
    family.add(T::NAME, column, move || {
        let token = Box::new(T::new(0));
        contend(threads, ops, |gate, ops| {
            let handle = own.then(|| Box::new(token.another()));
            measure.thread(handle.as_deref().unwrap_or(&*token), gate, ops)
        })
    });
}

fn floor(family: &mut Family, column: usize, threads: usize, ops: usize, op: fn(&Line)) {
    family.add(FLOOR, column, move || {
        let line = Box::new(Line::default());
        contend(threads, ops, |gate, ops| gate.time(ops, || op(&line)))
    });
}

/// A measurement that is the same for every contender.
trait Measure: Copy + Send + Sync + 'static {
    fn thread<E: Event>(self, event: &E, gate: &Gate, ops: usize) -> Span;
}

#[derive(Clone, Copy)]
struct Fresh;

impl Measure for Fresh {
    fn thread<E: Event>(self, event: &E, gate: &Gate, ops: usize) -> Span {
        gate.time(ops, || {
            let wait = pin!(black_box(event).wait());
            assert!(poll(wait).is_pending());
        })
    }
}

#[derive(Clone, Copy)]
struct Again;

impl Measure for Again {
    fn thread<E: Event>(self, event: &E, gate: &Gate, ops: usize) -> Span {
        let mut wait = pin!(event.wait());
        assert!(poll(wait.as_mut()).is_pending());
        gate.time(ops, || assert!(poll(black_box(wait.as_mut())).is_pending()))
    }
}

fn each_event(
    mut family: Family,
    scale: Scale,
    full: usize,
    measure: impl Measure,
    op: fn(&Line),
) -> Family {
    for threads in THREADS {
        let ops = scale.each(threads, full);
        let column = family.column_of(threads);
        floor(&mut family, column, threads, ops, op);
        let at = (column, threads, ops);
        for_each_event!(add(&mut family, at, measure));
    }
    family
}

fn add<E: Event>(
    family: &mut Family,
    (column, threads, ops): (usize, usize, usize),
    measure: impl Measure,
) {
    family.add(E::NAME, column, move || {
        let event = Box::new(E::new(0));
        contend(threads, ops, |gate, ops| measure.thread(&*event, gate, ops))
    });
}

fn add_beside<E: Event>(family: &mut Family, column: usize, ops: usize) {
    family.add(E::NAME, column, move || {
        let event = Box::new(E::new(0));
        let mut parked = Waits::<E>::with_capacity(1);
        parked.park(&event);
        contend(1, ops, |gate, ops| Fresh.thread(&*event, gate, ops))
    });
}
