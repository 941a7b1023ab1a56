//! `winddown`, its rivals and the bare hardware, measured side by side in one run.
//!
//! criterion and divan finish one contender before they start the next, so that whatever else the
//! machine did meanwhile lands on one of them. Here every round runs every contender of every row
//! once, in another order each time, and what is reported is the median over the rounds, with its
//! quartiles; a ratio to the floor is the median of the ratios inside each round. That wants a
//! harness of its own, [`harness`]; everything else here is rows.
//!
//! The numbers are printed and never judged: a slow machine fails nothing. They can be kept in a file,
//! [`tsv`], from which [`report`] makes the document in `docs/`; so a run can be made on a machine that
//! has no compiler, by a static binary.

extern crate alloc;

mod blocking;
mod counting;
mod crowd;
mod draining;
mod floors;
mod harness;
mod http;
mod looking;
mod machine;
mod memory;
mod report;
mod results;
mod rounds;
mod rows;
mod subjects;
mod table;
mod tasks;
mod trees;
mod tsv;
mod waiting;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::harness::{Family, Scale};
use crate::results::Results;

/// Measures winddown beside its rivals and prints tables in Markdown.
#[derive(Debug, Parser)]
struct Args {
    /// Few rounds of small batches: shows that everything runs, not how fast.
    #[arg(long)]
    quick: bool,
    /// How many rounds; every contender runs once in each.
    #[arg(long)]
    rounds: Option<usize>,
    /// Only the rows whose table or column has this in its title.
    #[arg(long, default_value = "")]
    filter: String,
    /// Writes every number as JSON too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes every number as tab-separated lines too, for `--report`.
    #[arg(long)]
    tsv: Option<PathBuf>,
    /// Runs nothing: renders such files, one a machine, as docs/benchmarks.md, its plots and the
    /// README's rows, below the working directory.
    #[arg(long, num_args = 1.., value_name = "TSV")]
    report: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if !args.report.is_empty() {
        let runs = args.report.iter().map(|path| tsv::read(path)).collect::<Result<Vec<_>>>()?;
        return report::write(Path::new("."), &runs);
    }
    memory::keep();
    let results = measure(&args)?;
    // Before the tables: a reader that closes its end of the pipe ends the program.
    if let Some(path) = &args.tsv {
        tsv::write(path, &results)?;
    }
    table::print_header(&results);
    results.tables.iter().for_each(table::print_table);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&table::json(&results.tables))?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Results> {
    let mut families = rows::all(Scale::new(args.quick));
    families.iter_mut().for_each(|family| family.keep(&args.filter));
    families.retain(|family| !family.is_empty());
    let counted = "Memory".contains(&args.filter);
    ensure!(counted || !families.is_empty(), "no row has {:?} in its title", args.filter);

    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 25 }).max(1);
    let mut machine = machine::describe(rounds, args.quick);
    harness::run(&mut families, rounds);
    machine.push(("load after".to_owned(), machine::load()));

    let mut tables: Vec<_> = families.into_iter().map(Family::into_table).collect();
    if counted {
        tables.extend(memory::tables());
    }
    Ok(Results { machine, tables })
}
