//! `docs/benchmarks.md`.

use crate::report::{Machine, ahead, chapters, drawn, growth, plot_file};
use crate::results::{FLOOR, Side, Table, digits, distinct, ratios};
use crate::table;

const HEAD: &str = "\
# Benchmarks

Written by `cargo xtask bench --report`; nothing here is typed by hand, so nothing is left out.

How it is measured: all contenders of a row run in each round, one after the other, in another order
each time, so that whatever else the machine does meets all of them. A number is the median over the
rounds, with the quartiles in brackets; after × stands the ratio to the floor of the same column, the
median of the ratios inside each round. The floor is the least that the hardware, the kernel or the
runtime asks for the same effect; what it is in each table is said there, as is what is timed and what
is not. Less is better in every table. Wakers do nothing. Where there are more threads than cores, the
threads share the cores, and the time of a core is what is shown.

In the plots ours are the thick lines, rivals the thin ones, floors are dashed; both axes are
logarithmic.
";

const COMMANDS: &str = "\
## How to make it

```console
$ cargo xtask bench                        # six minutes, on a busy machine up to twelve
$ cargo xtask bench --report               # the same, and writes this document from it
$ cargo xtask bench --report a.tsv b.tsv   # runs nothing: writes it from saved runs, one a machine
$ cargo xtask bench --filter waiters       # some rows; see --help
```

A run leaves every sample in `target/benchmarks.tsv`, or where `--tsv` says.

For another machine, one file that needs nothing beside it, not even a C library:

```console
$ RUSTFLAGS=\"-C target-feature=+crt-static\" cargo build --release -p winddown-benches \\
      --target x86_64-unknown-linux-gnu
$ target/x86_64-unknown-linux-gnu/release/winddown-benches --tsv b.tsv     # over there
```

`CARGO_PROFILE_RELEASE_LTO=fat` before any of these builds with link-time optimisation; the table of
machines says how each was built.
";

const SCORE: &str = "\
One of our contenders in one column counts once, against the best rival there. Ahead and behind mean
by more than 5 % in the median of the ratios inside each round, and in three of four rounds; what is
neither is level. Some rivals do less than what they stand beside: a counter without a wait for a
closed group, a list without a flag.
";

const AHEAD: &str = "\
Every column in which any rival is ahead of any of our contenders, by the rule above. The rival that is
furthest ahead is named, with how many times as much ours takes, from the least to the most where it
is several columns that follow one another; (+2) says that up to two more are ahead as well.
";

const GROWTH: &str = "\
The exponent is that of the power law that fits the medians of a line best: 0 is flat, 1 grows as the
axis does; the step is the steepest from one column to the next.
";

pub(super) fn text(machines: &[Machine<'_>]) -> String {
    let mut text = format!("{HEAD}\n{COMMANDS}\n## Machines\n\n");
    text += &about(machines);
    text += &format!("\n## At a glance\n\n{SCORE}");
    for machine in machines {
        let score = ahead::score(machine.results, &chapters(machine.results));
        text += &format!("\n**{}**\n\n{score}", machine.name());
    }
    text += &format!("\n## Where a rival is ahead\n\n{AHEAD}");
    for machine in machines {
        text += &format!("\n**{}**\n\n{}", machine.name(), ahead::list(machine.results));
    }
    for chapter in distinct(machines.iter().flat_map(|it| chapters(it.results))) {
        text += &format!("\n## {chapter}\n");
        text += &chapter_text(machines, chapter);
    }
    text
}

fn about(machines: &[Machine<'_>]) -> String {
    let mut text = String::from("| |");
    machines.iter().for_each(|it| text += &format!(" {} |", it.letter));
    text += &format!("\n|---|{}\n", "---|".repeat(machines.len()));
    for (key, _) in &machines[0].results.machine {
        text += &format!("| {key} |");
        machines.iter().for_each(|it| text += &format!(" {} |", it.results.about(key)));
        text += "\n";
    }
    text
}

fn chapter_text(machines: &[Machine<'_>], chapter: &str) -> String {
    let mut text = String::new();
    for machine in machines.iter().filter(|it| !drawn(it.results, chapter).is_empty()) {
        let file = plot_file(*machine, chapter);
        text += &format!("\n![{chapter}, machine {}]({file})\n", machine.letter);
    }
    let tables = machines.iter().flat_map(|it| &it.results.tables);
    let titles = tables.filter(|table| table.chapter == chapter).map(|table| &*table.title);
    for title in distinct(titles) {
        text += &table_text(machines, title);
    }
    text
}

fn table_text(machines: &[Machine<'_>], title: &str) -> String {
    let mut text = String::new();
    for machine in machines {
        let Some(table) = machine.results.table(title) else { continue };
        if text.is_empty() {
            text += &format!("\n### {title} ({})\n\n{}\n", table.unit, table.what);
        }
        if machines.len() > 1 {
            text += &format!("\n**{}**\n", machine.name());
        }
        text += &format!("\n{}", table::markdown(table));
        text += &lost(table);
        text += &grows(table);
    }
    text
}

/// What a server gives away to be tracked.
fn lost(table: &Table) -> String {
    if table.unit != "ns per request" {
        return String::new();
    }
    let mut text = "\n| requests per second lost, in % |".to_owned();
    let columns = table.used_columns();
    columns.iter().for_each(|it| text += &format!(" {} |", table.columns[*it].heading));
    text += &format!("\n|---|{}\n", "--:|".repeat(columns.len()));
    for contender in table.contenders().into_iter().filter(|it| Side::of(it) != Side::Floor) {
        text += &format!("| {contender} |");
        for column in &columns {
            let cells = (table.cell(contender, *column), table.cell(FLOOR, *column));
            let ratios = if let (Some(it), Some(floor)) = cells { ratios(it, floor) } else { None };
            let percent = |ratio: f64| format!("{:.1}", 100.0 - 100.0 / ratio);
            let shown = ratios.map(|it| {
                format!("{} ({} to {})", percent(it.median), percent(it.low), percent(it.high))
            });
            text += &format!(" {} |", shown.unwrap_or_default());
        }
        text += "\n";
    }
    text
}

/// For what grows; more threads are no growth.
fn grows(table: &Table) -> String {
    let Some(axis) = table.axis.as_deref().filter(|axis| *axis != "threads") else {
        return String::new();
    };
    let mut rows = String::new();
    for contender in table.contenders() {
        let line = table.line(contender);
        let both = (growth::exponent(&line), growth::worst_step(&line));
        if let (Some(exponent), Some(step)) = both {
            // No "-0.00".
            let exponent = (exponent * 100.0).round() / 100.0 + 0.0;
            rows += &format!("| {contender} | {exponent:.2} | ×{} |\n", digits(step));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let head = format!("| by {axis} | exponent | steepest step |\n|---|--:|--:|\n");
    format!("\n<details><summary>How it grows</summary>\n\n{GROWTH}\n{head}{rows}\n</details>\n")
}
