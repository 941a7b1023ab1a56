//! The listing of the public API, `docs/public-api.txt`, against the source.
//!
//! rustdoc describes the crate as JSON, which the library `public-api` turns into one line for each item: with
//! signatures, and with the impls of `Send`, `Sync` and their like. The JSON is unstable: a version of
//! `public-api` reads one format. With another rustdoc the listing may differ although the API is the same, so
//! then nothing fails.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use public_api::Builder;
use serde::Deserialize;
use xshell::Shell;

use crate::skips::skip_without_lack;
use crate::toolchain::Toolchain;
use crate::{features, target_dir};

const LISTING: &str = "docs/public-api.txt";

const HEAD: &str = "\
# Each public item of winddown with its signature. `cargo xtask api` compares this file with the source, and
# `cargo xtask api --bless` writes it. The last sections say what differs from the first: `+` is added, `-` is gone.
";

/// Auto traits that no stable program can name.
const UNSTABLE: [&str; 2] = ["core::marker::Freeze for ", "core::marker::UnsafeUnpin for "];

/// What to do with the listing.
#[derive(Debug, Default, Args)]
pub(crate) struct ApiArgs {
    /// Writes the listing anew.
    #[arg(long)]
    bless: bool,
}

/// Compares the listing with the source, or writes it.
pub(crate) fn api(sh: &Shell, args: &ApiArgs) -> Result<()> {
    let toolchain = Toolchain::of_this_run()?;
    let rustdoc = toolchain.rustdoc_version(sh)?;
    let every = features::of_users(sh)?.join(",");
    let json = Json { sh, toolchain: &toolchain };
    let sets = [&[][..], &["--no-default-features"], &["--features", &every]];
    let items: Vec<_> = sets.into_iter().map(|set| json.items(set)).collect::<Result<_>>()?;
    let [Some(default), Some(bare), Some(all)] = &items[..] else {
        ensure!(!args.bless, "{}", other_format(&rustdoc));
        skip_format("public API", &rustdoc);
        return Ok(());
    };
    let sections = [
        (String::from("Default features"), default.clone()),
        (String::from("Without features"), changes(default, bare)),
        (format!("With the features {}", every.replace(',', ", ")), changes(default, all)),
    ];
    let path = sh.current_dir().join(LISTING);
    if args.bless {
        sh.write_file(&path, print(&rustdoc, &sections))?;
        println!("{LISTING}: {} items with default features", default.len());
        return Ok(());
    }
    let text = sh.read_file(&path)?;
    let (listed_by, listed) = parse(&text);
    let mut differ = 0;
    for (title, items) in &sections {
        let listed = listed.iter().find(|(it, _)| it == title).map(|(_, items)| items.as_slice());
        for change in changes(listed.unwrap_or_default(), items) {
            if differ == 0 {
                println!("{LISTING} (-) and the source (+) differ:");
            }
            println!("{title}: {change}");
            differ += 1;
        }
    }
    if differ != 0 && listed_by != rustdoc {
        skip_without_lack(
            "public API",
            format!("{LISTING} was written with {listed_by}, and this is {rustdoc}"),
        );
        return Ok(());
    }
    ensure!(
        differ == 0,
        "the public API is not what {LISTING} says: {differ} lines differ; if the change is meant, list it by\n  \
         cargo xtask api --bless"
    );
    println!("{} items with default features, as {LISTING} says", default.len());
    Ok(())
}

/// What `features` add, a line for each item; nothing if the JSON has another format than the library reads.
pub(crate) fn added_by(
    sh: &Shell,
    toolchain: &Toolchain,
    features: &str,
) -> Result<Option<Vec<String>>> {
    let json = Json { sh, toolchain };
    let (bare, with) =
        (json.items(&["--no-default-features"])?, json.items(&["--features", features])?);
    let changes = bare.zip(with).map(|(bare, with)| changes(&bare, &with));
    let added = |line: String| line.strip_prefix("+ ").map(String::from);
    Ok(changes.map(|lines| lines.into_iter().filter_map(added).collect()))
}

