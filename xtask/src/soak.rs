//! All types under churn for as long as wanted, and the tests that do the same thing very often.

use anyhow::Result;
use clap::Args;
use xshell::{Shell, cmd};

/// How long to soak, and with what.
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// How long; ten minutes, if no count is given.
    #[arg(long)]
    minutes: Option<f64>,
    /// How many rounds.
    #[arg(long)]
    count: Option<u64>,
    /// The seed of the first round; another one in each run, if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many threads act; four for each core, if it is not given. Half as many block.
    #[arg(long)]
    threads: Option<usize>,
    /// With counts that are spread over shards from birth.
    #[arg(long)]
    born_sharded: bool,
    /// Builds the program and says where it is. On Linux it is static: it runs on a machine that has nothing.
    #[arg(long)]
    build: bool,
    /// Instead: ten million abandoned waits, trees of a million scopes. What `test` does with fewer.
    #[arg(long)]
    tests: bool,
}

/// The package of the program, which is called with `soak` first.
const PACKAGE: &str = "winddown-proof";

/// Soaks, builds what soaks elsewhere, or runs the long tests.
pub(crate) fn soak(sh: &Shell, args: &SoakArgs) -> Result<()> {
    if args.tests {
        return long_tests(sh);
    }
    let mut flags: Vec<&str> = Vec::new();
    if args.born_sharded {
        flags.push("--cfg winddown_born_sharded");
    }
    if args.build && cfg!(target_os = "linux") {
        flags.push("-Ctarget-feature=+crt-static");
    }
    // Flags rebuild everything: apart from the rest.
    let target = match flags.is_empty() {
        true => crate::target_dir(""),
        false => crate::target_dir(if args.born_sharded { "born-sharded-proof" } else { "static" }),
    };
    // With a target that is named, build scripts and macros do not get the flags.
    let host = super::toolchain::host(sh)?;
    let program = target.join(&host).join("release").join(PACKAGE);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    cmd!(sh, "cargo build --quiet --release -p {PACKAGE} --target {host} --target-dir {target}")
        .env("RUSTFLAGS", flags.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .run()?;
    let minutes = args.minutes.or(if args.count.is_none() { Some(10.0) } else { None });
    let given = [
        ("--minutes", minutes.map(|it| it.to_string())),
        ("--count", args.count.map(|it| it.to_string())),
        ("--seed", args.seed.map(|it| it.to_string())),
        ("--threads", args.threads.map(|it| it.to_string())),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    let options: Vec<String> = given.flatten().collect();
    if args.build {
        println!("{} soak {}", program.display(), options.join(" "));
        return Ok(());
    }
    Ok(cmd!(sh, "{program} soak {options...}").run()?)
}

/// What takes too long for every change.
fn long_tests(sh: &Shell) -> Result<()> {
    let tests = [
        "abandoned",
        "cancel_races",
        "deep_trees",
        "err_group",
        "group_allocation",
        "group_fuzz",
        "group_limit",
        "group_races",
        "group_sharded",
        "group_trees",
        "token_allocation",
    ];
    let tests = tests.iter().flat_map(|test| ["--test", test]);
    Ok(cmd!(sh, "cargo test --release {tests...}").run()?)
}
