//! What a bare machine lacks, installed once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use groundskeeper_sandbox::installation::Installation;
use nix::unistd::Uid;

use crate::process::{announce, ask, cargo, follow, target_dir};

/// The version of cargo-pgrx that the library's version asks for.
const CARGO_PGRX: &str = "0.18.1";

/// The releases of PostgreSQL that the extension builds for.
const RELEASES: std::ops::RangeInclusive<u32> = 15..=18;

/// Needed to build the extension and cargo-pgrx.
const BUILD_PACKAGES: [&str; 4] = ["build-essential", "pkg-config", "libssl-dev", "libclang-dev"];
/// Needed unless `PG_CONFIG` names another PostgreSQL: the server, its headers, and the optional
/// parts that tests try the extension with.
const SERVER_PACKAGES: [&str; 3] = ["postgresql-15", "postgresql-server-dev-15", "postgresql-15-cron"];
/// Needed by the tests: what stands before the server, and where Python's libraries go.
const TEST_PACKAGES: [&str; 2] = ["pgbouncer", "python3-venv"];
/// Needed by benchmarks: what ours is measured against, and what counts instructions.
const BENCHMARK_PACKAGES: [&str; 3] = ["postgresql-15-partman", "valgrind", "python3-venv"];
/// The libraries that applications connect with, in the releases that the tests were written with.
const PYTHON_LIBRARIES: [&str; 4] =
    ["SQLAlchemy==2.1.9", "psycopg2-binary==2.9.13", "asyncpg==0.32.0", "pgspot==0.9.4"];

/// Machines often upgrade themselves just when they have come up.
const WAIT_FOR_OTHERS: &str = "--option=DPkg::Lock::Timeout=300";

/// While our packages are installed, a new PostgreSQL gets no cluster of its own: servers here are
/// private ones. Clusters that exist are left alone.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/groundskeeper.conf";

/// Installs what is missing and says which PostgreSQL to build for.
pub fn run() -> Result<Installation> {
    packages(&[])?;
    prepared()
}

/// The same with what the tests need besides.
pub fn for_tests() -> Result<Installation> {
    packages(&TEST_PACKAGES)?;
    python()?;
    prepared()
}

/// The same with what benchmarks need besides.
pub fn for_benchmarks() -> Result<Installation> {
    packages(&BENCHMARK_PACKAGES)?;
    python()?;
    prepared()
}

fn prepared() -> Result<Installation> {
    let installation = Installation::find()?;
    let major = installation.major();
    ensure!(RELEASES.contains(&major), "PostgreSQL {major} is not one of 15 to 18; PG_CONFIG names another");
    let headers = installation.directory("--includedir-server")?.join("postgres.h");
    ensure!(headers.exists(), "the server's headers are missing: {} is not there", headers.display());
    cargo_pgrx()?;
    for part in ["fmt", "clippy"] {
        let found = ask(&mut cargo(&[part, "--version"])).is_some();
        ensure!(found, "cargo {part} is missing: rustup component add rustfmt clippy");
    }
    Ok(installation)
}

fn packages(more: &[&'static str]) -> Result<()> {
    let mut wanted = [&BUILD_PACKAGES, more].concat();
    if std::env::var_os("PG_CONFIG").is_none() {
        wanted.extend(SERVER_PACKAGES);
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        return elsewhere();
    }
    wanted.retain(|package| !installed(package));
    if wanted.is_empty() {
        return Ok(());
    }
    let names = wanted.join(" ");
    let by_hand = || format!("install these packages: apt-get install {names}");
    announce(format!("installing Debian packages: {names}"));
    as_root("apt-get", &["update", "--quiet=2", WAIT_FOR_OTHERS]).with_context(by_hand)?;
    let cluster_free = !Path::new("/usr/lib/postgresql/15").exists() && forbid_cluster();
    let mut args = vec!["install", "--yes", "--quiet=2", "--no-install-recommends", WAIT_FOR_OTHERS];
    args.extend(&wanted);
    let outcome = as_root("apt-get", &args).with_context(by_hand);
    if cluster_free {
        as_root("rm", &[NO_CLUSTER])?;
    }
    outcome
}

/// Without apt nothing is installed, only asked for.
fn elsewhere() -> Result<()> {
    let mut missing = Vec::new();
    if Installation::find().is_err() {
        missing.push("PostgreSQL 15 with server headers (pg_config on the path, or named by PG_CONFIG)");
    }
    for (program, what) in
        [("cc", "a C compiler"), ("clang", "clang with libclang"), ("pkg-config", "pkg-config")]
    {
        if ask(Command::new(program).arg("--version")).is_none() {
            missing.push(what);
        }
    }
    ensure!(missing.is_empty(), "this is no Debian; please install: {}", missing.join("; "));
    Ok(())
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package]);
    ask(&mut query).is_some_and(|status| status == "installed")
}

fn forbid_cluster() -> bool {
    let script =
        format!("mkdir -p $(dirname {NO_CLUSTER}) && echo create_main_cluster = false > {NO_CLUSTER}");
    as_root("sh", &["-c", &script]).is_ok()
}

/// Runs a program as root, through sudo where need be.
pub fn as_root(program: &str, args: &[&str]) -> Result<()> {
    let mut command = if Uid::effective().is_root() {
        Command::new(program)
    } else if ask(Command::new("sudo").arg("--version")).is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", program]);
        sudo
    } else {
        bail!("this needs root, and there is no sudo");
    };
    run_quietly(command.args(args).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Package managers have much to say; it is shown when they fail.
fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim());
    }
    Ok(())
}

fn python_home() -> PathBuf {
    target_dir().join("python")
}

/// Python with the libraries that applications connect with.
pub fn python_program() -> PathBuf {
    python_home().join("bin/python")
}

/// An environment of the tests' own below the target directory, as Debian keeps its Python for itself.
fn python() -> Result<()> {
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

fn cargo_pgrx() -> Result<()> {
    let version = ask(&mut cargo(&["pgrx", "--version"]));
    if version.is_some_and(|version| version.split_whitespace().last() == Some(CARGO_PGRX)) {
        return Ok(());
    }
    announce(format!("installing cargo-pgrx {CARGO_PGRX}: takes about five minutes, once"));
    let exact = format!("={CARGO_PGRX}");
    follow(&mut cargo(&["install", "--locked", "cargo-pgrx", "--version", &exact]))
}
