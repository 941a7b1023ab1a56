//! The soak can see: objects that are wrong on purpose are reported. One test alone: the heap of the whole process
//! is counted.

use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use winddown_proof::random::Random;
use winddown_proof::soak::bag::Bag;
use winddown_proof::soak::scenes::{KINDS, Scene, any};
use winddown_proof::soak::{MakeScene, Soak};

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A task is not woken, once in some closes.
    Wake,
    /// The same for a thread that blocks.
    Thread,
    /// A byte of each object stays.
    Leak,
    /// It is given back, but far too much is taken.
    Hoard,
    /// Each close is counted, but for one.
    Count,
    /// A value changes.
    Answer,
}

/// A signal, made with a lock.
struct Plain {
    fault: Fault,
    state: Mutex<State>,
    _hoard: Vec<u8>,
    closes: AtomicUsize,
    counted: AtomicUsize,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    wakers: Vec<(Waker, bool)>,
}

/// A wait of it, by a task or by a thread.
struct Closed {
    signal: Arc<Plain>,
    blocks: bool,
}

impl Future for Closed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.signal.state.lock().unwrap();
        if state.is_closed {
            return Poll::Ready(());
        }
        state.wakers.push((cx.waker().clone(), self.blocks));
        Poll::Pending
    }
}

impl Plain {
    fn close(&self) {
        let wakers = {
            let mut state = self.state.lock().unwrap();
            state.is_closed = true;
            std::mem::take(&mut state.wakers)
        };
        let lost = |blocks: bool| match self.fault {
            Fault::Wake => !blocks,
            Fault::Thread => blocks,
            _ => false,
        };
        for (waker, blocks) in wakers {
            if !lost(blocks) {
                waker.wake();
            }
        }
        if self.closes.fetch_add(1, Ordering::Relaxed) == 0 && self.fault == Fault::Leak {
            std::mem::forget(Box::new(0_u8));
        }
        if self.fault != Fault::Count || self.counted.load(Ordering::Relaxed) != 0 {
            self.counted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The object of a soak.
struct Signals(Arc<Plain>);

impl Signals {
    fn new(fault: Fault) -> Self {
        let state = Mutex::default();
        let hoard = Vec::with_capacity(if fault == Fault::Hoard { 1 << 26 } else { 0 });
        let (closes, counted) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Plain { fault, state, _hoard: hoard, closes, counted }))
    }

    fn closed(&self, blocks: bool) -> Closed {
        Closed { signal: Arc::clone(&self.0), blocks }
    }
}

impl Scene for Signals {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        if random.one_in(200) {
            self.0.close();
        }
        if self.0.fault == Fault::Answer && random.one_in(500) {
            // As a failed assertion, but without a message on the terminal.
            resume_unwind(Box::new("another answer"));
        }
        bag.wait("a wrong wait", self.closed(false));
    }

    fn block(&self, _: &mut Random) {
        struct Unpark(Thread, AtomicBool);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.1.store(true, Ordering::Release);
                self.0.unpark();
            }
        }
        let mut closed = pin!(self.closed(true));
        let unpark = Arc::new(Unpark(thread::current(), AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&unpark));
        while closed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            // Polls again only if it was woken, so that a lost wake is felt.
            while !unpark.1.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    }

    fn finale(&self) {
        self.0.close();
    }

    fn check(&self) -> Result<(), String> {
        let (closes, counted) = (&self.0.closes, &self.0.counted);
        let (is, should) = (counted.load(Ordering::Relaxed), closes.load(Ordering::Relaxed));
        if is == should { Ok(()) } else { Err(format!("{is} closes, and not {should}")) }
    }

    fn state(&self) -> String {
        format!("{:?}", self.0.fault)
    }
}

/// An object of the crate that nothing ends.
struct Endless(Arc<dyn Scene>);

impl Scene for Endless {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn step(&self, random: &mut Random, bag: &mut Bag) {
        self.0.step(random, bag);
    }

    fn block(&self, random: &mut Random) {
        self.0.block(random);
    }

    fn finale(&self) {}

    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn state(&self) -> String {
        self.0.state()
    }
}

/// The soak with a wrong object among right ones.
fn soak(wrong: impl Fn(u64) -> Arc<dyn Scene> + Send + Sync + 'static) -> Soak {
    let make: MakeScene = Arc::new(move |seed| if seed % 8 == 0 { wrong(seed) } else { any(seed) });
    // The faults that stop threads are all seen after this time. Nothing right takes so long.
    Soak { rounds: Some(12), patience: Duration::from_secs(20), make, ..Soak::new(1) }
}

/// What the report must say of an object with this fault.
#[track_caller]
fn reported(fault: Fault, says: &str) {
    let wrong = soak(move |_| Arc::new(Signals::new(fault)));
    // Threads that a round before has left may still use the heap.
    let of_heap = [Fault::Leak, Fault::Hoard].contains(&fault);
    let result = Soak { counts_heap: of_heap, ..wrong }.run(|_| {});
    let report = result.expect_err("the fault is not seen");
    println!("{fault:?}: {report}");
    assert!(report.contains(says) && report.contains("--seed"), "{fault:?}: {report}");
    assert!(of_heap || report.contains("wrong, object"), "{fault:?}: {report}");
}

#[test]
fn objects_that_are_wrong_on_purpose_are_reported() {
    let right = soak(|_| Arc::new(Signals::new(Fault::None)));
    right.run(|_| {}).unwrap_or_else(|report| panic!("{report}"));
    reported(Fault::Leak, "bytes more");
    reported(Fault::Hoard, "and at most");
    reported(Fault::Count, "closes, and not");
    reported(Fault::Wake, "the wait 'a wrong wait' was not woken");
    reported(Fault::Answer, "another answer");
    let patience = Duration::from_secs(1);
    let stuck = soak(|_| Arc::new(Signals::new(Fault::Thread)));
    let report =
        Soak { patience, counts_heap: false, ..stuck }.run(|_| {}).expect_err("a thread is stuck");
    println!("{report}");
    assert!(report.contains("blocks at wrong, object"), "{report}");
    for make in KINDS {
        let endless = soak(move |seed| Arc::new(Endless(make(&mut Random::new(seed)))));
        let report = Soak { patience, counts_heap: false, ..endless }
            .run(|_| {})
            .expect_err("waits without an end");
        let name = make(&mut Random::new(0)).name();
        println!("{report}");
        assert!(report.contains(&format!("{name}, object")), "{name}: {report}");
    }
}
