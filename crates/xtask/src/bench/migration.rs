//! What staging moneylines costs: ours, a bare INSERT of the same columns into the same indexed table, one statement
//! with the scorer in SQL, and a client that goes row by row and pages by OFFSET, as the pipeline did before.

use std::time::Instant;

use anyhow::{Result, ensure};
use chrono::Utc;
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use groundskeeper_sandbox::shape;
use groundskeeper_sandbox::simulator::Simulation;
use postgres::Client;

use crate::process::announce;

/// Round 0 warms up.
const ROUNDS: usize = 5;
/// Rows that the client is given; it would take hours over all.
const CLIENT_ROWS: i64 = 2_000;
const CLIENT_PAGE: i64 = 1_000;

const BARE: [&str; 3] = [
    "INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds,
        home_team_normalized, away_team_normalized, data_quality_score, validation_status, validation_errors, updated_at)
    SELECT id, 1, sportsbook_id, sportsbook_name, home_odds, away_odds, home_team_name, away_team_name, 99.99,
           'validated', NULL, updated_at
      FROM raw_data.moneylines_raw",
    "INSERT INTO staging.spreads (raw_id, game_id, sportsbook_id, sportsbook_name, spread_value, spread_odds,
        favorite_team_normalized, underdog_team_normalized, data_quality_score, validation_status, validation_errors,
        updated_at)
    SELECT id, 1, sportsbook_id, sportsbook_name, spread_value, spread_odds, favorite_team, underdog_team, 99.99,
           'validated', NULL, updated_at
      FROM raw_data.spreads_raw",
    "INSERT INTO staging.totals (raw_id, game_id, sportsbook_id, sportsbook_name, total_points, over_odds, under_odds,
        home_team_normalized, away_team_normalized, data_quality_score, validation_status, validation_errors, updated_at)
    SELECT id, 1, sportsbook_id, sportsbook_name, total_points, over_odds, under_odds, home_team_name, away_team_name,
           99.99, 'validated', NULL, updated_at
      FROM raw_data.totals_raw",
];
const SINGLE: &str = include_str!("../../bench/migration_single.sql");
const OURS: &str = "CALL groundskeeper.migrate_to_staging()";
/// The run of the moneylines comes first; what it says of its games, it says when they are done.
const STAGING_ALONE: &str = "
    SELECT (processed / extract(epoch FROM finished_at - (metadata -> 'games' ->> 'made_at')::timestamptz))::float8
      FROM groundskeeper.migration_runs WHERE bet_type = 'moneyline' ORDER BY run_id DESC LIMIT 1";
/// As before any of it; games stay, and what we know of the raw table goes.
const RESET: &str = "
    TRUNCATE staging.moneylines, staging.spreads, staging.totals, curated.moneylines, curated.spreads, curated.totals;
    DELETE FROM groundskeeper.migration_progress;
    CHECKPOINT";

const PAGE: &str = "
    SELECT r.id, r.game_external_id, r.sportsbook_id, r.sportsbook_name, r.home_odds, r.away_odds, r.home_team_name,
           r.away_team_name, r.updated_at::text
      FROM raw_data.moneylines_raw r
     ORDER BY r.id LIMIT $1 OFFSET $2";
const GAME: &str = "SELECT min(id)::integer FROM staging.games WHERE external_id = $1";
const ROW: &str = "
    INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds,
        home_team_normalized, away_team_normalized, data_quality_score, validation_status, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 9.99, 'validated', $9::text::timestamptz)";

