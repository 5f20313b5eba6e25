//! A hot standby of a test's own server.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server};

/// Starts one. It lies beside the primary's own directories, with its socket in there too, so that the port is the same;
/// whoever starts it stops it with `destroy()`.
///
/// # Errors
/// Where it cannot be copied or started.
pub fn standby_of(server: &Server) -> Result<Server> {
    let base = server.base().join("standby");
    let mut backup = server.installation().server_program("pg_basebackup")?;
    backup.arg("--host").arg(server.socket_dir()).args(["--port", &server.port().to_string()]);
    backup.args(["--username", SUPERUSER, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
    succeed(backup.arg("--pgdata").arg(base.join("data")))?;
    let mut start = server.installation().server_program("pg_ctl")?;
    start.args(["start", "--silent", "--wait"]).arg("--pgdata").arg(base.join("data"));
    start.arg("--log").arg(base.join("log")).arg("--options").arg(format!("-k {}", base.display()));
    succeed(&mut start)?;
    Server::attach(&base)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
