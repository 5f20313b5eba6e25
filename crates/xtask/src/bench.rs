//! What is measured.

mod migration;

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Result, bail};
use groundskeeper_sandbox::server::{self, Server};

use crate::process::{announce, repository};
use crate::{install, setup};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// What to measure
    #[arg(value_enum, default_value_t = Subject::Score)]
    subject: Subject,
    /// Over how many rows [default: 5000000 for score, 1000000 for migration]
    #[arg(long)]
    rows: Option<u64>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Subject {
    /// What a quality score costs, against the same rules in SQL and PL/pgSQL
    Score,
    /// What staging raw records costs, against a bare INSERT, one statement in SQL, and a client that goes row by row
    Migration,
}

/// `cargo xtask bench`
pub fn run(options: &Options) -> Result<()> {
    let rows = options.rows.unwrap_or(match options.subject {
        Subject::Score => 5_000_000,
        Subject::Migration => 1_000_000,
    });
    let installation = setup::run()?;
    install::run(&installation)?;
    announce(format!("measuring over {rows} rows"));
    let server = server::Options::default().set("shared_buffers", "1GB").set("max_wal_size", "8GB");
    match options.subject {
        Subject::Score => score(&server.start()?, rows),
        // What a commit costs is part of it.
        Subject::Migration => migration::run(&server.set("fsync", "on").start()?, rows),
    }
}

fn score(server: &Server, rows: u64) -> Result<()> {
    let script = std::fs::read(repository().join("crates/xtask/bench/score.sql"))?;
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
