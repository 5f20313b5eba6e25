//! What is measured.

mod monitoring;

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Result, bail};
use groundskeeper_sandbox::server;

use crate::process::{announce, repository};
use crate::{install, setup};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// What to measure
    #[arg(value_enum, default_value_t = Subject::Score)]
    subject: Subject,
    /// Over how many rows a score is measured
    #[arg(long, default_value_t = 5_000_000)]
    rows: u64,
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
    /// What counting latency costs, against pg_stat_statements
    Monitoring,
}

/// `cargo xtask bench`
pub fn run(options: &Options) -> Result<()> {
    let installation = setup::run()?;
    install::run(&installation)?;
    match options.subject {
        Subject::Score => score(options.rows),
        Subject::Monitoring => monitoring::run(&installation, options.rounds, options.seconds),
    }
}

fn score(rows: u64) -> Result<()> {
    let script = std::fs::read(repository().join("crates/xtask/bench/score.sql"))?;
    announce(format!("measuring over {rows} rows"));
    let server =
        server::Options::default().set("shared_buffers", "1GB").set("max_wal_size", "8GB").start()?;
    server.create_database("bench", "template0")?;
    let mut psql = server.client_program("psql", "bench");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set"]).arg(format!("rows={rows}"));
    let mut psql = psql.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = psql.stdin.take() {
        stdin.write_all(&script)?;
    }
    if !psql.wait()?.success() {
        bail!("the script stopped");
    }
    Ok(())
}
