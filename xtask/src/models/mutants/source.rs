//! The crate's source by item: where a change is to be made does not depend on the file.

use core::ops::Range;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use proc_macro2::TokenStream;

use super::items::{self, Item};
use super::list::{Change, Edit};
use super::tokens::{self, Token};

/// All files of `src`.
#[derive(Debug, Default)]
pub(super) struct Source {
    files: Vec<SourceFile>,
}

#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    text: String,
    tokens: Vec<Token>,
    items: Vec<Item>,
}

/// A file with other content.
#[derive(Debug)]
pub(super) struct Changed<'a> {
    /// Relative to `src`.
    pub(super) path: &'a Path,
    /// Without the change.
    pub(super) before: &'a str,
    pub(super) after: String,
}

/// A part of a file, and what comes in its place.
struct Replacement<'a> {
    file: &'a SourceFile,
    bytes: Range<usize>,
    text: &'a str,
}

impl Source {
    /// Reads `directory`, with the directories in it.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let mut source = Self::default();
        let mut paths = Vec::new();
        list_files(directory, &mut paths)?;
        for path in paths {
            let text = fs::read_to_string(&path)?;
            source.add(path.strip_prefix(directory)?, text)?;
        }
        Ok(source)
    }

    /// Adds a file of this path, relative to `src`.
    pub(super) fn add(&mut self, path: &Path, text: String) -> Result<()> {
        let name = || path.display().to_string();
        let stream: TokenStream =
            text.parse().map_err(|error| anyhow!("{error}")).with_context(name)?;
        let items = items::read(stream.clone(), path).with_context(name)?;
        let tokens = tokens::flatten(stream);
        self.files.push(SourceFile { path: path.to_owned(), text, tokens, items });
        Ok(())
    }

    /// The files that `changes` change, with all of these changes made.
    pub(super) fn changed<'a>(
        &'a self,
        changes: impl IntoIterator<Item = Change<'a>>,
    ) -> Result<Vec<Changed<'a>>> {
        let mut all = changes
            .into_iter()
            .map(|change| self.replacement(change).with_context(|| format!("in {}", change.item)))
            .collect::<Result<Vec<_>>>()?;
        all.sort_by_key(|it| (&it.file.path, it.bytes.start));
        all.chunk_by(|one, other| one.file.path == other.file.path).map(apply).collect()
    }

    /// All files with their texts, in the order of their paths.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().map(|it| (it.path.as_path(), it.text.as_str()))
    }

    /// The tokens of a file.
    pub(super) fn tokens(&self, path: &Path) -> Option<&[Token]> {
        Some(&self.file(path)?.tokens)
    }

    /// The whole name of the innermost item around a place in a file.
    pub(super) fn item_at(&self, path: &Path, at: usize) -> Option<String> {
        let around = self.file(path)?.items.iter().filter(|it| it.bytes.contains(&at));
        Some(around.min_by_key(|it| it.bytes.len())?.full_name())
    }

    fn file(&self, path: &Path) -> Option<&SourceFile> {
        self.files.iter().find(|it| it.path == path)
    }

    /// Where `change` is to be made.
    fn replacement<'a>(&'a self, change: Change<'a>) -> Result<Replacement<'a>> {
        let (file, item) = self.item(change.item)?;
        let (bytes, text) = match change.edit {
            Edit::Body(body) => (item.body.clone().context("it has no body")?, body),
            Edit::Part { find, replace } => (file.find(find, item)?, replace),
        };
        Ok(Replacement { file, bytes, text })
    }

    /// The one item of this name.
    fn item(&self, name: &str) -> Result<(&SourceFile, &Item)> {
        let all = || self.files.iter().flat_map(|file| file.items.iter().map(move |it| (file, it)));
        let mut named: Vec<_> = all().filter(|(_, item)| item.is_called(name)).collect();
        // Else an item could not be named whose modules are among those of another.
        if let Some(whole) = named.iter().copied().find(|(_, item)| item.full_name() == name) {
            named = vec![whole];
        }
        match *named {
            [one] => Ok(one),
            [] => {
                let alike: Vec<_> = all().filter(|(_, item)| item.is_like(name)).collect();
                bail!("there is no such item{}", listed("; do you mean", &alike));
            }
            _ => bail!("{} items are called so{}", named.len(), listed("", &named)),
        }
    }
}

