//! `cargo xtask package`: Debian packages, made by Debian's tools, and tried where nothing else is.

mod debian;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::process::{announce, execute, target_dir};
use crate::root::Root;
use crate::setup::Choice;
use debian::{DATE, Packager};

/// Options of `cargo xtask package`.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    choice: Choice,
    /// In a bare Debian of that code name, and installed and used in another: a package is for the system it was made on
    #[arg(long, value_name = "CODENAME", conflicts_with = "pg")]
    debian: Vec<String>,
    /// Uses the packages that are there instead of making them again
    #[arg(long, requires = "debian")]
    made: bool,
}

/// `cargo xtask package`
pub fn run(options: &Options) -> Result<()> {
    if options.debian.is_empty() {
        let package = debian::make(&options.choice.for_packages()?, &folder(None), &Packager::find()?)?;
        announce(format!("{} is made", package.display()));
    }
    for name in &options.debian {
        let packages = if options.made { there(&folder(Some(name)))? } else { on_debian(name)? };
        trial::run(name, &packages)?;
        for package in packages {
            announce(format!("{} is made, and works where it was installed", package.display()));
        }
    }
    Ok(())
}

/// Makes the package in a root, for the server that the system there has.
fn on_debian(name: &str) -> Result<Vec<PathBuf>> {
    let root = Root::of_debian(name)?;
    let packager = Packager::find()?;
    announce(format!("making the package on {}", root.system()));
    let mut command = root.cargo(&["xtask", "package"])?;
    command.env("DEBFULLNAME", &packager.name).env("DEBEMAIL", &packager.address);
    execute(command.env(DATE, packager.at.timestamp().to_string()))?;
    let to = folder(Some(name));
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to)?;
    for package in there(&root.target_dir().join("package"))? {
        fs::copy(&package, to.join(package.file_name().context("a file has a name")?))?;
    }
    there(&to)
}

/// Where packages for a system are put, or for this one.
fn folder(name: Option<&str>) -> PathBuf {
    let folder = target_dir().join("package");
    name.map_or_else(|| folder.clone(), |name| folder.join(name))
}

/// The packages of this version that are in a folder.
fn there(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".deb") && name.contains(&format!("_{}_", debian::version())) {
            found.push(path);
        }
    }
    ensure!(!found.is_empty(), "no package of {} is in {}", debian::version(), folder.display());
    found.sort();
    Ok(found)
}
