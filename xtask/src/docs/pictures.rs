//! Pictures of the README as rustdoc shows them.
//!
//! A relative path to a picture leads nowhere on docs.rs. So the README refers to each picture by a name, and
//! `src/docs/pictures.md`, which comes before the README in the page of the crate, defines the same names as
//! `data:` addresses: Markdown takes the first definition.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Problem;

/// The names, which are those of files in `docs/`.
const PICTURES: [&str; 2] = ["levels", "bench-readme"];
const FILE: &str = "src/docs/pictures.md";

/// Finds out whether the addresses are those of the pictures.
pub(super) fn check(root: &Path) -> Result<Option<Problem>> {
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("reading {FILE}"))?;
    let is_new = text == definitions(root)?;
    let hint = "a picture has changed: run `cargo xtask docs --pictures`";
    Ok((!is_new).then(|| Problem::new(FILE, 1, hint)))
}

/// Writes the addresses.
pub(super) fn write(root: &Path) -> Result<()> {
    fs::write(root.join(FILE), definitions(root)?).with_context(|| format!("writing {FILE}"))
}

fn definitions(root: &Path) -> Result<String> {
    let mut text = String::new();
    for name in PICTURES {
        let file = format!("docs/{name}.svg");
        let svg =
            fs::read_to_string(root.join(&file)).with_context(|| format!("reading {file}"))?;
        writeln!(text, "[{name}]: {}", address(&svg))?;
    }
    Ok(text + "\n")
}

/// The picture itself as an address, in characters that Markdown and HTML take as they are.
fn address(svg: &str) -> String {
    let mut address = String::from("data:image/svg+xml,");
    let lines: Vec<_> = svg.lines().map(str::trim).collect();
    for byte in lines.join(" ").bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => address.push(byte.into()),
            b'-' | b'.' | b'_' | b'~' | b',' | b';' | b':' | b'=' | b'/' => {
                address.push(byte.into());
            }
            _ => _ = write!(address, "%{byte:02X}"),
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_character_that_markdown_takes_for_its_own() {
        let svg = "<svg width=\"8\">\n  <text>a (b) [c] é 100 %</text>\n</svg>\n";
        let expected = "data:image/svg+xml,%3Csvg%20width=%228%22%3E%20%3Ctext%3Ea%20%28b%29%20%5Bc%5D\
            %20%C3%A9%20100%20%25%3C/text%3E%20%3C/svg%3E";
        assert_eq!(address(svg), expected);
    }
}
