//! What is measured.

mod migration;
mod monitoring;

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Result, bail};
use groundskeeper_sandbox::server::{self, Server};
use groundskeeper_sandbox::shape;

use crate::process::{announce, repository};
use crate::{install, setup};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// What to measure
    #[arg(value_enum, default_value_t = Subject::Score)]
    subject: Subject,
    /// Over how many rows [default: 5000000 for score and statistics, 1000000 for migration]
    #[arg(long)]
    rows: Option<u64>,
    /// How often each variant of monitoring has its turn
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// How long a turn takes
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Subject {
    /// What a quality score costs, against the same rules in SQL and PL/pgSQL
    Score,
    /// What staging raw records costs, against a bare INSERT, one statement in SQL, and a client that goes row by row
    Migration,
    /// What update_table_statistics() costs, against the plan's own function
    Statistics,
    /// What counting latency costs, against pg_stat_statements
    Monitoring,
}

/// `cargo xtask bench`
pub fn run(options: &Options) -> Result<()> {
    let rows = options.rows.unwrap_or(match options.subject {
        Subject::Migration => 1_000_000,
        _ => 5_000_000,
    });
    let installation = setup::run()?;
    install::run(&installation)?;
    let server = server::Options::default().set("shared_buffers", "1GB").set("max_wal_size", "8GB");
    let over = || announce(format!("measuring over {rows} rows"));
    match options.subject {
        Subject::Score => {
            over();
            script(&server.start()?, rows, "", "score.sql")
        }
        Subject::Statistics => {
            over();
            script(&server.start()?, rows, shape::SHAPE_A, "statistics.sql")
        }
        // What a commit costs is part of it.
        Subject::Migration => {
            over();
            migration::run(&server.set("fsync", "on").start()?, rows)
        }
        Subject::Monitoring => monitoring::run(&installation, options.rounds, options.seconds),
    }
}

/// Runs a script of psql's, over tables that are made first.
fn script(server: &Server, rows: u64, tables: &str, script: &str) -> Result<()> {
    let script = std::fs::read_to_string(repository().join("crates/xtask/bench").join(script))?;
    server.create_database("bench", "template0")?;
    let mut psql = server.client_program("psql", "bench");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set"]).arg(format!("rows={rows}"));
    let mut psql = psql.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = psql.stdin.take() {
        stdin.write_all(tables.as_bytes())?;
        stdin.write_all(script.as_bytes())?;
    }
    if !psql.wait()?.success() {
        bail!("the script stopped");
    }
    Ok(())
}
