//! What a run left out, since this machine lacks something for it.
//!
//! `cargo xtask test` prints the list at its end, so that nobody takes a step for passed that did not run.

use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};

static SKIPS: Mutex<Vec<Skip>> = Mutex::new(Vec::new());

struct Skip {
    what: String,
    why: String,
    /// The machine lacks something that it could have.
    is_a_lack: bool,
}

/// Prints and records that `what` is left out, because this machine lacks something: `why` says what, and how
/// to get it.
pub(crate) fn skip(what: impl Into<String>, why: impl Into<String>) {
    record(what.into(), why.into(), true);
}

/// The same for what cannot be judged here, with nothing missing: `--no-skip` lets it pass.
pub(crate) fn skip_without_lack(what: impl Into<String>, why: impl Into<String>) {
    record(what.into(), why.into(), false);
}

fn record(what: String, why: String, is_a_lack: bool) {
    println!("skipped: {what}: {why}");
    SKIPS.lock().unwrap_or_else(PoisonError::into_inner).push(Skip { what, why, is_a_lack });
}

/// Prints all that was left out. With `no_skip` a lack is an error.
pub(crate) fn finish(no_skip: bool) -> Result<()> {
    let skips = SKIPS.lock().unwrap_or_else(PoisonError::into_inner);
    if skips.is_empty() {
        println!("\nnothing was skipped");
        return Ok(());
    }
    println!("\nskipped here:");
    for Skip { what, why, .. } in &*skips {
        println!("  {what}: {why}");
    }
    let lacks = skips.iter().filter(|skip| skip.is_a_lack).count();
    ensure!(lacks == 0 || !no_skip, "{lacks} steps were skipped, which `--no-skip` forbids");
    Ok(())
}
