//! A betting database before and after the plan.

mod data;
mod day;
mod migration;
mod picture;
mod progress;
mod queries;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use groundskeeper_sandbox::installation::Installation;
use groundskeeper_sandbox::server::{self, SUPERUSER, Server};
use groundskeeper_sandbox::{shape, simulator};
use postgres::Client;

use crate::install;
use crate::process::{announce, target_dir};
use crate::setup::Choice;
use queries::{Cost, Query};

/// The database that the demo makes.
const DATABASE: &str = "betting";

/// Which tables the demo is about.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// What the plan assumes
    A,
    /// A later variant, also in use
    B,
}

impl Shape {
    fn sql(self) -> &'static [&'static str] {
        match self {
            Self::A => &[shape::SHAPE_A],
            Self::B => shape::SHAPE_B,
        }
    }
}

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Options {
    /// Rows in the raw tables
    #[arg(long, default_value_t = simulator::PLAN_ROWS)]
    rows: u64,
    /// The tables to make
    #[arg(long, value_enum, default_value_t = Shape::A)]
    shape: Shape,
    /// A real sportsbook feed to load instead of simulated data
    #[arg(long, value_name = "FILE")]
    odds: Option<PathBuf>,
    /// The same seed gives the same data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    choice: Choice,
    /// Take a picture of the report for the README, which needs Chromium
    #[arg(long)]
    picture: bool,
    /// End the server that the last demo left running
    #[arg(long)]
    stop: bool,
}

/// `cargo xtask demo`
pub fn run(options: &Options) -> Result<()> {
    if options.stop {
        println!("{}", if end_last()? { "The demo's server is gone." } else { "No demo is running." });
        return Ok(());
    }
    let source = data::Source::new(options.odds.as_deref(), options.rows, options.seed)?;
    let installation =
        if options.picture { options.choice.for_pictures() } else { options.choice.prepare() }?;
    install::run(&installation, install::Profile::Release)?;
    end_last()?;

    announce("starting a private server");
    let server = server_options(&installation)?.start()?;
    server.create_database(DATABASE, "template0")?;
    let report = show(&server, &source, options.shape)?;
    println!(
        "\nLook around:\n  {}\n  cargo xtask demo --stop    ends the server\n\nThe report of a day, for a browser:\n  {}",
        server.psql_line(DATABASE),
        report.display()
    );
    if options.picture {
        println!("\nA picture of it:\n  {}", picture::take(&report)?.display());
    }
    remember(server)
}

fn show(server: &Server, source: &data::Source, shape: Shape) -> Result<PathBuf> {
    let mut client = server.connect(DATABASE, SUPERUSER)?;
    shape.sql().iter().try_for_each(|sql| client.batch_execute(sql))?;
    let outcome = data::load(&mut client, source, shape)?;
    let queries = queries::all(&mut client, shape)?;
    announce("key queries before the plan");
    let before = queries::measure(&mut client, &queries, |query| query.before)?;
    install_and_compare(&mut client, &queries, &before)?;
    if outcome.is_some() {
        migration::make_room(&mut client)?;
    }
    migration::show(&mut client)?;
    report::scores(&mut client, outcome.as_ref())?;
    report::way_back();
    day::pass(server, &mut client, &queries)?;
    day::report(&mut client)
}

fn install_and_compare(client: &mut Client, queries: &[Query], before: &[Cost]) -> Result<()> {
    announce("CREATE EXTENSION pg_groundskeeper");
    let started = Instant::now();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    println!("    took {:.2} s", started.elapsed().as_secs_f64());
    wait_for_jobs(client)?;
    report::plan(client)?;

    announce("key queries after the plan");
    let after = queries::measure(client, queries, |query| query.after)?;
    report::comparison(queries, before, &after);
    Ok(())
}

fn wait_for_jobs(client: &mut Client) -> Result<()> {
    announce("waiting for what the install left to background jobs");
    let bar = progress::Bar::percent();
    let open = "SELECT count(*) FILTER (WHERE state IN ('queued', 'running', 'waiting')),
                       count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
                       coalesce(100 * avg(CASE WHEN state IN ('queued', 'running', 'waiting')
                                               THEN coalesce(progress, 0) ELSE 1 END), 100)::int,
                       max(format('%s %s', kind, target)) FILTER (WHERE state IN ('running', 'waiting'))
                FROM groundskeeper.jobs";
    loop {
        let row = client.query_one(open, &[])?;
        let (open, succeeded, failed): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let current: Option<String> = row.get(4);
        bar.set(row.get::<_, i32>(3).unsigned_abs().into(), current.unwrap_or_default());
        if open == 0 {
            bar.done();
            println!("    {succeeded} succeeded, {failed} failed");
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The libraries that make more to see, where the installation has them.
fn server_options(installation: &Installation) -> Result<server::Options> {
    let libraries = installation.directory("--pkglibdir")?;
    let mut options = server::Options::default().set("shared_buffers", "512MB").set("max_wal_size", "4GB");
    for library in ["pg_stat_statements", "pg_groundskeeper"] {
        if libraries.join(library).with_extension(std::env::consts::DLL_EXTENSION).exists() {
            options = options.preload(library);
        }
    }
    Ok(options)
}

fn note() -> PathBuf {
    target_dir().join("demo-server")
}

/// Notes where the server is, so that the next run finds it.
fn remember(server: Server) -> Result<()> {
    let base = server.base().to_str().context("the temporary directory's name is not UTF-8")?.to_owned();
    fs::create_dir_all(target_dir())?;
    fs::write(note(), base)?;
    server.keep();
    Ok(())
}

/// Ends the server of the last demo, if there is one.
fn end_last() -> Result<bool> {
    let Ok(base) = fs::read_to_string(note()) else { return Ok(false) };
    let running = match Server::attach(Path::new(&base)) {
        Ok(server) => {
            server.destroy();
            true
        }
        // It ended with the machine.
        Err(_) => false,
    };
    if Path::new(&base).exists() && running {
        bail!("the last demo's server in {base} could not be ended");
    }
    fs::remove_file(note())?;
    Ok(running)
}
