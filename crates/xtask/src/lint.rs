//! What is checked without running anything.

use anyhow::Result;
use groundskeeper_sandbox::installation::Installation;

use crate::install::{features, with_pgrx};
use crate::process::{announce, ask, cargo, execute, follow};
use crate::setup::Choice;

/// `cargo xtask lint`
pub fn run(choice: Choice) -> Result<()> {
    let installation = choice.prepare()?;
    format()?;
    clippy(&installation)?;
    dependencies()
}

/// The sources are formatted.
pub fn format() -> Result<()> {
    announce("format");
    execute(&mut cargo(&["fmt", "--all", "--check"]))
}

/// Nothing to complain of, in no crate.
pub fn clippy(installation: &Installation) -> Result<()> {
    announce("lints");
    let mut command = with_pgrx(cargo(&["clippy", "--workspace", "--all-targets", "--quiet"]), installation);
    command.args(features(installation)).args(["--", "--deny", "warnings"]);
    execute(&mut command)
}

/// Licences and sources of what we depend on. The advisories need a network, so they are left out.
fn dependencies() -> Result<()> {
    if ask(&mut cargo(&["deny", "--version"])).is_none() {
        announce("installing cargo-deny: takes some minutes, once");
        follow(&mut cargo(&["install", "--locked", "cargo-deny"]))?;
    }
    announce("licences, bans and sources of the dependencies");
    execute(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))
}
