//! Memory runs out: at each allocation of each scenario.
//!
//! An allocator that has no memory gives null, and must not unwind. What the crate then does is one of two things. It
//! goes on without, where it asked by a call that can be refused: the shards of a count. Else it calls Rust's
//! `handle_alloc_error`, as `Box` and `Arc` do, which stable Rust lets no program change: with `std` the process
//! aborts. So each case runs in a process of its own, which has to say so, and must not hang or end otherwise. What the
//! objects are like afterwards is no question, since there is nothing that could ask it.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::future::ready;
use core::num::NonZeroUsize;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::alloc::System;
use std::env;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use common::{Bell, look, poll};
use winddown::{CancelScope, ErrGroup, Signal, TaskGroup, WaitGroup};

/// As many allocations as there may be.
const PLENTY: usize = usize::MAX;

thread_local! {
    // Constant and without a drop: looking at it allocates nothing.
    /// How many allocations this thread has left.
    static LEFT: Cell<usize> = const { Cell::new(PLENTY) };
}

/// How often an allocation was refused.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which refuses threads that have no memory left.
struct Scarce;

// SAFETY: the system's allocator does the work, with the same arguments; null says that there is no memory.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match LEFT.get() {
            PLENTY => {}
            0 => {
                REFUSED.fetch_add(1, Ordering::Relaxed);
                return ptr::null_mut();
            }
            left => LEFT.set(left - 1),
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// What allocates, in each part of the crate. With enough memory each scenario ends as it says.
type Scenario = (&'static str, fn());

const SCENARIOS: [Scenario; 8] = [
    ("a crowd at a wait group", || {
        let (group, bell) = (WaitGroup::new(), Bell::new());
        let guard = group.guard();
        let mut waits = [const { None }; 40];
        waits.iter_mut().for_each(|it| {
            assert!(poll(it.insert(group.wait()), &bell.waker()).is_pending());
        });
        drop(guard);
        assert_eq!(bell.rings(), waits.len());
    }),
    ("a value", || {
        let (signal, bell) = (Signal::typed(), Bell::new());
        let mut wait = signal.value();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        assert!(signal.value().block_for(Duration::from_micros(1)).is_err());
        signal.close_with(7).unwrap();
        assert_eq!((bell.rings(), look(&mut wait).is_ready()), (1, true));
    }),
    ("a line of scopes", || {
        let (root, bell) = (CancelScope::new(), Bell::new());
        let middle = root.token().with_value(7_u8).child();
        let leaf =
            middle.token().child_until(Instant::now() + Duration::from_secs(60), ready(())).0;
        let mut wait = leaf.token().cancelled();
        assert!(poll(&mut wait, &bell.waker()).is_pending());
        let rings = bell.clone();
        leaf.token().on_cancel(move || drop(rings)).detach();
        root.cancel_with("for a reason of its own").unwrap();
        assert_eq!((bell.rings(), leaf.token().check().is_err()), (1, true));
    }),
    ("groups below a group", || {
        let group = TaskGroup::builder().finally(|| ()).build();
        let child = group.child().unwrap();
        let linked = TaskGroup::builder().link(&child).parent(group.token()).build();
        let guard = child.guard().unwrap().label("a label");
        let (mut drained, bell) = (linked.drained(), Bell::new());
        assert!(poll(&mut drained, &bell.waker()).is_pending());
        group.cancel();
        drop(guard);
        assert!(bell.rings() == 1 && group.is_drained() && linked.is_drained());
    }),
    ("a queue", || {
        let group = TaskGroup::builder().limit(NonZeroUsize::MIN).build();
        let (guard, bell) = (group.guard().unwrap(), Bell::new());
        let (mut first, mut second) = (group.guard_when_room(), group.guard_when_room());
        assert!(poll(&mut first, &bell.waker()).is_pending());
        assert!(poll(&mut second, &bell.waker()).is_pending());
        drop(guard);
        assert!(look(&mut first).is_ready());
        group.close();
        assert_eq!((bell.rings(), look(&mut second).is_ready()), (2, true));
    }),
    ("errors", || {
        let (group, bell) = (ErrGroup::new(), Bell::new());
        let guard = group.group().guard().unwrap();
        let mut join = group.join();
        assert!(poll(&mut join, &bell.waker()).is_pending());
        (0..3).for_each(|error| group.record(error).unwrap());
        let task = async { Err(3) };
        assert!(group.try_track(task).is_err(), "it is closed");
        drop(guard);
        assert_eq!((bell.rings(), look(&mut join).is_ready()), (1, true));
    }),
    ("a thread that blocks", || {
        let stop = Signal::new();
        let ends = core::future::poll_fn(|cx| {
            stop.close();
            cx.waker().wake_by_ref();
            core::task::Poll::<()>::Pending
        });
        assert!(stop.closed().until(ends).block().is_ok());
    }),
    ("a tracked task", || {
        let (group, scope) = (TaskGroup::new(), CancelScope::new());
        let mut task = group.track(scope.token().clone().cancelled_owned()).unwrap();
        assert!(look(&mut task).is_pending());
        scope.cancel();
        assert!(look(&mut task).is_ready());
    }),
];

/// Names the scenario of a child process, and the number of allocations that it has.
const CASE: [&str; 2] = ["WINDDOWN_SCENARIO", "WINDDOWN_ALLOCATIONS"];
/// What a scenario writes that came to its end.
const CAME_TO_ITS_END: &str = "came to its end";
/// Comes only if a process hangs.
const LONG: Duration = Duration::from_secs(60);

/// Runs this test in a process of its own, with so many allocations for the scenario.
fn in_a_process(scenario: usize, allocations: usize) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "without_memory_a_process_aborts_and_says_so", "--nocapture"]);
    let case = [scenario, allocations].map(|it| it.to_string());
    command.envs(CASE.into_iter().zip(case)).env_remove("RUST_BACKTRACE");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + LONG;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{}: hangs at allocation {allocations}", SCENARIOS[scenario].0);
        }
        thread::sleep(Duration::from_micros(200));
    }
    child.wait_with_output().unwrap()
}

