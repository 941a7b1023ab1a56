//! Rounds, batches, threads and their statistics.

use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;

/// The contender that all others are compared with: what the hardware asks for at least.
pub(crate) const FLOOR: &str = "floor";

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
}

/// Runs one batch and gives the nanoseconds of one operation.
type Batch = Box<dyn FnMut() -> f64>;

/// One cell of a table: one contender in one setting.
pub(crate) struct Cell {
    pub(crate) contender: &'static str,
    pub(crate) column: usize,
    batch: Batch,
    /// One number a round.
    pub(crate) samples: Vec<f64>,
}

/// One table: an operation in several settings (columns), by several contenders.
pub(crate) struct Family {
    pub(crate) title: &'static str,
    /// What is inside the timed part, and what the floor is.
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) columns: Vec<String>,
    pub(crate) cells: Vec<Cell>,
}

impl Family {
    pub(crate) fn new(title: &'static str, unit: &'static str, what: &'static str) -> Self {
        Self { title, what, unit, columns: Vec::new(), cells: Vec::new() }
    }

    /// The column with this heading, which is made if there is none.
    pub(crate) fn column(&mut self, heading: &str) -> usize {
        self.find_column(heading).unwrap_or_else(|| {
            self.columns.push(heading.to_owned());
            self.columns.len() - 1
        })
    }

    pub(crate) fn find_column(&self, heading: &str) -> Option<usize> {
        self.columns.iter().position(|it| it == heading)
    }

    pub(crate) fn add(
        &mut self,
        contender: &'static str,
        column: usize,
        batch: impl FnMut() -> f64 + 'static,
    ) {
        self.cells.push(Cell { contender, column, batch: Box::new(batch), samples: Vec::new() });
    }

    /// Drops the cells that `filter` does not ask for.
    pub(crate) fn keep(&mut self, filter: &str) {
        let (title, columns) = (self.title, &self.columns);
        self.cells.retain(|cell| format!("{title}: {}", columns[cell.column]).contains(filter));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(crate) fn cell(&self, contender: &str, column: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.contender == contender && cell.column == column)
    }

    /// Runs each cell once. Contenders of one column follow one another, so that they meet the same
    /// machine; who goes first changes from round to round.
    fn round(&mut self, round: usize) {
        for column in 0..self.columns.len() {
            let mut cells: Vec<&mut Cell> =
                self.cells.iter_mut().filter(|cell| cell.column == column).collect();
            if cells.is_empty() {
                continue;
            }
            let first = round % cells.len();
            cells.rotate_left(first);
            for cell in cells {
                stir_heap();
                let sample = (cell.batch)();
                cell.samples.push(sample);
            }
        }
    }
}

/// Runs all cells `rounds` times, after one round that is thrown away.
pub(crate) fn run(families: &mut [Family], rounds: usize) {
    for round in 0..=rounds {
        FIRST_CORE.store(round, Ordering::Relaxed);
        for family in families.iter_mut() {
            family.round(round);
            if round == 0 {
                family.cells.iter_mut().for_each(|cell| cell.samples.clear());
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
/// something else then spoils half of the rounds of everybody, and not all rounds of somebody.
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

/// Binds this thread to a core, counted from the round's first.
pub(crate) fn pin(nth: usize) {
    let cores = core_ids();
    if !cores.is_empty() {
        let nth = nth + FIRST_CORE.load(Ordering::Relaxed);
        core_affinity::set_for_current(cores[nth % cores.len()]);
    }
}

/// The load averages, where the system tells them.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
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
pub(crate) fn alone<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(0);
            f()
        });
        thread.join().expect("a measured thread")
    })
}

/// Runs `f` on the main thread. Big trees live there: the C library gives the memory of other threads
/// back to the system whatever it is told, and the next tree would pay for getting it again.
pub(crate) fn on_main<R>(f: impl FnOnce() -> R) -> R {
    pin(0);
    f()
}

/// Gives the next objects other places in memory: two words of one object that share a cache line
/// in one place are on two lines in another, which changes the time of some contenders tenfold.
fn stir_heap() {
    use core::cell::RefCell;
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

/// What the samples of a cell say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// `None` without samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |part: f64| sorted[(last as f64 * part).round() as usize];
        Some(Self { min: at(0.0), low: at(0.25), median: at(0.5), high: at(0.75), max: at(1.0) })
    }
}

/// The median over the rounds of a contender's time in units of the floor's in that same round.
pub(crate) fn ratio(cell: &Cell, floor: &Cell) -> Option<f64> {
    let ratios: Vec<f64> =
        cell.samples.iter().zip(&floor.samples).map(|(own, floor)| own / floor).collect();
    Summary::of(&ratios).map(|it| it.median)
}
