//! The project's own commands: `cargo xtask demo | test | lint | bench | package | release | setup`.
#![forbid(unsafe_code)]

mod demo;
mod licences;
mod lint;
mod matrix;
mod package;
mod regress;
mod release;
mod root;
mod tally;
mod test;
mod torture;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use groundskeeper_sandbox::installation::RELEASES;
use xtask::setup::Choice;
use xtask::{book, install, packages, process, setup, upgrade};

/// Builds, shows, tests and measures pg_groundskeeper. Every command first installs what it lacks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what is missing: PostgreSQL with its headers, libclang, cargo-pgrx, and what the tests run besides
    Setup(Choice),
    /// Shows a betting database before and after the plan, and leaves its server running
    Demo(demo::Options),
    /// Runs every check and every test
    Test(test::Options),
    /// Checks format, lints, licences and sources
    Lint(Choice),
    /// Runs the demo and the tests on every supported server, and writes docs/matrix.md
    Matrix(matrix::Options),
    /// Runs PostgreSQL's own regression and isolation suites without the extension and with it
    Regress(Choice),
    /// Builds the book of docs/, and looks whether its links lead somewhere
    Book,
    /// Builds the extension, and writes the script that updates the last release to it
    UpgradeScript(Choice),
    /// Makes a Debian package of the extension for a release of PostgreSQL
    Package(package::Options),
    /// Writes down whose work is linked into the library, and on which terms
    Licences {
        /// The folder to write to
        into: PathBuf,
        /// The major version of PostgreSQL that the library is for
        #[arg(long, value_name = "MAJOR", default_value_t = *RELEASES.end())]
        pg: u32,
    },
    /// Runs all that a release must pass
    Release(release::Options),
    /// Does at random, for minutes, what users do to a table, and compares it with a plain one
    Torture(torture::Options),
    /// Measures; what is said behind it goes to the benchmarks, such as --help
    #[command(disable_help_flag = true)]
    Bench {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Setup(choice) => choice.for_tests().map(drop),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Lint(choice) => lint::run(choice),
        Command::Matrix(options) => matrix::run(&options),
        Command::Regress(choice) => regress::run(choice),
        Command::Book => book::run(),
        Command::UpgradeScript(choice) => upgrade_script(choice),
        Command::Package(options) => package::run(&options),
        Command::Licences { into, pg } => licences::write(&into, pg),
        Command::Release(options) => release::run(&options),
        Command::Torture(options) => torture::run(&options),
        Command::Bench { arguments } => bench(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes what an update runs.
fn upgrade_script(choice: Choice) -> anyhow::Result<()> {
    let installation = choice.prepare()?;
    install::run(&installation, install::Profile::Checked)?;
    let path = upgrade::path(&process::repository())?;
    std::fs::write(&path, install::upgrade_script(&installation)?)?;
    process::announce(format!("{} is written", path.display()));
    Ok(())
}

/// The benchmarks are a program of their own, which is built when it is asked for.
fn bench(arguments: &[OsString]) -> anyhow::Result<()> {
    let mut command = process::cargo(&["run", "--quiet", "--package", "groundskeeper-bench", "--"]);
    process::execute(command.args(arguments))
}