/// The JSON of this rustdoc is not what the library reads.
pub(crate) fn skip_format(what: &str, rustdoc: &str) {
    skip_without_lack(what, other_format(rustdoc));
}

fn other_format(rustdoc: &str) -> String {
    format!(
        "the JSON of {rustdoc} is not format {}, which the library `public-api` reads: choose its version for \
         this rustdoc in xtask/Cargo.toml",
        rustdoc_types::FORMAT_VERSION
    )
}

struct Json<'a> {
    sh: &'a Shell,
    toolchain: &'a Toolchain,
}

impl Json<'_> {
    /// The public items with these features, a line each, in order; nothing if the format is another.
    fn items(&self, features: &[&str]) -> Result<Option<Vec<String>>> {
        let target = target_dir("api");
        self.toolchain
            .nightly_cargo(self.sh)
            .args(["rustdoc", "--quiet", "--package", "winddown", "--lib", "--target-dir"])
            .arg(&target)
            .args(features)
            .args(["--", "-Zunstable-options", "--output-format", "json"])
            // The step of `cargo xtask test` for the documentation judges links.
            .args(["--cap-lints", "allow"])
            .quiet()
            .run()?;
        let json = target.join("doc/winddown.json");
        if format_version(&json)? != rustdoc_types::FORMAT_VERSION {
            return Ok(None);
        }
        let api = Builder::from_rustdoc_json(&json).omit_blanket_impls(true).build()?;
        let lines = api.items().map(ToString::to_string);
        Ok(Some(lines.filter(|line| !UNSTABLE.iter().any(|it| line.contains(it))).collect()))
    }
}

fn format_version(json: &Path) -> Result<u32> {
    #[derive(Deserialize)]
    struct Head {
        format_version: u32,
    }
    let text = std::fs::read_to_string(json).context("rustdoc wrote no JSON")?;
    Ok(serde_json::from_str::<Head>(&text)?.format_version)
}

/// What `new` lacks of `old`, and what it adds, in the order of the items.
fn changes(old: &[String], new: &[String]) -> Vec<String> {
    let [before, after] = [old, new].map(|items| items.iter().collect::<BTreeSet<_>>());
    let gone = old.iter().filter(|item| !after.contains(item)).map(|item| format!("- {item}"));
    let added = new.iter().filter(|item| !before.contains(item)).map(|item| format!("+ {item}"));
    gone.chain(added).collect()
}

fn print(rustdoc: &str, sections: &[(String, Vec<String>)]) -> String {
    let mut text = format!("{HEAD}# Written with {rustdoc}.\n");
    for (title, items) in sections {
        text.push_str(&format!("\n## {title}\n\n"));
        items.iter().for_each(|item| text.push_str(&format!("{item}\n")));
    }
    text
}

/// The rustdoc that wrote `text`, and its sections.
fn parse(text: &str) -> (&str, Vec<(String, Vec<String>)>) {
    let mut listed_by = "an unknown rustdoc";
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push((title.to_owned(), Vec::new()));
        } else if let Some(remark) = line.strip_prefix("# ") {
            let version = remark.strip_prefix("Written with ").and_then(|it| it.strip_suffix('.'));
            listed_by = version.unwrap_or(listed_by);
        } else if let Some((_, items)) = sections.last_mut() {
            items.push(line.to_owned());
        }
    }
    (listed_by, sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let sections = [("One".into(), lines("a b")), ("Two".into(), lines("+c"))];
        let text = print("rustdoc 1.95.0 (an example)", &sections);
        let windows = text.replace('\n', "\r\n");
        for text in [text, windows] {
            let (listed_by, listed) = parse(&text);
            assert_eq!(listed_by, "rustdoc 1.95.0 (an example)");
            assert_eq!(listed, sections);
        }
    }

    #[test]
    fn a_changed_signature_is_gone_and_added() {
        assert_eq!(changes(&lines("a b c"), &lines("a d c")), ["- b", "+ d"]);
        assert!(changes(&lines("a b"), &lines("a b")).is_empty());
    }
}
