//! Which lines and branches of `src` the tests get to.
//!
//! The compiler counts, and LLVM's tools read what was counted; they must be of the compiler's LLVM, or of a later
//! release with the same major number. Counts of branches are an unstable option, which `RUSTC_BOOTSTRAP` allows.
//!
//! Each way to build the crate is counted by itself, since a function has other lines in each. A line counts as
//! covered if it is in one of them. The models and the firmware are not counted: under loom the crate is
//! another one, and LLVM cannot write files on a board.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use xshell::{Shell, cmd};

use crate::{root, target_dir};

/// What to print.
#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    /// Only files whose paths contain this.
    filter: Option<String>,
    /// Each line and branch that is not covered, with its text.
    #[arg(long)]
    missed: bool,
}

/// The ways to build the tests: arguments of cargo, and flags of the compiler.
const BUILDS: [(&str, &[&str], &str); 5] = [
    ("default", &["-p", "winddown"], ""),
    ("features", &["-p", "winddown", "--features", "holders,tracing"], ""),
    (
        "bare",
        &["-p", "winddown", "--no-default-features", "--features", "critical-section,holders"],
        "",
    ),
    (
        "small-word",
        &["-p", "winddown-loom-tests", "--features", "small-word", "--test", "limits"],
        "--cfg winddown_small_word",
    ),
    (
        "born-sharded",
        &["-p", "winddown-loom-tests", "--features", "born-sharded"],
        "--cfg winddown_born_sharded",
    ),
];

const FLAGS: &str = "-Cinstrument-coverage -Zcoverage-options=branch";

/// How often each line ran, and each way out of a branch, which is its line and its number there.
#[derive(Debug, Default)]
struct Counts {
    lines: BTreeMap<usize, u64>,
    branches: BTreeMap<(usize, String), u64>,
}

/// Runs the tests, and prints a table of the files.
pub(crate) fn coverage(sh: &Shell, args: &CoverageArgs) -> Result<()> {
    let tools = Tools::find(sh)?;
    let mut files = BTreeMap::new();
    for (name, arguments, flags) in BUILDS {
        tools.count(sh, name, arguments, flags, &mut files)?;
    }
    files.retain(|path, _| args.filter.as_ref().is_none_or(|it| path.contains(it.as_str())));
    println!("| file | lines | covered | ways out of branches | covered |\n|---|--:|--:|--:|--:|");
    let mut all = [0; 4];
    for (path, counts) in &files {
        let of = counts.summary();
        println!("{}", row(path, of));
        all.iter_mut().zip(of).for_each(|(all, of)| *all += of);
    }
    println!("{}", row("all", all));
    if args.missed {
        for (path, counts) in &files {
            counts.print_missed(path, &sh.read_file(path)?);
        }
    }
    Ok(())
}

fn row(path: &str, [lines, covered, branches, taken]: [usize; 4]) -> String {
    let share = |of: usize, all: usize| match all {
        0 => String::new(),
        _ => format!("{of} ({:.1} %)", 100.0 * of as f64 / all as f64),
    };
    format!(
        "| {path} | {lines} | {} | {branches} | {} |",
        share(covered, lines),
        share(taken, branches)
    )
}

impl Counts {
    fn summary(&self) -> [usize; 4] {
        let covered = self.lines.values().filter(|&&count| count > 0).count();
        let taken = self.branches.values().filter(|&&count| count > 0).count();
        [self.lines.len(), covered, self.branches.len(), taken]
    }

    fn print_missed(&self, path: &str, text: &str) {
        let text: Vec<&str> = text.lines().collect();
        let at = |line: usize| text.get(line - 1).map_or("", |it| it.trim());
        for (&line, _) in self.lines.iter().filter(|it| *it.1 == 0) {
            println!("{path}:{line}: {}", at(line));
        }
        for ((line, way), _) in self.branches.iter().filter(|it| *it.1 == 0) {
            // A line that did not run has no branch that did.
            if self.lines.get(line) != Some(&0) {
                println!("{path}:{line}: way out {way}: {}", at(*line));
            }
        }
    }
}

/// LLVM's tools.
#[derive(Debug)]
struct Tools {
    profdata: String,
    cov: String,
}

