//! How many bytes of code a type adds to a program: the programs of `benches/size`, less the one that
//! has none of them.

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use xshell::{Shell, cmd};

use crate::{root, target_dir};

/// The programs, as the benchmarks call what is in them.
const PROGRAMS: [(&str, &str); 7] = [
    ("signal", "winddown Signal"),
    ("wait_group", "winddown WaitGroup"),
    ("cancel_scope", "winddown CancelScope"),
    ("task_group", "winddown TaskGroup"),
    ("cancellation_token", "CancellationToken"),
    ("task_tracker", "TaskTracker"),
    ("tracker_and_token", "TaskTracker + CancellationToken"),
];

const WITHOUT: (&str, &str) = ("empty", "floor: the program without it");

pub(crate) const TITLE: &str = "Code size";

const WHAT: &str = "The programs of `benches/size`, built for the machine of this run with opt-level \
    \"s\", fat LTO, one codegen unit, panic = \"abort\", stripped. Each makes one object, polls a wait of \
    it, pending, ends it, and polls the wait again. Sizes are those of `.text` and `.rodata`, less those \
    of a program that allocates and polls and has none of them, which is the last row. Without `std` \
    the program has no standard library, its allocator is the C library's, and winddown is built with \
    no feature; tokio-util needs the standard library.";

/// Appends a table to the file of a run, where it takes the place of an earlier one. Its lines are those
/// of `benches/src/tsv.rs`.
pub(crate) fn append(sh: &Shell, tsv: &Path) -> Result<()> {
    let mut lines = vec![["table", TITLE, "bytes", "", TITLE, WHAT].join("\t")];
    for (heading, features) in [("with `std`", Some("rivals")), ("without `std`", None)] {
        lines.extend(cells(sh, heading, features)?);
    }
    println!("\nCode size (contender, setting, bytes):\n");
    for line in &lines[1..] {
        let fields: Vec<&str> = line.split('\t').collect();
        println!("{}, {}: {}", fields[3], fields[1], fields[4]);
    }
    let path = root().join(tsv);
    let open = OpenOptions::new().create(true).append(true).open(&path);
    let mut file = open.with_context(|| format!("opening {}", path.display()))?;
    Ok(writeln!(file, "{}", lines.join("\n"))?)
}

fn cells(sh: &Shell, heading: &str, features: Option<&str>) -> Result<Vec<String>> {
    let target = target_dir("code-size").join(if features.is_some() { "std" } else { "bare" });
    let _target = sh.push_env("CARGO_TARGET_DIR", &target);
    let options = features.into_iter().flat_map(|features| ["--features", features]);
    let manifest = root().join("benches/size/Cargo.toml");
    cmd!(sh, "cargo build --release --quiet --manifest-path {manifest} {options...}").run()?;

    let size = |program: &str| code(&target.join("release").join(program));
    let (without, name) = (size(WITHOUT.0)?, WITHOUT.1);
    let cell = |name: &str, bytes: u64| format!("cell\t{heading}\t\t{name}\t{bytes}");
    let mut cells = Vec::new();
    for (program, name) in PROGRAMS {
        // The rivals' programs are built with their feature alone.
        if features.is_some() || name.starts_with("winddown") {
            cells.push(cell(name, size(program)?.saturating_sub(without)));
        }
    }
    cells.push(cell(name, without));
    Ok(cells)
}

/// The bytes of code and of constants.
fn code(program: &Path) -> Result<u64> {
    let data = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let file = object::File::parse(&*data)?;
    let sections = [".text", ".rodata"].iter().filter_map(|name| file.section_by_name(name));
    Ok(sections.map(|section| section.size()).sum())
}
