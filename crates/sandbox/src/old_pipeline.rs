//! The pipeline before the plan: carries raw rows on into `staging` and `curated` the way it was done.
//!
//! It builds games from moneylines only and scores on the scale of the old type, 0 to 9.99, so a total
//! of a game that no moneyline mentions is lost without a trace but the count in the pipeline's log.

use anyhow::Result;
use postgres::Client;

use crate::raw::Market;

/// Raw rows taken at a time.
const BATCH: i64 = 50_000;

const GAMES: &str = include_str!("../sql/old_pipeline/games.sql");
const LOG: &str = include_str!("../sql/old_pipeline/log.sql");

fn statement(market: Market) -> &'static str {
    match market {
        Market::Moneyline => include_str!("../sql/old_pipeline/moneylines.sql"),
        Market::Spread => include_str!("../sql/old_pipeline/spreads.sql"),
        Market::Total => include_str!("../sql/old_pipeline/totals.sql"),
    }
}

/// Records taken up and lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Raw records seen.
    pub processed: u64,
    /// Those that did not arrive in staging.
    pub failed: u64,
}

/// Makes its games, and what it derives from them.
pub fn make_games(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute(GAMES)?)
}

/// Runs it over all raw rows. `progress` is told of every batch of rows.
pub fn run(client: &mut Client, progress: &dyn Fn(u64)) -> Result<Outcome> {
    // Rows refer to rows that exist by construction; to check each reference would double the time.
    client.batch_execute("SET session_replication_role = replica")?;
    let outcome = all_markets(client, progress);
    client.batch_execute("RESET session_replication_role")?;
    outcome
}

fn all_markets(client: &mut Client, progress: &dyn Fn(u64)) -> Result<Outcome> {
    make_games(client)?;
    let mut outcome = Outcome::default();
    for market in Market::ALL {
        let Outcome { processed, failed } = one_market(client, market, progress)?;
        let table = format!("staging.{}", market.table());
        client.execute(LOG, &[&market.raw_table(), &table, &(processed as i32), &(failed as i32)])?;
        outcome.processed += processed;
        outcome.failed += failed;
    }
    Ok(outcome)
}

fn one_market(client: &mut Client, market: Market, progress: &dyn Fn(u64)) -> Result<Outcome> {
    let statement = client.prepare(statement(market))?;
    let last = format!("SELECT coalesce(max(id), 0) FROM {}", market.raw_table());
    let last: i64 = client.query_one(&last, &[])?.get(0);
    let mut outcome = Outcome::default();
    for first in (1..=last).step_by(BATCH as usize) {
        let row = client.query_one(&statement, &[&first, &(first + BATCH - 1)])?;
        let (seen, staged) = (row.get::<_, i64>(0).unsigned_abs(), row.get::<_, i64>(1).unsigned_abs());
        outcome.processed += seen;
        outcome.failed += seen - staged;
        progress(seen);
    }
    Ok(outcome)
}
