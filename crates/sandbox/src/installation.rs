//! Where PostgreSQL's programs are, and who may run its server.

use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Uid, User};

/// The environment variable that names the `pg_config` of the installation to take.
pub const PG_CONFIG: &str = "PG_CONFIG";

/// The releases of PostgreSQL that the extension is built and tested for.
pub const RELEASES: RangeInclusive<u32> = 15..=18;

static CHOSEN: OnceLock<Installation> = OnceLock::new();

/// A PostgreSQL installation, found through its `pg_config`.
#[derive(Debug, Clone)]
pub struct Installation {
    pg_config: PathBuf,
    bindir: PathBuf,
    major: u32,
}

impl Installation {
    /// Finds PostgreSQL: what this process has chosen, else by `PG_CONFIG`, else the newest supported one of Debian's, beside which the `pg_config` on the
    /// path may speak for another, else that on the path.
    pub fn find() -> Result<Self> {
        if let Some(chosen) = CHOSEN.get() {
            return Ok(chosen.clone());
        }
        let pg_config = match std::env::var_os(PG_CONFIG) {
            Some(path) => PathBuf::from(path),
            None => {
                let debian = RELEASES.rev().map(debian_pg_config).find(|path| path.exists());
                debian.unwrap_or_else(|| PathBuf::from("pg_config"))
            }
        };
        Self::at(&pg_config)
    }

    /// Makes it the one that [`Installation::find`] finds from now on in this process.
    pub fn choose(&self) -> Result<()> {
        let chosen = CHOSEN.get_or_init(|| self.clone());
        ensure!(chosen.pg_config == self.pg_config, "{} has been chosen", chosen.pg_config.display());
        Ok(())
    }

    /// The one that Debian's packages of a release make.
    pub fn of_debian(major: u32) -> Result<Self> {
        Self::at(&debian_pg_config(major))
    }

    /// The one that this `pg_config` speaks for.
    pub fn at(pg_config: &Path) -> Result<Self> {
        let bindir = PathBuf::from(ask(pg_config, "--bindir")?);
        let version = ask(pg_config, "--version")?;
        let major = version
            .trim_start_matches("PostgreSQL ")
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse().ok())
            .with_context(|| format!("cannot read a version from {version:?}"))?;
        Ok(Self { pg_config: pg_config.to_owned(), bindir, major })
    }

    /// The one that the server with this data directory was started from.
    pub(crate) fn of_server(data: &Path) -> Result<Self> {
        let file = data.join("postmaster.opts");
        let options = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        // The program's path, then arguments in quotes.
        let program = options.trim_end().split(" \"").next().unwrap_or_default();
        Self::at(&Path::new(program).with_file_name("pg_config"))
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

fn debian_pg_config(major: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_config"))
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
