//! What staging raw records costs: ours, a bare INSERT of the same rows into the same indexed tables, one statement
//! with the scorer in SQL, and a client that goes row by row and pages by OFFSET, as the pipeline did: on the database
//! as it was then, and on the one that has the plan's indexes.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use groundskeeper_sandbox::raw::Market;
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use groundskeeper_sandbox::simulator::{PLAN_MONEYLINES, PLAN_ROWS, Simulation};
use groundskeeper_sandbox::{old_pipeline, shape};
use postgres::Client;

use super::figures::{Findings, Role};
use super::{Effort, production, wait_for_jobs};
use xtask::process::{announce, repository};
use xtask::setup;

const DATABASE: &str = "bench";
/// The same rows without the plan.
const BEFORE: &str = "before";
/// Rows that the client is given; it would take hours over all.
const CLIENT_ROWS: u64 = 2_000;

const OURS: &str = "CALL groundskeeper.migrate_to_staging()";
const SINGLE: &str = include_str!("../sql/migration_single.sql");

const UNIT: &str = "rows/s";
const ALL: &str = "games and three markets";
const MONEYLINES: &str = "moneylines, their games being there";
const CLIENT_BEFORE: &str = "client, row by row, before the plan";
const CLIENT_AFTER: &str = "client, row by row, with the plan's indexes";

/// What ours has staged is kept, so that the same rows can be inserted with nothing to work out.
const KEEP: &str = "
    CREATE TABLE kept_moneylines AS SELECT * FROM staging.moneylines ORDER BY id;
    CREATE TABLE kept_spreads AS SELECT * FROM staging.spreads ORDER BY id;
    CREATE TABLE kept_totals AS SELECT * FROM staging.totals ORDER BY id;
    VACUUM ANALYZE";
const BARE: [&str; 3] = [
    "INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds,
        home_team_normalized, away_team_normalized, data_quality_score, validation_status, validation_errors,
        processed_at, updated_at)
     SELECT raw_id, game_id, sportsbook_id, sportsbook_name, home_odds, away_odds, home_team_normalized,
        away_team_normalized, data_quality_score, validation_status, validation_errors, processed_at, updated_at
       FROM kept_moneylines",
    "INSERT INTO staging.spreads (raw_id, game_id, sportsbook_id, sportsbook_name, spread_value, spread_odds,
        favorite_team_normalized, underdog_team_normalized, data_quality_score, validation_status, validation_errors,
        processed_at, updated_at)
     SELECT raw_id, game_id, sportsbook_id, sportsbook_name, spread_value, spread_odds, favorite_team_normalized,
        underdog_team_normalized, data_quality_score, validation_status, validation_errors, processed_at, updated_at
       FROM kept_spreads",
    "INSERT INTO staging.totals (raw_id, game_id, sportsbook_id, sportsbook_name, total_points, over_odds, under_odds,
        data_quality_score, validation_status, validation_errors, processed_at, updated_at)
     SELECT raw_id, game_id, sportsbook_id, sportsbook_name, total_points, over_odds, under_odds, data_quality_score,
        validation_status, validation_errors, processed_at, updated_at
       FROM kept_totals",
];
/// The run of the moneylines comes first; what it says of its games, it says when they are done.
const STAGING_ALONE: &str = "
    SELECT (processed / extract(epoch FROM finished_at - (metadata -> 'games' ->> 'made_at')::timestamptz))::float8
      FROM groundskeeper.migration_runs WHERE bet_type = 'moneyline' ORDER BY run_id DESC LIMIT 1";
/// As before any of it; games stay, and what we know of the raw tables goes.
const RESET: &str = "
    TRUNCATE staging.moneylines, staging.spreads, staging.totals, curated.moneylines, curated.spreads, curated.totals;
    DELETE FROM groundskeeper.migration_progress";
const RESET_BEFORE: &str = "TRUNCATE staging.moneylines, curated.moneylines";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let mut findings = in_rounds(effort)?;
    at_design_size(effort, &mut findings)?;
    Ok(findings)
}

