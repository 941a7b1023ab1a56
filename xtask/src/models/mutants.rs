//! Breaks a copy of the crate in each way that `loom-tests/mutants.toml` lists, and runs the models
//! that must notice.

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};
use core::iter;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;
use wait_timeout::ChildExt as _;
use xshell::Shell;

use super::{LOOM, target_dir};

/// A model that runs longer under a mutant hangs. Without one the slowest takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How to run the mutants.
#[derive(Debug, Default, Args)]
pub(crate) struct MutantArgs {
    /// Only the mutants whose names contain this.
    #[arg(long)]
    name: Option<String>,
    /// Only those that are marked `core`: every edge, every hook condition.
    #[arg(long, conflicts_with = "all")]
    bounded: bool,
    /// All of them, which is what happens anyway.
    #[arg(long)]
    all: bool,
    /// Print the list and run nothing.
    #[arg(long)]
    list: bool,
    /// The models were seen to pass.
    #[arg(skip)]
    models_pass: bool,
}

impl MutantArgs {
    /// What every change must pass, after the models.
    pub(crate) fn bounded() -> Self {
        Self { bounded: true, models_pass: true, ..Self::default() }
    }
}

/// `loom-tests/mutants.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// One way to break the crate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    /// The edge or condition that it breaks.
    why: String,
    /// What is changed: it occurs once in all of `src`, so that code may move between its files.
    find: String,
    replace: String,
    /// Further changes, where one is not enough.
    #[serde(default)]
    also: Vec<Change>,
    /// `binary::test`: each must fail.
    models: Vec<String>,
    /// Why no model can show it; then each of `models` must pass.
    survives: Option<String>,
    /// Run in the bounded form too.
    #[serde(default)]
    core: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    find: String,
    replace: String,
}

impl Mutant {
    fn is_asked_for(&self, args: &MutantArgs) -> bool {
        args.name.as_ref().is_none_or(|name| self.name.contains(name.as_str()))
            && (self.core || !args.bounded)
    }

    fn changes(&self) -> impl Iterator<Item = (&str, &str)> {
        let first = (self.find.as_str(), self.replace.as_str());
        iter::once(first).chain(self.also.iter().map(|it| (&*it.find, &*it.replace)))
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.why.trim().is_empty(), "it does not say why it is wrong");
        ensure!(!self.models.is_empty(), "it names no model");
        if let Some(reason) = &self.survives {
            ensure!(!reason.trim().is_empty(), "it survives without a reason");
        }
        Ok(())
    }
}

/// Runs the mutants.
pub(crate) fn mutants(_: &Shell, args: &MutantArgs) -> Result<()> {
    let list = fs::read_to_string(crate::root().join("loom-tests/mutants.toml"))?;
    let List { mutant: mut mutants } = toml::from_str(&list).context("mutants.toml")?;
    let mut names = BTreeSet::new();
    for mutant in &mutants {
        ensure!(names.insert(&mutant.name), "two mutants are called {}", mutant.name);
        mutant.check().with_context(|| mutant.name.clone())?;
    }
    mutants.retain(|mutant| mutant.is_asked_for(args));
    ensure!(!mutants.is_empty(), "no such mutant");

    let tree = Tree::copy("mutants", target_dir())?;
    // All changes are tried first, so that a list that has fallen behind is known at once.
    for mutant in &mutants {
        tree.changed(mutant).with_context(|| mutant.name.clone())?;
    }
    if args.list {
        for Mutant { name, why, survives, .. } in &mutants {
            println!("{name}: {why}{}", if survives.is_some() { " (survives)" } else { "" });
        }
        return Ok(());
    }

    if !args.models_pass {
        tree.check_unchanged(&mutants)?;
    }
    // Most of the time goes into the compiler, which uses one core for so small a crate.
    let other = Tree::copy("more-mutants", target_dir().join("more"))?;
    let (outcomes, next) = (Mutex::new(Outcomes::default()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for tree in [&tree, &other] {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = tree.try_mutant(mutant);
                    outcomes.lock().expect("nobody panicked").add(mutant, tried);
                }
            });
        }
    });
    outcomes.into_inner().expect("nobody panicked").finish()
}

/// What came of a mutant: for each model that was run, how it failed, or `None` if it passed.
type Tried<'a> = Vec<(&'a str, Option<String>)>;

#[derive(Default)]
struct Outcomes {
    killed: usize,
    excused: usize,
    survived: usize,
    wrong: usize,
}

impl Outcomes {
    fn add(&mut self, mutant: &Mutant, tried: Result<Tried<'_>>) {
        let name = &mutant.name;
        let tried = match tried {
            Ok(tried) => tried,
            Err(error) => {
                self.wrong += 1;
                return println!("{name}: ERROR: {error:#}");
            }
        };
        let (failed, passed): (Vec<_>, Vec<_>) = tried.iter().partition(|(_, how)| how.is_some());
        let models = |tried: &[&(&str, Option<String>)]| {
            let model = |(model, how): &&(&str, Option<String>)| match how {
                Some(how) => format!("{model} ({how})"),
                None => (*model).to_owned(),
            };
            tried.iter().map(model).collect::<Vec<_>>().join(", ")
        };
        match &mutant.survives {
            Some(_) if failed.is_empty() => {
                self.excused += 1;
                println!("{name}: survives, with a reason");
            }
            Some(_) => {
                self.wrong += 1;
                println!("{name}: ERROR: its reason is stale: killed by {}", models(&failed));
            }
            None if passed.is_empty() => {
                self.killed += 1;
                println!("{name}: killed by {}", models(&failed));
            }
            None => {
                self.survived += 1;
                println!("{name}: SURVIVED {}", models(&passed));
            }
        }
    }

