//! The package as crates.io gets it: what is in it, and whether that builds and passes its tests alone.

mod needed;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use flate2::read::GzDecoder;
use xshell::{Shell, cmd};

use crate::target_dir;

/// How to pack.
#[derive(Debug, Default, Args)]
pub(crate) struct PackageArgs {
    /// Packs what is not committed, too.
    #[arg(long)]
    allow_dirty: bool,
}

impl PackageArgs {
    /// What every change must pass, committed or not.
    pub(crate) fn bounded() -> Self {
        Self { allow_dirty: true }
    }
}

/// Sets of features to build, besides the default ones that the tests have.
const SETS: [&str; 4] =
    ["", "critical-section,holders", "portable-atomic,critical-section", "std,holders,tracing"];

/// Packs, unpacks, checks the list of files, and builds and tests what was unpacked.
pub(crate) fn package(sh: &Shell, args: &PackageArgs) -> Result<()> {
    let package = unpack(sh, args.allow_dirty)?;
    let unneeded = needed::unneeded(&package.folder, &package.files)?;
    ensure!(
        unneeded.is_empty(),
        "the package has files that nothing in it needs: {}; change `include` in Cargo.toml",
        unneeded.join(", ")
    );
    println!(
        "{} files, {} KiB packed: each of them is source, included by source, or for a reader",
        package.files.len(),
        package.size.div_ceil(1024)
    );
    let _dir = sh.push_dir(&package.folder);
    // Nobody debugs what is built here.
    let _debug = sh.push_env("CARGO_PROFILE_DEV_DEBUG", "0");
    let target = target_dir("package/build");
    for set in SETS {
        let flags = ["--no-default-features", "--features", set, "--lib", "--locked", "--quiet"];
        cmd!(sh, "cargo check {flags...} --target-dir {target}").run()?;
    }
    Ok(cmd!(sh, "cargo test --locked --quiet --target-dir {target}").run()?)
}

/// A package that was unpacked outside of this workspace.
pub(crate) struct Package {
    pub(crate) folder: PathBuf,
    /// What is in it, by path from the folder.
    files: BTreeSet<String>,
    /// Bytes of the packed file.
    size: u64,
}

/// Packs the crate as `cargo publish` does, and unpacks that into a folder of its own.
pub(crate) fn unpack(sh: &Shell, allow_dirty: bool) -> Result<Package> {
    let target = target_dir("package");
    let dirty = allow_dirty.then_some("--allow-dirty");
    let flags = ["--package", "winddown", "--no-verify", "--quiet", "--target-dir"];
    cmd!(sh, "cargo package {flags...} {target} {dirty...}").run()?;
    let packed = newest(&target.join("package"))?;
    let folder = packed.with_extension("");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let size = fs::metadata(&packed)?.len();
    let mut files = BTreeSet::new();
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(&packed)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let parts: Vec<_> = path.iter().skip(1).map(|part| part.to_string_lossy()).collect();
        files.insert(parts.join("/"));
        let is_inside = entry.unpack_in(target.join("package"))?;
        ensure!(is_inside, "{} is outside of the package", path.display());
    }
    // The folder lies in that of this workspace, to which the package does not belong.
    let manifest = folder.join("Cargo.toml");
    let mut manifest = OpenOptions::new().append(true).open(manifest)?;
    manifest.write_all(b"\n[workspace]\n")?;
    Ok(Package { folder, files, size })
}

/// The package that was just written: the folder may have those of other versions.
fn newest(folder: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let packed = files.iter().map(fs::DirEntry::path);
    let packed = packed.filter(|path| path.extension().is_some_and(|it| it == "crate"));
    let newest = packed.max_by_key(|path| path.metadata().and_then(|it| it.modified()).ok());
    newest.with_context(|| format!("no package in {}", folder.display()))
}
