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

use crate::results::{Results, Table};

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
    readme::update(root, machines[0])
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
    let mut chapters: Vec<&str> = Vec::new();
    for table in &results.tables {
        if !chapters.contains(&&*table.chapter) {
            chapters.push(&table.chapter);
        }
    }
    chapters
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
