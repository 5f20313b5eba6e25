//! What packages, images and PGXN say of the extension is so.
#![allow(missing_docs, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::installation::RELEASES;
use serde_json::Value;
use xtask::upgrade::VERSION;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

fn meta() -> Result<Value> {
    Ok(serde_json::from_str(&read("META.json")?)?)
}

#[test]
fn versions_are_that_of_cargo() -> Result<()> {
    let meta = meta()?;
    assert_eq!(meta["version"], VERSION);
    assert_eq!(meta["provides"]["pg_groundskeeper"]["version"], VERSION);
    assert!(read("pg_groundskeeper.control")?.contains("default_version = '@CARGO_VERSION@'"));
    let oldest = format!("{}.0.0", RELEASES.start());
    for phase in ["build", "runtime"] {
        assert_eq!(meta["prereqs"][phase]["requires"]["PostgreSQL"], oldest.as_str(), "{phase}");
    }
    Ok(())
}

/// What the specification asks for at least; `cargo xtask release --dry-run` has PGXN's own validator look.
#[test]
fn meta_has_what_pgxn_asks_for() -> Result<()> {
    let meta = meta()?;
    for field in ["name", "abstract", "license"] {
        ensure!(meta[field].as_str().is_some_and(|value| !value.is_empty()), "META.json lacks {field}");
    }
    ensure!(meta["maintainer"].as_array().is_some_and(|maintainers| !maintainers.is_empty()));
    assert_eq!(meta["name"], "pg_groundskeeper");
    assert_eq!(meta["license"], "postgresql");
    assert_eq!(meta["meta-spec"]["version"], "1.0.0");
    let manifest = read("Cargo.toml")?;
    let said = meta["abstract"].as_str().unwrap_or_default();
    assert!(
        manifest.contains(&format!("description = \"{said}\"")),
        "Cargo.toml says something else than {said}"
    );
    let provided = meta["provides"].as_object().context("META.json provides nothing")?;
    for (extension, provides) in provided {
        for file in ["file", "docfile"] {
            let path = provides[file].as_str().with_context(|| format!("{extension} has no {file}"))?;
            ensure!(root().join(path).is_file(), "{path} is not there");
        }
    }
    Ok(())
}

/// cargo-pgrx must be of the library's version, wherever somebody is told to install it.
#[test]
fn cargo_pgrx_is_of_the_librarys_version() -> Result<()> {
    let manifest = read("Cargo.toml")?;
    let (_, rest) = manifest.split_once("pgrx = { version = \"=").context("Cargo.toml names no pgrx")?;
    let version = rest.split('"').next().unwrap_or_default();
    let mut told = 0;
    for folder in ["", "docs", "packaging/docker"] {
        for entry in fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            // Pictures are no texts.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for asked in text.split("cargo-pgrx --version =").skip(1) {
                told += 1;
                ensure!(asked.starts_with(version), "{} asks for another cargo-pgrx", path.display());
            }
        }
    }
    ensure!(told > 3, "the version of cargo-pgrx is told {told} times: is it still told in these words?");
    let setup = read("crates/xtask/src/setup.rs")?;
    ensure!(
        setup.contains(&format!("CARGO_PGRX: &str = \"{version}\"")),
        "xtask installs another cargo-pgrx"
    );
    Ok(())
}

/// A build in an image is with a compiler that the sources ask for.
#[test]
fn images_have_the_compiler_that_is_asked_for() -> Result<()> {
    let manifest = read("Cargo.toml")?;
    let (_, rest) = manifest.split_once("rust-version = \"").context("Cargo.toml asks for no Rust")?;
    let version = rest.split('"').next().unwrap_or_default();
    for file in ["packaging/docker/Dockerfile", "packaging/docker/Dockerfile.alpine"] {
        ensure!(
            read(file)?.contains(&format!("ARG RUST={version}\n")),
            "{file} has another Rust than {version}"
        );
    }
    Ok(())
}
