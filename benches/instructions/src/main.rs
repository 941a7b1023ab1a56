//! The operations whose instructions `cargo xtask instructions` counts.
//!
//! Times vary with the machine and with its load, so a benchmark cannot show a small loss. The number of
//! instructions of a program without threads does not vary. It is not the time: an atomic
//! read-modify-write, or a load from a cache line that another core wrote, counts as one instruction.
//!
//! A row is some operations between a call of [`counting_begins`] and one of [`counting_ends`]. The program
//! prints the row's name, how many operations it did, and how many allocations they made. The program itself
//! counts no instructions: xtask runs it under valgrind's callgrind, which writes the number of instructions
//! between the two calls. To see where the instructions of some rows go, give a part of their names:
//!
//! ```console
//! $ cargo build --profile instructions -p winddown-instructions
//! $ valgrind --tool=callgrind --callgrind-out-file=out --zero-before='*counting_begins*' \
//!     --dump-before='*counting_ends*' target/instructions/winddown-instructions 'Signal: first wait'
//! $ callgrind_annotate out.2
//! ```
//!
//! The loop around an operation is counted with it; the row `nothing` shows how much that is.

mod counting;
mod memory;
mod subjects;
mod trees;
mod waiting;

use std::hint::black_box;

fn main() {
    let table = Table { filter: std::env::args().nth(1).unwrap_or_default() };
    table.each("nothing", || (), |()| ());
    counting::rows(&table);
    waiting::rows(&table);
    trees::rows(&table);
}

/// How many operations a row is, if nothing else decides that.
const OPS: usize = 100;

/// How many waits are a crowd.
const CROWD: usize = 1_000;

/// The rows whose names have the filter in them.
struct Table {
    filter: String,
}

impl Table {
    /// A row of `ops` operations: `run`, on what `prepare` makes.
    #[inline(never)]
    fn row<T>(
        &self,
        name: &str,
        ops: usize,
        mut prepare: impl FnMut() -> T,
        mut run: impl FnMut(&mut T),
    ) {
        if !name.contains(&self.filter) {
            return;
        }
        // Twice: the first time also pays for what happens once in a process, and xtask leaves it out.
        let mut allocations = 0;
        for _ in 0..2 {
            let mut prepared = prepare();
            let before = memory::allocations();
            counting_begins();
            run(black_box(&mut prepared));
            counting_ends();
            allocations = memory::allocations() - before;
        }
        println!("{name}\t{ops}\t{allocations}");
    }

    /// A row of `OPS` operations, each on a subject of its own.
    fn each<T>(&self, name: &str, mut subject: impl FnMut() -> T, mut op: impl FnMut(&mut T)) {
        let subjects = || (0..OPS).map(|_| subject()).collect::<Vec<T>>();
        self.row(name, OPS, subjects, |subjects| {
            for subject in subjects {
                op(black_box(subject));
            }
        });
    }

    /// A row of `OPS` operations on one subject.
    fn again<T>(&self, name: &str, subject: impl FnMut() -> T, mut op: impl FnMut(&T)) {
        self.row(name, OPS, subject, |subject| {
            for _ in 0..OPS {
                op(black_box(&*subject));
            }
        });
    }

    /// A row for the drop of each of `number` subjects, first made first.
    fn drops<T>(&self, name: &str, number: usize, mut subject: impl FnMut() -> T) {
        let subjects = || (0..number).map(|_| subject()).collect::<Vec<T>>();
        self.row(name, number, subjects, Vec::clear);
    }
}

/// From here on callgrind counts. The two bodies differ, so that the compiler does not merge them.
#[inline(never)]
fn counting_begins() {
    black_box("begins");
}

/// Up to here callgrind counts.
#[inline(never)]
fn counting_ends() {
    black_box("ends");
}
