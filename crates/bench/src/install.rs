//! `CREATE EXTENSION` in a database that is written to: how long it takes, and how long it keeps writers.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use groundskeeper_sandbox::shape;

use super::figures::{Findings, Role};
use super::writers::Writers;
use super::{Effort, production, wait_for_jobs};
use xtask::process::announce;

const OURS: &str = "CREATE EXTENSION";
const INSTALL: &str = "writers, while it installs";
const BUILDS: &str = "writers, while the jobs build";
const QUIET: &str = "writers, in the quiet before";
const SECONDS: &str = "s";
const P99: &str = "ms at the 99th percentile";
const LONGEST: &str = "ms at the longest";
/// Two hundred writes a second, half of them in each zone.
const RATE: u32 = 200;

const FILL: &str = "
    INSERT INTO raw_data.moneylines_raw (external_id, source, game_external_id, sportsbook_id, sportsbook_name,
        home_odds, away_odds, home_team_name, away_team_name, raw_data, collected_at, game_date)
    SELECT 'x' || i, 'ODDS_API', 'game ' || i / 300, i % 30, 'book ' || i % 30, -110 - i % 90, 100 + i % 80,
           'Boston Red Sox', 'New York Yankees', jsonb_build_object('id', i), at, at::date
      FROM (SELECT i, now() - ($rows - i) * (interval '690 days' / $rows) AS at FROM generate_series(1, $rows) i) rows;
    INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_name, home_odds, away_odds, data_quality_score, validation_status)
    SELECT i * 10, i / 30, 'book ' || i % 30, -110, 120, 9.5, 'validated' FROM generate_series(1, $rows / 10) i;
    VACUUM (FREEZE, ANALYZE)";
const WRITES: [&str; 2] = [
    "INSERT INTO raw_data.moneylines_raw (source, game_external_id, home_odds, game_date)
     VALUES ('LIVE', 'game', -110, current_date)",
    "INSERT INTO staging.moneylines (game_id, sportsbook_name, data_quality_score, validation_status)
     VALUES (1, 'book', 9.5, 'validated')",
];

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let sizes = match effort.rows {
        Some(rows) => vec![rows],
        None => effort.pick(vec![100_000, 1_000_000, 10_000_000], vec![10_000, 300_000]),
    };
    let (rounds, quiet) = effort.pick((3, 15), (2, 5));
    let mut findings = Findings::new(format!(
        "So many rows in raw_data.moneylines_raw and a tenth of them in staging.moneylines, {RATE} inserts a second into \
         both throughout, {rounds} rounds, fsync on. What would lock too long or take too long is left to jobs."
    ));
    let server = production().start()?;
    for rows in &sizes {
        announce(format!("{rows} rows"));
        server.create_database("source", "template0")?;
        let mut client = server.connect("source", SUPERUSER)?;
        client.batch_execute(shape::SHAPE_A)?;
        for statement in FILL.split(";\n") {
            client.batch_execute(&statement.replace("$rows", &rows.to_string()))?;
        }
        drop(client);
        for round in 1..=rounds {
            announce(format!("round {round} of {rounds}"));
            install(&server, *rows, quiet, &mut findings)?;
        }
        server.drop_database("source")?;
    }
    let greatest = |who: &str, unit: &str| {
        let figures = findings.figures.iter().filter(|figure| figure.who == who && figure.unit == unit);
        figures.map(|figure| figure.spread().1).fold(f64::NAN, f64::max)
    };
    let (took, stall) = (greatest(OURS, SECONDS), greatest(INSTALL, LONGEST));
    findings.at_most("CREATE EXTENSION within 2 s at any size, in any round", took, 2.0);
    findings.at_most("no writer is kept for more than 500 ms while it installs", stall, 500.0);
    let largest = sizes.last().map(|rows| case(*rows)).unwrap_or_default();
    let builds = findings.between(&largest, P99, BUILDS, QUIET);
    findings.at_most(
        &format!("{largest}: 99th percentile during the builds at most 5 times the quiet one"),
        builds,
        5.0,
    );
    Ok(findings)
}

fn case(rows: u64) -> String {
    format!("{rows} rows")
}

fn install(server: &Server, rows: u64, quiet_seconds: u64, findings: &mut Findings) -> Result<()> {
    let mut postgres = server.connect("postgres", SUPERUSER)?;
    postgres.batch_execute("CREATE DATABASE contest TEMPLATE source STRATEGY file_copy")?;
    let mut client = server.connect("contest", SUPERUSER)?;
    client.batch_execute("CHECKPOINT")?;
    let writers = Writers::start(server, "contest", &WRITES, RATE)?;
    sleep(Duration::from_secs(2));
    let quiet = Instant::now();
    sleep(Duration::from_secs(quiet_seconds));
    let started = Instant::now();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    let installed = Instant::now();
    // The writer that was kept last may not have ended yet.
    sleep(Duration::from_millis(20));
    let seen = Instant::now();
    wait_for_jobs(&mut client)?;
    let built = Instant::now();
    let written = writers.stop()?;
    ensure!(written.errors.is_empty(), "a writer met: {}", written.errors.join("; "));
    let failed: i64 =
        client.query_one("SELECT count(*) FROM groundskeeper.jobs WHERE state <> 'succeeded'", &[])?.get(0);
    ensure!(failed == 0, "{failed} jobs have not succeeded");
    let case = case(rows);
    findings.add(&case, OURS, Role::Ours, SECONDS, installed.duration_since(started).as_secs_f64());
    findings.add(
        &case,
        "the jobs that it queued",
        Role::Ours,
        SECONDS,
        built.duration_since(installed).as_secs_f64(),
    );
    for (who, role, latency) in [
        (INSTALL, Role::Ours, written.between(started, seen)),
        (BUILDS, Role::Ours, written.between(seen, built)),
        (QUIET, Role::Limit, written.between(quiet, started)),
    ] {
        findings.add(&case, who, role, P99, latency.p99);
        findings.add(&case, who, role, LONGEST, latency.longest);
    }
    drop(client);
    Ok(postgres.batch_execute("DROP DATABASE contest WITH (FORCE)")?)
}
