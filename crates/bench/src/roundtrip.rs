//! The plan's two tables, one of which refers to the other, become partitions, go back, become partitions again and
//! stay so, while both are written all the time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use groundskeeper_sandbox::shape;
use postgres::Client;
use postgres::error::SqlState;

use super::figures::{Findings, Role};
use super::writers::Writers;
use super::{Effort, production, wait_for_jobs};
use xtask::process::announce;

const DATABASE: &str = "bench";
/// Writes a second.
const RATE: u32 = 200;

const WRITERS: &str = "writers";
const P99: &str = "ms at the 99th percentile";
const LONGEST: &str = "ms at the longest";
const WHOLE: &str = "the whole way";
const QUIET: &str = "quiet, for as long as all of it";
const SAME: &str = "rows that the control tables do not have, or have besides";

/// One raw row in fifty has no date. Every second one is staged, every hundredth of those curated. The control tables
/// are copies that nobody converts.
const FILL: &str = "
    INSERT INTO raw_data.moneylines_raw (external_id, source, game_external_id, sportsbook_id, sportsbook_name,
        home_odds, away_odds, home_team_name, away_team_name, raw_data, collected_at, game_date)
    SELECT 'x' || i, (ARRAY['ODDS_API', 'LINE_SCRAPER', 'PARTNER_FEED'])[1 + i % 3],
           to_char(at, 'YYYYMMDD.') || lpad((i % 15)::text, 2, '0') || '-MLB-NYY@BOS', i / 15 % 30, 'book ' || i / 15 % 30,
           -110 - i % 90, 100 + i % 80, 'Boston Red Sox', 'New York Yankees',
           jsonb_build_object('id', i, 'payload', repeat('x', 110)), at, CASE WHEN i % 50 > 0 THEN at::date END
      FROM (SELECT i, now() - ($rows - i) * (interval '690 days' / $rows) AS at FROM generate_series(1, $rows) i) rows;
    INSERT INTO staging.moneylines (raw_id, game_id, sportsbook_name, home_odds, away_odds, data_quality_score,
        validation_status, processed_at)
    SELECT i * 2, i / 30, 'book ' || i % 30, -110, 120, 77.99, 'validated', now() - ($rows / 2 - i) * (interval '690 days' / ($rows / 2))
      FROM generate_series(1, $rows / 2) i;
    INSERT INTO curated.moneylines (staging_id) SELECT i * 100 FROM generate_series(1, $rows / 200) i;
    CREATE TABLE control_raw (LIKE raw_data.moneylines_raw INCLUDING DEFAULTS);
    INSERT INTO control_raw SELECT * FROM raw_data.moneylines_raw;
    ALTER TABLE control_raw ADD PRIMARY KEY (id);
    CREATE TABLE control_staging (LIKE staging.moneylines INCLUDING DEFAULTS);
    INSERT INTO control_staging SELECT * FROM staging.moneylines;
    ALTER TABLE control_staging ADD PRIMARY KEY (id);
    VACUUM (FREEZE, ANALYZE)";

/// What writers do, each with its like for the control tables, in one statement. Odd raw rows are not referred to by any
/// that is there at the start; of these, some are deleted and others get to be.
const WRITES: [&str; 8] = [
    "WITH n AS (INSERT INTO raw_data.moneylines_raw (source, game_external_id, home_odds, game_date)
                SELECT 'LIVE', 'game ' || n, -110, CASE WHEN n % 50 > 0 THEN current_date - n END
                  FROM (SELECT (random() * 680)::integer AS n) r RETURNING *)
     INSERT INTO control_raw SELECT * FROM n",
    "WITH n AS (INSERT INTO staging.moneylines (raw_id, home_odds, validation_status, processed_at)
                SELECT r.id, r.home_odds, 'pending', now() - random() * interval '680 days'
                  FROM raw_data.moneylines_raw r WHERE r.id = (SELECT (random() * $rows)::bigint / 10 * 10 + 1) RETURNING *)
     INSERT INTO control_staging SELECT * FROM n",
    "WITH n AS (UPDATE raw_data.moneylines_raw SET home_odds = home_odds - 1
                 WHERE id = (SELECT (random() * $rows)::bigint) RETURNING id, home_odds)
     UPDATE control_raw c SET home_odds = n.home_odds FROM n WHERE c.id = n.id",
    "WITH n AS (UPDATE staging.moneylines SET home_odds = home_odds - 1, validation_status = 'needs_review'
                 WHERE id = (SELECT (random() * $rows / 2)::bigint) RETURNING id, home_odds, validation_status)
     UPDATE control_staging c SET home_odds = n.home_odds, validation_status = n.validation_status FROM n WHERE c.id = n.id",
    "WITH n AS (UPDATE raw_data.moneylines_raw SET game_date = CASE WHEN random() > 0.02 THEN current_date - (random() * 680)::integer END
                 WHERE id = (SELECT (random() * $rows)::bigint) RETURNING id, game_date)
     UPDATE control_raw c SET game_date = n.game_date FROM n WHERE c.id = n.id",
    "WITH n AS (UPDATE staging.moneylines SET processed_at = now() - random() * interval '680 days'
                 WHERE id = (SELECT (random() * $rows / 2)::bigint) RETURNING id, processed_at)
     UPDATE control_staging c SET processed_at = n.processed_at FROM n WHERE c.id = n.id",
    "WITH n AS (DELETE FROM raw_data.moneylines_raw WHERE id = (SELECT (random() * $rows)::bigint / 10 * 10 + 3) RETURNING id)
     DELETE FROM control_raw c USING n WHERE c.id = n.id",
    "WITH n AS (DELETE FROM staging.moneylines WHERE id = (SELECT (random() * $rows / 2)::bigint / 10 * 10 + 3) RETURNING id)
     DELETE FROM control_staging c USING n WHERE c.id = n.id",
];

