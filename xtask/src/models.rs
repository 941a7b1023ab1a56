//! Models and mutants.

use anyhow::Result;
use clap::Args;
use xshell::Shell;

/// How to run the models.
#[derive(Debug, Args)]
pub struct LoomArgs {}

/// How to run the mutants.
#[derive(Debug, Args)]
pub struct MutantArgs {}

/// Runs the models.
pub fn loom(_: &Shell, _: &LoomArgs) -> Result<()> {
    Ok(())
}

/// Runs the mutants.
pub fn mutants(_: &Shell, _: &MutantArgs) -> Result<()> {
    Ok(())
}