    fn finish(self) -> Result<()> {
        let Self { killed, excused, survived, wrong } = self;
        println!("{killed} killed, {excused} survive with a reason, {survived} survived");
        ensure!(wrong == 0, "{wrong} mutants are wrong: mend the list");
        ensure!(survived == 0, "{survived} mutants survived: mend the models");
        Ok(())
    }
}

/// A copy of what the models are built from.
struct Tree {
    root: PathBuf,
    /// What is built from it goes here.
    target: PathBuf,
    /// The files of `src`, as they are without a mutant.
    sources: BTreeMap<PathBuf, String>,
}

impl Tree {
    fn copy(name: &str, target: PathBuf) -> Result<Self> {
        let original = crate::root().canonicalize()?;
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
        let mut sources = BTreeMap::new();
        read_all(&root.join("src"), &mut sources)?;
        Ok(Self { root, target, sources })
    }

    /// The files that `mutant` changes, as they are then.
    fn changed(&self, mutant: &Mutant) -> Result<BTreeMap<&Path, String>> {
        let mut files = BTreeMap::new();
        for (find, replace) in mutant.changes() {
            let count = |text: &String| text.matches(find).count();
            let found: usize = self.sources.values().map(count).sum();
            ensure!(found == 1, "found {found} times, not once: {find}");
            let mut all = self.sources.iter();
            let Some((file, text)) = all.find(|(_, text)| count(text) == 1) else { continue };
            let text = files.entry(file.as_path()).or_insert_with(|| text.clone());
            ensure!(count(text) == 1, "two changes overlap: {find}");
            *text = text.replace(find, replace);
        }
        Ok(files)
    }

    /// Every model that is named exists, and passes as long as nothing is broken.
    fn check_unchanged(&self, mutants: &[Mutant]) -> Result<()> {
        let models: BTreeSet<_> =
            mutants.iter().flat_map(|it| &it.models).map(String::as_str).collect();
        for (model, how) in self.run(models).context("without a mutant")? {
            if let Some(how) = how {
                bail!("{model} fails without any mutant: {how}");
            }
        }
        Ok(())
    }

    fn try_mutant<'a>(&self, mutant: &'a Mutant) -> Result<Tried<'a>> {
        let changed = self.changed(mutant)?;
        for (file, text) in &changed {
            fs::write(file, text)?;
        }
        let tried = self.run(mutant.models.iter().map(String::as_str));
        for file in changed.keys() {
            fs::write(file, &self.sources[*file])?;
        }
        tried
    }

    fn run<'a>(&self, models: impl IntoIterator<Item = &'a str>) -> Result<Tried<'a>> {
        let mut by_binary = BTreeMap::<_, Vec<_>>::new();
        for model in models {
            let (binary, test) = model.split_once("::").context("a model is `binary::test`")?;
            by_binary.entry(binary).or_default().push((model, test));
        }
        let mut tried = Vec::new();
        for (binary, models) in by_binary {
            let executable = self.build(binary)?;
            for (model, test) in models {
                tried.push((model, self.run_one(&executable, test)?));
            }
        }
        Ok(tried)
    }

    /// Builds one test binary and gives its path.
    fn build(&self, binary: &str) -> Result<PathBuf> {
        let output = Command::new("cargo")
            .args(["test", "--release", "--color=never", "--no-run", "-p", "winddown-loom-tests"])
            .args(["--test", binary, "--target-dir"])
            .arg(&self.target)
            .env("RUSTFLAGS", LOOM)
            // Each mutant changes a line or two.
            .env("CARGO_INCREMENTAL", "1")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .current_dir(&self.root)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "it does not build:\n{said}");
        let executable = said
            .lines()
            .find(|line| line.trim_start().starts_with("Executable"))
            .and_then(|line| Some(line.rsplit_once('(')?.1.trim_end().trim_end_matches(')')))
            .with_context(|| format!("cargo names no executable:\n{said}"))?;
        Ok(self.root.join(executable))
    }

    /// Runs one model in a process of its own, since a deadlock aborts, and says how it failed.
    fn run_one(&self, executable: &Path, test: &str) -> Result<Option<String>> {
        let log = self.root.join("log");
        let file = File::create(&log)?;
        let start = Instant::now();
        let mut child = Command::new(executable)
            .args(["--exact", test, "--nocapture"])
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let Some(status) = child.wait_timeout(PATIENCE)? else {
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

/// Reads a directory's files, with those of the directories in it.
fn read_all(directory: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, files)?;
        } else {
            let text = fs::read_to_string(&path)?;
            files.insert(path, text);
        }
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

/// For a profile table.
const QUICK_TO_BUILD: &str = "
[release.package]
winddown = { opt-level = 1 }
winddown-loom-tests = { opt-level = 1 }
";
