//! The output: Markdown for people, JSON for scripts.

use serde_json::{Value, json};

use crate::harness::{self, Cell, FLOOR, Family, Summary};
use crate::memory::{Heap, Taken, TakenByTree};

pub(crate) fn print_header(rounds: usize, load_before: &str) {
    println!("{}, {} cores, {}.", processor(), harness::cores(), std::env::consts::OS);
    println!(
        "{rounds} rounds; median (quartiles) and, after ×, the ratio to the floor. Load {load_before} \
         before, {} after.",
        harness::load(),
    );
    println!("Columns with more threads than cores share the {} cores.", harness::cores());
    let rivals = [
        "tokio",
        "tokio-util",
        "async-executor",
        "wg",
        "crossbeam-utils",
        "waitgroup",
        "event-listener",
        "triggered",
        "futures-intrusive",
    ];
    let versions: Vec<String> =
        rivals.iter().map(|name| format!("{name} {}", version(name))).collect();
    println!("Beside: {}.", versions.join(", "));
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": ")).map(|(_, name)| name.to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// What the lock file says; the newest if it has several.
fn version(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = format!("name = \"{name}\"\nversion = \"");
    lock.rsplit_once(&entry)
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("?", |(version, _)| version)
}

pub(crate) fn print_family(family: &Family) {
    println!("\n### {} ({})\n\n{}\n", family.title, family.unit, family.what);
    let columns: Vec<usize> = (0..family.columns.len())
        .filter(|column| family.cells.iter().any(|cell| cell.column == *column))
        .collect();
    let headings: Vec<&str> = columns.iter().map(|it| family.columns[*it].as_str()).collect();
    println!("| | {} |", headings.join(" | "));
    println!("|---|{}", "--:|".repeat(columns.len()));
    for contender in contenders(family) {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                let cell = family.cell(contender, *column);
                cell.map_or_else(String::new, |cell| show(cell, family.cell(FLOOR, *column)))
            })
            .collect();
        println!("| {contender} | {} |", cells.join(" | "));
    }
}

fn contenders(family: &Family) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for cell in &family.cells {
        if !names.contains(&cell.contender) {
            names.push(cell.contender);
        }
    }
    names
}

fn show(cell: &Cell, floor: Option<&Cell>) -> String {
    let Some(it) = Summary::of(&cell.samples) else { return String::new() };
    let times = format!("{} ({}–{})", digits(it.median), digits(it.low), digits(it.high));
    match floor.filter(|_| cell.contender != FLOOR).and_then(|it| harness::ratio(cell, it)) {
        Some(ratio) => format!("{times} ×{ratio:.2}"),
        None => times,
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub(crate) fn print_memory(all: &[Taken]) {
    println!("\n### Memory (allocations / bytes)\n");
    println!(
        "Counted by the allocator: calls, and bytes asked for and not yet given back. Unwaited: \
         entering, leaving, asking and ending one while nobody waits. Waits: made and polled once, \
         without the place of the future itself.\n",
    );
    println!(
        "| | inline | making one | unwaited use | a wait, inline | first wait | each further |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for it in all {
        let waits = it.waits.as_ref().map_or_else(
            || "– | – | –".to_owned(),
            |waits| {
                let (first, further) = (heap(waits.first), heap(waits.further));
                format!("{} B | {first} | {further}", waits.inline)
            },
        );
        let (made, unwaited) = (heap(it.made), heap(it.unwaited));
        println!("| {} | {} B | {made} | {unwaited} | {waits} |", it.contender, it.inline);
    }
}

pub(crate) fn print_memory_of_trees(all: &[TakenByTree]) {
    println!("\n### Memory of a tree (allocations / bytes)\n");
    println!(
        "Counted as above, for each of a thousand children of one root, a vector of children in the \
         root included. The last column has the child and its one waiter.\n",
    );
    println!("| | a handle, inline | a root | an idle child | a child with one waiter |");
    println!("|---|--:|--:|--:|--:|");
    for it in all {
        let (root, child, waited) = (heap(it.root), heap(it.child), heap(it.waited));
        println!("| {} | {} B | {root} | {child} | {waited} |", it.contender, it.inline);
    }
}

fn heap(heap: Heap) -> String {
    let number = |value: f64| {
        if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
    };
    format!("{} / {}", number(heap.allocations), number(heap.bytes))
}

pub(crate) fn json(families: &[Family]) -> Value {
    let mut rows = Vec::new();
    for family in families {
        for cell in &family.cells {
            let Some(it) = Summary::of(&cell.samples) else { continue };
            let floor = family.cell(FLOOR, cell.column);
            rows.push(json!({
                "table": family.title,
                "column": family.columns[cell.column],
                "unit": family.unit,
                "contender": cell.contender,
                "median": it.median,
                "quartiles": [it.low, it.high],
                "range": [it.min, it.max],
                "ratio": floor.and_then(|floor| harness::ratio(cell, floor)),
                "samples": cell.samples,
            }));
        }
    }
    Value::Array(rows)
}
