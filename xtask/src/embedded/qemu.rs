//! One image on one board, under QEMU.

use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use wait_timeout::ChildExt as _;

use super::boards::Board;

/// Gives the status and what the image said.
pub(super) fn run(board: &Board, image: &Path, limit: Duration) -> Result<(i32, String)> {
    let mut output = tempfile::tempfile()?;
    let count = board.shift.map(|shift| ["-icount".into(), format!("shift={shift},sleep=off")]);
    let mut qemu = Command::new(board.qemu)
        .args(board.machine)
        .args(count.into_iter().flatten())
        .args(["-nographic", "-kernel"])
        .arg(image)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| board.qemu)?;
    let status = qemu.wait_timeout(limit)?;
    if status.is_none() {
        qemu.kill()?;
        qemu.wait()?;
    }
    let mut said = String::new();
    output.rewind()?;
    output.read_to_string(&mut said)?;
    match status.and_then(|status| status.code()) {
        Some(code) => Ok((code, said)),
        None => bail!("did not end within {limit:?}, after it said\n{said}"),
    }
}
