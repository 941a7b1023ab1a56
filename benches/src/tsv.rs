//! The file that a run leaves: tab-separated lines, each of which says what it is in its first field.
//!
//! ```text
//! machine  <name>   <value>
//! table    <title>  <unit>  <axis, or nothing>  <chapter>  <what is timed>
//! cell     <heading of its column>  <place on the axis, or nothing>  <contender>  <numbers, by spaces>
//! ```
//!
//! A cell belongs to the last table before it, and a table takes the place of an earlier one with its
//! title: so what was found later, by a build or by another run, is appended.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::results::{Cell, Results, Table};

pub(crate) fn write(path: &Path, results: &Results) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    fs::write(path, text(results)).with_context(|| format!("writing {}", path.display()))
}

pub(crate) fn read(path: &Path) -> Result<Results> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut results = Results::default();
    for (nth, line) in text.lines().enumerate() {
        let at = || format!("{}, line {}", path.display(), nth + 1);
        parse(&mut results, line).with_context(at)?;
    }
    Ok(results)
}

fn text(results: &Results) -> String {
    let mut lines = Vec::new();
    for (name, value) in &results.machine {
        lines.push(line(&["machine", name, value]));
    }
    for table in &results.tables {
        let axis = table.axis.as_deref().unwrap_or_default();
        lines.push(line(&["table", &table.title, &table.unit, axis, &table.chapter, &table.what]));
        for cell in &table.cells {
            let column = &table.columns[cell.column];
            let x = column.x.map(|x| x.to_string()).unwrap_or_default();
            let samples: Vec<String> = cell.samples.iter().map(|it| number(*it)).collect();
            let samples = samples.join(" ");
            lines.push(line(&["cell", &column.heading, &x, &cell.contender, &samples]));
        }
    }
    lines.concat()
}

/// No field may end itself or the line.
fn line(fields: &[&str]) -> String {
    let clean: Vec<String> = fields.iter().map(|it| it.replace(['\t', '\n'], " ")).collect();
    clean.join("\t") + "\n"
}

/// A thousandth of a nanosecond is less than a sample knows, but for what is divided by a million.
fn number(value: f64) -> String {
    let text = if value < 1.0 { format!("{value:.6}") } else { format!("{value:.3}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn parse(results: &mut Results, line: &str) -> Result<()> {
    let fields: Vec<&str> = line.split('\t').collect();
    match *fields {
        ["machine", name, value] => results.machine.push((name.to_owned(), value.to_owned())),
        ["table", title, unit, axis, chapter, what] => {
            results.tables.retain(|table| table.title != title);
            results.tables.push(Table {
                chapter: chapter.to_owned(),
                title: title.to_owned(),
                unit: unit.to_owned(),
                axis: Some(axis.to_owned()).filter(|axis| !axis.is_empty()),
                what: what.to_owned(),
                ..Table::default()
            });
        }
        ["cell", heading, x, contender, samples] => {
            let table = results.tables.last_mut().ok_or_else(|| anyhow!("a cell of no table"))?;
            let x = if x.is_empty() { None } else { Some(x.parse()?) };
            let column = table.column(heading, x);
            let samples = samples.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            table.cells.push(Cell { contender: contender.to_owned(), column, samples });
        }
        _ => bail!("this is no line of a benchmark's file"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut table = Table {
            chapter: "Waiting".to_owned(),
            title: "Register".to_owned(),
            unit: "ns".to_owned(),
            axis: Some("waiters".to_owned()),
            what: "Timed: all.".to_owned(),
            ..Table::default()
        };
        for (heading, x, samples) in [("10", Some(10.0), vec![1.5, 2.0]), ("idle", None, vec![3.0])]
        {
            let column = table.column(heading, x);
            table.cells.push(Cell { contender: "winddown".to_owned(), column, samples });
        }
        let machine = vec![("cores".to_owned(), "2".to_owned())];
        let written = Results { machine, tables: vec![table] };

        let mut read = Results::default();
        text(&written).lines().for_each(|line| parse(&mut read, line).expect("a good line"));
        assert_eq!(read, written);
    }

    #[test]
    fn a_cell_without_a_table_is_refused() {
        let mut results = Results::default();
        assert!(parse(&mut results, "cell\t1 thread\t1\twinddown\t1.5").is_err());
    }
}
