//! What other threads may do while one is in the middle of a step, at every place where it
//! allocates: the allocator runs it there, so nothing is left to chance.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::future::IntoFuture as _;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;
use std::sync::{Arc, Mutex};

use common::{Bell, look, poll};
use winddown::future::WaitCancelled;
use winddown::{CancelScope, CancelToken, Canceller, Reason};

struct Interrupting;

const IDLE: usize = usize::MAX;

std::thread_local! {
    /// How many allocations of this thread are left before `ACT` runs.
    static LEFT: Cell<usize> = const { Cell::new(IDLE) };
    static ACT: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

fn interrupt() {
    match LEFT.get() {
        IDLE => {}
        0 => {
            LEFT.set(IDLE);
            if let Ok(Some(act)) = ACT.try_with(Cell::take) {
                act();
            }
        }
        left => LEFT.set(left - 1),
    }
}

// SAFETY: the system's allocator does the work, with the same arguments.
unsafe impl GlobalAlloc for Interrupting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        interrupt();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Interrupting = Interrupting;

/// Runs `step`, and `act` at the allocation number `at` in it; false if it has fewer.
fn interrupted<R>(at: usize, act: impl FnOnce() + 'static, step: impl FnOnce() -> R) -> (R, bool) {
    ACT.set(Some(Box::new(act)));
    LEFT.set(at);
    let result = step();
    LEFT.set(IDLE);
    let left = ACT.take();
    (result, left.is_none())
}

/// Three scopes, each below the one before, and what was heard of them.
struct Line {
    scopes: [Canceller; 3],
    /// Waits that were found pending, with their bells.
    waits: Mutex<Vec<(WaitCancelled, Arc<Bell>)>>,
    /// What the leaf and the middle answered when they were asked, if they did.
    answers: Mutex<Vec<(usize, usize)>>,
    registered: AtomicUsize,
    ran: Arc<AtomicUsize>,
}

const ROOT: usize = 0;
const MIDDLE: usize = 1;
const LEAF: usize = 2;

impl Line {
    fn new() -> Arc<Self> {
        let root = CancelScope::new().detach();
        let middle = root.token().child().detach();
        let leaf = middle.token().child().detach();
        Arc::new(Self {
            scopes: [root, middle, leaf],
            // With room: they must not allocate while they are locked.
            waits: Mutex::new(Vec::with_capacity(16)),
            answers: Mutex::new(Vec::with_capacity(16)),
            registered: AtomicUsize::new(0),
            ran: Arc::default(),
        })
    }

    fn token(&self, at: usize) -> &CancelToken {
        self.scopes[at].token()
    }

    fn wait(&self, at: usize) {
        let (mut wait, bell) = (self.token(at).clone().cancelled_owned(), Bell::new());
        if poll(&mut wait, &bell.waker()).is_pending() {
            self.waits.lock().unwrap().push((wait, bell));
        } else {
            assert!(self.token(at).is_cancelled());
        }
    }

    fn register(&self, at: usize) {
        self.registered.fetch_add(1, Ordering::Relaxed);
        let ran = Arc::clone(&self.ran);
        let note = move || assert!(ran.fetch_add(1, Ordering::Relaxed) < 16);
        self.token(at).on_cancel(note).detach();
    }

    fn ask(&self, at: usize) {
        if let Some(reason) = self.token(at).reason() {
            self.answers.lock().unwrap().push((at, ptr::from_ref(reason).addr()));
        }
    }

    fn cancel(&self, at: usize) {
        // A message takes a box: another place to be interrupted.
        let _ = self.scopes[at].cancel_with(Reason::Message("cancelled"));
    }

    /// At the end: each wait was woken, and no answer has changed.
    fn check(&self, context: &str) {
        self.cancel(ROOT);
        for (wait, bell) in self.waits.lock().unwrap().iter_mut() {
            assert_eq!(bell.rings(), 1, "{context}");
            assert!(look(wait).is_ready(), "{context}");
        }
        for (at, answer) in self.answers.lock().unwrap().iter() {
            let now = ptr::from_ref(self.token(*at).reason().unwrap()).addr();
            assert_eq!(*answer, now, "{context}");
        }
        assert_eq!(
            self.ran.load(Ordering::Relaxed),
            self.registered.load(Ordering::Relaxed),
            "{context}"
        );
    }
}

type Step = (&'static str, fn(&Line));

/// What a thread may be in the middle of, or do meanwhile.
const STEPS: [Step; 11] = [
    ("wait for the leaf", |line| line.wait(LEAF)),
    ("wait for the middle", |line| line.wait(MIDDLE)),
    ("wait for the root", |line| line.wait(ROOT)),
    ("register at the leaf", |line| line.register(LEAF)),
    ("register at the middle", |line| line.register(MIDDLE)),
    ("cancel the leaf", |line| line.cancel(LEAF)),
    ("cancel the middle", |line| line.cancel(MIDDLE)),
    ("cancel the root", |line| line.cancel(ROOT)),
    ("ask the leaf", |line| line.ask(LEAF)),
    ("ask the middle", |line| line.ask(MIDDLE)),
    ("give a wait up", |line| {
        let _ = look(&mut line.token(LEAF).cancelled());
    }),
];

/// Rules 7, 8, 10: all pairs and threes of steps inside another, at every place.
#[test]
fn a_step_may_be_interrupted_anywhere_by_any_others() {
    let mut interruptions = 0;
    for (name, step) in STEPS {
        for first in STEPS {
            for second in STEPS {
                for third in [None, Some(STEPS[0]), Some(STEPS[7]), Some(STEPS[8])] {
                    for at in 0.. {
                        let line = Line::new();
                        let inside = Arc::clone(&line);
                        let act = move || {
                            for (_, act) in [first, second].into_iter().chain(third) {
                                act(&inside);
                            }
                        };
                        let ((), came) = interrupted(at, act, || step(&line));
                        if !came {
                            break;
                        }
                        interruptions += 1;
                        let third = third.map_or("", |third| third.0);
                        line.check(&format!(
                            "{name}, at allocation {at}: {}, {}, {third}",
                            first.0, second.0
                        ));
                    }
                }
            }
        }
    }
    assert!(interruptions > 10_000, "{interruptions} places");
}

/// Rule 8: of a cancel that has looked up and one above that comes before it is installed, each node
/// may have fixed either, and what it said stays. A question at the leaf fixes all up to the root.
#[test]
fn a_reason_that_was_told_stays_although_a_cancel_was_on_its_way() {
    let line = Line::new();
    let inside = Arc::clone(&line);
    let act = move || {
        inside.scopes[ROOT].cancel();
        inside.ask(LEAF);
    };
    let ((), came) = interrupted(0, act, || line.cancel(MIDDLE));
    assert!(came);
    assert_eq!(line.token(LEAF).reason().unwrap().to_string(), "cancelled");
    assert!(matches!(line.token(LEAF).reason(), Some(Reason::Cancelled)), "the root's");
    assert!(matches!(line.token(MIDDLE).reason(), Some(Reason::Cancelled)), "the root's");
    line.check("the leaf was asked");
}

/// Rule 8: printing is a question for the reason: what `Debug` told once is what `reason` tells for ever, although
/// a cancel nearer by was on its way.
#[test]
fn a_reason_that_was_printed_stays_although_a_cancel_was_on_its_way() {
    let prints: [fn(&Canceller) -> String; 5] = [
        |leaf| format!("{:?}", leaf.token()),
        |leaf| format!("{leaf:?}"),
        |leaf| format!("{:?}", leaf.token().cancelled()),
        |leaf| format!("{:?}", leaf.token().into_future()),
        |leaf| format!("{:?}", CancelToken::any([leaf.token()])),
    ];
    for print in prints {
        let line = Line::new();
        let (inside, told) = (Arc::clone(&line), Arc::new(Mutex::new(String::new())));
        let tell = Arc::clone(&told);
        let act = move || {
            inside.scopes[ROOT].cancel_with("the root").unwrap();
            *tell.lock().unwrap() = print(&inside.scopes[LEAF]);
        };
        let ((), came) = interrupted(0, act, || line.cancel(MIDDLE));
        assert!(came);
        let reason = format!("{:?}", line.token(LEAF).reason().unwrap());
        let told = told.lock().unwrap();
        assert!(told.contains(&reason), "{told}, and then {reason}");
        line.check("the leaf was printed");
    }
}