fn in_rounds(effort: &Effort) -> Result<Findings> {
    let (rows, rounds) = (effort.rows(1_000_000, 100_000), effort.pick(5, 3));
    let server = production().start()?;
    let simulation = Simulation { rows, seed: 1, now: Utc::now() };
    announce("simulating two seasons, and the pipeline before the plan");
    let mut before = simulated(&server, BEFORE, &simulation)?;
    old_pipeline::run(&mut before, &|_| ())?;
    before.batch_execute("VACUUM ANALYZE")?;
    announce("simulating the same seasons for the plan");
    let mut client = simulated(&server, DATABASE, &simulation)?;
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    wait_for_jobs(&mut client)?;
    client.batch_execute("VACUUM ANALYZE")?;
    client.batch_execute(OURS)?;
    KEEP.split(";\n").try_for_each(|statement| client.batch_execute(statement))?;
    let mut findings = Findings::new(format!(
        "{rows} simulated raw rows with the plan's defects, of them {} moneylines; the plan's indexes on all tables; \
         {rounds} rounds after one that warms up, fsync on. The bare INSERT takes rows that ours has made from a table \
         that holds nothing else. The client is Python with asyncpg and commits each row, as the pipeline did, with its \
         statements and its scale; it is given {CLIENT_ROWS} rows in the middle, once in a database with the same \
         rows and no plan, once in the one of the others. What its OFFSET costs grows with the table, so ours and the \
         client meet once more at the size that a table is designed for.",
        count(&mut client, "raw_data.moneylines_raw")?
    ));
    for round in 0..=rounds {
        announce(format!("round {round} of {rounds}"));
        let measured = measure(&server, &mut client, &mut before, rows)?;
        for (case, who, role, rate) in measured.into_iter().filter(|_| round > 0) {
            findings.add(case, who, role, UNIT, rate);
        }
    }
    let against = |case, other| findings.between(case, UNIT, "migrate_to_staging()", other);
    let (bare, single) =
        (against(MONEYLINES, "bare INSERT ... SELECT"), against(MONEYLINES, "one statement in SQL"));
    findings.at_least("at least 0.85 of a bare INSERT ... SELECT of the same columns", bare, 0.85);
    findings.at_least("no less than a single statement with the scorer in SQL", single, 1.0);
    Ok(findings)
}

/// At the size that a table is designed for, where a page by OFFSET reads millions of rows. Ours goes over all rows,
/// the client over some in the middle, whose OFFSET is what the mean one is.
fn at_design_size(effort: &Effort, findings: &mut Findings) -> Result<()> {
    let moneylines = effort.rows(10_000_000, 500_000);
    let case = format!("{moneylines} moneylines, their games being there");
    let server = production().start()?;
    announce(format!("simulating {moneylines} moneylines"));
    // A raw table holds less than half of all rows.
    let simulation = Simulation { rows: moneylines * PLAN_ROWS / PLAN_MONEYLINES, seed: 1, now: Utc::now() };
    server.create_database(BEFORE, "template0")?;
    let mut before = server.connect(BEFORE, SUPERUSER)?;
    before.batch_execute(shape::SHAPE_A)?;
    simulation.load_market(&mut before, Market::Moneyline, &|_| ())?;
    old_pipeline::make_games(&mut before)?;
    before.batch_execute("VACUUM ANALYZE")?;
    let moneylines = count(&mut before, "raw_data.moneylines_raw")?;
    drop(before);
    let mut postgres = server.connect("postgres", SUPERUSER)?;
    postgres.batch_execute(&format!("CREATE DATABASE {DATABASE} TEMPLATE {BEFORE} STRATEGY file_copy"))?;
    let mut client = server.connect(DATABASE, SUPERUSER)?;
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    wait_for_jobs(&mut client)?;
    client.batch_execute("VACUUM ANALYZE")?;
    client.batch_execute("CHECKPOINT")?;
    announce("migrate_to_staging()");
    client.batch_execute("CALL groundskeeper.migrate_to_staging('moneyline')")?;
    ensure!(count(&mut client, "staging.moneylines")? == moneylines, "not all rows are there");
    let ours: f64 = client.query_one(STAGING_ALONE, &[])?.get(0);
    findings.add(&case, "migrate_to_staging()", Role::Ours, UNIT, ours);
    client.batch_execute(RESET)?;
    for round in 0..=3 {
        announce(format!("the client, round {round} of 3"));
        for (who, database) in [(CLIENT_BEFORE, BEFORE), (CLIENT_AFTER, DATABASE)] {
            let rate = row_by_row(&server, database, moneylines / 2)?;
            if round > 0 {
                findings.add(&case, who, Role::Alternative, UNIT, rate);
            }
            let mut connected = server.connect(database, SUPERUSER)?;
            connected.batch_execute(RESET_BEFORE)?;
        }
    }
    let ratio = findings.between(&case, UNIT, "migrate_to_staging()", CLIENT_BEFORE);
    findings.at_least(
        &format!(
            "{moneylines} moneylines: at least 200 times a client that goes row by row, as the pipeline did before the plan"
        ),
        ratio,
        200.0,
    );
    Ok(())
}

