//! Histories of real threads, sequences of calls, and the same sequences led by coverage.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use xshell::{Shell, cmd};

use crate::toolchain::host;

/// What to run, and for how long.
#[derive(Debug, Args)]
pub(crate) struct ProofArgs {
    what: What,
    /// How long; a minute, if no count is given.
    #[arg(long)]
    minutes: Option<f64>,
    /// How many, of each kind.
    #[arg(long)]
    count: Option<u64>,
    /// The first seed; another one in each run, if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Histories: how often each is made.
    #[arg(long)]
    tries: Option<u64>,
    /// Histories: only this kind of object.
    #[arg(long)]
    kind: Option<String>,
    /// Histories: with counts that are spread over shards from birth.
    #[arg(long)]
    born_sharded: bool,
    /// Histories: threads also pause between the steps of the crate.
    #[arg(long)]
    pauses: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Calls of several threads, whose order the model must explain.
    Histories,
    /// Calls of one thread from random bytes, against the model, a counting allocator and counted wakers.
    Sequences,
}

/// Runs histories or sequences.
pub(crate) fn proof(sh: &Shell, args: &ProofArgs) -> Result<()> {
    let what = match args.what {
        What::Histories => "histories",
        What::Sequences => "sequences",
    };
    let mut options: Vec<String> = Vec::new();
    let mut give = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            options.extend([format!("--{name}"), value]);
        }
    };
    give("minutes", args.minutes.map(|minutes| minutes.to_string()));
    give("count", args.count.map(|count| count.to_string()));
    give("seed", args.seed.map(|seed| seed.to_string()));
    give("tries", args.tries.map(|tries| tries.to_string()));
    give("kind", args.kind.clone());
    let cargo = cmd!(sh, "cargo run --quiet --release -p winddown-proof");
    let built = [(args.born_sharded, "born_sharded"), (args.pauses, "pauses")];
    let built: Vec<_> = built.iter().filter(|(is_asked, _)| *is_asked).map(|(_, it)| *it).collect();
    let cargo = if built.is_empty() {
        cargo
    } else {
        let flags = built.iter().map(|it| format!("--cfg winddown_{it}")).collect::<Vec<_>>();
        let target = crate::target_dir(&format!("proof-{}", built.join("-")));
        cargo.arg("--target-dir").arg(target).env("RUSTFLAGS", flags.join(" "))
    };
    Ok(cargo.args(["--", what]).args(options).run()?)
}

/// How long to fuzz, and where.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// How long.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// With the address sanitizer, which an unstable option of the compiler turns on.
    #[arg(long)]
    address: bool,
    /// Keeps what was found: makes the corpus in the repository anew, as small as it reaches as far.
    #[arg(long)]
    keep: bool,
}

/// What libFuzzer is led by. These options are stable, so the ordinary compiler does.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions";
/// The inputs that reach all that was ever reached: one a line, in hexadecimal.
const CORPUS: &str = "fuzz/corpus.hex";
/// The longest input.
const LONGEST: &str = "-max_len=400";

/// Fuzzes. What was found in earlier runs lies under `target`, and leads this one too.
pub(crate) fn fuzz(sh: &Shell, args: &FuzzArgs) -> Result<()> {
    let target = crate::target_dir(if args.address { "fuzz-address" } else { "fuzz" });
    let host = host(sh)?;
    {
        let flags = if args.address { "-Zsanitizer=address " } else { "" };
        let _flags = sh.push_env("RUSTFLAGS", format!("{flags}{COVERAGE}"));
        let _unstable = args.address.then(|| sh.push_env("RUSTC_BOOTSTRAP", "1"));
        // A target is named, so that build scripts are not led by coverage.
        cmd!(sh, "cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml")
            .args(["--target", &host, "--target-dir"])
            .arg(&target)
            .run()?;
    }
    let program = target.join(&host).join("release/sequences");
    let found = target.join("corpus");
    sh.create_dir(&found)?;
    for (at, line) in sh.read_file(CORPUS)?.lines().enumerate() {
        sh.write_file(found.join(format!("kept-{at}")), bytes(line)?)?;
    }
    let seconds = format!("-max_total_time={:.0}", args.minutes * 60.0);
    let artifacts = format!("-artifact_prefix={}/", target.display());
    // Sequences forget things on purpose. They count the heap where nothing was forgotten.
    let options = ["-detect_leaks=0", "-print_final_stats=1"];
    let fuzz = cmd!(sh, "{program} {found} {seconds} {artifacts} {LONGEST} {options...}");
    fuzz.env("ASAN_OPTIONS", "detect_leaks=0").run()?;
    if args.keep { keep(sh, &program, &found, &target.join("small")) } else { Ok(()) }
}

/// Makes the corpus in the repository anew.
fn keep(sh: &Shell, program: &Path, found: &Path, small: &Path) -> Result<()> {
    sh.remove_path(small)?;
    sh.create_dir(small)?;
    cmd!(sh, "{program} -set_cover_merge=1 {small} {found}").run()?;
    let mut lines = Vec::new();
    for file in sh.read_dir(small)? {
        let bytes = sh.read_binary_file(file)?;
        lines.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    // The shortest first, so that a failing test names a short one.
    lines.sort_by_key(|line| (line.len(), line.clone()));
    Ok(sh.write_file(CORPUS, lines.join("\n") + "\n")?)
}

/// The bytes that a line of the corpus stands for.
fn bytes(line: &str) -> Result<Vec<u8>> {
    let pairs = (0..line.len()).step_by(2);
    let byte = |at: usize| line.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    pairs.map(|at| byte(at).with_context(|| format!("{CORPUS} has a line with {line:?}"))).collect()
}
