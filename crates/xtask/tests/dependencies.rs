//! What `deny.toml` says of licences and sources holds for every dependency.
//!
//! `cargo xtask lint` has cargo-deny itself say so, and more. Building that takes longer than all other checks of the
//! source together, so what can be read from Cargo's own account of the dependencies is looked at here, in a second.
#![allow(missing_docs, reason = "a test")]

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use spdx::{Expression, ParseMode};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The packages that are not ours.
fn dependencies() -> Result<Vec<Value>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    Ok(packages.iter().filter(|package| !package["source"].is_null()).cloned().collect())
}

/// The licences that `deny.toml` allows.
fn allowed() -> Result<Vec<String>> {
    let rules: toml::Table = toml::from_str(include_str!("../../../deny.toml"))?;
    let allowed = rules["licenses"]["allow"].as_array().context("deny.toml allows no licences")?;
    Ok(allowed.iter().filter_map(|licence| licence.as_str().map(str::to_owned)).collect())
}

/// Whether an expression can be met by allowed licences alone.
fn may_come_in(expression: &str, allowed: &[String]) -> Result<bool> {
    let expression = Expression::parse_mode(expression, ParseMode::LAX)?;
    Ok(expression.evaluate(|wanted| allowed.iter().any(|licence| *licence == wanted.to_string())))
}

#[test]
fn licences_are_allowed_and_sources_are_known() -> Result<()> {
    let (dependencies, allowed) = (dependencies()?, allowed()?);
    ensure!(dependencies.len() > 50, "{} dependencies: are these all?", dependencies.len());
    let mut wrong = Vec::new();
    for package in &dependencies {
        let name = format!("{} {}", package["name"], package["version"]);
        match package["license"].as_str() {
            Some(licence) if may_come_in(licence, &allowed).with_context(|| name.clone())? => {}
            licence => wrong.push(format!("{name} is licensed as {licence:?}")),
        }
        if package["source"] != REGISTRY {
            wrong.push(format!("{name} comes from {}", package["source"]));
        }
    }
    if !wrong.is_empty() {
        bail!("against deny.toml:\n{}", wrong.join("\n"));
    }
    Ok(())
}

#[test]
fn one_allowed_alternative_is_enough_and_each_part_is_needed() -> Result<()> {
    let allowed = ["MIT".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    assert!(may_come_in("GPL-3.0-only OR MIT", &allowed)?);
    assert!(may_come_in("Apache-2.0/MIT", &allowed)?);
    assert!(may_come_in("Apache-2.0 WITH LLVM-exception", &allowed)?);
    assert!(!may_come_in("MIT AND ISC", &allowed)?);
    assert!(!may_come_in("Apache-2.0", &allowed)?);
    assert!(may_come_in("no licence at all", &allowed).is_err());
    Ok(())
}
