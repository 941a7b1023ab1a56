//! Rounds, batches, threads and their statistics.

use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::rc::Rc;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

use crate::results::{Cell, Table, thousands};

/// How much work one batch is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    divisor: usize,
}

impl Scale {
    pub(crate) fn new(quick: bool) -> Self {
        Self { divisor: if quick { 50 } else { 1 } }
    }

    /// `full` operations in a full run.
    pub(crate) fn ops(self, full: usize) -> usize {
        (full / self.divisor).max(1)
    }

    /// What each of `threads` does, `full` if there are one or two: about as much work in all, so
    /// that a batch with many threads takes no longer.
    pub(crate) fn each(self, threads: usize, full: usize) -> usize {
        self.ops(if threads <= 2 { full } else { 2 * full / threads })
    }

    /// The sizes up to `most`, tenfold from one to the next; a quick run stops at 1,000.
    pub(crate) fn decades(self, least: usize, most: usize) -> impl Iterator<Item = usize> {
        let most = if self.divisor == 1 { most } else { most.min(1000) };
        core::iter::successors(Some(least), |size| Some(size * 10))
            .take_while(move |it| *it <= most)
    }
}

/// Runs one batch and gives the nanoseconds of one operation.
pub(crate) type Batch = Box<dyn FnMut() -> f64>;

/// Batches of one life: the first of them that a round asks runs it, and each takes its own part. So
/// a crowd is built once for all that is measured of it.
pub(crate) fn parts<const N: usize>(life: impl FnMut() -> [f64; N] + 'static) -> [Batch; N] {
    let shared = Rc::new(RefCell::new((life, [None; N])));
    core::array::from_fn(|part| -> Batch {
        let shared = Rc::clone(&shared);
        Box::new(move || {
            let (life, left) = &mut *shared.borrow_mut();
            if left[part].is_none() {
                *left = life().map(Some);
            }
            left[part].take().expect("just measured")
        })
    })
}

/// Columns whose batches take long run in each so many rounds, by what is in a batch.
const SELDOM: [(usize, usize); 3] = [(1_000_000, 10), (100_000, 5), (0, 1)];

/// One table while it is measured.
pub(crate) struct Family {
    table: Table,
    /// One a cell of the table.
    batches: Vec<Batch>,
    /// In which rounds each column runs: in each so many.
    every: Vec<usize>,
}

impl Family {
    pub(crate) fn new(title: &str, unit: &str, what: &str) -> Self {
        let [title, unit, what] = [title, unit, what].map(str::to_owned);
        let table = Table { title, unit, what, ..Table::default() };
        Self { table, batches: Vec::new(), every: Vec::new() }
    }

    /// The columns count this.
    pub(crate) fn along(mut self, axis: &str) -> Self {
        self.table.axis = Some(axis.to_owned());
        self
    }

    pub(crate) fn in_chapter(mut self, chapter: &str) -> Self {
        self.table.chapter = chapter.to_owned();
        self
    }

    /// The column with this heading, which is made if there is none.
    pub(crate) fn column(&mut self, heading: &str) -> usize {
        self.column_at(heading, None)
    }

    /// The column of so many, in a family that goes [`along`](Self::along) something.
    pub(crate) fn column_of(&mut self, number: usize) -> usize {
        let axis = self.table.axis.as_deref().expect("an axis");
        let noun = if number == 1 { axis.strip_suffix('s').unwrap_or(axis) } else { axis };
        let heading = format!("{} {noun}", thousands(number));
        self.column_at(&heading, Some(number as f64))
    }

    pub(crate) fn column_at(&mut self, heading: &str, x: Option<f64>) -> usize {
        let column = self.table.column(heading, x);
        self.every.resize(self.table.columns.len(), 1);
        column
    }

    /// A batch of this column makes so many objects: with a hundred thousand it runs in every fifth
    /// round, with a million in every tenth.
    pub(crate) fn makes(&mut self, column: usize, objects: usize) {
        let (_, every) = SELDOM.iter().find(|(least, _)| objects >= *least).expect("the last");
        self.every[column] = *every;
    }

    pub(crate) fn add(
        &mut self,
        contender: &str,
        column: usize,
        batch: impl FnMut() -> f64 + 'static,
    ) {
        let (contender, samples) = (contender.to_owned(), Vec::new());
        self.table.cells.push(Cell { contender, column, samples });
        self.batches.push(Box::new(batch));
    }