/// Which of the two differ from their control tables, by count and a checksum of whole rows that no order changes; in
/// one snapshot, as writers go on.
const DIFFERING: &str = "
    SELECT name FROM (
        SELECT 'raw' AS name, count(*), sum(hash_record_extended(t, 0)) FROM raw_data.moneylines_raw t
        UNION ALL SELECT 'raw', count(*), sum(hash_record_extended(t, 0)) FROM control_raw t
        UNION ALL SELECT 'staging', count(*), sum(hash_record_extended(t, 0)) FROM staging.moneylines t
        UNION ALL SELECT 'staging', count(*), sum(hash_record_extended(t, 0)) FROM control_staging t
    ) s (name, rows, checksum) GROUP BY name HAVING count(DISTINCT (rows, checksum)) > 1";
/// The same to the last row, once nobody writes.
const EXACTLY: &str = "
    SELECT (SELECT count(*) FROM (TABLE raw_data.moneylines_raw EXCEPT ALL TABLE control_raw) d)
         + (SELECT count(*) FROM (TABLE control_raw EXCEPT ALL TABLE raw_data.moneylines_raw) d)
         + (SELECT count(*) FROM (TABLE staging.moneylines EXCEPT ALL TABLE control_staging) d)
         + (SELECT count(*) FROM (TABLE control_staging EXCEPT ALL TABLE staging.moneylines) d)
         + (SELECT count(*) FROM staging.moneylines s WHERE s.raw_id IS NOT NULL
             AND NOT EXISTS (SELECT FROM raw_data.moneylines_raw r WHERE r.id = s.raw_id))";
/// Neither way may a foreign key be broken: what must be refused.
const FORBIDDEN: [&str; 6] = [
    "INSERT INTO staging.moneylines (raw_id) VALUES (-1)",
    "DELETE FROM raw_data.moneylines_raw WHERE id = (SELECT raw_id FROM staging.moneylines WHERE id = 100)",
    "UPDATE raw_data.moneylines_raw SET id = -1 WHERE id = (SELECT raw_id FROM staging.moneylines WHERE id = 100)",
    "INSERT INTO curated.moneylines (staging_id) VALUES (-1)",
    "DELETE FROM staging.moneylines WHERE id = 100",
    "UPDATE staging.moneylines SET id = -1 WHERE id = 100",
];

/// The way there and back, with the calls for either table; the one that refers to the other goes last, and back first.
const WAY: [(&str, [&str; 2]); 4] = [
    ("there", [THERE_RAW, THERE_STAGING]),
    ("back", ["undo_partitioning('staging.moneylines')", "undo_partitioning('raw_data.moneylines_raw')"]),
    ("there again", [THERE_RAW, THERE_STAGING]),
    (
        "finalized",
        ["finalize_partitioning('staging.moneylines')", "finalize_partitioning('raw_data.moneylines_raw')"],
    ),
];
const THERE_RAW: &str =
    "partition_table('raw_data.moneylines_raw', 'game_date', accept => ARRAY['on_conflict'])";
