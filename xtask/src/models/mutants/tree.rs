//! A copy of the crate and its models, in which mutants are made and run.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use wait_timeout::ChildExt as _;

use super::list::Mutant;
use super::outcomes::Tried;
use super::source::Source;
use crate::models::{LOOM, MORE_SEATS, target_dir};

/// A model that runs longer under a mutant hangs. Without one the slowest takes half a minute, where it is optimised.
const PATIENCE: Duration = Duration::from_secs(300);
/// A model that has to pass may take longer on a busy machine, unoptimised, in a larger world.
const LONG_PATIENCE: Duration = Duration::from_secs(1800);

/// How models are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    /// With larger blocks.
    pub(super) more_seats: bool,
    /// Whether they are to fail.
    pub(super) to_fail: bool,
}

/// A copy of what the models are built from.
pub(super) struct Tree {
    root: PathBuf,
    /// What is built from it goes here.
    target: PathBuf,
}

impl Tree {
    pub(super) fn copy(name: &str, target: PathBuf) -> Result<Self> {
        let original = crate::root();
        // Always at the same place, so that only what was changed is built again.
        let root = target_dir().join(name);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(&root)?;
        for it in ["src", "loom-tests", "Cargo.lock", "README.md"] {
            copy(&original.join(it), &root.join(it))?;
        }
        fs::write(root.join("Cargo.toml"), alone(&original.join("Cargo.toml"))?)?;
        Ok(Self { root, target })
    }

    /// The models of `mutants` pass as long as nothing is broken.
    pub(super) fn check_unchanged(&self, mutants: &[&Mutant]) -> Result<()> {
        for more_seats in [false, true] {
            let mutants = mutants.iter().filter(|it| it.more_seats == more_seats);
            let models: BTreeSet<_> =
                mutants.flat_map(|it| &it.models).map(String::as_str).collect();
            let world = World { more_seats, to_fail: false };
            for (model, how) in self.run(models, world).context("without a mutant")? {
                if let Some(how) = how {
                    bail!("{model} fails without any mutant: {how}");
                }
            }
        }
        Ok(())
    }

    /// Does `what` while the crate is `mutant`.
    pub(super) fn with_mutant<R>(
        &self,
        source: &Source,
        mutant: &Mutant,
        what: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let changed = source.changed(mutant.changes()?)?;
        let path = |relative: &Path| self.root.join("src").join(relative);
        for file in &changed {
            fs::write(path(file.path), &file.after)?;
        }
        let result = what();
        for file in &changed {
            fs::write(path(file.path), file.before)?;
        }
        result
    }

    /// Compiles the crate as the models use it, and no model.
    pub(super) fn check(&self) -> Result<()> {
        self.cargo(&["check", "--quiet", "-p", "winddown", "--features", "loom"], false).map(drop)
    }

    /// Runs `models`, and says how each failed.
    pub(super) fn run<'a>(
        &self,
        models: impl IntoIterator<Item = &'a str>,
        world: World,
    ) -> Result<Tried<'a>> {
        let patience = if world.to_fail { PATIENCE } else { LONG_PATIENCE };
        let mut by_binary = BTreeMap::<_, Vec<_>>::new();
        for model in models {
            let (binary, test) = model.split_once("::").context("a model is `binary::test`")?;
            by_binary.entry(binary).or_default().push((model, test));
        }
        let mut tried = Vec::new();
        for (binary, models) in by_binary {
            let executable = self.build(binary, world.more_seats)?;
            for (model, test) in models {
                tried.push((model, self.run_one(&executable, test, patience)?));
            }
        }
        Ok(tried)
    }

    /// Builds one test binary and gives its path.
    fn build(&self, binary: &str, more_seats: bool) -> Result<PathBuf> {
        let test = ["test", "--release", "--no-run", "-p", "winddown-loom-tests", "--test", binary];
        let said = self.cargo(&test, more_seats)?;
        let executable = said
            .lines()
            .find(|line| line.trim_start().starts_with("Executable"))
            .and_then(|line| Some(line.rsplit_once('(')?.1.trim_end().trim_end_matches(')')))
            .with_context(|| format!("cargo names no executable:\n{said}"))?;
        Ok(self.root.join(executable))
    }

    /// Runs cargo, which must succeed, and gives what it said.
    fn cargo(&self, args: &[&str], more_seats: bool) -> Result<String> {
        let (flags, target) = match more_seats {
            true => (MORE_SEATS, self.target.join("more-seats")),
            false => (LOOM, self.target.clone()),
        };
        let output = Command::new("cargo")
            .args(args)
            .args(["--color=never", "--target-dir"])
            .arg(target)
            .env("RUSTFLAGS", flags)
            // Each mutant changes a line or two.
            .env("CARGO_INCREMENTAL", "1")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .current_dir(&self.root)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "it does not build:\n{said}");
        Ok(said)
    }

    /// Runs one model in a process of its own, since a deadlock aborts, and says how it failed.
    fn run_one(&self, executable: &Path, test: &str, patience: Duration) -> Result<Option<String>> {
        let log = self.root.join("log");
        let file = File::create(&log)?;
        let start = Instant::now();
        let mut child = Command::new(executable)
            .args(["--exact", test, "--nocapture"])
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let Some(status) = child.wait_timeout(patience)? else {
            child.kill()?;
            child.wait()?;
            return Ok(Some(format!("hangs after {:.0?}", start.elapsed())));
        };
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        ensure!(!said.contains("running 0 tests"), "there is no model {test}");
        Ok((!status.success()).then(|| why_it_failed(&said).unwrap_or_else(|| status.to_string())))
    }
}

/// The first panic's text, in short.
fn why_it_failed(said: &str) -> Option<String> {
    let mut lines = said.lines().skip_while(|line| !line.contains("panicked at"));
    lines.next()?;
    let text = lines.next()?.trim();
    Some(text.split(';').next().unwrap_or(text).chars().take(80).collect())
}

/// Copies a file, or a directory with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The manifest of the crate, as a workspace of it and the models, without what tests alone need.
fn alone(manifest: &Path) -> Result<String> {
    let mut manifest: toml::Table = toml::from_str(&fs::read_to_string(manifest)?)?;
    let workspace = manifest.get_mut("workspace").and_then(toml::Value::as_table_mut);
    let workspace = workspace.context("the manifest has no workspace")?;
    workspace.insert("members".into(), vec!["loom-tests"].into());
    workspace.remove("exclude");
    for not_copied in ["example", "test", "bench", "dev-dependencies"] {
        manifest.remove(not_copied);
    }
    if let Some(targets) = manifest.get_mut("target").and_then(toml::Value::as_table_mut) {
        for (_, target) in targets.iter_mut() {
            if let Some(target) = target.as_table_mut() {
                target.remove("dev-dependencies");
            }
        }
    }
    // What every mutant builds anew; the rest is optimized, and shared with the models.
    manifest.insert("profile".into(), toml::from_str(QUICK_TO_BUILD)?);
    Ok(toml::to_string(&manifest)?)
}

/// For a profile table. Unoptimised, models take twice the time, but what is broken fails early, and to optimise takes
/// longer than that.
const QUICK_TO_BUILD: &str = "
[release.package]
winddown = { opt-level = 0 }
winddown-loom-tests = { opt-level = 0 }
";
