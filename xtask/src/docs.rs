//! What documents and comments refer to must exist: rules, edges and conditions in `docs/design.md`, tests,
//! models, mutants and files in the repository.

mod cited;
mod design;
mod markdown;
mod names;
mod pictures;
mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use xshell::{Shell, cmd};

use cited::Citation;
use design::Design;
use markdown::Document;
use names::Names;

const DESIGN: &str = "docs/design.md";
const MUTANTS: &str = "loom-tests/mutants.toml";

/// Where edges are cited: elsewhere a single letter may mean anything.
const WITH_EDGES: [&str; 2] = ["src/", "loom-tests/"];

/// A reference that leads nowhere, or a definition that is not clear.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    file: String,
    line: usize,
    text: String,
}

impl Problem {
    fn new(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.into(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// What to do with the documents.
#[derive(Debug, Default, Args)]
pub(crate) struct DocsArgs {
    /// Writes the README's pictures anew where rustdoc finds them, before the check.
    #[arg(long)]
    pictures: bool,
}

/// Checks all documents and comments of the repository.
pub(crate) fn docs(sh: &Shell, args: &DocsArgs) -> Result<()> {
    let root = crate::root();
    if args.pictures {
        pictures::write(&root)?;
    }
    let files = files(sh, &root)?;
    let problems = check(&root, &files)?;
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("documents and comments refer to what is not there: {} times", problems.len());
    }
    Ok(())
}

/// The files of the repository, or of its copy without git.
fn files(sh: &Shell, root: &Path) -> Result<BTreeSet<String>> {
    let list = cmd!(sh, "git ls-files --cached --others --exclude-standard");
    if let Ok(list) = list.quiet().ignore_stderr().read() {
        // What is deleted and not committed yet is listed all the same.
        let is_there = |file: &&str| root.join(file).is_file();
        return Ok(list.lines().filter(is_there).map(String::from).collect());
    }
    let (mut files, mut directories) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().context("no name")?;
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    directories.push(path);
                }
            } else {
                let parts = path.strip_prefix(root)?.iter().map(|it| it.to_string_lossy());
                files.insert(Vec::from_iter(parts).join("/"));
            }
        }
    }
    Ok(files)
}

fn check(root: &Path, files: &BTreeSet<String>) -> Result<BTreeSet<Problem>> {
    let read = |file: &str| {
        fs::read_to_string(root.join(file)).with_context(|| format!("{file} cannot be read"))
    };
    let text = read(DESIGN)?;
    let (design, problems) = Design::read(&Document::read(&text), files);
    let mut problems = BTreeSet::from_iter(problems);
    let names = Names::read(root, files)?;
    let mut all_citations = BTreeMap::new();
    for file in files {
        let citations = if file.ends_with(".rs") {
            let text = read(file)?;
            problems.extend(names.check_model_docs(file, &text));
            problems.extend(references::check_comments(file, &text, files));
            cited::in_rust(&text)
        } else if file == MUTANTS {
            let text = read(file)?;
            problems.extend(names.check_mutant_list(file, &text));
            cited::in_toml(&text)
        } else if file.ends_with(".md") {
            let text = read(file)?;
            let document = Document::read(&text);
            problems.extend(references::check(file, &document, files, &names));
            cited::in_markdown(&document)
        } else {
            continue;
        };
        problems.extend(check_citations(file, &citations, &design));
        all_citations.insert(file.clone(), citations);
    }
    problems.extend(design.stale(&all_citations));
    problems.extend(pictures::check(root)?);
    Ok(problems)
}

fn check_citations(file: &str, citations: &[Citation], design: &Design) -> Vec<Problem> {
    let has_edges = file == DESIGN || WITH_EDGES.iter().any(|it| file.starts_with(it));
    let problem = |it: &Citation| design.problem_of(it, file, has_edges);
    citations.iter().filter_map(|it| Some(Problem::new(file, it.line, problem(it)?))).collect()
}
