//! A wait from its first poll to its end.

use std::hint::black_box;

use winddown::{Canceller, Signal, TaskGroup, WaitGroup};

use crate::subjects::{Event, leak, poll};
use crate::{CROWD, OPS, Table};

pub(crate) fn rows(table: &Table) {
    of::<Signal>(table);
    of::<WaitGroup>(table);
    of::<Canceller>(table);
    of::<TaskGroup>(table);
}

fn of<E: Event>(table: &Table) {
    let name = |what: &str| format!("{}: {what}", E::NAME);

    table.each(&name("first wait"), fresh::<E>, |wait| assert!(poll(wait).is_pending()));
    let in_a_crowd = || {
        let (event, parked) = crowd::<E>();
        let waits: Vec<E::Wait> = (0..OPS).map(|_| event.wait()).collect();
        (parked, waits)
    };
    table.row(&name("wait in a crowd of 1,000"), OPS, in_a_crowd, |(_, waits)| {
        for wait in waits {
            assert!(poll(black_box(wait)).is_pending());
        }
    });
    table.each(&name("poll again"), parked::<E>, |wait| assert!(poll(wait).is_pending()));
    // With a token's handle this is a turn of `select!`.
    let event = leak(E::new());
    table.again(
        &name("make a wait, poll it, drop it"),
        || event,
        |event| {
            assert!(poll(&mut event.wait()).is_pending());
        },
    );
    table.drops(&name("drop a pending wait, alone"), OPS, parked::<E>);
    let the_waits = || crowd::<E>().1;
    table.row(&name("drop a pending wait, each of 1,000"), CROWD, the_waits, Vec::clear);

    table.each(&name("end, nobody waits"), || leak(E::new()), |event| event.end());
    let waited_for = || {
        let event = leak(E::new());
        std::mem::forget(parked_in::<E>(event));
        event
    };
    table.each(&name("end, one waits"), waited_for, |event| event.end());
    table.row(&name("end, for each of 1,000"), CROWD, crowd::<E>, |(event, _)| event.end());
    let woken = || {
        let (event, waits) = crowd::<E>();
        event.end();
        waits
    };
    table.row(&name("ready poll"), CROWD, woken, |waits| {
        for wait in waits {
            assert!(poll(black_box(wait)).is_ready());
        }
    });
}

/// A wait that nobody has polled, for an event of its own.
fn fresh<E: Event>() -> E::Wait {
    leak(E::new()).wait()
}

fn parked<E: Event>() -> E::Wait {
    parked_in::<E>(leak(E::new()))
}

fn parked_in<E: Event>(event: &'static E) -> E::Wait {
    let mut wait = event.wait();
    assert!(poll(&mut wait).is_pending());
    wait
}

fn crowd<E: Event>() -> (&'static E, Vec<E::Wait>) {
    let event = leak(E::new());
    (event, (0..CROWD).map(|_| parked_in::<E>(event)).collect())
}
