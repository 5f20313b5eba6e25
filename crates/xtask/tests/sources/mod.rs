//! The files that tests of the source look at.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// The Rust files of a folder and of those in it.
#[allow(dead_code, reason = "each test has a copy of this, and some name another extension")]
pub fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    with_extension(folder, "rs")
}

/// The files of a folder and of those in it whose names end so.
pub fn with_extension(folder: &Path, wanted: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(with_extension(&path, wanted)?);
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            found.push(path);
        }
    }
    Ok(found)
}
