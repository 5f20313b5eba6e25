//! What was released stays as it was released.
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use xtask::upgrade::{RELEASED, VERSION};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The checksums as `sha256sum` writes them, by path from the repository's root.
fn checksums() -> Result<BTreeMap<String, String>> {
    let list = fs::read_to_string(root().join("sql/released/SHA256SUMS"))?;
    let read = |line: &str| line.split_once("  ").map(|(sum, path)| (path.to_owned(), sum.to_owned()));
    list.lines().map(|line| read(line).with_context(|| format!("no checksum: {line}"))).collect()
}

/// What CREATE EXTENSION and ALTER EXTENSION UPDATE ran, or run, to come to a version that is released.
fn scripts_of_releases() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in ["sql", "sql/released"] {
        for entry in fs::read_dir(root().join(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let versions = name.strip_prefix("pg_groundskeeper--").and_then(|rest| rest.strip_suffix(".sql"));
            let target = versions.and_then(|versions| versions.rsplit("--").next());
            if target.is_some_and(|target| RELEASED.contains(&target)) {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    Ok(found)
}

#[test]
fn a_script_is_not_edited_once_its_target_is_released() -> Result<()> {
    let checksums = checksums()?;
    for script in scripts_of_releases()? {
        ensure!(checksums.contains_key(&script), "sql/released/SHA256SUMS lacks {script}");
    }
    for (script, expected) in checksums {
        let text = fs::read(root().join(&script)).with_context(|| format!("{script} is gone"))?;
        let sum = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        ensure!(sum == expected, "{script} has been edited, and installations that ran it have not");
    }
    Ok(())
}

#[test]
fn each_release_has_its_install_script_and_a_way_on() -> Result<()> {
    let next = RELEASED.iter().skip(1).chain((RELEASED.last() != Some(&VERSION)).then_some(&VERSION));
    for (version, next) in RELEASED.iter().zip(next) {
        ensure!(scripts_of_releases()?.contains(&format!("sql/released/pg_groundskeeper--{version}.sql")));
        let way = format!("sql/pg_groundskeeper--{version}--{next}.sql");
        ensure!(root().join(&way).exists(), "{way} is missing: `cargo xtask upgrade-script` writes it");
    }
    Ok(())
}

/// An image that is mounted as a volume has the library elsewhere: PostgreSQL finds it by its name alone.
#[test]
fn the_library_is_named_without_a_folder() -> Result<()> {
    let mut files = vec![root().join("pg_groundskeeper.control")];
    for entry in fs::read_dir(root().join("sql"))? {
        let path = entry?.path();
        files.extend(path.extension().is_some_and(|extension| extension == "sql").then_some(path));
    }
    for file in files {
        ensure!(!fs::read_to_string(&file)?.contains("$libdir"), "{} names a folder", file.display());
    }
    Ok(())
}
