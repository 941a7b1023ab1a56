//! The sanitizers: tests, histories, sequences and a soak, in builds, or under valgrind, that watch each access to
//! memory.
//!
//! | sanitizer | finds | how it is built |
//! |---|---|---|
//! | `address` | memory that is touched after its end or beyond it, and what is left behind | by the toolchain at hand |
//! | `leak` | what is left behind, with little cost | the same |
//! | `memcheck` | decisions that rest on memory which nobody has written | without a sanitizer: valgrind runs the program |
//! | `thread` | accesses that nothing orders, also on a processor that orders them by itself | with the library, by Debian's compiler, whose packages bring the library's source |
//!
//! The thread sanitizer needs the library built for it, since it would not know what a lock or an `Arc` orders
//! otherwise. It does not know fences: those of the library's `Arc` are replaced by the library itself, and the
//! one of this crate by `--cfg winddown_thread_sanitizer`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use xshell::{Cmd, Shell, cmd};

use crate::features::{Light, OF_THE_TYPES};
use crate::toolchain::{Toolchain, host};

/// Which sanitizers, and how long.
#[derive(Debug, Args)]
pub(crate) struct SanitizeArgs {
    /// Only these; all, if none is named.
    which: Vec<Sanitizer>,
    /// Of the tests only those of the types and of races; five seconds for each of the rest.
    #[arg(long)]
    quick: bool,
    /// How long histories, sequences and the soak run, each.
    #[arg(long, default_value_t = 1.0, conflicts_with = "quick")]
    minutes: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sanitizer {
    /// Memory that is touched after its end, and what is left behind.
    Address,
    /// What is left behind.
    Leak,
    /// Decisions that rest on memory which nobody has written.
    Memcheck,
    /// Accesses that nothing orders.
    Thread,
}

/// The tests of `--quick` beside those of the types.
const OF_RACES: [&str; 3] = ["--test=cancel_races", "--test=group_races", "--test=group_sharded"];

/// What is left behind on purpose, with reasons.
const LEAKS: &str = "xtask/src/sanitize/leaks.txt";

/// Files that the thread sanitizer needs, and Debian's packages that have them.
const NEEDED: [(&str, &str); 3] = [
    ("/usr/bin/rustc", "rustc-web"),
    ("/usr/bin/cargo", "cargo-web"),
    ("/usr/lib/rustlib/src/rust/library/core/Cargo.toml", "rust-web-src"),
];

/// Runs them.
pub(crate) fn sanitize(sh: &Shell, args: &SanitizeArgs) -> Result<()> {
    let all = [Sanitizer::Address, Sanitizer::Leak, Sanitizer::Memcheck, Sanitizer::Thread];
    let wanted = all.iter().filter(|it| args.which.is_empty() || args.which.contains(it));
    let builds = wanted.map(|&which| Build::new(sh, which)).collect::<Result<Vec<_>>>()?;
    for build in builds {
        println!("\n== the sanitizer `{}`: tests", build.name);
        build.tests(sh, args)?;
        for what in ["histories", "sequences", "soak"] {
            println!("\n== the sanitizer `{}`: {what}", build.name);
            let minutes = if args.quick { 5.0 / 60.0 } else { args.minutes };
            let minutes = minutes.to_string();
            let run = build.cargo(sh, "run").args(["-p", "winddown-proof", "--", what]);
            let run = run.args(["--minutes", &minutes]);
            // Sequences forget things on purpose. They count the heap where nothing was forgotten.
            let leaks = ["ASAN_OPTIONS", "LSAN_OPTIONS"].map(|it| (it, "detect_leaks=0"));
            if what == "sequences" { run.envs(leaks) } else { run }.run()?;
        }
    }
    Ok(())
}

/// How a sanitizer is built and run.
struct Build {
    name: &'static str,
    host: String,
    target: PathBuf,
    /// Cargo, and the compiler beside it.
    toolchain: Toolchain,
    flags: String,
    builds_the_library: bool,
    /// What runs a program, if it does not run by itself.
    runner: Option<&'static str>,
}

/// valgrind runs one thread at a time. What is left behind is the business of others.
const MEMCHECK: &str = "valgrind --quiet --error-exitcode=9 --fair-sched=yes --leak-check=no";

impl Build {
    fn new(sh: &Shell, which: Sanitizer) -> Result<Self> {
        let name = match which {
            Sanitizer::Address => "address",
            Sanitizer::Leak => "leak",
            Sanitizer::Memcheck => "memcheck",
            Sanitizer::Thread => "thread",
        };
        let host = host(sh)?;
        let target = crate::target_dir("sanitize").join(name);
        if which != Sanitizer::Thread {
            let (toolchain, mut flags) = (Toolchain::of_this_run()?, format!("-Zsanitizer={name}"));
            let mut runner = None;
            if which == Sanitizer::Memcheck {
                crate::instructions::valgrind(sh)?;
                flags.clear();
                runner = Some(MEMCHECK);
            }
            let builds_the_library = false;
            return Ok(Self { name, host, target, toolchain, flags, builds_the_library, runner });
        }
        let missing: Vec<_> = NEEDED.iter().filter(|(file, _)| !Path::new(file).exists()).collect();
        if !missing.is_empty() {
            let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
            let packages = packages.join(" ");
            bail!("missing; get it with\n  apt-get install -y --no-install-recommends {packages}");
        }
        let runtime = runtime(sh, &host)?;
        let runtime = runtime.display();
        let flags = format!(
            "--cfg winddown_thread_sanitizer -Zsanitizer=thread -Zexternal-clangrt \
             -Zpre-link-args=-Wl,--whole-archive,{runtime},--no-whole-archive \
             -Clink-args=-lm -Clink-args=-lpthread -Clink-args=-ldl -Clink-args=-lc"
        );
        let toolchain = Toolchain::in_folder("/usr/bin".into());
        let builds_the_library = true;
        Ok(Self { name, host, target, toolchain, flags, builds_the_library, runner: None })
    }