    /// Drops the cells that `filter` does not ask for.
    pub(crate) fn keep(&mut self, filter: &str) {
        let (title, columns) = (&self.table.title, &self.table.columns);
        let wanted =
            |cell: &Cell| format!("{title}: {}", columns[cell.column].heading).contains(filter);
        let both = self.table.cells.drain(..).zip(self.batches.drain(..));
        (self.table.cells, self.batches) = both.filter(|(cell, _)| wanted(cell)).collect();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(crate) fn into_table(self) -> Table {
        self.table
    }

    /// Runs each cell once. Contenders of one column follow one another, so that they meet the same
    /// machine; the order of the contenders changes from round to round.
    fn round(&mut self, round: usize) {
        for column in 0..self.table.columns.len() {
            let every = self.every[column];
            // The first round is thrown away, and all of them warm up in it.
            if round != 0 && round % every != 1 % every {
                continue;
            }
            let both = self.table.cells.iter_mut().zip(&mut self.batches);
            let mut cells: Vec<_> = both.filter(|(cell, _)| cell.column == column).collect();
            if cells.is_empty() {
                continue;
            }
            let first = round / every % cells.len();
            cells.rotate_left(first);
            for (cell, batch) in cells {
                stir_heap();
                cell.samples.push(batch());
            }
        }
    }

    fn forget_samples(&mut self) {
        self.table.cells.iter_mut().for_each(|cell| cell.samples.clear());
    }
}

/// Runs all cells `rounds` times, after one round that is thrown away.
pub(crate) fn run(families: &mut [Family], rounds: usize) {
    for round in 0..=rounds {
        FIRST_CORE.store(round, Ordering::Relaxed);
        for family in families.iter_mut() {
            family.round(round);
            if round == 0 {
                family.forget_samples();
            }
        }
        if std::io::stderr().is_terminal() {
            eprint!("\rround {round} of {rounds}");
        }
    }
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}

/// Where a round's first thread runs. It moves on with each round: a core that is busy with
/// something else then spoils half of the rounds of each contender, and not all rounds of one.
static FIRST_CORE: AtomicUsize = AtomicUsize::new(0);

/// The cores that the program was given when it first asked: a thread that is bound to one sees no
/// other.
fn core_ids() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

pub(crate) fn cores() -> usize {
    core_ids().len().max(1)
}

/// How many threads contended rows have.
pub(crate) const THREADS: [usize; 5] = [1, 2, 4, 8, 16];

/// Binds this thread to a core, counted from the round's first.
pub(crate) fn pin(nth: usize) {
    let cores = core_ids();
    if !cores.is_empty() {
        let nth = nth + FIRST_CORE.load(Ordering::Relaxed);
        core_affinity::set_for_current(cores[nth % cores.len()]);
    }
}

/// Where the threads of a batch meet after their preparations.
pub(crate) struct Gate {
    missing: AtomicUsize,
}

/// When a thread's timed part began and ended.
pub(crate) struct Span {
    begin: Instant,
    end: Instant,
}

impl Gate {
    /// Waits until all threads are here, then runs `op` `ops` times.
    pub(crate) fn time(&self, ops: usize, mut op: impl FnMut()) -> Span {
        self.missing.fetch_sub(1, Ordering::AcqRel);
        let mut turns = 0_u32;
        while self.missing.load(Ordering::Acquire) != 0 {
            turns += 1;
            // More threads than cores: the missing ones may need this core.
            if turns % 1000 == 0 { thread::yield_now() } else { spin_loop() }
        }
        let begin = Instant::now();
        for _ in 0..ops {
            op();
        }
        Span { begin, end: Instant::now() }
    }
}

/// The nanoseconds of one operation when `threads` threads do `ops` of them each, all at once, each
/// on a core of its own as far as there are cores.
///
/// From the first beginning to the last end; where threads share cores, what is reported is still
/// the time of a core, not the time that a thread also waits for its turn.
pub(crate) fn contend(
    threads: usize,
    ops: usize,
    thread: impl Fn(&Gate, usize) -> Span + Sync,
) -> f64 {
    let gate = Gate { missing: AtomicUsize::new(threads) };
    let spans: Vec<Span> = thread::scope(|scope| {
        let run = |nth| {
            pin(nth);
            thread(&gate, ops)
        };
        let started: Vec<_> = (0..threads).map(|nth| scope.spawn(move || run(nth))).collect();
        started.into_iter().map(|it| it.join().expect("a measured thread")).collect()
    });
    let begin = spans.iter().map(|span| span.begin).min().expect("at least one thread");
    let end = spans.iter().map(|span| span.end).max().expect("at least one thread");
    let busy = threads.min(cores());
    (end - begin).as_nanos() as f64 * busy as f64 / (threads * ops) as f64
}

/// Runs `f` on a thread of its own, on the round's first core. All measured code runs beside a main
/// thread that waits, so allocators and locks know that there are threads.
pub(crate) fn alone<R: Send>(f: impl FnMut() -> R + Send) -> R {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(0);
            undisturbed(f)
        });
        thread.join().expect("a measured thread")
    })
}

/// Runs `f` on the main thread. Big trees live there: the C library gives the memory of other threads
/// back to the system whatever it is told, and the next tree would pay for getting it again.
pub(crate) fn on_main<R>(f: impl FnMut() -> R) -> R {
    pin(0);
    undisturbed(f)
}

/// Repeats a short batch in which the system took this thread off its core, up to three times: what
/// else runs there takes milliseconds, which is as long as the whole batch.
fn undisturbed<R>(mut f: impl FnMut() -> R) -> R {
    const SHORT: Duration = Duration::from_millis(20);
    for _ in 0..3 {
        let (before, begin) = (preemptions(), Instant::now());
        let result = f();
        if preemptions() == before || begin.elapsed() > SHORT {
            return result;
        }
    }
    f()
}

/// How often this thread was taken off its core; always the same where the system does not tell.
pub(crate) fn preemptions() -> i64 {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: all zeros is a value of this struct of numbers.
        let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
        // SAFETY: the kernel writes the struct that it is given.
        unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
        usage.ru_nivcsw as i64
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// Gives the next objects other places in memory: two words of one object that share a cache line
/// in one place are on two lines in another, which changes the time of some contenders tenfold.
fn stir_heap() {
    thread_local! {
        static BLOCKS: RefCell<(u64, Vec<Vec<u8>>)> = const { RefCell::new((1, Vec::new())) };
    }
    BLOCKS.with_borrow_mut(|(seed, blocks)| {
        for _ in 0..8 {
            // Knuth's linear congruence; only variety is wanted.
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = (*seed >> 33) as usize;
            let block = black_box(Vec::with_capacity(16 * (1 + random % 16)));
            if blocks.len() < 64 {
                blocks.push(block);
            } else {
                blocks[random / 16 % 64] = block;
            }
        }
    });
}

pub(crate) fn clock(f: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    f();
    begin.elapsed()
}
