//! Packages in a bare system, as a user installs and uses them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::install::released_script;
use crate::process::{announce, execute, repository};
use crate::root::Root;
use crate::upgrade::RELEASED;

/// Installs packages in a new bare Debian, one after the other, and uses them there.
pub fn run(name: &str, packages: &[PathBuf]) -> Result<()> {
    for package in packages {
        let root = Root::new_of_debian(name)?;
        announce(format!("installing {} on a bare {}", package.display(), root.system()));
        let folder = furnish(&root, &[package.as_path()], include_str!("trial.sh"))?;
        for version in RELEASED {
            let script = format!("pg_groundskeeper--{version}.sql");
            fs::write(folder.join(script), released_script(version)?)?;
        }
        carry_out(&root, &[&name_of(package)?])?;
    }
    Ok(())
}

/// Puts packages, what is to be done with them, and what checks them into a folder of the root's.
fn furnish(root: &Root, packages: &[&Path], script: &str) -> Result<PathBuf> {
    let folder = root.path().join("package");
    fs::create_dir_all(&folder)?;
    for package in packages {
        fs::copy(package, folder.join(name_of(package)?))?;
    }
    for (file, name) in [("packaging/check.sql", "check.sql"), ("docs/tutorial.md", "tutorial.md")] {
        fs::copy(repository().join(file), folder.join(name))?;
    }
    fs::write(folder.join("trial.sh"), script)?;
    Ok(folder)
}

/// Does it; a root in which it went wrong stays, to be looked at.
fn carry_out(root: &Root, arguments: &[&str]) -> Result<()> {
    execute(root.program("/bin/sh").args(["-eu", "/package/trial.sh"]).args(arguments))?;
    Ok(fs::remove_dir_all(root.path())?)
}

fn name_of(package: &Path) -> Result<String> {
    let name = package.file_name().with_context(|| format!("{} has no name", package.display()))?;
    Ok(name.to_string_lossy().into_owned())
}
