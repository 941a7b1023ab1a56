//! The README's section: ten rows and one plot. The page of the crate shows them too, where no relative path leads
//! anywhere: the plot is referred to by a name, which the README defines at its end.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use crate::report::{Machine, plot};
use crate::results::{Cell, FLOOR, Side, Summary, Table, digits, ratio};

pub(super) const BEGIN: &str = "<!-- written by `cargo xtask bench --report`: begin -->\n";
pub(super) const END: &str = "<!-- end -->\n";

/// What a row is called, its table, how the heading of its column begins, and which of ours is shown.
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
        "a turn of `select!` on a token, 16 threads",
        "A turn of `select!` over a token, a handle each",
        "16 threads",
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
        "TCP, ",
        "winddown TaskGroup",
    ],
];

/// What the plot has, side by side, and what it is called.
const PANELS: [&str; 2] = ["Enter and leave a group", "Register waiters"];
const PLOT: &str = "bench-readme";

pub(super) fn update(root: &Path, machines: &[Machine<'_>]) -> Result<()> {
    let path = root.join("README.md");
    let readme =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let missing = || anyhow!("{} has no place for the benchmarks", path.display());
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;

    let mut section = rows(machines);
    let widest = machines.iter().max_by_key(|machine| cores(**machine).parse::<usize>().ok());
    if let Some(machine) = widest {
        section += &drawn(root, *machine)?;
    }
    fs::write(&path, format!("{before}{BEGIN}{section}{END}{after}"))
        .with_context(|| format!("writing {}", path.display()))
}

fn cores(machine: Machine<'_>) -> &str {
    machine.results.about("cores")
}

fn drawn(root: &Path, machine: Machine<'_>) -> Result<String> {
    let panels = PANELS.iter().filter_map(|title| machine.results.table(title));
    let panels: Vec<&Table> = panels.collect();
    if panels.is_empty() {
        return Ok(String::new());
    }
    plot::draw(&root.join(format!("docs/{PLOT}.svg")), &panels)?;
    Ok(format!(
        "\n![Two plots of nanoseconds on {} cores: {}.][{PLOT}]\n",
        cores(machine),
        PANELS.join("; ").to_lowercase()
    ))
}

fn rows(machines: &[Machine<'_>]) -> String {
    let mut text = String::from("Nanoseconds, medians of one run on each machine.");
    for machine in machines {
        let about = |key| machine.results.about(key);
        let date = about("date").split('T').next().unwrap_or_default();
        let (processor, rounds) = (about("processor"), about("rounds"));
        text += &format!(" {} cores: {processor}, {rounds} rounds, {date}.", cores(*machine));
    }
    text += "\n\n|";
    for machine in machines {
        text += &format!(" | winddown, {} cores | fastest rival", cores(*machine));
    }
    text += &format!(" |\n|---|{}\n", "--:|---|".repeat(machines.len()));
    for [name, title, heading, ours] in ROWS {
        let cells = machines.iter().map(|machine| {
            machine.results.table(title).and_then(|table| row(table, heading, ours))
        });
        let cells: Vec<_> = cells.collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| " | ".to_owned()));
            text += &format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    text
}

fn row(table: &Table, heading: &str, ours: &str) -> Option<String> {
    let column = table.columns.iter().position(|it| it.heading.starts_with(heading))?;
    let (floor, ours) = (table.cell(FLOOR, column)?, table.cell(ours, column)?);
    let rivals = table.cells.iter().filter(|cell| cell.column == column);
    let rivals = rivals.filter(|cell| Side::of(&cell.contender) == Side::Rival);
    let median = |cell: &Cell| Summary::of(&cell.samples).map_or(f64::INFINITY, |it| it.median);
    let best = rivals.min_by(|one, other| median(one).total_cmp(&median(other)))?;
    let shown = |cell: &Cell| {
        let ratio = ratio(cell, floor).map(|it| format!(" ×{}", digits(it)));
        format!("{}{}", digits(median(cell)), ratio.unwrap_or_default())
    };
    Some(format!("{} | {}: {}", shown(ours), best.contender, shown(best)))
}