impl SourceFile {
    /// The place in `item` where `text` occurs once.
    fn find(&self, text: &str, item: &Item) -> Result<Range<usize>> {
        let wanted = tokens::read(text)?;
        ensure!(!wanted.is_empty(), "`find` is empty");
        let start = self.tokens.partition_point(|it| it.bytes.start < item.bytes.start);
        let end = self.tokens.partition_point(|it| it.bytes.end <= item.bytes.end);
        let mut places = tokens::find(&wanted, &self.tokens[start..end]);
        if let (Some(place), true) = (places.pop(), places.is_empty()) {
            return Ok(place);
        }
        let times = if places.is_empty() { 0 } else { places.len() + 1 };
        bail!("found {times} times, not once: {text}");
    }
}

/// Makes changes of one file, which are sorted.
fn apply<'a>(changes: &[Replacement<'a>]) -> Result<Changed<'a>> {
    let file = changes.first().context("no change")?.file;
    let (mut after, mut end) = (String::new(), 0);
    for Replacement { bytes, text, .. } in changes {
        ensure!(end <= bytes.start, "two changes overlap: {text}");
        after.push_str(&file.text[end..bytes.start]);
        after.push_str(text);
        end = bytes.end;
    }
    after.push_str(&file.text[end..]);
    syn::parse_file(&after).with_context(|| format!("{} is no Rust then", file.path.display()))?;
    Ok(Changed { path: &file.path, before: &file.text, after })
}

/// Items with their files, behind `title`.
fn listed(title: &str, items: &[(&SourceFile, &Item)]) -> String {
    let line = |(file, item): &(&SourceFile, &Item)| {
        format!("\n    {} in src/{}", item.full_name(), file.path.display())
    };
    if items.is_empty() {
        String::new()
    } else {
        format!("{title}:{}", items.iter().map(line).collect::<String>())
    }
}

