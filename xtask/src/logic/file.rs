//! The files of `src`: the mutants of each, and the text that has them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::make;

/// A way to break the crate.
#[derive(Debug)]
pub(super) struct Mutant {
    pub(super) file: String,
    /// The function, within its `impl` block and module.
    pub(super) item: String,
    pub(super) change: String,
    /// Which one, of those of the same item and change.
    pub(super) nth: usize,
}

impl Mutant {
    pub(super) fn name(&self) -> String {
        let Self { file, item, change, nth } = self;
        let nth = if *nth == 0 { String::new() } else { format!(" (no. {})", nth + 1) };
        format!("{file}: {item}: {change}{nth}")
    }
}

/// Text to insert for a mutant.
#[derive(Debug)]
pub(super) struct Insertion {
    pub(super) at: usize,
    /// Of these, the first come first.
    pub(super) order: (bool, usize, usize),
    pub(super) text: String,
    /// It is left out if this one cannot be built.
    pub(super) mutant: usize,
}

/// A file of `src`, and what to insert for its mutants.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    text: String,
    /// The number of the first of its mutants.
    pub(super) first: usize,
    pub(super) mutants: Vec<Mutant>,
    pub(super) insertions: Vec<Insertion>,
}

impl File {
    fn new(path: PathBuf, text: String, first: usize) -> Self {
        Self { path, text, first, mutants: Vec::new(), insertions: Vec::new() }
    }

    fn with_mutants(self) -> Result<Self> {
        let parsed =
            syn::parse_file(&self.text).with_context(|| self.path.display().to_string())?;
        let mut made = make::mutants(self, &parsed);
        made.insertions.sort_by_key(|it| (it.at, it.order));
        Ok(made)
    }

    /// The file with all its mutants, but for those `without`.
    pub(super) fn mutated(&self, without: &BTreeSet<usize>) -> String {
        let (mut text, mut done) = (String::new(), 0);
        for it in self.insertions.iter().filter(|it| !without.contains(&it.mutant)) {
            text.push_str(&self.text[done..it.at]);
            text.push_str(&it.text);
            done = it.at;
        }
        text + &self.text[done..]
    }
}

/// What stands for a model, and is no logic of the crate.
const NO_LOGIC: [&str; 4] = ["sync/model", "sync/pauses.rs", "sync/step.rs", "docs"];

/// The files of `src`, with their mutants.
pub(super) fn files(src: &Path) -> Result<Vec<File>> {
    let (mut paths, mut folders) = (Vec::new(), vec![src.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    // What everything stands on first: its files are at the end of the alphabet.
    paths.sort_by(|one, two| two.cmp(one));
    let mut files = Vec::new();
    let mut first = 0;
    for path in paths {
        let relative = path.strip_prefix(src)?.to_owned();
        let text = fs::read_to_string(&path)?;
        let mut file = File::new(relative, text, first);
        if !NO_LOGIC.iter().any(|it| file.path.to_string_lossy().starts_with(it)) {
            file = file.with_mutants()?;
        }
        first += file.mutants.len();
        files.push(file);
    }
    Ok(files)
}