/// A new database with the simulated rows in it.
fn simulated(server: &Server, database: &str, simulation: &Simulation) -> Result<Client> {
    server.create_database(database, "template0")?;
    let mut client = server.connect(database, SUPERUSER)?;
    client.batch_execute(shape::SHAPE_A)?;
    simulation.load(&mut client, &|_| ())?;
    Ok(client)
}

type Measured = (&'static str, &'static str, Role, f64);

/// One round: each contestant begins with empty tables.
fn measure(server: &Server, client: &mut Client, before: &mut Client, rows: u64) -> Result<[Measured; 7]> {
    let moneylines = count(client, "raw_data.moneylines_raw")?;
    let timed = |client: &mut Client, statements: &[&str], rows: u64| -> Result<f64> {
        client.batch_execute(RESET)?;
        client.batch_execute("CHECKPOINT")?;
        let started = Instant::now();
        statements.iter().try_for_each(|statement| client.batch_execute(statement))?;
        Ok(rows as f64 / started.elapsed().as_secs_f64())
    };
    let bare_all = timed(client, &BARE, rows)?;
    let ours_all = timed(client, &[OURS], rows)?;
    ensure!(count(client, "staging.moneylines")? == moneylines, "not all rows are there");
    // from the end of the games to the end of the run
    let ours: f64 = client.query_one(STAGING_ALONE, &[])?.get(0);
    let bare = timed(client, &BARE[..1], moneylines)?;
    let single = timed(client, &[SINGLE], moneylines)?;
    client.batch_execute(RESET)?;
    let by_row = row_by_row(server, DATABASE, moneylines / 2)?;
    before.batch_execute(RESET_BEFORE)?;
    let by_row_before = row_by_row(server, BEFORE, moneylines / 2)?;
    Ok([
        (ALL, "migrate_to_staging()", Role::Ours, ours_all),
        (ALL, "bare INSERT ... SELECT, no games", Role::Limit, bare_all),
        (MONEYLINES, "migrate_to_staging()", Role::Ours, ours),
        (MONEYLINES, "bare INSERT ... SELECT", Role::Limit, bare),
        (MONEYLINES, "one statement in SQL", Role::Alternative, single),
        (MONEYLINES, CLIENT_AFTER, Role::Alternative, by_row),
        (MONEYLINES, CLIENT_BEFORE, Role::Alternative, by_row_before),
    ])
}

/// The client's rate.
fn row_by_row(server: &Server, database: &str, first: u64) -> Result<f64> {
    let mut python = Command::new(setup::python_program());
    python.arg(repository().join("crates/bench/sql/row_by_row.py")).arg(server.socket_dir());
    python.args([
        &server.port().to_string(),
        database,
        SUPERUSER,
        &first.to_string(),
        &CLIENT_ROWS.to_string(),
    ]);
    let output = python.output().context("the tests' Python")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(CLIENT_ROWS as f64 / String::from_utf8(output.stdout)?.trim().parse::<f64>()?)
}

fn count(client: &mut Client, table: &str) -> Result<u64> {
    Ok(client.query_one(&format!("SELECT count(*) FROM {table}"), &[])?.get::<_, i64>(0).unsigned_abs())
}
