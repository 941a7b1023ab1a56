//! Which files a package needs.
//!
//! A file of Rust is needed if a `mod` leads to it from `src/lib.rs`. Another file is needed if a source names it
//! in a string, as `include_str!` does, or if a page for readers links to it. README, CHANGELOG and the licences
//! are such pages from the beginning, and cargo adds files of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit::Visit;

/// Cargo writes these into each package.
const OF_CARGO: [&str; 4] = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"];

/// What a reader looks for first.
const FOR_READERS: [&str; 4] = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Those of `files`, which lie in `folder`, that nothing needs.
pub(super) fn unneeded(folder: &Path, files: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut source = Source::default();
    source.read(folder, files, "src/lib.rs")?;
    let mut needed = source.files;
    needed.extend(OF_CARGO.map(String::from));
    needed.extend(FOR_READERS.map(String::from));
    needed.extend(files.iter().filter(|file| source.strings.contains(name(file))).cloned());
    for page in needed.iter().filter(|file| file.ends_with(".md")).cloned().collect::<Vec<_>>() {
        let text = fs::read_to_string(folder.join(&page)).with_context(|| page.clone())?;
        let is_linked = |file: &&String| is_linked(&text, &page, file);
        needed.extend(files.iter().filter(is_linked).cloned());
    }
    Ok(files.difference(&needed).cloned().collect())
}

/// The last part of a path.
fn name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// A link is relative to the page that it stands on. Of `docs/`, pages link to each other without the folder.
fn is_linked(text: &str, page: &str, file: &str) -> bool {
    let folder = page.rfind('/').map_or("", |at| &page[..=at]);
    file.strip_prefix(folder).is_some_and(|link| {
        [format!("({link}"), format!("]: {link}"), format!("\"{link}\"")]
            .iter()
            .any(|it| text.contains(it))
    })
}

/// Files of Rust, and the last parts of the strings in them.
#[derive(Debug, Default)]
struct Source {
    files: BTreeSet<String>,
    strings: BTreeSet<String>,
}

impl Source {
    /// Takes up `file`, and what its `mod`s lead to.
    fn read(&mut self, folder: &Path, files: &BTreeSet<String>, file: &str) -> Result<()> {
        let text = fs::read_to_string(folder.join(file)).with_context(|| file.to_owned())?;
        let syntax = syn::parse_file(&text).with_context(|| file.to_owned())?;
        self.files.insert(file.to_owned());
        self.take_strings(syntax.to_token_stream());
        let mut modules = Modules::default();
        modules.visit_file(&syntax);
        let of_modules = match file.strip_suffix("lib.rs") {
            Some(folder) => folder.to_owned(),
            None => format!("{}/", file.trim_end_matches(".rs")),
        };
        for module in modules.names {
            let file = format!("{of_modules}{module}.rs");
            if files.contains(&file) {
                self.read(folder, files, &file)?;
            }
        }
        Ok(())
    }

    fn take_strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.take_strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let literal = literal.to_string();
                    self.strings.insert(name(literal.trim_matches('"')).to_owned());
                }
                _ => (),
            }
        }
    }
}

/// The modules that lie in files of their own, by their paths from the file that has the `mod`.
#[derive(Debug, Default)]
struct Modules {
    within: Vec<String>,
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.within.push(module.ident.to_string());
        if module.content.is_none() {
            self.names.push(self.within.join("/"));
        }
        syn::visit::visit_item_mod(self, module);
        self.within.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_leads_to_is_not_needed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "#![doc = include_str!(\"../README.md\")]\nmod a;\nmod b { mod c; }");
        write("src/a.rs", "page!(x, \"page.md\");");
        write("src/b/c.rs", "");
        write("src/left.rs", "");
        write("README.md", "[p](docs/page.md) ![s](docs/s.svg)");
        write("docs/page.md", "[other]: other.md");
        write("docs/s.svg", "");
        write("docs/other.md", "");
        write("docs/diary.md", "");
        let files = [
            "src/lib.rs",
            "src/a.rs",
            "src/b/c.rs",
            "src/left.rs",
            "README.md",
            "CHANGELOG.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "docs/page.md",
            "docs/s.svg",
            "docs/other.md",
            "docs/diary.md",
        ];
        for page in ["CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            write(page, "");
        }
        let files = files.map(String::from).into_iter().collect();
        assert_eq!(unneeded(folder.path(), &files).unwrap(), ["docs/diary.md", "src/left.rs"]);
    }
}
