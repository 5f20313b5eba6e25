//! `cargo xtask bench`. What is measured: ours, the alternatives and the physical limit, in turns on the same data.
#![forbid(unsafe_code)]

mod conversion;
mod ddl;
mod figures;
mod install;
mod machine;
mod maintenance;
mod migration;
mod monitoring;
mod queries;
mod report;
mod roundtrip;
mod score;
mod script;
mod stalls;
mod statistics;
mod steady;
mod writers;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum as _};
use groundskeeper_sandbox::installation::Installation;
use groundskeeper_sandbox::server;
use postgres::Client;

use figures::Findings;
use xtask::process::announce;
use xtask::setup::Choice;

/// Measures pg_groundskeeper against the alternatives. What is lacking is installed first.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench")]
struct Options {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    name: Option<Suite>,
    /// Over how many rows, instead of what each suite is made for
    #[arg(long)]
    rows: Option<u64>,
    /// Little data and few rounds: all suites in a quarter of an hour
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// A live table becomes monthly partitions: against INSERT ... SELECT with the same index builds, and pg_partman
    Conversion,
    /// The plan's two tables become partitions, go back, and become partitions again, while both are written
    Roundtrip,
    /// A default partition is drained and a year of partitions retires while others write
    Stalls,
    /// The months of many tables are made: against pg_partman's run_maintenance() and bare statements
    Maintenance,
    /// Partitions of a table that is not ours come and go among many converted ones: against no event triggers
    Ddl,
    /// A moneyline is scored: against the same rules in SQL and PL/pgSQL, above a bare scan
    Score,
    /// Raw records are staged: against a bare INSERT, one statement in SQL, and a client that goes row by row
    Migration,
    /// Little has to be staged beside very much that is: nothing between two collections, a day's games after one
    Steady,
    /// Statistics and views are kept fresh: against the plan's own function
    Statistics,
    /// The queries that the plan is about, before and after it
    Queries,
    /// Latency is counted: against pg_stat_statements, and nothing
    Monitoring,
    /// CREATE EXTENSION in a database that is written to
    Install,
}

/// How much is done.
struct Effort {
    installation: Installation,
    rows: Option<u64>,
    quick: bool,
}

impl Effort {
    /// The rows to go over.
    fn rows(&self, full: u64, quick: u64) -> u64 {
        self.rows.unwrap_or(self.pick(full, quick))
    }

    /// One of two, as the run is.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// A server as production has one: what a commit costs is part of it.
fn production() -> server::Options {
    server::Options::default().set("fsync", "on").set("shared_buffers", "1GB").set("max_wal_size", "8GB")
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let installation = options.choice.for_benchmarks()?;
    xtask::install::run(&installation, xtask::install::Profile::Release)?;
    let machine = machine::Machine::look(&installation)?;
    let effort = Effort { installation, rows: options.rows, quick: options.quick };
    let order: Vec<String> = Suite::value_variants().iter().map(|suite| suite.name()).collect();
    let wanted =
        Suite::value_variants().iter().filter(|suite| options.name.is_none_or(|name| name == **suite));
    for suite in wanted {
        announce(format!("{}: {}", suite.name(), suite.about()));
        let started = Instant::now();
        let findings = suite.run(&effort).with_context(|| format!("the suite {}", suite.name()))?;
        let seconds = started.elapsed().as_secs();
        let run = report::Run::ended(
            &suite.name(),
            &suite.about(),
            effort.quick || effort.rows.is_some(),
            seconds,
            machine.clone(),
            findings,
        );
        run.print();
        println!("\n    {} s; kept in {}", seconds, run.save(&order)?.display());
    }
    Ok(())
}

impl Suite {
    fn run(self, effort: &Effort) -> Result<Findings> {
        match self {
            Self::Conversion => conversion::run(effort),
            Self::Roundtrip => roundtrip::run(effort),
            Self::Stalls => stalls::run(effort),
            Self::Maintenance => maintenance::run(effort),
            Self::Ddl => ddl::run(effort),
            Self::Score => score::run(effort),
            Self::Migration => migration::run(effort),
            Self::Steady => steady::run(effort),
            Self::Statistics => statistics::run(effort),
            Self::Queries => queries::run(effort),
            Self::Monitoring => monitoring::run(effort),
            Self::Install => install::run(effort),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn about(self) -> String {
        let help = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }
}

/// Waits until no job is left to do.
fn wait_for_jobs(client: &mut Client) -> Result<()> {
    for row in
        client.query("SELECT job_id FROM groundskeeper.jobs WHERE finished_at IS NULL ORDER BY 1", &[])?
    {
        client.batch_execute(&format!("CALL groundskeeper.wait_for_job({})", row.get::<_, i64>(0)))?;
    }
    Ok(())
}