    /// `what`, a command of cargo, with the sanitizer.
    fn cargo<'a>(&self, sh: &'a Shell, what: &str) -> Cmd<'a> {
        let leaks = crate::root().join(LEAKS);
        let cargo = self.toolchain.nightly_cargo(sh).arg(what);
        let cargo = if self.builds_the_library { cargo.arg("-Zbuild-std") } else { cargo };
        let triple = self.host.replace('-', "_").to_uppercase();
        let cargo = match self.runner {
            Some(runner) => cargo.env(format!("CARGO_TARGET_{triple}_RUNNER"), runner),
            None => cargo,
        };
        cargo
            .args(["--target", &self.host, "--target-dir"])
            .arg(&self.target)
            .env("RUSTFLAGS", &self.flags)
            // The checks of a debug build, in a shorter time, with lines in the reports.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env("CARGO_INCREMENTAL", "0")
            .env("RUST_BACKTRACE", "0")
            .env("LSAN_OPTIONS", format!("print_suppressions=0:suppressions={}", leaks.display()))
    }

    /// The crate's own tests, in a package without the runtimes of others: those have fences, which the thread
    /// sanitizer would not know, and what they leave behind is theirs.
    fn tests(&self, sh: &Shell, args: &SanitizeArgs) -> Result<()> {
        let light = Light::new(sh, &self.target.join("light"))?;
        let tests: Vec<&str> = match args.quick {
            true => OF_THE_TYPES.iter().chain(&OF_RACES).copied().collect(),
            false => vec!["--tests"],
        };
        let test = self.cargo(sh, "test").arg("--manifest-path").arg(&light.manifest);
        Ok(test.args(["--no-fail-fast", "--lib"]).args(tests).run()?)
    }
}

/// The sanitizer's runtime, which Debian's compiler does not bring along.
fn runtime(sh: &Shell, host: &str) -> Result<PathBuf> {
    let sysroot = PathBuf::from(cmd!(sh, "rustc --print sysroot").quiet().read()?);
    let files = sh.read_dir(sysroot.join("lib/rustlib").join(host).join("lib")).unwrap_or_default();
    let is_it = |file: &PathBuf| file.to_string_lossy().ends_with("_rt.tsan.a");
    files.into_iter().find(is_it).context(
        "missing: librustc_rt.tsan.a, which every toolchain of rustup for Linux has; get one with\n  \
         rustup toolchain install stable",
    )
}
