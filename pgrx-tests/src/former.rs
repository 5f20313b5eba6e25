//! A server of a former release, and what `pg_upgrade` makes of it.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, ensure};
use groundskeeper_sandbox::installation::Installation;
use groundskeeper_sandbox::server::{Options, SUPERUSER, Server, StopMode};

use crate::lacking::write_down;

/// The environment variable with the `pg_config` of a former release, for which the extension is installed, too.
pub const FORMER: &str = "GROUNDSKEEPER_FORMER";

/// Since this release a new cluster has checksums, unless it is told not to.
const CHECKSUMS_SINCE: u32 = 18;

/// The installation of a former release. Where there is none, the test that asks counts as skipped, and returns.
///
/// # Errors
/// Where what is named does not answer.
pub fn former() -> Result<Option<Installation>> {
    match std::env::var_os(FORMER) {
        Some(pg_config) => Installation::at(Path::new(&pg_config)).map(Some),
        None => write_down("a former server").map(|()| None),
    }
}

/// Stops a server, and has `pg_upgrade` make a new one of all that is in it, which is running afterwards.
///
/// # Errors
/// Where `pg_upgrade` refuses, with what it says.
pub fn upgrade(former: &Server, options: &Options) -> Result<Server> {
    let new = options.start()?;
    new.stop(StopMode::Fast)?;
    former.stop(StopMode::Fast)?;
    if new.installation().major() >= CHECKSUMS_SINCE && former.installation().major() < CHECKSUMS_SINCE {
        // Both have them, or neither.
        let mut checksums = former.installation().server_program("pg_checksums")?;
        let done = checksums.args(["--enable", "--no-sync", "--pgdata"]).arg(former.data()).output()?;
        ensure!(done.status.success(), "pg_checksums: {}", String::from_utf8_lossy(&done.stderr));
    }
    let mut command = new.installation().server_program("pg_upgrade")?;
    // Where it runs, it puts its sockets.
    command.current_dir(new.base()).args(["--username", SUPERUSER, "--no-sync"]);
    for (which, server) in [("old", former), ("new", &new)] {
        command.arg(format!("--{which}-bindir")).arg(server.installation().directory("--bindir")?);
        command.arg(format!("--{which}-datadir")).arg(server.data());
        command.arg(format!("--{which}-port")).arg(server.port().to_string());
    }
    let done = command.stderr(Stdio::piped()).output()?;
    let said = [done.stdout, done.stderr].concat();
    ensure!(done.status.success(), "pg_upgrade: {}", String::from_utf8_lossy(&said));
    new.up()?;
    Ok(new)
}
