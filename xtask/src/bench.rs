//! The benchmarks, the sizes that a build tells, and the report of both.

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

use crate::code_size;

/// What a run has, and what becomes of it.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Few rounds of small batches: shows that everything runs, not how fast. Builds nothing for code size.
    #[arg(long)]
    quick: bool,
    /// How many rounds; every contender runs once in each.
    #[arg(long)]
    rounds: Option<usize>,
    /// Only the rows whose table or column has this in its title. "Code size" runs nothing, and adds
    /// the sizes to the file of an earlier run.
    #[arg(long, default_value = "")]
    filter: String,
    /// Writes every number as JSON too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where every number goes as tab-separated lines: `target/benchmarks.tsv`, or `target/some-rows.tsv` with a
    /// filter, if nothing else is said.
    #[arg(long)]
    tsv: Option<PathBuf>,
    /// Renders docs/benchmarks.md, its plots and the README's rows: of these files, one a machine, and
    /// without running anything; or, without a file, of this run, which then is the only machine.
    #[arg(long, num_args = 0.., value_name = "TSV")]
    report: Option<Vec<PathBuf>>,
}

pub(crate) fn bench(sh: &Shell, args: &BenchArgs) -> Result<()> {
    match &args.report {
        Some(files) if !files.is_empty() => report(sh, files),
        wanted => {
            ensure!(
                args.filter.is_empty() || wanted.is_none(),
                "a report has all rows: leave out the filter, or name files"
            );
            let sizes = code_size::TITLE.contains(&args.filter) && !args.quick;
            // The sizes are added to a whole run.
            let is_whole = args.filter.is_empty() || sizes;
            let tsv = if is_whole { "target/benchmarks.tsv" } else { "target/some-rows.tsv" };
            let tsv = args.tsv.clone().unwrap_or_else(|| tsv.into());
            if args.filter.is_empty() || !sizes {
                run(sh, args, &tsv)?;
            }
            if sizes {
                code_size::append(sh, &tsv)?;
            }
            if wanted.is_some() { report(sh, &[&tsv]) } else { Ok(()) }
        }
    }
}

fn run(sh: &Shell, args: &BenchArgs, tsv: &Path) -> Result<()> {
    let filter = &args.filter;
    let quick = args.quick.then_some("--quick");
    let rounds = args.rounds.map(|rounds| format!("--rounds={rounds}"));
    let json = args.json.iter().flat_map(|path| [Path::new("--json"), path]);
    let options = ["--filter", filter].into_iter().chain(quick).chain(rounds.as_deref());
    let cargo = cmd!(sh, "cargo run --quiet --release -p winddown-benches --");
    Ok(cargo.args(options).args(json).arg("--tsv").arg(tsv).run()?)
}

fn report(sh: &Shell, files: &[impl AsRef<Path>]) -> Result<()> {
    let files = files.iter().map(AsRef::as_ref);
    let cargo = cmd!(sh, "cargo run --quiet --release -p winddown-benches -- --report");
    cargo.args(files).run()?;
    println!("docs/benchmarks.md, its plots and the README's rows are written.");
    Ok(())
}