const THERE_STAGING: &str =
    "partition_table('staging.moneylines', 'processed_at', accept => ARRAY['on_conflict'])";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let rows = effort.rows(5_000_000, 100_000);
    let server = production().set("max_wal_size", "16GB").start()?;
    let mut client = prepared(&server, rows)?;
    let mut findings = Findings::new(format!(
        "{rows} raw rows of some 340 bytes, one in fifty without a date, and {} staged ones that refer to them; {RATE} \
         inserts, updates and deletes a second throughout, moves between months among them, each done to a control \
         table by the same statement; fsync on. After each leg rows are compared with the control tables by a checksum, \
         in the end one by one, and what breaks a foreign key is tried both ways.",
        rows / 2
    ));
    let writes = WRITES.map(|write| write.replace("$rows", &rows.to_string()));
    let writers = Writers::start(&server, DATABASE, &writes.each_ref().map(String::as_str), RATE)?;
    sleep(Duration::from_secs(2));
    let begun = Instant::now();
    let mut legs = Vec::new();
    for (leg, calls) in WAY {
        announce(leg);
        let started = Instant::now();
        calls.iter().try_for_each(|call| job(&mut client, call)).with_context(|| leg.to_owned())?;
        legs.push((leg, started, Instant::now()));
        check(&mut client).with_context(|| leg.to_owned())?;
    }
    let ended = Instant::now();
    announce("the same time in quiet");
    sleep(ended - begun);
    let quiet = Instant::now();
    let written = writers.stop()?;
    announce("comparing row by row");
    client.batch_execute("SET work_mem = '2GB'")?;
    let wrong: i64 = client.query_one(EXACTLY, &[])?.get(0);
    check(&mut client)?;

    for (leg, from, to) in &legs {
        findings.add(leg, WRITERS, Role::Ours, "s", (*to - *from).as_secs_f64());
    }
    let windows = legs.into_iter().map(|(leg, from, to)| (leg, Role::Ours, from, to));
    let others = [(WHOLE, Role::Ours, begun, ended), (QUIET, Role::Limit, ended, quiet)];
    for (case, role, from, to) in windows.chain(others) {
        let latency = written.between(from, to);
        findings.add(case, WRITERS, role, P99, latency.p99);
        findings.add(case, WRITERS, role, LONGEST, latency.longest);
    }
    findings.add(WHOLE, SAME, Role::Ours, "rows", wrong as f64);
    findings.at_most("0 rows that differ from the control tables, in the end", wrong as f64, 0.0);
    findings.at_most("0 errors that writers met", written.errors.len() as f64, 0.0);
    for (leg, _) in WAY {
        let longest = findings.median(leg, WRITERS, LONGEST);
        findings.at_most(&format!("{leg}: no writer is kept for more than 400 ms"), longest, 400.0);
    }
    written.errors.into_iter().take(3).for_each(|error| findings.note(format!("a writer met: {error}")));
    findings
        .note("After each leg both tables were equal to their control tables, and all foreign keys held.");
    Ok(findings)
}

fn prepared(server: &Server, rows: u64) -> Result<Client> {
    announce(format!("making {rows} rows"));
    server.create_database(DATABASE, "template0")?;
    let mut client = server.connect(DATABASE, SUPERUSER)?;
    client.batch_execute(shape::SHAPE_A)?;
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    wait_for_jobs(&mut client)?;
    let statements = FILL.split(";\n");
    statements.into_iter().try_for_each(|s| client.batch_execute(&s.replace("$rows", &rows.to_string())))?;
    client.batch_execute("CHECKPOINT")?;
    Ok(client)
}

/// Queues a job, waits for it, and sees that it has succeeded.
pub fn job(client: &mut Client, call: &str) -> Result<()> {
    let id: i64 = client.query_one(&format!("SELECT groundskeeper.{call}"), &[])?.get(0);
    client.batch_execute(&format!("CALL groundskeeper.wait_for_job({id})"))?;
    let row = client
        .query_one("SELECT state, coalesce(error, '') FROM groundskeeper.jobs WHERE job_id = $1", &[&id])?;
    let (state, error): (&str, &str) = (row.get(0), row.get(1));
    ensure!(state == "succeeded", "{call} {state}: {error}");
    Ok(())
}

/// That nothing differs, and that nothing can be broken.
fn check(client: &mut Client) -> Result<()> {
    let differing = client.query(DIFFERING, &[])?;
    let differing: Vec<&str> = differing.iter().map(|row| row.get(0)).collect();
    ensure!(differing.is_empty(), "{} differ from their control tables", differing.join(" and "));
    for statement in FORBIDDEN {
        let refused = client.execute(statement, &[]).err();
        let code = refused.as_ref().and_then(postgres::Error::code);
        ensure!(code == Some(&SqlState::FOREIGN_KEY_VIOLATION), "not refused: {statement}: {refused:?}");
    }
    Ok(())
}
