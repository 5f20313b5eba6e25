//! Optional parts that not every system has: a test that cannot do without one is skipped by name, and counted.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use groundskeeper_sandbox::installation::Installation;

use crate::{pgbouncer, program};

/// Where `cargo xtask test` reads which tests were skipped.
const SKIPPED: &str = "GROUNDSKEEPER_SKIPPED";

/// Whether an extension, a library to preload, PgBouncer or another program is missing here; then the test that asks counts as skipped,
/// and returns.
pub fn lacks(what: &str) -> bool {
    let lacking = match is_there(what) {
        Ok(there) => !there,
        // The test will say more of what is wrong.
        Err(_) => false,
    };
    if lacking && let Err(error) = write_down(what) {
        eprintln!("not written down that {what} is missing: {error:#}");
    }
    lacking
}

/// Whether the server is of an earlier release; then, too, the test that asks counts as skipped.
pub fn older_than(major: u32) -> bool {
    let older = Installation::find().is_ok_and(|found| found.major() < major);
    if older && let Err(error) = write_down(&format!("PostgreSQL {major}")) {
        eprintln!("not written down that the server is older than {major}: {error:#}");
    }
    older
}

/// Whether it is here, without any consequence.
pub fn is_there(what: &str) -> Result<bool> {
    if what == "pgbouncer" {
        return Ok(Path::new(pgbouncer::PROGRAM).exists());
    }
    if let Some(found) = program::find(what) {
        return Ok(found.is_some());
    }
    let installation = Installation::find()?;
    let control =
        installation.directory("--sharedir")?.join("extension").join(what).with_extension("control");
    let library = installation.directory("--pkglibdir")?.join(what);
    Ok(control.exists() || library.with_extension(std::env::consts::DLL_EXTENSION).exists())
}

/// Writes down that the test that runs does so without something.
pub(crate) fn write_down(what: &str) -> Result<()> {
    let file = std::env::var_os(SKIPPED).with_context(|| format!("{SKIPPED} is not set"))?;
    // Each test has a thread of its name, unless one runs after the other.
    let thread = std::thread::current();
    let line = format!("{}: without {what}\n", thread.name().unwrap_or("a test"));
    Ok(OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())?)
}
