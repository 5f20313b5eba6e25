//! What a run costs that has little to do, in a database where everything is staged but for rows that never can be:
//! between two collections nothing, after one of them a day's games.

use std::time::Instant;

use anyhow::{Result, ensure};
use chrono::Utc;
use groundskeeper_sandbox::raw::Market;
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use groundskeeper_sandbox::shape;
use groundskeeper_sandbox::simulator::Simulation;
use postgres::Client;

use super::figures::{Findings, Role};
use super::{Effort, production, wait_for_jobs};
use xtask::process::announce;

const DATABASE: &str = "bench";
const CALL: &str = "CALL groundskeeper.migrate_to_staging()";
const OURS: &str = "migrate_to_staging()";
const UNIT: &str = "ms";

const ONCE: &str = "everything, once";
const IDLE: &str = "nothing to do";
const BUSY: &str = "1000 new rows of one day's games";
const IDLE_MS: f64 = 15.0;
const BUSY_MS: f64 = 150.0;

/// What of a collection's thousand rows is whose, as the plan counted.
const COLLECTED: [(Market, u32); 3] = [(Market::Moneyline, 456), (Market::Spread, 69), (Market::Total, 475)];

/// Of ten million rows, 4.75 million are totals; 40,000 of these are refused, a hundred at a time as a broken collector
/// leaves them. What is collected later is sound.
const REFUSE: &str = "
    ALTER TABLE staging.totals ADD CONSTRAINT sound CHECK (raw_id % 11900 >= 100 OR raw_id > $last)";

/// A market's rows of the fullest day, as often as it takes to be so many.
const SAMPLE: &str = "
    CREATE TABLE collected_$table AS
    SELECT r.* FROM raw_data.$table_raw r CROSS JOIN generate_series(1, 200) time
     WHERE r.game_date = (SELECT game_date FROM raw_data.moneylines_raw
                           WHERE btrim(game_external_id) <> '' AND game_date IS NOT NULL
                           GROUP BY 1 ORDER BY count(DISTINCT game_external_id) DESC, 1 DESC LIMIT 1)
     ORDER BY time, r.id LIMIT $rows;
    ALTER TABLE collected_$table DROP id, DROP collected_at, DROP created_at, DROP updated_at";

/// These rows once more, as if they had just been collected.
const COLLECT: &str = "
    INSERT INTO raw_data.$table_raw ($columns) SELECT $columns FROM collected_$table";

/// The last run that is known; a call that has nothing to do may leave none.
const LAST: &str = "SELECT coalesce(max(run_id), 0) FROM groundskeeper.migration_runs";
/// What the runs since then have staged and what they could not stage.
const SINCE: &str = "
    SELECT coalesce(sum(successful), 0)::bigint, coalesce(sum(failed), 0)::bigint
      FROM groundskeeper.migration_runs WHERE run_id > $1";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let (rows, rounds) = (effort.rows(10_000_000, 200_000), effort.pick(15, 7));
    let server = production().set("max_wal_size", "16GB").start()?;
    let mut client = simulated(&server, rows)?;
    announce("migrating all of it");
    let Call { milliseconds, staged, refused } = call(&mut client)?;
    ensure!(staged + refused == rows, "{staged} rows are staged and {refused} refused, of {rows}");
    ensure!(refused > 0, "no row is refused");
    let collect = prepare(&mut client)?;
    client.batch_execute("VACUUM ANALYZE")?;
    client.batch_execute("CHECKPOINT")?;

    let mut findings = Findings::new(format!(
        "{rows} simulated raw rows with the plan's defects and indexes, all of them migrated once; {refused} are refused \
         by a CHECK on staging.totals that they can never satisfy. {rounds} rounds after one that warms up, fsync on: a \
         call that has nothing to do, and one after 1000 rows more of one day's games were put into the three raw \
         tables, in the plan's proportions."
    ));
    findings.add(ONCE, OURS, Role::Ours, "rows/s", rows as f64 * 1e3 / milliseconds);
    for round in 0..=rounds {
        announce(format!("round {round} of {rounds}"));
        for (case, ms) in measure(&mut client, &collect)?.into_iter().filter(|_| round > 0) {
            findings.add(case, OURS, Role::Ours, UNIT, ms);
        }
    }
    judge(&mut findings, rows, refused);
    Ok(findings)
}

/// The rows, not staged yet, with the plan carried out.
fn simulated(server: &Server, rows: u64) -> Result<Client> {
    announce(format!("simulating {rows} raw rows"));
    server.create_database(DATABASE, "template0")?;
    let mut client = server.connect(DATABASE, SUPERUSER)?;
    client.batch_execute(shape::SHAPE_A)?;
    Simulation { rows, seed: 1, now: Utc::now() }.load(&mut client, &|_| ())?;
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    wait_for_jobs(&mut client)?;
    let last: i64 = client.query_one("SELECT max(id) FROM raw_data.totals_raw", &[])?.get(0);
    client.batch_execute(&REFUSE.replace("$last", &last.to_string()))?;
    client.batch_execute("VACUUM ANALYZE")?;
    Ok(client)
}

/// Keeps a collection's rows at hand; the statements that put them into the raw tables.
fn prepare(client: &mut Client) -> Result<String> {
    let mut collect = Vec::new();
    for (market, rows) in COLLECTED {
        let fill = |sql: &str| sql.replace("$table", market.table()).replace("$rows", &rows.to_string());
        client.batch_execute(&fill(SAMPLE))?;
        let columns = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                        WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
        let columns: String = client.query_one(columns, &[&format!("collected_{}", market.table())])?.get(0);
        collect.push(fill(COLLECT).replace("$columns", &columns));
    }
    Ok(collect.join(";"))
}

/// One round.
fn measure(client: &mut Client, collect: &str) -> Result<[(&'static str, f64); 2]> {
    let idle = call(client)?;
    ensure!(idle.staged == 0, "there was something to do: {} rows", idle.staged);
    client.batch_execute(collect)?;
    let busy = call(client)?;
    ensure!(busy.staged == 1_000, "{} of 1000 rows are staged", busy.staged);
    Ok([(IDLE, idle.milliseconds), (BUSY, busy.milliseconds)])
}

fn judge(findings: &mut Findings, rows: u64, refused: u64) {
    let table = format!("{rows} raw rows, {refused} of them refused for good");
    for (case, bound) in [(IDLE, IDLE_MS), (BUSY, BUSY_MS)] {
        let measured = findings.median(case, OURS, UNIT);
        findings.at_most(&format!("{table}, {case}: at most {bound} ms"), measured, bound);
    }
}

/// What came of a call.
struct Call {
    milliseconds: f64,
    staged: u64,
    refused: u64,
}

fn call(client: &mut Client) -> Result<Call> {
    let last: i64 = client.query_one(LAST, &[])?.get(0);
    let started = Instant::now();
    client.batch_execute(CALL)?;
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    let row = client.query_one(SINCE, &[&last])?;
    let [staged, refused] = [0, 1].map(|column| row.get::<_, i64>(column).unsigned_abs());
    Ok(Call { milliseconds, staged, refused })
}
