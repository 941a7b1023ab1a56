//! What a Markdown file refers to: files, and names of tests, models and mutants. And files that comments name.

use std::collections::BTreeSet;

use super::markdown::{At, Document, Row, spans_of};
use super::names::Names;
use super::{DESIGN, Problem};

/// Columns that hold names of the crate's code.
const OF_THE_CODE: [&str; 2] = ["in the code", "where to look first"];

const CAPABILITIES: &str = "docs/capabilities.md";

/// What a code span must end with to be the name of a file.
const EXTENSIONS: [&str; 8] = [".rs", ".md", ".toml", ".svg", ".tsv", ".lock", ".yml", ".json"];

/// A name that looks like that of a file, and is that of a site.
const NO_FILE: &str = "docs.rs";

pub(super) fn check(
    file: &str,
    document: &Document,
    files: &BTreeSet<String>,
    names: &Names,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for At { line, it: target } in document.links() {
        if let Err(text) = check_link(file, document, &target, files) {
            problems.push(Problem::new(file, line, text));
        }
    }
    for row in document.rows() {
        problems.extend(check_row(file, &row, names));
    }
    let of_rows: BTreeSet<_> = problems.iter().map(|it| (it.line, it.text.clone())).collect();
    for At { line, it: span } in document.spans() {
        let text = &span.text;
        // The column of a table says more of what is missing.
        let quoted = format!("`{text}`");
        if of_rows.iter().any(|(of_row, it)| *of_row == line && it.ends_with(&quoted)) {
            continue;
        }
        let problem = if is_file_name(text) {
            file_problem(text, files)
        } else {
            name_problem(file, text, &span.word_before, names)
        };
        problems.extend(problem.map(|text| Problem::new(file, line, text)));
    }
    problems
}

/// Checks the names of files in the comments of a Rust file.
pub(super) fn check_comments(file: &str, text: &str, files: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        let named = spans_of(comment).filter(|it| is_file_name(it));
        let unknown = named.filter_map(|it| file_problem(it, files));
        problems.extend(unknown.map(|text| Problem::new(file, number + 1, text)));
    }
    problems
}

fn file_problem(name: &str, files: &BTreeSet<String>) -> Option<String> {
    let exists = name.starts_with("target/") || resolve(name, files).next().is_some();
    (!exists).then(|| format!("`{name}` is no file of this repository"))
}

/// The files that `name` may mean: its own, those whose paths end with it, or those in a directory.
pub(super) fn resolve<'a>(
    name: &'a str,
    files: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a str> {
    let name = name.trim_start_matches("./");
    let is_it = move |file: &str| {
        if name.ends_with('/') {
            return file.starts_with(name) || file.contains(&format!("/{name}"));
        }
        file == name || file.strip_suffix(name).is_some_and(|it| it.ends_with('/'))
    };
    files.iter().map(String::as_str).filter(move |file| is_it(file))
}

fn is_file_name(span: &str) -> bool {
    let is_name = |it: char| it.is_alphanumeric() || "_-./".contains(it);
    let is_relative = !span.starts_with('/') && !span.contains("//") && !span.contains("..");
    let ends = span.ends_with('/') || EXTENSIONS.iter().any(|it| span.ends_with(it));
    let is_more = span.len() > 1 && !EXTENSIONS.contains(&span);
    is_relative && ends && is_more && span.chars().all(is_name) && span != NO_FILE
}

/// A path of Rust in lower case, or one such name.
fn is_path(span: &str) -> bool {
    let is_name = |it: &str| {
        let is_letter = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
        it.starts_with(|it: char| it.is_ascii_lowercase()) && it.chars().all(is_letter)
    };
    span.split("::").all(is_name)
}

fn name_problem(file: &str, span: &str, word_before: &str, names: &Names) -> Option<String> {
    let is_hyphened = span.contains('-')
        && !span.starts_with('-')
        && span.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-');
    let is_mutant = matches!(word_before, "mutant" | "mutants") && (is_hyphened || is_path(span));
    // The design speaks of mutants in many places, and of few other things with such names.
    let is_of_the_design = file == DESIGN && is_hyphened && !names.packages.contains(span);
    if is_mutant || is_of_the_design {
        return (!names.mutants.contains(span)).then(|| format!("there is no mutant `{span}`"));
    }
    let (binary, _) = span.split_once("::")?;
    let is_binary = names.tests.has_binary(binary) || names.models.has_binary(binary);
    if !is_path(span) || !is_binary || names.tests.has(span) || names.models.has(span) {
        return None;
    }
    Some(format!("there is no test or model `{span}`"))
}

