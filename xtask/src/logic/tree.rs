//! A copy of the repository, whose crate has all mutants in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::file::File;

/// A way to build the crate and its tests.
#[derive(Debug)]
pub(super) struct World {
    pub(super) name: &'static str,
    /// For cargo, space by space.
    arguments: &'static str,
    flags: &'static str,
}

/// In the order in which they judge: the quickest first.
pub(super) const WORLDS: [World; 6] = [
    World { name: "default", arguments: "-p winddown", flags: "" },
    World { name: "features", arguments: "-p winddown --features holders,tracing", flags: "" },
    World {
        name: "bare",
        arguments: "-p winddown --no-default-features --features critical-section,holders",
        flags: "",
    },
    World {
        name: "small-word",
        arguments: "-p winddown-loom-tests --features small-word --test limits",
        flags: "--cfg winddown_small_word",
    },
    World {
        name: "born-sharded",
        arguments: "-p winddown-loom-tests --features born-sharded",
        flags: "--cfg winddown_born_sharded",
    },
    World { name: "models", arguments: "-p winddown-loom-tests --release", flags: "--cfg loom" },
];

/// The tests of programs that they build themselves: to wait for another build would look as if they hung.
const BUILD: [&str; 2] = ["no_std", "examples"];

/// For the head of the crate: the questions need the first line.
const ALLOWED: &str = "#![feature(core_intrinsics, const_eval_select)]
#![allow(warnings, arithmetic_overflow, unconditional_panic)]";

/// The module that the questions are put to.
const MUTATION: &str = include_str!("mutation.rs");

/// The copy.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    /// Another copy, for what the compiler may refuse: so a run builds again only what has changed since the last.
    draft: PathBuf,
}

impl Tree {
    /// Copies all but the crate's source.
    pub(super) fn copy() -> Result<Self> {
        let of = |name| crate::target_dir("logic").join(name);
        let tree = Self { root: of("tree"), draft: of("draft") };
        let original = crate::root();
        let manifest = fs::read_to_string(original.join("Cargo.toml"))?;
        let mut manifest: toml::Table = toml::from_str(&manifest)?;
        let workspace = manifest.get_mut("workspace").and_then(toml::Value::as_table_mut);
        let workspace = workspace.context("the manifest has no workspace")?;
        workspace.insert("members".into(), vec!["loom-tests"].into());
        for root in [&tree.root, &tree.draft] {
            for it in ["tests", "examples", "docs", "loom-tests", "README.md", "Cargo.lock"] {
                copy(&original.join(it), &root.join(it))?;
            }
            write(&root.join("Cargo.toml"), &toml::to_string(&manifest)?)?;
        }
        Ok(tree)
    }

    /// Writes all mutants into the copy but for those that have no type in one of `worlds`, which it gives.
    pub(super) fn write_viable(
        &self,
        files: &mut [File],
        worlds: &[&World],
    ) -> Result<BTreeSet<usize>> {
        let mut without = BTreeSet::new();
        for world in worlds {
            loop {
                write_all(&self.draft, files, &without)?;
                let output = cargo(&self.draft, world, "check", &["--lib"])?;
                if output.status.success() {
                    break;
                }
                let more = refused(&output)?;
                println!("{}: the compiler refuses {} mutants", world.name, more.len());
                without.extend(more);
            }
        }
        write_all(&self.root, files, &without)?;
        Ok(without)
    }

    /// Builds the tests of `world`, and gives the programs.
    pub(super) fn build(&self, world: &World) -> Result<Vec<PathBuf>> {
        let output = cargo(&self.root, world, "test", &["--no-run", "--no-fail-fast"])?;
        if !output.status.success() {
            let said: Vec<String> = messages(&output, "compiler-message")
                .filter(|it| it["message"]["level"] == "error")
                .filter_map(|it| Some(it["message"]["rendered"].as_str()?.to_owned()))
                .collect();
            bail!("it does not build:\n{}", said.join("\n"));
        }
        let mut programs = Vec::new();
        for message in messages(&output, "compiler-artifact") {
            let (target, is_test) = (&message["target"], message["profile"]["test"] == true);
            let builds = target["name"].as_str().is_some_and(|name| BUILD.contains(&name));
            if is_test && !builds && target["kind"][0] != "example" {
                programs.extend(message["executable"].as_str().map(PathBuf::from));
            }
        }
        Ok(programs)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

/// Writes the crate with its mutants.
fn write_all(root: &Path, files: &[File], without: &BTreeSet<usize>) -> Result<()> {
    let src = root.join("src");
    for file in files {
        let mut text = file.mutated(without);
        if file.path == Path::new("lib.rs") {
            let with = text.replacen("\nmod error;", "\npub(crate) mod mutation;\nmod error;", 1);
            ensure!(with != text, "lib.rs has no `mod error;`");
            text = format!("{ALLOWED}\n{with}");
        }
        write(&src.join(&file.path), &text)?;
    }
    let count = files.iter().map(|it| it.mutants.len()).sum::<usize>();
    write(&src.join("mutation.rs"), MUTATION.replace("COUNT_OF_MUTANTS", &count.to_string()))
}

/// The mutants at which the compiler found an error.
fn refused(output: &Output) -> Result<BTreeSet<usize>> {
    let mut refused = BTreeSet::new();
    let mut elsewhere = Vec::new();
    for message in messages(output, "compiler-message") {
        let message = &message["message"];
        if message["level"] != "error" {
            continue;
        }
        let spans = message["spans"].as_array().into_iter().flatten();
        let found: BTreeSet<usize> = spans
            .filter(|it| it["is_primary"] == true)
            .flat_map(|it| it["text"].as_array().into_iter().flatten())
            .filter_map(|it| number(it["text"].as_str()?))
            .collect();
        if found.is_empty() {
            elsewhere.push(message["rendered"].as_str().unwrap_or_default().to_owned());
        }
        refused.extend(found);
    }
    ensure!(
        !refused.is_empty(),
        "it does not build:\n{}\n{}",
        elsewhere.join("\n"),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(refused)
}

/// Runs cargo on a copy.
fn cargo(root: &Path, world: &World, command: &str, more: &[&str]) -> Result<Output> {
    let target = crate::target_dir("logic");
    // The flags rebuild all packages.
    let target = if world.flags.is_empty() { target } else { target.join(world.name) };
    let cargo = Command::new("cargo")
        .args([command, "--message-format=json", "--quiet"])
        .args(world.arguments.split(' '))
        .args(more)
        .arg("--target-dir")
        .arg(target)
        .env("RUSTFLAGS", world.flags)
        .env("RUSTC_BOOTSTRAP", "winddown")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root)
        .output()?;
    Ok(cargo)
}

/// What cargo says of one kind.
fn messages<'a>(output: &'a Output, reason: &'a str) -> impl Iterator<Item = Value> + 'a {
    let lines = output.stdout.split(|&byte| byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    messages.filter(move |it| it["reason"] == reason)
}

/// The mutant whose line this is.
fn number(line: &str) -> Option<usize> {
    line.trim_start().strip_prefix("/*")?.split_once("*/")?.0.parse().ok()
}

/// Copies a file, or a directory with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        let bytes = fs::read(from).with_context(|| from.display().to_string())?;
        return write(to, bytes);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Writes a file that differs.
fn write(to: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    if fs::read(to).is_ok_and(|old| old == bytes.as_ref()) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
    fs::write(to, bytes).with_context(|| to.display().to_string())
}
