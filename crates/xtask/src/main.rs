//! The project's own commands: `cargo xtask demo | test | lint | bench | setup`.
#![forbid(unsafe_code)]

mod bench;
mod demo;
mod install;
mod lint;
mod process;
mod setup;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    Setup,
    /// Shows a betting database before and after the plan, and leaves its server running
    Demo(demo::Options),
    /// Runs every check and every test
    Test(test::Options),
    /// Checks format, lints, licences and sources
    Lint,
    /// Measures
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Setup => setup::for_tests().map(drop),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Lint => lint::run(),
        Command::Bench(options) => bench::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
