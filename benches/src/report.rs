//! What a stranger reads: a document, its plots, and the part of the README.

mod ahead;
mod document;
mod growth;
mod palette;
mod plot;
mod readme;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::results::{Results, Table, distinct};

/// One run in a report, under a letter.
#[derive(Clone, Copy)]
struct Machine<'a> {
    letter: char,
    results: &'a Results,
}

impl Machine<'_> {
    fn name(self) -> String {
        let (processor, cores) = (self.results.about("processor"), self.results.about("cores"));
        format!("{}: {processor}, {cores} cores", self.letter)
    }
}

/// Writes `docs/benchmarks.md`, its plots and the README's section, below `root`.
pub(crate) fn write(root: &Path, runs: &[Results]) -> Result<()> {
    ensure!(!runs.is_empty(), "a report needs a run");
    let machines: Vec<Machine<'_>> =
        ('A'..).zip(runs).map(|(letter, results)| Machine { letter, results }).collect();
    let docs = root.join("docs");
    remove_plots(&docs)?;
    for machine in &machines {
        for chapter in chapters(machine.results) {
            let tables: Vec<&Table> = drawn(machine.results, chapter);
            if !tables.is_empty() {
                plot::draw(&docs.join(plot_file(*machine, chapter)), &tables)?;
            }
        }
    }
    let path = docs.join("benchmarks.md");
    let text = document::text(&machines);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    readme::update(root, &machines)
}

/// Plots of an earlier report, some of which this one may not have.
fn remove_plots(docs: &Path) -> Result<()> {
    for entry in fs::read_dir(docs).with_context(|| format!("looking into {}", docs.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("bench-") && name.ends_with(".svg") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Each once, in the order of their first tables.
fn chapters(results: &Results) -> Vec<&str> {
    distinct(results.tables.iter().map(|table| &*table.chapter))
}

/// The tables of a chapter that have an axis, and two places on it.
fn drawn<'a>(results: &'a Results, chapter: &str) -> Vec<&'a Table> {
    let of_chapter = results.tables.iter().filter(|table| table.chapter == chapter);
    let drawable = |table: &&Table| {
        table.axis.is_some() && table.contenders().iter().any(|it| table.line(it).len() > 1)
    };
    of_chapter.filter(drawable).collect()
}

fn plot_file(machine: Machine<'_>, chapter: &str) -> String {
    let letter = machine.letter.to_ascii_lowercase();
    format!("bench-{letter}-{}.svg", chapter.to_lowercase().replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Cell;

    fn run(contenders: &[(&str, f64)]) -> Results {
        let mut table = Table {
            chapter: "Groups".to_owned(),
            title: "Enter and leave a group".to_owned(),
            unit: "ns".to_owned(),
            axis: Some("threads".to_owned()),
            ..Table::default()
        };
        for (heading, x) in [("1 thread", 1.0), ("2 threads", 2.0)] {
            let column = table.column(heading, Some(x));
            for (contender, time) in contenders {
                let (contender, samples) = ((*contender).to_owned(), vec![*time; 3]);
                table.cells.push(Cell { contender, column, samples });
            }
        }
        Results { machine: vec![("cores".to_owned(), "2".to_owned())], tables: vec![table] }
    }

    #[test]
    fn two_machines_fill_the_document_the_plots_and_the_readme() -> Result<()> {
        let root = tempfile::tempdir()?;
        let readme = root.path().join("README.md");
        fs::create_dir(root.path().join("docs"))?;
        fs::write(&readme, format!("before\n{}old\n{}after\n", readme::BEGIN, readme::END))?;

        let one = run(&[("floor", 5.0), ("winddown TaskGroup", 20.0), ("TaskTracker", 10.0)]);
        let other = run(&[("floor", 5.0), ("winddown TaskGroup", 6.0), ("TaskTracker", 10.0)]);
        write(root.path(), &[one, other])?;

        let text = fs::read_to_string(root.path().join("docs/benchmarks.md"))?;
        let behind =
            "| Enter and leave a group | TaskGroup | 1 thread to 2 threads: TaskTracker ×2.00";
        assert_eq!(text.matches(behind).count(), 1, "on the first machine alone:\n{text}");
        for plot in ["bench-a-groups.svg", "bench-b-groups.svg"] {
            assert!(fs::read_to_string(root.path().join("docs").join(plot))?.contains("<svg"));
        }
        let readme = fs::read_to_string(readme)?;
        assert!(readme.starts_with("before\n") && readme.ends_with("after\n"));
        let row = "| 20.0 ×4.00 | TaskTracker: 10.0 ×2.00 | 6.00 ×1.20 | TaskTracker: 10.0 ×2.00 |";
        assert!(readme.contains(row), "{readme}");
        assert_eq!(readme.matches("\n| ").count(), 2, "a head and a row: {readme}");
        Ok(())
    }
}
