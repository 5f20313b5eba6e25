//! The migration from RAW to STAGING, and what it came to.

use std::time::Instant;

use anyhow::Result;
use postgres::Client;

use super::report::table;
use crate::process::announce;

/// Its games stay, as curated rows refer to them; what it has staged would stay on the old type's scale.
const EMPTY: &str = "
    TRUNCATE staging.moneylines, staging.spreads, staging.totals, curated.moneylines, curated.spreads, curated.totals";

/// The figures of the call that was the last; a market that was another's to migrate has none.
const RUNS: &str = "
    SELECT staging_table, processed, successful, failed FROM groundskeeper.migration_runs
     WHERE execution_id = (SELECT execution_id FROM groundskeeper.migration_runs ORDER BY run_id DESC LIMIT 1)
     ORDER BY run_id";
const FAILURES: &str = "
    SELECT raw_table, reason, count(*) FROM groundskeeper.migration_failures GROUP BY 1, 2 ORDER BY 1, 2";

/// Takes away what the pipeline before the plan has staged, as it did itself before each of its runs.
pub fn make_room(client: &mut Client) -> Result<()> {
    announce("emptying the staging tables of what the pipeline before the plan has staged");
    Ok(client.batch_execute(EMPTY)?)
}

/// Stages all raw rows.
pub fn show(client: &mut Client) -> Result<()> {
    announce("CALL groundskeeper.migrate_to_staging()");
    let known = games(client)?;
    let started = Instant::now();
    client.batch_execute("CALL groundskeeper.migrate_to_staging()")?;
    let seconds = started.elapsed().as_secs_f64();
    let games = games(client)?;

    let mut table = table("migration", &["raw rows", "staged", "failed"], "");
    let mut all = [0; 3];
    for row in client.query(RUNS, &[])? {
        let figures = [1, 2, 3].map(|column| row.get::<_, i64>(column));
        table.add_row(cells(row.get(0), figures));
        all = std::array::from_fn(|column| all[column] + figures[column]);
    }
    table.add_row(cells("all", all));
    println!("\n{table}");
    for row in client.query(FAILURES, &[])? {
        let (raw_table, reason, count): (&str, &str, i64) = (row.get(0), row.get(1), row.get(2));
        println!("  failed: {count} of {raw_table}: {reason}");
    }
    println!("  {games} games, {} of them new.", games - known);
    println!("  {seconds:.2} s, {:.0} rows/s.", all[0] as f64 / seconds);
    Ok(())
}

fn cells(name: &str, figures: [i64; 3]) -> impl Iterator<Item = String> {
    std::iter::once(name.to_owned()).chain(figures.map(|figure| figure.to_string()))
}

fn games(client: &mut Client) -> Result<i64> {
    Ok(client.query_one("SELECT count(DISTINCT external_id) FROM staging.games", &[])?.get(0))
}