/// In a child process: the scenario.
fn act(scenario: &str, allocations: &str) {
    let (_, scenario) = SCENARIOS[scenario.parse::<usize>().unwrap()];
    let allocations = allocations.parse().unwrap();
    LEFT.set(allocations);
    scenario();
    LEFT.set(PLENTY);
    println!("{CAME_TO_ITS_END}");
}

/// The scenarios with one allocation, with two, and so on until there are enough.
#[test]
fn without_memory_a_process_aborts_and_says_so() {
    if let [Ok(scenario), Ok(allocations)] = CASE.map(env::var) {
        return act(&scenario, &allocations);
    }
    for (scenario, (name, _)) in SCENARIOS.iter().enumerate() {
        let mut aborts = 0;
        loop {
            let Output { status, stdout, stderr } = in_a_process(scenario, aborts);
            let said = [stdout, stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
            let case = format!("{name}, with {aborts} allocations: {status}, {said:#?}");
            if status.success() {
                assert!(said[0].contains(CAME_TO_ITS_END), "{case}");
                break;
            }
            assert!(!said[0].contains(CAME_TO_ITS_END), "{case}");
            assert!(said[1].contains("memory allocation of"), "{case}");
            #[cfg(unix)]
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{case}");
            aborts += 1;
        }
        assert!(aborts > 0, "{name} allocates");
        println!("{name}: {aborts} processes ran out of memory");
    }
}

/// A group that threads contend for goes on in one word where there is no memory to spread its count: entries, clones
/// and exits of two threads, and the drain, are as with memory.
#[cfg(all(not(feature = "holders"), not(winddown_born_sharded)))]
#[test]
fn a_group_that_cannot_spread_its_count_counts_on() {
    if thread::available_parallelism().map_or(1, usize::from) == 1 {
        return;
    }
    let group = TaskGroup::new();
    let stays = group.guard().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let contend = || {
        LEFT.set(0);
        let turn = |_| drop(group.guard().unwrap().clone());
        while REFUSED.load(Ordering::Relaxed) < 10 && Instant::now() < deadline {
            (0..1_000).for_each(turn);
        }
        LEFT.set(PLENTY);
    };
    thread::scope(|threads| {
        threads.spawn(contend);
        contend();
    });
    assert!(REFUSED.load(Ordering::Relaxed) >= 10, "no entry has tried to spread the count");
    assert_eq!(group.len(), 1);
    assert!(group.close());
    assert!(!group.is_drained());
    drop(stays);
    assert!(group.is_drained());
}
