//! What a bare machine lacks, installed once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::installation::{Installation, PG_CONFIG, RELEASES};

use crate::packages::{self, Needs};
use crate::process::{announce, ask, cargo, follow, run_quietly, target_dir};

/// The version of cargo-pgrx that the library's version asks for.
const CARGO_PGRX: &str = "0.18.1";

/// Needed to show it: nothing besides the server.
const DEMO: Needs = Needs { packages: &[], optional: &[], extensions: &[] };
/// Needed to take a picture of it besides.
const PICTURES: Needs = Needs { packages: &["chromium"], optional: &[], extensions: &[] };
/// Needed by the tests: what stands before the server, where Python's libraries go, what lists processes, and the
/// extensions that they try ours with; and what reads metrics.
const TESTS: Needs = Needs {
    packages: &["pgbouncer", "python3-venv", "procps"],
    optional: &[
        "prometheus",
        "prometheus-alertmanager",
        "prometheus-postgres-exporter",
        "prometheus-sql-exporter",
    ],
    extensions: &["cron", "hypopg"],
};
/// Needed to make Debian's packages: Debian's tools, and what checks them.
const PACKAGES: Needs =
    Needs { packages: &["dpkg-dev", "binutils"], optional: &["lintian"], extensions: &[] };
/// Needed by benchmarks: what ours is measured against, and what counts instructions.
const BENCHMARKS: Needs =
    Needs { packages: &["valgrind", "python3-venv"], optional: &[], extensions: &["cron", "partman"] };

/// The libraries that applications connect with, in the releases that the tests were written with.
const PYTHON_LIBRARIES: [&str; 9] = [
    "SQLAlchemy==2.1.9",
    "greenlet==3.5.6",
    "psycopg2-binary==2.9.13",
    "psycopg==3.3.9",
    "psycopg-binary==3.3.9",
    "psycopg-pool==3.3.3",
    "asyncpg==0.32.0",
    "Django==5.2.19",
    "pgspot==0.9.4",
];

/// Which PostgreSQL a command is about.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Choice {
    /// The major version of PostgreSQL; else that of PG_CONFIG, or the newest that the system's packages offer
    #[arg(long, value_name = "MAJOR")]
    pub pg: Option<u32>,
}

impl Choice {
    /// Installs what is missing and says which PostgreSQL to build for.
    pub fn prepare(self) -> Result<Installation> {
        self.with(DEMO)
    }

    /// The same with what takes pictures.
    pub fn for_pictures(self) -> Result<Installation> {
        self.with(PICTURES)
    }

    /// The same with what packages are made by.
    pub fn for_packages(self) -> Result<Installation> {
        self.with(PACKAGES)
    }

    /// The same with what the tests need besides.
    pub fn for_tests(self) -> Result<Installation> {
        let installation = self.with(TESTS)?;
        python()?;
        Ok(installation)
    }

    /// The same with what benchmarks need besides.
    pub fn for_benchmarks(self) -> Result<Installation> {
        let installation = self.with(BENCHMARKS)?;
        python()?;
        Ok(installation)
    }

    /// The same beside another, for which the command is: a former release.
    pub fn beside(self) -> Result<Installation> {
        packages::server(self.named()?, self.pg, DEMO)
    }

    /// The release that it comes to.
    pub fn major(self) -> Result<u32> {
        packages::newest(self.named()?)
    }

    /// The installation that the user names by `PG_CONFIG`, unless another major is asked for.
    fn named(self) -> Result<Option<Installation>> {
        let Some(path) = std::env::var_os(PG_CONFIG) else { return Ok(None) };
        let named = Installation::at(&PathBuf::from(path))?;
        Ok(self.pg.is_none_or(|major| named.major() == major).then_some(named))
    }

    fn with(self, needs: Needs) -> Result<Installation> {
        let installation = packages::server(self.named()?, self.pg, needs)?;
        let (major, oldest, newest) = (installation.major(), RELEASES.start(), RELEASES.end());
        ensure!(
            RELEASES.contains(&major),
            "PostgreSQL {major} is not one of {oldest} to {newest}; PG_CONFIG names another"
        );
        let headers = installation.directory("--includedir-server")?.join("postgres.h");
        ensure!(
            headers.exists(),
            "the server's headers are missing: {} is not there; Debian has them in postgresql-server-dev-{major}",
            headers.display()
        );
        installation.choose()?;
        cargo_pgrx()?;
        for part in ["fmt", "clippy"] {
            let found = ask(&mut cargo(&[part, "--version"])).is_some();
            ensure!(found, "cargo {part} is missing: rustup component add rustfmt clippy");
        }
        Ok(installation)
    }
}

fn python_home() -> PathBuf {
    target_dir().join("python")
}

/// Python with the libraries that applications connect with.
pub fn python_program() -> PathBuf {
    python_home().join("bin/python")
}

/// An environment of the tests' own below the target directory, as Debian keeps its Python for itself.
pub fn python() -> Result<()> {
    let home = python_home();
    let marker = home.join("groundskeeper");
    let libraries = PYTHON_LIBRARIES.join("\n");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == libraries) {
        return Ok(());
    }
    announce(format!("installing Python libraries: {}", PYTHON_LIBRARIES.join(" ")));
    run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let mut pip = Command::new(python_program());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
    run_quietly(pip.args(PYTHON_LIBRARIES))?;
    Ok(std::fs::write(marker, libraries)?)
}

/// Tools of the project's own below the target directory: what the user has installed for others stays as it is.
pub fn tools() -> PathBuf {
    target_dir().join("tools")
}

/// `cargo pgrx`, whosever has the right version.
pub fn pgrx(args: &[&str]) -> Command {
    let mut command = with_tools(cargo(&["pgrx"]));
    command.args(args);
    command
}

/// A program that finds the project's own tools before others.
pub fn with_tools(mut command: Command) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = tools().join("bin");
    let path = std::iter::once(own).chain(std::env::split_paths(&path)).collect::<Vec<_>>();
    // Only a name with a colon in it cannot be joined; then the user's own is what is there.
    let path: Option<OsString> = std::env::join_paths(path).ok();
    command.envs(path.map(|path| ("PATH", path)));
    command
}

/// A tool that runs for seconds: built as for debugging it is there much sooner.
fn cargo_pgrx() -> Result<()> {
    let version = ask(&mut pgrx(&["--version"]));
    if version.is_some_and(|version| version.split_whitespace().last() == Some(CARGO_PGRX)) {
        return Ok(());
    }
    announce(format!("building cargo-pgrx {CARGO_PGRX}: takes two minutes, once"));
    let exact = format!("={CARGO_PGRX}");
    let mut install = cargo(&["install", "--locked", "cargo-pgrx", "--version", &exact, "--debug"]);
    install.args(["--config", "profile.dev.debug=false", "--root"]).arg(tools());
    follow(&mut install).context("cargo-pgrx could not be built")
}
