//! The scripts that `ALTER EXTENSION pg_groundskeeper UPDATE` runs, put together from what a version was, what it is
//! now, and what is written by hand.

mod script;
mod statement;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

pub use script::{ByHand, update};

/// The versions that were released, each with the file that CREATE EXTENSION ran.
pub const RELEASED: [&str; 1] = ["0.1.0"];

/// This version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The script from the last released version to this one, by what the install script is that cargo-pgrx has written.
pub fn script(root: &Path, install_script: &str) -> Result<String> {
    let from = last_released()?;
    let old = read(&install_script_of(root, from))?;
    let by_hand = by_hand(&root.join(format!("sql/upgrade/{from}--{VERSION}")))?;
    let script = update(&old, install_script, &by_hand)?;
    Ok(format!(
        "\\echo Use \"ALTER EXTENSION pg_groundskeeper UPDATE TO '{VERSION}'\" to load this file. \\quit\n\
         -- Written by `cargo xtask upgrade-script`, from sql/upgrade/{from}--{VERSION} and both versions' install scripts.\n\n{script}"
    ))
}

/// Where the script is.
pub fn path(root: &Path) -> Result<PathBuf> {
    Ok(root.join(format!("sql/pg_groundskeeper--{}--{VERSION}.sql", last_released()?)))
}

/// What CREATE EXTENSION ran when that version was released.
pub fn install_script_of(root: &Path, version: &str) -> PathBuf {
    root.join(format!("sql/released/pg_groundskeeper--{version}.sql"))
}

fn last_released() -> Result<&'static str> {
    match RELEASED.last() {
        Some(last) if *last != VERSION => Ok(last),
        _ => bail!("{VERSION} is released: the next version comes first"),
    }
}

fn by_hand(folder: &Path) -> Result<ByHand> {
    let mut pieces = ByHand::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        pieces.insert(name, read(&path)?);
    }
    Ok(pieces)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