/// Checks the columns that hold names of tests, models or mutants.
fn check_row(file: &str, row: &At<Row>, names: &Names) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut missing = |kind: &str, name: &str| {
        problems.push(Problem::new(file, row.line, format!("there is no {kind} `{name}`")));
    };
    for name in row.it.cell("mutant").into_iter().flat_map(spans_of) {
        if !names.mutants.contains(name) {
            missing("mutant", name);
        }
    }
    for name in row.it.cell("model").into_iter().flat_map(spans_of) {
        if !names.models.has(name) {
            // In prose a span may be anything.
            if is_path(name) {
                missing("model", name);
            }
        }
    }
    for name in OF_THE_CODE.iter().filter_map(|it| row.it.cell(it)).flat_map(spans_of) {
        if !is_file_name(name) && !names.is_in_code(name) {
            missing("such name in src:", name);
        }
    }
    let mut tests = 0;
    let spans = row.it.cell("test").into_iter().flat_map(spans_of);
    for name in spans.filter(|it| is_path(it)) {
        tests += 1;
        if !names.tests.has_test(name) && !names.programs.contains(name) {
            missing("test", name);
        }
    }
    if file == CAPABILITIES && row.it.cell("test").is_some() && tests == 0 {
        problems.push(Problem::new(file, row.line, "this row names no test"));
    }
    problems
}

fn check_link(
    file: &str,
    document: &Document,
    target: &str,
    files: &BTreeSet<String>,
) -> Result<(), String> {
    let is_of_rustdoc = target.contains("::") || target.starts_with("crate");
    if target.contains(':') || target.starts_with("//") || is_of_rustdoc || target.is_empty() {
        return Ok(());
    }
    if let Some(heading) = target.strip_prefix('#') {
        let exists = document.anchors().contains(heading);
        return exists
            .then_some(())
            .ok_or_else(|| format!("no heading of this page is #{heading}"));
    }
    let (path, _) = target.split_once(['#', '?']).unwrap_or((target, ""));
    let mut parts: Vec<_> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            _ => parts.push(part),
        }
    }
    let path = parts.join("/");
    let is_directory = || files.iter().any(|it| it.starts_with(&format!("{path}/")));
    let exists = files.contains(&path) || path.is_empty() || is_directory();
    exists.then_some(()).ok_or_else(|| format!("the link leads nowhere: {target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> BTreeSet<String> {
        ["README.md", "docs/guide.md", "docs/plot.svg", "src/park/seats.rs", "tests/wait.rs"]
            .map(String::from)
            .into()
    }

    fn names() -> Names {
        let mutants = ["a-b".to_owned()].into();
        let packages = ["event-listener".to_owned()].into();
        Names { mutants, packages, programs: ["fan_out".to_owned()].into(), ..Names::default() }
    }

    fn lines(file: &str, text: &str) -> Vec<usize> {
        let problems = check(file, &Document::read(text), &files(), &names());
        problems.iter().map(|it| it.line).collect()
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        let text = "# One thing\n[a](#one-thing) [b](plot.svg) [c](../README.md#x) [d](https://e.f)\n\
            [e](#two)\n[f](gone.md)\n[g](../docs)\n[h](crate::Signal)\n<img src=\"gone.svg\">\n";
        assert_eq!(lines("docs/guide.md", text), [3, 4, 7]);
    }

    #[test]
    fn names_of_files_are_found_by_their_end() {
        let text = "`seats.rs` `park/seats.rs` `src/park/` `target/x.tsv` `docs.rs` `/etc/a.toml`\n\
            `eats.rs`\n`src/seats.rs`\n`gone/`\n";
        assert_eq!(lines("README.md", text), [2, 3, 4]);
    }

    #[test]
    fn comments_name_files_that_there_are() {
        let text = "//! See `park/seats.rs`.\n// And `gone.rs`, `a.b`.\nlet it = \"`lost.rs`\";\n";
        let problems = check_comments("src/lib.rs", text, &files());
        assert_eq!(problems.iter().map(|it| it.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn mutants_are_known_by_the_word_before_or_in_the_design() {
        let text = "mutants `a-b`,\n`b-c`; `c-d`, `event-listener`\n";
        assert_eq!(lines("README.md", text), [2]);
        assert_eq!(lines(DESIGN, text), [2, 2]);
        assert_eq!(lines(DESIGN, "| mutant |\n|---|\n| `a-b` |\n| `gone` |\n"), [4]);
    }

    #[test]
    fn names_of_the_code_are_looked_up_in_their_column() {
        let text = "| word | in the code |\n|---|---|\n| `x` | `Signal::close` |\n| y | `Hook` |\n";
        let words = ["Signal", "close"].map(String::from).into();
        let names = Names { words, ..Names::default() };
        let problems = check("README.md", &Document::read(text), &files(), &names);
        assert_eq!(problems.iter().map(|it| it.line).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_row_of_capabilities_names_a_test_or_an_example() {
        let text = "| id | test |\n|---|---|\n| 1 | the example `fan_out` |\n| 2 | `gone` |\n| 3 | `Signal` |\n";
        assert_eq!(lines(CAPABILITIES, text), [4, 5]);
        assert_eq!(lines("README.md", text), [4]);
    }
}
