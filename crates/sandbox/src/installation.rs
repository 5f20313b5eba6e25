//! Where PostgreSQL's programs are, and who may run its server.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Uid, User};

/// Debian's place for the release that the project is built for, beside which its `pg_config` on
/// the path may speak for another.
const DEBIAN_PG_CONFIG: &str = "/usr/lib/postgresql/15/bin/pg_config";

/// A PostgreSQL installation, found through its `pg_config`.
#[derive(Debug, Clone)]
pub struct Installation {
    pg_config: PathBuf,
    bindir: PathBuf,
    major: u32,
}

impl Installation {
    /// Finds PostgreSQL: by `PG_CONFIG`, else Debian's 15, else the first `pg_config` on the path.
    pub fn find() -> Result<Self> {
        let pg_config = match std::env::var_os("PG_CONFIG") {
            Some(path) => PathBuf::from(path),
            None if Path::new(DEBIAN_PG_CONFIG).exists() => PathBuf::from(DEBIAN_PG_CONFIG),
            None => PathBuf::from("pg_config"),
        };
        let bindir = PathBuf::from(ask(&pg_config, "--bindir")?);
        let version = ask(&pg_config, "--version")?;
        let major = version
            .trim_start_matches("PostgreSQL ")
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse().ok())
            .with_context(|| format!("cannot read a version from {version:?}"))?;
        Ok(Self { pg_config, bindir, major })
    }

    /// Its `pg_config`.
    pub fn pg_config(&self) -> &Path {
        &self.pg_config
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// What its `pg_config` answers to one option, such as `--sharedir`.
    pub fn directory(&self, option: &str) -> Result<PathBuf> {
        ask(&self.pg_config, option).map(PathBuf::from)
    }

    /// One of its programs, free of the caller's connection settings.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bindir.join(name));
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("PG")) {
            command.env_remove(key);
        }
        command.stdin(Stdio::null());
        command
    }

    /// One of its programs, run as the server's OS user.
    pub fn server_program(&self, name: &str) -> Result<Command> {
        let mut command = self.program(name);
        if let Some(user) = server_user()? {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        // The caller's directory may be closed to that user.
        command.current_dir("/");
        Ok(command)
    }
}

/// The OS user for servers: PostgreSQL refuses to run as root, so `postgres` then.
pub(crate) fn server_user() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres")?.context("root needs the OS user postgres to run a server as")?;
    Ok(Some(user))
}

/// Runs a command to its end and returns what it printed; an error carries what it complained of.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} printed no UTF-8"))
}

fn ask(pg_config: &Path, option: &str) -> Result<String> {
    let answer =
        run(Command::new(pg_config).arg(option)).context("PostgreSQL's pg_config does not answer")?;
    let answer = answer.trim();
    ensure!(!answer.is_empty(), "pg_config {option} answers nothing");
    Ok(answer.to_owned())
}
