//! The output: Markdown for people, JSON for scripts.

use serde_json::{Value, json};

use crate::results::{self, Cell, FLOOR, Results, Summary, Table, digits, thousands};

pub(crate) fn print_header(results: &Results) {
    let about = |key| results.about(key);
    println!("{}, {} cores, {}.", about("processor"), about("cores"), about("system"));
    println!("{}; winddown at {}; {}.", about("compiler"), about("revision"), about("date"));
    println!(
        "Rounds: {}. Median (quartiles) and, after ×, the ratio to the floor. Load {} before, {} \
         after.",
        about("rounds"),
        about("load before"),
        about("load after"),
    );
    println!("Columns with more threads than cores share the {} cores.", about("cores"));
    println!("Beside: {}.", about("beside"));
}

pub(crate) fn print_table(table: &Table) {
    println!("\n### {} ({})\n\n{}\n", table.title, table.unit, table.what);
    print!("{}", markdown(table));
}

/// A line for each contender and a column for each setting.
pub(crate) fn markdown(table: &Table) -> String {
    let columns = table.used_columns();
    let headings: Vec<&str> = columns.iter().map(|it| &*table.columns[*it].heading).collect();
    let mut text =
        format!("| | {} |\n|---|{}\n", headings.join(" | "), "--:|".repeat(columns.len()));
    for contender in table.contenders() {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                let cell = table.cell(contender, *column);
                cell.map_or_else(String::new, |cell| show(cell, table.cell(FLOOR, *column)))
            })
            .collect();
        text += &format!("| {contender} | {} |\n", cells.join(" | "));
    }
    text
}

fn show(cell: &Cell, floor: Option<&Cell>) -> String {
    let Some(it) = Summary::of(&cell.samples) else { return String::new() };
    if let ([counted], None) = (&*cell.samples, floor) {
        return if counted.fract() == 0.0 {
            thousands(*counted as usize)
        } else {
            digits(*counted)
        };
    }
    let times = format!("{} ({}–{})", digits(it.median), digits(it.low), digits(it.high));
    match floor.filter(|_| cell.contender != FLOOR).and_then(|it| results::ratio(cell, it)) {
        Some(ratio) => format!("{times} ×{}", digits(ratio)),
        None => times,
    }
}

pub(crate) fn json(tables: &[Table]) -> Value {
    let mut rows = Vec::new();
    for table in tables {
        for cell in &table.cells {
            let Some(it) = Summary::of(&cell.samples) else { continue };
            let floor = table.cell(FLOOR, cell.column);
            rows.push(json!({
                "table": table.title,
                "column": table.columns[cell.column].heading,
                "unit": table.unit,
                "contender": cell.contender,
                "median": it.median,
                "quartiles": [it.low, it.high],
                "range": [it.min, it.max],
                "ratio": floor.and_then(|floor| results::ratio(cell, floor)),
                "samples": cell.samples,
            }));
        }
    }
    Value::Array(rows)
}
