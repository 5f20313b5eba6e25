//! What the demo's database is filled with.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use chrono::Utc;
use groundskeeper_sandbox::raw::Record;
use groundskeeper_sandbox::simulator::Simulation;
use groundskeeper_sandbox::{feed, old_pipeline};
use postgres::Client;

use super::Shape;
use super::progress::Bar;
use crate::process::announce;

/// Where raw data comes from.
pub enum Source {
    /// Two invented seasons.
    Simulated(Simulation),
    /// A real feed, read already, so that a bad file is known before anything is built.
    Feed(Vec<Record>),
}

impl Source {
    /// The feed, if one is given.
    pub fn new(odds: Option<&Path>, rows: u64, seed: u64) -> Result<Self> {
        let now = Utc::now();
        let Some(odds) = odds else { return Ok(Self::Simulated(Simulation { rows, seed, now })) };
        let json =
            std::fs::read_to_string(odds).with_context(|| format!("cannot read {}", odds.display()))?;
        let records = feed::parse(&json, now).with_context(|| format!("{}", odds.display()))?;
        Ok(Self::Feed(records))
    }

    fn rows(&self) -> u64 {
        match self {
            Self::Simulated(simulation) => simulation.rows,
            Self::Feed(records) => records.len() as u64,
        }
    }
}

/// Fills the raw tables, then the others as the pipeline before the plan did, where it fits.
pub fn load(client: &mut Client, source: &Source, shape: Shape) -> Result<Option<old_pipeline::Outcome>> {
    load_raw(client, source)?;
    let outcome = match shape {
        Shape::A => {
            announce("running the pipeline as it was before the plan");
            Some(timed(source.rows(), |bar| old_pipeline::run(client, &|rows| bar.add(rows)))?)
        }
        Shape::B => {
            announce("skipped: the pipeline as it was before the plan, which fills Shape A's tables");
            None
        }
    };
    client.batch_execute("VACUUM (ANALYZE)")?;
    Ok(outcome)
}

fn load_raw(client: &mut Client, source: &Source) -> Result<()> {
    match source {
        Source::Simulated(simulation) => {
            announce(format!(
                "simulating two seasons: {} raw records, seed {}",
                simulation.rows, simulation.seed
            ));
            timed(source.rows(), |bar| simulation.load(client, &|rows| bar.add(rows)))?;
        }
        Source::Feed(records) => {
            announce("loading the feed");
            timed(source.rows(), |_| feed::load(client, records))?;
        }
    }
    Ok(())
}

fn timed<T>(rows: u64, work: impl FnOnce(&Bar) -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let bar = Bar::rows(rows);
    let outcome = work(&bar)?;
    bar.done();
    println!("    {rows} rows in {:.1} s", started.elapsed().as_secs_f64());
    Ok(outcome)
}
