//! `cargo xtask …`: the checks of this repository, each under its own name.

mod api;
mod bench;
mod checks;
mod code_size;
mod coverage;
mod docs;
mod docsrs;
mod embedded;
mod executors;
mod features;
mod instructions;
mod interop;
mod logic;
mod minimal;
mod models;
mod msrv;
mod package;
mod proof;
mod sanitize;
mod semver;
mod skips;
mod soak;
mod targets;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use xshell::Shell;

/// The checks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Everything that a change must pass, with models and mutants in bounded form.
    Test(checks::TestArgs),
    /// The listing of the public API against the source; `--bless` writes it.
    Api(api::ApiArgs),
    /// Builds and tests with the oldest dependencies that Cargo.toml allows.
    Minimal,
    /// The package as crates.io gets it: its list of files, its builds and its tests.
    Package(package::PackageArgs),
    /// The documentation as docs.rs builds it: its badges of features, its pictures and its links.
    Docsrs,
    /// What a user of an earlier revision would have to change.
    Semver(semver::SemverArgs),
    /// The models; `--deep` raises their bounds.
    Loom(models::LoomArgs),
    /// Breaks the crate in every way that the list knows, and fails if a model does not notice.
    Mutants(models::MutantArgs),
    /// Each ordering, what it is for, and what notices if it is weaker: `docs/orderings.md`.
    Ledger(models::LedgerArgs),
    /// Breaks the crate by rule, in some two thousand ways, and fails if no test notices one.
    Logic(logic::LogicArgs),
    /// Which lines and branches of `src` the tests get to.
    Coverage(coverage::CoverageArgs),
    /// What documents and comments cite: rules, edges, tests, models, mutants and files.
    Docs(docs::DocsArgs),
    /// Every set of features, built and tested, or refused with a reason.
    Features(features::FeatureArgs),
    /// One suite on every executor.
    Executors(executors::ExecutorArgs),
    /// The recipes of `docs/interop.md`: real servers and signals.
    Interop,
    /// Builds for bare metal, runs in node, compiles for other systems, and tests on 32 bits.
    Targets(targets::TargetArgs),
    /// Builds and tests with the oldest compiler that the crate promises.
    Msrv,
    /// All types under churn for as long as wanted; or the tests that are long.
    Soak(soak::SoakArgs),
    /// The tests, histories, sequences and a soak under the sanitizers for addresses, leaks and threads.
    Sanitize(sanitize::SanitizeArgs),
    /// Histories of real threads and sequences of calls, checked against models.
    Proof(proof::ProofArgs),
    /// Sequences of calls from bytes that are led by coverage.
    Fuzz(proof::FuzzArgs),
    /// Firmware under QEMU, for targets with and without compare-and-swap.
    Embedded(embedded::EmbeddedArgs),
    /// Counts the instructions of each operation, and fails if one takes more than its baseline.
    Instructions(instructions::InstructionArgs),
    /// The benchmark tables, and with `--report` what is shown of them.
    Bench(bench::BenchArgs),
}

fn main() -> Result<()> {
    let task = Task::parse();
    let sh = Shell::new()?;
    sh.change_dir(root());
    match task {
        Task::Test(args) => checks::test(&sh, &args),
        Task::Api(args) => api::api(&sh, &args),
        Task::Docsrs => docsrs::docsrs(&sh),
        Task::Minimal => minimal::minimal(&sh),
        Task::Package(args) => package::package(&sh, &args),
        Task::Semver(args) => semver::semver(&sh, &args),
        Task::Loom(args) => models::loom(&sh, &args),
        Task::Mutants(args) => models::mutants(&sh, &args),
        Task::Ledger(args) => models::ledger(&sh, &args),
        Task::Logic(args) => logic::logic(&sh, &args),
        Task::Coverage(args) => coverage::coverage(&sh, &args),
        Task::Docs(args) => docs::docs(&sh, &args),
        Task::Features(args) => features::features(&sh, &args),
        Task::Executors(args) => executors::executors(&sh, &args),
        Task::Interop => interop::interop(&sh),
        Task::Targets(args) => targets::targets(&sh, &args),
        Task::Msrv => msrv::msrv(&sh),
        Task::Soak(args) => soak::soak(&sh, &args),
        Task::Sanitize(args) => sanitize::sanitize(&sh, &args),
        Task::Proof(args) => proof::proof(&sh, &args),
        Task::Fuzz(args) => proof::fuzz(&sh, &args),
        Task::Embedded(args) => embedded::embedded(&sh, &args),
        Task::Instructions(args) => instructions::instructions(&sh, &args),
        Task::Bench(args) => bench::bench(&sh, &args),
    }
}

/// The repository.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask is a folder of the repository").to_owned()
}

/// What `name` builds, apart from the rest.
fn target_dir(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(target).join(name)
}
