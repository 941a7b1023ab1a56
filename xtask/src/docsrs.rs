//! The documentation as docs.rs builds it, from the package.
//!
//! docs.rs has a nightly toolchain, reads the table for it in Cargo.toml, and documents the crate without its
//! dependencies. Here a stable toolchain takes the flags of a nightly one.

mod badges;
mod links;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use toml::{Table, Value};
use xshell::Shell;

use crate::toolchain::Toolchain;
use crate::{api, package, target_dir};

/// What docs.rs adds to the flags of Cargo.toml.
const FLAGS: &str = "-Zunstable-options --generate-link-to-definition -Dwarnings";

/// How a picture in a page begins. The README has two, and docs.rs shows no file of the package.
const PICTURE: &str = "<img src=\"data:image/svg+xml,";
const PICTURES: usize = 2;

/// Builds the pages, and checks badges, pictures and links.
pub(crate) fn docsrs(sh: &Shell) -> Result<()> {
    let package = package::unpack(sh, true)?;
    let metadata = Metadata::read(&package.folder)?;
    let (toolchain, target) = (Toolchain::of_this_run()?, target_dir("docsrs"));
    let pages = target.join("doc");
    if pages.exists() {
        fs::remove_dir_all(&pages)?;
    }
    {
        let _dir = sh.push_dir(&package.folder);
        toolchain
            .nightly_cargo(sh)
            .args(["rustdoc", "--lib", "--locked", "--quiet", "--features", &metadata.features])
            .arg("--target-dir")
            .arg(&target)
            .env("RUSTDOCFLAGS", format!("{} {FLAGS}", metadata.flags))
            .run()?;
    }

    let mut problems = links::broken(&pages)?;
    let front = fs::read_to_string(pages.join("winddown/index.html"))?;
    let pictures = front.matches(PICTURE).count();
    if pictures != PICTURES {
        problems.push(format!("the page of the crate shows {pictures} pictures, not {PICTURES}"));
    }
    let badges = match api::added_by(sh, &toolchain, &metadata.features)? {
        Some(items) => {
            let (badges, missing) = badges::check(&pages, &items)?;
            problems.extend(missing);
            badges
        }
        None => {
            api::skip_format("badges of features", &toolchain.rustdoc_version(sh)?);
            0
        }
    };
    problems.iter().for_each(|problem| println!("{problem}"));
    ensure!(problems.is_empty(), "docs.rs would show what is wrong: {} times", problems.len());
    println!("{badges} badges of features, {pictures} pictures, no broken link");
    println!("{}", pages.join("winddown/index.html").display());
    Ok(())
}

/// What Cargo.toml tells docs.rs.
struct Metadata {
    /// With commas.
    features: String,
    /// With spaces.
    flags: String,
}

impl Metadata {
    fn read(package: &Path) -> Result<Self> {
        let manifest: Table = toml::from_str(&fs::read_to_string(package.join("Cargo.toml"))?)?;
        let metadata = manifest["package"].get("metadata").and_then(|it| it.get("docs"));
        let metadata = metadata.and_then(|it| it.get("rs")).context("no metadata for docs.rs")?;
        let list = |key: &str, separator: &str| {
            let list = metadata.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).collect::<Vec<_>>().join(separator)
        };
        Ok(Self { features: list("features", ","), flags: list("rustdoc-args", " ") })
    }
}