impl Tools {
    /// Those that `LLVM_PROFDATA` and `LLVM_COV` name, or Debian's for the compiler's LLVM.
    fn find(sh: &Shell) -> Result<Self> {
        let version = cmd!(sh, "rustc -vV").quiet().read()?;
        let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
        let llvm = llvm.context("rustc does not say which LLVM it has")?;
        let major = llvm.split('.').next().unwrap_or(llvm);
        let tool = |variable: &str, name: &str| {
            std::env::var(variable).unwrap_or_else(|_| format!("{name}-{major}"))
        };
        let tools = Self {
            profdata: tool("LLVM_PROFDATA", "llvm-profdata"),
            cov: tool("LLVM_COV", "llvm-cov"),
        };
        for tool in [&tools.profdata, &tools.cov] {
            if cmd!(sh, "{tool} --version").quiet().ignore_stderr().read().is_err() {
                bail!(
                    "no {tool}; get it with\n  apt-get install -y --no-install-recommends llvm-{major}"
                );
            }
        }
        Ok(tools)
    }

    /// Builds the tests in one way, runs them, and adds what was counted.
    fn count(
        &self,
        sh: &Shell,
        name: &str,
        arguments: &[&str],
        flags: &str,
        files: &mut BTreeMap<String, Counts>,
    ) -> Result<()> {
        let (Self { profdata, cov }, target) = (self, target_dir("coverage"));
        let target = if flags.is_empty() { target } else { target.join(name) };
        let counts = target.join("counts").join(name);
        sh.remove_path(&counts)?;
        sh.create_dir(&counts)?;
        let test = |more: &[&str]| {
            cmd!(
                sh,
                "cargo test --quiet --lib --tests --target-dir {target} {arguments...} {more...}"
            )
            .env("RUSTFLAGS", format!("{FLAGS} {flags}"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("LLVM_PROFILE_FILE", counts.join("%m.profraw"))
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
        };
        let programs = programs(&test(&["--no-run", "--message-format=json"]).read()?)?;
        test(&[]).ignore_stdout().run()?;

        let raw = sh.read_dir(&counts)?;
        let raw = raw.iter().filter(|it| it.extension().is_some_and(|it| it == "profraw"));
        let merged = counts.join("all.profdata");
        cmd!(sh, "{profdata} merge --sparse --output {merged} {raw...}").quiet().run()?;
        let objects = programs.iter().flat_map(|it| [Path::new("--object"), it]);
        let src = root().join("src");
        let export = cmd!(
            sh,
            "{cov} export --format=lcov --instr-profile {merged} {objects...} --sources {src}"
        );
        add(&export.quiet().read()?, files)
    }
}

/// The test programs that cargo built.
fn programs(messages: &str) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if message["profile"]["test"] == true {
            programs.extend(message["executable"].as_str().map(PathBuf::from));
        }
    }
    ensure!(!programs.is_empty(), "cargo built no tests");
    Ok(programs)
}

/// Adds what a file in lcov's format says.
fn add(lcov: &str, files: &mut BTreeMap<String, Counts>) -> Result<()> {
    let mut file = None;
    for line in lcov.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        if key == "SF" {
            let path = Path::new(value).strip_prefix(root())?.display().to_string();
            // Unit tests, and what only models are for.
            let is_test = path.ends_with("/tests.rs") || path.contains("/model");
            file = (!is_test).then(|| files.entry(path).or_default());
        }
        let Some(file) = &mut file else { continue };
        let fields: Vec<&str> = value.split(',').collect();
        match (key, &*fields) {
            ("DA", [line, count, ..]) => {
                let all = file.lines.entry(line.parse()?).or_default();
                *all = all.saturating_add(count.parse()?);
            }
            ("BRDA", [line, block, way, count]) => {
                let count = if *count == "-" { 0 } else { count.parse::<u64>()? };
                let key = (line.parse()?, format!("{block}.{way}"));
                // A count that threads raced for may be below zero, which is a large number here.
                let all = file.branches.entry(key).or_default();
                *all = all.saturating_add(count);
            }
            _ => {}
        }
    }
    Ok(())
}
