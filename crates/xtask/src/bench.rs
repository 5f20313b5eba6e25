//! What is measured.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Result, bail};
use groundskeeper_sandbox::{server, shape};

use crate::process::{announce, repository};
use crate::{install, setup};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// What to measure
    #[arg(value_enum, default_value_t = Subject::Score)]
    subject: Subject,
    /// Over how many rows
    #[arg(long, default_value_t = 5_000_000)]
    rows: u64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Subject {
    /// What a quality score costs, against the same rules in SQL and PL/pgSQL
    Score,
    /// What update_table_statistics() costs, against the plan's own function
    Statistics,
}

/// `cargo xtask bench`
pub fn run(options: &Options) -> Result<()> {
    let (tables, script) = match options.subject {
        Subject::Score => ("", "score.sql"),
        Subject::Statistics => (shape::SHAPE_A, "statistics.sql"),
    };
    let script = std::fs::read_to_string(repository().join("crates/xtask/bench").join(script))?;
    let installation = setup::run()?;
    install::run(&installation)?;
    announce(format!("measuring over {} rows", options.rows));
    let server =
        server::Options::default().set("shared_buffers", "1GB").set("max_wal_size", "8GB").start()?;
    server.create_database("bench", "template0")?;
    let mut psql = server.client_program("psql", "bench");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set"])
        .arg(format!("rows={}", options.rows));
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
