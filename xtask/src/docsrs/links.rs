//! Links from page to page, and to places within pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

/// Links of the pages in `folder` that lead to no file and to no place in one.
pub(super) fn broken(folder: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    for name in ["winddown", "src"] {
        read(&folder.join(name), &mut pages)?;
    }
    let places: BTreeMap<_, BTreeSet<_>> =
        pages.iter().map(|(page, text)| (page, attributes(text, "id").collect())).collect();
    let is_source = |page: &Path| page.starts_with(folder.join("src"));
    let mut broken = Vec::new();
    for (page, text) in &pages {
        let links: BTreeSet<_> = attributes(text, "href").chain(attributes(text, "src")).collect();
        for link in links.into_iter().filter(|link| is_relative(link)) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let file = file.split('?').next().unwrap_or_default();
            let file = if file.is_empty() { page.clone() } else { resolve(page, file) };
            let is_there = file.starts_with(folder) && file.is_file();
            // A place in a source is a range of lines.
            let is_shown = place.is_empty()
                || is_source(&file)
                || places.get(&file).is_none_or(|places| places.contains(place));
            if !is_there || !is_shown {
                broken.push(format!("{}: {link} leads nowhere", page.display()));
            }
        }
    }
    Ok(broken)
}

fn read(folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, pages)?;
        } else if path.extension().is_some_and(|it| it == "html") {
            let text = fs::read_to_string(&path)?;
            pages.insert(path, text);
        }
    }
    Ok(())
}

/// The values of an attribute, as rustdoc writes them.
fn attributes<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let pattern = format!(" {name}=\"");
    let starts = text.match_indices(&pattern).map(|(at, it)| at + it.len()).collect::<Vec<_>>();
    starts.into_iter().filter_map(|at| text[at..].split('"').next())
}

/// Whether a link leads to this documentation.
fn is_relative(link: &str) -> bool {
    let scheme = link.split(['/', '#', '?']).next().unwrap_or_default();
    !link.is_empty() && !scheme.contains(':') && !link.starts_with("//")
}

/// Where `link` leads from `page`.
fn resolve(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(&link.replace("&amp;", "&")).components() {
        match part {
            Component::ParentDir => _ = path.pop(),
            Component::Normal(name) => path.push(name),
            _ => (),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/winddown/lib.rs.html", "<a id=\"1\">");
        write("winddown/b.html", "<p id=\"place\">");
        let good =
            ["b.html", "b.html#place", "../src/winddown/lib.rs.html#3-4", "https://x/y.html"];
        let bad = ["c.html", "b.html#nowhere", "docs/page.md", "../../../outside.html"];
        let text = |links: &[&str]| links.iter().map(|it| format!("<a href=\"{it}\">")).collect();
        write("winddown/a.html", &[good, bad].map(|it| -> String { text(&it) }).concat());
        let broken = broken(folder.path()).unwrap();
        assert_eq!(broken.len(), bad.len(), "{broken:?}");
        assert!(bad.iter().all(|it| broken.iter().any(|line| line.contains(it))), "{broken:?}");
    }
}
