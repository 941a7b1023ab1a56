//! How many instructions each operation takes, against a baseline.
//!
//! The program `benches/instructions` does the operations, and valgrind's callgrind counts. One program gives
//! the same counts at each run, so a loss of a few instructions shows on any machine, under any load.
//!
//! Another compiler makes another program. The baseline names the compiler that made it; with any other
//! compiler the differences are printed, and nothing fails.

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use xshell::{Shell, cmd};

use crate::{root, target_dir};

/// Package, profile (and so folder under `target/`), and where the baseline lies.
const PACKAGE: &str = "winddown-instructions";
const PROFILE: &str = "instructions";
const BASELINE: &str = "benches/instructions/baseline.tsv";

/// A row may have this many times its instructions in the baseline.
const TOLERANCE: f64 = 1.02;

/// What to do with the counts.
#[derive(Debug, Default, Args)]
pub(crate) struct InstructionArgs {
    /// Makes these counts the baseline.
    #[arg(long)]
    bless: bool,
}

/// Counts, and compares with the baseline; or makes a new one.
pub(crate) fn instructions(sh: &Shell, args: &InstructionArgs) -> Result<()> {
    valgrind(sh)?;
    cmd!(sh, "cargo build --quiet --profile {PROFILE} -p {PACKAGE}").run()?;
    let counted = Counts { compiler: compiler(sh)?, rows: count()? };

    let baseline = sh.current_dir().join(BASELINE);
    if args.bless {
        sh.write_file(&baseline, counted.to_string())?;
        println!("{} rows are the new baseline", counted.rows.len());
        return Ok(());
    }
    let text = sh.read_file(&baseline)?;
    let expected = Counts::parse(&text).with_context(|| format!("{BASELINE} is malformed"))?;
    let losses = compare(&expected, &counted);
    if expected.compiler != counted.compiler {
        println!("the baseline is not of this compiler, so nothing fails:");
        println!("  baseline: {}\n  this: {}", expected.compiler, counted.compiler);
        return Ok(());
    }
    ensure!(
        losses.is_empty(),
        "these rows are worse than the baseline, or not in it:\n  {}\nif that is meant, make a new \
         baseline by\n  cargo xtask instructions --bless",
        losses.join("\n  "),
    );
    println!("{} rows, none worse than the baseline", counted.rows.len());
    Ok(())
}

/// Prints each row that differs, and gives the names of those that have become worse.
fn compare(expected: &Counts, counted: &Counts) -> Vec<String> {
    let of = |counts: &Counts| -> BTreeMap<String, Row> {
        counts.rows.iter().map(|row| (row.name.clone(), row.clone())).collect()
    };
    let (before, after) = (of(expected), of(counted));
    let mut losses = Vec::new();
    for row in &counted.rows {
        match before.get(&row.name) {
            None => {
                println!("{}: new, {row}", row.name);
                losses.push(row.name.clone());
            }
            Some(old) if old != row => {
                println!("{}: {old} -> {row}", row.name);
                if row.is_worse_than(old) {
                    losses.push(row.name.clone());
                }
            }
            Some(_) => {}
        }
    }
    for gone in expected.rows.iter().filter(|row| !after.contains_key(&row.name)) {
        println!("{}: gone", gone.name);
        losses.push(gone.name.clone());
    }
    losses
}

/// The compiler, and what it compiles for.
fn compiler(sh: &Shell) -> Result<String> {
    let version = cmd!(sh, "rustc -vV").read()?;
    let first = version.lines().next().unwrap_or_default();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    Ok(format!("{first}, {host}"))
}

/// Runs the program under callgrind, which writes what was counted each time that the row's end is called.
fn count() -> Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("callgrind.out");
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(&out);
    let program: PathBuf = target_dir(PROFILE).join(PACKAGE).canonicalize()?;
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--combine-dumps=yes"])
        .args(["--zero-before=*counting_begins*", "--dump-before=*counting_ends*"])
        .args([&file, program.as_os_str()])
        // The environment lies on the stack, whose alignment may matter to a copy.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .current_dir(root())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "callgrind failed:\n{errors}");

    let written = std::fs::read_to_string(out)?;
    let totals = written.lines().filter_map(|line| line.strip_prefix("totals: "));
    let totals = totals.map(|it| Ok(it.trim().parse()?)).collect::<Result<Vec<f64>>>()?;
    let printed = String::from_utf8(output.stdout)?;
    // Each row is done twice, and the second time counts; the last total is of what follows the last row.
    let rows: Vec<&str> = printed.lines().collect();
    ensure!(totals.len() == 2 * rows.len() + 1, "callgrind missed the end of a row");
    rows.iter().zip(totals.chunks(2)).map(|(row, totals)| Row::counted(row, totals[1])).collect()
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    instructions: f64,
    allocations: f64,
}

impl Row {
    /// From a line of the program: name, operations, allocations.
    fn counted(line: &str, instructions: f64) -> Result<Self> {
        let [name, ops, allocations] = fields(line)?;
        let (ops, allocations): (f64, f64) = (ops.parse()?, allocations.parse()?);
        // As the baseline has it.
        Self::parse(&format!("{name}\t{:.1}\t{:.2}", instructions / ops, allocations / ops))
    }

    /// From a line of the baseline.
    fn parse(line: &str) -> Result<Self> {
        let [name, instructions, allocations] = fields(line)?;
        Ok(Self {
            name: name.to_owned(),
            instructions: instructions.parse()?,
            allocations: allocations.parse()?,
        })
    }

    fn is_worse_than(&self, old: &Self) -> bool {
        self.instructions > old.instructions * TOLERANCE
            || self.allocations > old.allocations * TOLERANCE
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} instructions", self.instructions)?;
        if self.allocations > 0.0 {
            write!(f, ", {} allocations", self.allocations)
        } else {
            Ok(())
        }
    }
}

fn fields(line: &str) -> Result<[&str; 3]> {
    let fields: Vec<&str> = line.split('\t').collect();
    <[&str; 3]>::try_from(fields).ok().with_context(|| format!("not three fields: {line:?}"))
}

/// What the baseline holds.
#[derive(Debug)]
struct Counts {
    compiler: String,
    rows: Vec<Row>,
}

const COMPILER: &str = "# compiler: ";
const HEADING: &str = "# operation\tinstructions\tallocations";

impl Counts {
    fn parse(text: &str) -> Result<Self> {
        let compiler = text.lines().find_map(|line| line.strip_prefix(COMPILER));
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        Ok(Self {
            compiler: compiler.context("it names no compiler")?.to_owned(),
            rows: rows.map(Row::parse).collect::<Result<_>>()?,
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Made by `cargo xtask instructions --bless`; each count is of one operation."
        )?;
        writeln!(f, "{COMPILER}{}\n{HEADING}", self.compiler)?;
        for row in &self.rows {
            writeln!(f, "{}\t{:.1}\t{:.2}", row.name, row.instructions, row.allocations)?;
        }
        Ok(())
    }
}

/// Checks that it is there.
pub(crate) fn valgrind(sh: &Shell) -> Result<()> {
    if cmd!(sh, "valgrind --version").quiet().ignore_stderr().read().is_err() {
        bail!("no valgrind; get it with\n  apt-get install -y --no-install-recommends valgrind");
    }
    Ok(())
}
