//! The extension, built and put where the server looks for it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::installation::Installation;
use nix::unistd::{AccessFlags, access};

use crate::packages::as_root;
use crate::process::{announce, follow, repository, target_dir};
use crate::setup::pgrx;
use crate::upgrade::{self, RELEASED, VERSION, install_script_of};

/// How the extension is built.
#[derive(Clone, Copy)]
pub enum Profile {
    /// As it is shipped.
    Release,
    /// With checks that tests are to run into, and faster.
    Checked,
}

/// Builds the extension and installs it.
pub fn run(installation: &Installation, profile: Profile) -> Result<()> {
    let profile = match profile {
        Profile::Release => "release",
        Profile::Checked => "checked",
    };
    announce(format!(
        "building the extension for PostgreSQL {}: takes minutes the first time",
        installation.major()
    ));
    let mut command = with_pgrx(pgrx(&["install", "--profile", profile]), installation);
    command.arg("--pg-config").arg(installation.pg_config());
    if !writable(installation)? {
        command.arg("--sudo");
        leave_to_running_servers(installation)?;
    }
    follow(&mut command)
}

/// Installs what released versions were, for tests to update from.
pub fn released(installation: &Installation) -> Result<()> {
    let extensions = installation.directory("--sharedir")?.join("extension");
    for version in RELEASED {
        let file = tempfile(&released_script(version)?)?;
        let to = extensions.join(format!("pg_groundskeeper--{version}.sql"));
        if writable(installation)? {
            fs::copy(&file, to)?;
        } else {
            as_root("cp", &[&file.display().to_string(), &to.display().to_string()])?;
        }
    }
    Ok(())
}

/// All that CREATE EXTENSION made in a released version, but for the plan, which a library of before would have applied.
pub fn released_script(version: &str) -> Result<String> {
    const APPLIES: &str = "PERFORM FROM groundskeeper.apply_plan()";
    let script = fs::read_to_string(install_script_of(&repository(), version))?;
    let bare = script.replace(APPLIES, "NULL");
    ensure!(bare != script, "{version} does not apply the plan where it is looked for");
    Ok(bare)
}

/// What an update to this version runs, by what cargo-pgrx has made of the sources when it installed them.
pub fn upgrade_script(installation: &Installation) -> Result<String> {
    let file = format!("extension/pg_groundskeeper--{VERSION}.sql");
    let install_script = fs::read_to_string(installation.directory("--sharedir")?.join(file))?;
    upgrade::script(&repository(), &install_script)
}

fn tempfile(text: &str) -> Result<PathBuf> {
    let path = target_dir().join("tmp/released.sql");
    fs::create_dir_all(path.parent().context("a path with a name has a folder")?)?;
    fs::write(&path, text)?;
    Ok(path)
}

/// Through sudo cargo-pgrx writes into the installed library, and a server that has loaded it would crash. A copy
/// takes its place first, so that running servers keep the file that they have.
fn leave_to_running_servers(installation: &Installation) -> Result<()> {
    let library = installation.directory("--pkglibdir")?.join("pg_groundskeeper.so");
    if !library.exists() {
        return Ok(());
    }
    let copy = library.with_extension("so.new").display().to_string();
    let library = library.display().to_string();
    as_root("cp", &[&library, &copy])?;
    as_root("mv", &[&copy, &library])
}

/// Tells pgrx which PostgreSQL to build for, so that it needs no configuration in anybody's home.
pub fn with_pgrx(mut command: Command, installation: &Installation) -> Command {
    command.env("PGRX_PG_CONFIG_PATH", installation.pg_config());
    command
}

/// The features that choose the release of PostgreSQL, for plain cargo commands.
pub fn features(installation: &Installation) -> [String; 3] {
    [
        "--no-default-features".to_owned(),
        "--features".to_owned(),
        format!("pg_groundskeeper/pg{}", installation.major()),
    ]
}

fn writable(installation: &Installation) -> Result<bool> {
    for option in ["--pkglibdir", "--sharedir"] {
        if access(&installation.directory(option)?, AccessFlags::W_OK).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