/// Measures and prints.
pub fn run(server: &Server, rows: u64) -> Result<()> {
    server.create_database("bench", "template0")?;
    let mut client = server.connect("bench", SUPERUSER)?;
    client.batch_execute(shape::SHAPE_A)?;
    Simulation { rows, seed: 1, now: Utc::now() }.load(&mut client, &|_| ())?;
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    wait_for_jobs(&mut client)?;
    client.batch_execute("VACUUM ANALYZE")?;
    let moneylines = count(&mut client, "raw_data.moneylines_raw")?;
    client.batch_execute(OURS)?;
    client.batch_execute("VACUUM ANALYZE staging.games")?;

    let mut rates = [const { Vec::new() }; 6];
    for round in 0..=ROUNDS {
        announce(format!("round {round} of {ROUNDS}"));
        let mut measured = [0.0; 6];
        client.batch_execute(RESET)?;
        let started = Instant::now();
        client.batch_execute(BARE[0])?;
        measured[1] = moneylines as f64 / started.elapsed().as_secs_f64();
        client.batch_execute(BARE[1])?;
        client.batch_execute(BARE[2])?;
        measured[0] = rows as f64 / started.elapsed().as_secs_f64();
        client.batch_execute(RESET)?;
        let started = Instant::now();
        client.batch_execute(OURS)?;
        measured[2] = rows as f64 / started.elapsed().as_secs_f64();
        ensure!(count(&mut client, "staging.moneylines")? == moneylines, "not all rows are there");
        // from the end of the games to the end of the run
        measured[3] = client.query_one(STAGING_ALONE, &[])?.get(0);
        client.batch_execute(RESET)?;
        let started = Instant::now();
        client.batch_execute(SINGLE)?;
        measured[4] = moneylines as f64 / started.elapsed().as_secs_f64();
        client.batch_execute(RESET)?;
        let started = Instant::now();
        row_by_row(&mut client, moneylines / 2)?;
        measured[5] = CLIENT_ROWS as f64 / started.elapsed().as_secs_f64();
        if round > 0 {
            rates.iter_mut().zip(measured).for_each(|(rates, rate)| rates.push(rate));
        }
    }
    let [bare, bare_moneylines, ours, ours_moneylines, single, by_row] = rates.map(median);
    println!("{:<56} {:>10} {:>12}", "contestant", "rows/s", "ours / it");
    for (name, rate, ours) in [
        ("migrate_to_staging(), games and all markets", ours, ours),
        ("  bare INSERT ... SELECT, all markets, no games", bare, ours),
        ("migrate_to_staging(), the moneylines without the games", ours_moneylines, ours_moneylines),
        ("  bare INSERT ... SELECT of moneylines", bare_moneylines, ours_moneylines),
        ("  one statement, scorer in SQL, moneylines", single, ours_moneylines),
        ("  client, row by row, paging by OFFSET, moneylines", by_row, ours_moneylines),
    ] {
        println!("{name:<56} {rate:>10.0} {:>12.3}", ours / rate);
    }
    Ok(())
}

fn row_by_row(client: &mut Client, first: i64) -> Result<()> {
    let (game, insert) = (client.prepare(GAME)?, client.prepare(ROW)?);
    for page in 0..CLIENT_ROWS / CLIENT_PAGE {
        for row in client.query(PAGE, &[&CLIENT_PAGE, &(first + page * CLIENT_PAGE)])? {
            let game: Option<i32> = client.query_one(&game, &[&row.get::<_, Option<String>>(1)])?.get(0);
            client.execute(
                &insert,
                &[
                    &row.get::<_, i64>(0),
                    &game,
                    &row.get::<_, Option<i32>>(2),
                    &row.get::<_, Option<String>>(3),
                    &row.get::<_, Option<i32>>(4),
                    &row.get::<_, Option<i32>>(5),
                    &row.get::<_, Option<String>>(6),
                    &row.get::<_, Option<String>>(7),
                    &row.get::<_, String>(8),
                ],
            )?;
        }
    }
    Ok(())
}

fn wait_for_jobs(client: &mut Client) -> Result<()> {
    for row in client.query("SELECT job_id FROM groundskeeper.jobs WHERE finished_at IS NULL", &[])? {
        client.batch_execute(&format!("CALL groundskeeper.wait_for_job({})", row.get::<_, i64>(0)))?;
    }
    Ok(())
}

fn count(client: &mut Client, table: &str) -> Result<i64> {
    Ok(client.query_one(&format!("SELECT count(*) FROM {table}"), &[])?.get(0))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
