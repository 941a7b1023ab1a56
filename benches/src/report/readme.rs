//! The README's section: ten rows. It has no link and no plot, since the page of the crate shows it too.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use crate::report::Machine;
use crate::results::{Cell, FLOOR, Side, Summary, Table, digits, ratio};

pub(super) const BEGIN: &str = "<!-- written by `cargo xtask bench --report`: begin -->\n";
pub(super) const END: &str = "<!-- end -->\n";

/// What a row is called, its table, its column, and which of ours is shown.
const ROWS: [[&str; 4]; 10] = [
    ["enter and leave a `TaskGroup`", "Enter and leave a group", "1 thread", "winddown TaskGroup"],
    ["the same, 16 threads", "Enter and leave a group", "16 threads", "winddown TaskGroup"],
    [
        "spawn 10,000 tracked tasks and drain, tokio, 2 workers, each",
        "Spawn tracked tasks and drain",
        "tokio, 2 workers",
        "winddown TaskGroup",
    ],
    ["ask an open `Signal`", "Ask an open signal", "1 thread", "winddown Signal"],
    [
        "a turn of `select!` on a token, 2 threads",
        "A turn of `select!` over a token, a handle each",
        "2 threads",
        "winddown CancelToken",
    ],
    ["register, each of 10,000 waiters", "Register waiters", "10,000 waiters", "winddown Signal"],
    ["wake, each of 10,000 waiters", "Wake waiters", "10,000 waiters", "winddown Signal"],
    [
        "drop while pending, each of 10,000 waiters",
        "Drop waiters that are still pending",
        "10,000 waiters",
        "winddown Signal",
    ],
    [
        "the life of 1,000 cancelled children with a waiter each, each",
        "The whole life of children with a waiter each",
        "1,000 children",
        "winddown CancelToken",
    ],
    [
        "a request of an HTTP server over TCP",
        "Requests of an HTTP server",
        "TCP, 2 workers",
        "winddown TaskGroup",
    ],
];

pub(super) fn update(root: &Path, machine: Machine<'_>) -> Result<()> {
    let path = root.join("README.md");
    let readme =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let missing = || anyhow!("{} has no place for the benchmarks", path.display());
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;

    let section = rows(machine);
    fs::write(&path, format!("{before}{BEGIN}{section}{END}{after}"))
        .with_context(|| format!("writing {}", path.display()))
}

fn rows(machine: Machine<'_>) -> String {
    let about = |key| machine.results.about(key);
    let mut text = format!(
        "Nanoseconds on {}, {} cores; medians of {} rounds, {}.\n\n\
         | | floor | winddown | fastest rival |\n|---|--:|--:|---|\n",
        about("processor"),
        about("cores"),
        about("rounds"),
        about("date").split('T').next().unwrap_or_default(),
    );
    for [name, title, heading, ours] in ROWS {
        let row = machine.results.table(title).and_then(|table| row(table, heading, ours));
        text += &row.map(|row| format!("| {name} | {row} |\n")).unwrap_or_default();
    }
    text
}

fn row(table: &Table, heading: &str, ours: &str) -> Option<String> {
    let column = table.columns.iter().position(|it| it.heading == heading)?;
    let (floor, ours) = (table.cell(FLOOR, column)?, table.cell(ours, column)?);
    let rivals = table.cells.iter().filter(|cell| cell.column == column);
    let rivals = rivals.filter(|cell| Side::of(&cell.contender) == Side::Rival);
    let median = |cell: &Cell| Summary::of(&cell.samples).map_or(f64::INFINITY, |it| it.median);
    let best = rivals.min_by(|one, other| median(one).total_cmp(&median(other)))?;
    let shown = |cell: &Cell| {
        let ratio = ratio(cell, floor).map(|it| format!(" ×{}", digits(it)));
        format!("{}{}", digits(median(cell)), ratio.unwrap_or_default())
    };
    Some(format!(
        "{} | {} | {}: {}",
        digits(median(floor)),
        shown(ours),
        best.contender,
        shown(best)
    ))
}
