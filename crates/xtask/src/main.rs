//! The project's own commands: `cargo xtask demo | test | lint | bench | setup`.
#![forbid(unsafe_code)]

mod demo;
mod lint;
mod matrix;
mod regress;
mod tally;
mod test;
mod torture;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
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

/// What cargo-pgrx has made of the sources is what an update leads to.
fn upgrade_script(choice: Choice) -> anyhow::Result<()> {
    let installation = choice.prepare()?;
    install::run(&installation, install::Profile::Checked)?;
    let file = format!("extension/pg_groundskeeper--{}.sql", upgrade::VERSION);
    let install_script = std::fs::read_to_string(installation.directory("--sharedir")?.join(file))?;
    let path = upgrade::path(&process::repository())?;
    std::fs::write(&path, upgrade::script(&process::repository(), &install_script)?)?;
    process::announce(format!("{} is written", path.display()));
    Ok(())
}

/// The benchmarks are a program of their own, which is built when it is asked for.
fn bench(arguments: &[OsString]) -> anyhow::Result<()> {
    let mut command = process::cargo(&["run", "--quiet", "--package", "groundskeeper-bench", "--"]);
    process::execute(command.args(arguments))
}