/// The files in `directory` and in the directories in it.
fn list_files(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            list_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            // The rest is what pages of the documentation include.
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "
        struct Word;
        impl<T: Into<Vec<Vec<u8>>>> Word {
            /// Leaves: `step(Release)`.
            fn leave(&self) -> bool {
                // not yet: other(Release)
                self.step(
                    Release, // A
                );
                self.other(Release, Acquire)
            }
        }
        impl Drop for Word { fn drop(&mut self) { self.leave(); } }
        impl Extra for Word { fn drop(&mut self) {} }
        impl Source for Arc<Word> { fn announce(&self) {} }
        impl Source for Arc<Node> { fn announce(&self) {} }
        #[cfg(test)]
        mod tests { fn spread() {} }
    ";
    const TREE: &str = "
        const ONE: usize = 1;
        fn leave() { fn inner() { a(); } }
        pin_project! { pub struct Tracked { #[pin] word: usize } }
        impl Tracked { const_unless_loom! { const fn new() -> Self { Self } } }
        macro_rules! forms { () => { fn form() { b(); } } }
        fn spread() {}
    ";

    fn source() -> Source {
        let mut source = Source::default();
        source.add(Path::new("word.rs"), WORD.into()).unwrap();
        source.add(Path::new("tree.rs"), TREE.into()).unwrap();
        source
    }

    fn part<'a>(item: &'a str, find: &'a str, replace: &'a str) -> Change<'a> {
        Change { item, edit: Edit::Part { find, replace } }
    }

    /// What the file says then, in one line.
    fn changed(changes: &[Change<'_>]) -> Result<String> {
        let source = source();
        let files = source.changed(changes.iter().copied())?;
        let text: Vec<_> = files.iter().flat_map(|it| it.after.split_whitespace()).collect();
        Ok(text.join(" "))
    }

    fn refused(change: Change<'_>) -> String {
        format!("{:#}", changed(&[change]).unwrap_err())
    }

    #[test]
    fn a_part_of_the_named_function_is_replaced() {
        let after = changed(&[part("Word::leave", "self.step(Release)", "self.step(Relaxed)")]);
        assert!(after.unwrap().contains("self.step(Relaxed); self.other(Release, Acquire)"));
    }

    #[test]
    fn several_changes_may_meet_in_one_file_but_not_in_one_place() {
        let (step, other) = ("self.step(Release);", "other(Release, Acquire)");
        let two = [part("Word::leave", other, "none()"), part("Word::leave", step, "")];
        assert!(changed(&two).unwrap().contains("// not yet: other(Release) self.none() }"));
        let overlapping = [part("Word::leave", step, ""), part("Word::leave", "step", "none")];
        assert!(changed(&overlapping).unwrap_err().to_string().contains("overlap"));
    }

    #[test]
    fn a_body_is_replaced_as_a_whole() {
        let body = Change { item: "Word::leave", edit: Edit::Body(" true ") };
        assert!(changed(&[body]).unwrap().contains("fn leave(&self) -> bool { true }"));
    }

    #[test]
    fn a_find_that_occurs_twice_or_never_is_refused() {
        assert!(refused(part("Word::leave", "Release", "")).contains("found 2 times"));
        assert!(refused(part("Word::leave", "other(Release)", "")).contains("found 0 times"));
        assert!(refused(part("Word::leave", "// Release", "")).contains("`find` is empty"));
    }

    #[test]
    fn a_change_leaves_rust_behind() {
        assert!(refused(part("Word::leave", "self.step", "fn")).contains("no Rust"));
    }

    #[test]
    fn an_ambiguous_name_is_refused_with_all_candidates() {
        let error = refused(part("Word::drop", "self", ""));
        assert!(error.contains("2 items"), "{error}");
        assert!(error.contains("word::<Word as Drop>::drop in src/word.rs"), "{error}");
        assert!(error.contains("word::<Word as Extra>::drop in src/word.rs"), "{error}");
        assert!(changed(&[part("<Word as Drop>::drop", "self.leave();", "")]).is_ok());
    }

    #[test]
    fn a_method_is_not_a_function_of_that_name() {
        assert!(refused(part("leave", "self", "")).contains("found 0 times"));
        let error = refused(part("step::leave", "self", ""));
        assert!(error.contains("no such item") && error.contains("word::Word::leave"), "{error}");
    }

    #[test]
    fn modules_may_come_in_front() {
        assert!(changed(&[part("tree::leave", "a()", "b()")]).is_ok());
        assert!(changed(&[part("word::Word::leave", "step", "stop")]).is_ok());
        assert!(changed(&[part("leave::inner", "a()", "b()")]).is_ok());
        assert!(changed(&[part("tree::inner", "a()", "b()")]).is_ok());
        assert!(refused(part("ree::leave", "a()", "b()")).contains("no such item"));
    }

    #[test]
    fn a_whole_name_is_not_ambiguous() {
        let mut source = source();
        source.add(Path::new("tree/leaf.rs"), "fn leave() {}".into()).unwrap();
        let path_of = |name: &str| source.item(name).map(|(file, _)| file.path.clone());
        assert_eq!(path_of("tree::leave").unwrap(), Path::new("tree.rs"));
        assert_eq!(path_of("leaf::leave").unwrap(), Path::new("tree/leaf.rs"));
        assert!(path_of("leave").is_err());
    }

    #[test]
    fn generic_parameters_may_tell_types_apart() {
        assert!(refused(part("Arc::announce", "{}", "")).contains("2 items"));
        assert!(changed(&[part("Arc<Node>::announce", "{}", "{ a() }")]).is_ok());
    }

    #[test]
    fn constants_types_and_what_macros_hold_have_names() {
        assert!(changed(&[part("ONE", "1", "0")]).is_ok());
        assert!(changed(&[part("Tracked", "usize", "u8")]).is_ok());
        assert!(changed(&[part("Tracked::new", "const", "")]).is_ok());
        assert!(changed(&[part("forms", "b()", "a()")]).is_ok());
    }

    #[test]
    fn tests_are_not_looked_at() {
        assert!(
            changed(&[part("spread", "{}", "{ a() }")]).unwrap().contains("fn spread() { a() }")
        );
    }
}
