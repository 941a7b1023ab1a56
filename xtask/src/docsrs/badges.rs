//! "Available on crate feature ... only": on each item that is not there without features.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// How rustdoc begins a badge.
const BADGE: &str = "<div class=\"stab portability\">";

/// How rustdoc names the files of types.
const TYPES: [&str; 6] = ["struct", "enum", "trait", "type", "union", "fn"];

/// Counts the badges of `items`, which are lines of the listing of the public API, and tells which are missing.
pub(super) fn check(pages: &Path, items: &[String]) -> Result<(usize, Vec<String>)> {
    let (mut found, mut missing, mut whole) = (0, Vec::new(), BTreeSet::new());
    let paths: Vec<_> = items.iter().map(|item| path(item)).collect();
    for path in paths.iter().flatten() {
        let Some(page) = page(pages, path) else { continue };
        let text = fs::read_to_string(page)?;
        // Above the text of the page, or above that, in a page without text, the first item.
        let end = text.find("top-doc").or_else(|| text.find("<section id=")).unwrap_or(text.len());
        if text[..end].contains(BADGE) {
            found += 1;
        } else {
            missing.push(format!("{}: no badge of a feature", path.join("::")));
        }
        whole.insert(path.clone());
    }
    for (item, path) in items.iter().zip(&paths) {
        let owners = path.iter().flat_map(|path| (1..=path.len()).map(|len| &path[..len]));
        if owners.into_iter().any(|owner| whole.contains(owner)) {
            continue;
        }
        let badge = path.as_ref().and_then(|path| {
            let (name, owner) = path.split_last()?;
            let text = fs::read_to_string(page(pages, owner)?).ok()?;
            Some(of_method(&text, name))
        });
        match badge {
            Some(true) => found += 1,
            Some(false) => missing.push(format!("{item}: no badge of a feature")),
            None if is_of(item, &whole) => (),
            None => missing.push(format!("{item}: a feature adds it, and no page shows it")),
        }
    }
    Ok((found, missing))
}

/// Whether `item` is an impl of or for a type that is not there without the feature.
fn is_of(item: &str, whole: &BTreeSet<Vec<String>>) -> bool {
    let of_type = of_type(item);
    of_type.is_some_and(|of_type| whole.iter().any(|it| it.join("::") == of_type))
}

/// The type that an impl is of or for, without references and generics.
fn of_type(item: &str) -> Option<&str> {
    let rest = item.strip_prefix("impl")?;
    // An impl of methods has no trait, and may have generics of its own in front.
    let of_type = rest.split_once(" for ").map_or_else(
        || rest.split_once("winddown::").map(|(front, _)| &rest[front.len()..]),
        |(_, of_type)| Some(of_type),
    )?;
    let of_type = of_type.trim_start_matches('&').trim_start_matches("mut ");
    let of_type = match of_type.strip_prefix('\'') {
        Some(lifetime) => lifetime.split_once(' ')?.1,
        None => of_type,
    };
    of_type.split(['<', ' ']).next()
}

/// Whether the page has a badge between the head of the method and its text.
fn of_method(text: &str, name: &str) -> bool {
    let begin = |kind: &str| text.find(&format!("<section id=\"{kind}.{name}\""));
    let Some(begin) = begin("method").or_else(|| begin("tymethod")) else { return false };
    let rest = &text[begin..];
    let head = rest.find("</section>").unwrap_or(rest.len());
    let rest = &rest[head..];
    let end = rest.find("<div class=\"docblock").unwrap_or(rest.len());
    rest[..end].contains(BADGE)
}

/// The page of an item that has one.
fn page(pages: &Path, path: &[String]) -> Option<PathBuf> {
    let (name, modules) = path.split_last()?;
    let folder = modules.iter().fold(pages.to_owned(), |folder, module| folder.join(module));
    let files = TYPES.iter().map(|kind| folder.join(format!("{kind}.{name}.html")));
    files.into_iter().find(|file| file.exists())
}

/// The path of the item that a line of the listing defines, without generics; of impls nothing.
fn path(item: &str) -> Option<Vec<String>> {
    let (_, rest) = item.split_once("pub ")?;
    let begin = rest.find("winddown::")?;
    let mut path = String::new();
    let mut depth = 0;
    for letter in rest[begin..].chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth > 0 => (),
            '_' | ':' => path.push(letter),
            _ if letter.is_alphanumeric() => path.push(letter),
            _ => break,
        }
    }
    Some(path.trim_end_matches(':').split("::").map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_listing_names_its_item() {
        for (line, wanted) in [
            ("pub fn winddown::future::Wait<P>::block(self) -> X", "winddown::future::Wait::block"),
            ("#[non_exhaustive] pub struct winddown::Holder", "winddown::Holder"),
            ("pub winddown::Holder::id: u64", "winddown::Holder::id"),
            ("pub fn winddown::T<A, B<C>>::f<D>(&self)", "winddown::T::f"),
        ] {
            assert_eq!(path(line).unwrap().join("::"), wanted);
        }
        assert_eq!(path("impl core::fmt::Debug for winddown::Holder"), None);
    }

    #[test]
    fn an_impl_is_of_a_type() {
        for (line, wanted) in [
            ("impl winddown::Holders", Some("winddown::Holders")),
            ("impl<T> winddown::Signal<T>", Some("winddown::Signal")),
            ("impl core::fmt::Debug for winddown::Holder", Some("winddown::Holder")),
            ("impl<'a> X::IntoIterator for &'a winddown::Holders", Some("winddown::Holders")),
            ("pub struct winddown::Holders", None),
        ] {
            assert_eq!(of_type(line), wanted);
        }
    }

    #[test]
    fn a_badge_is_of_the_method_that_it_follows() {
        let with = format!("<section id=\"method.b\" class=\"method\"></section>{BADGE}");
        let text = format!("<section id=\"method.a\"></section><div class=\"docblock\">x{with}");
        assert!(of_method(&text, "b"));
        assert!(!of_method(&text, "a") && !of_method(&text, "c"));
    }
}
