//! A live table becomes monthly partitions: ours, pg_partman's way, and the least that it takes, a bare
//! INSERT ... SELECT with the same index builds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use groundskeeper_sandbox::shape;
use postgres::Client;

use super::figures::{Findings, Role};
use super::writers::Writers;
use super::{Effort, production, wait_for_jobs};
use xtask::process::announce;

/// The database that every contestant gets a copy of.
const SOURCE: &str = "source";
const TABLE: &str = "raw_data.moneylines_raw";

const OURS: &str = "partition_table()";
const BARE: &str = "bare INSERT ... SELECT, then the same indexes";
const PARTMAN: &str = "pg_partman's partition_data_proc()";

const COPY: &str = "copy";
const BUILD: &str = "copy and index builds";
const WHOLE: &str = "the whole conversion";
const LIVE: &str = "while 200 writes a second go on";
const RATE: &str = "rows/s";
const DISK: &str = "MB of disk more at the peak";

/// Rows of some 340 bytes over two years, in the order of time, from three sources, fifteen games a day by names as the
/// feed has them, whose odds are collected in turn; pg_partman wants a key that is never NULL.
const FILL: &str = "
    ALTER TABLE staging.moneylines DROP CONSTRAINT moneylines_raw_id_fkey;
    ALTER TABLE raw_data.moneylines_raw ALTER game_date SET NOT NULL;
    INSERT INTO raw_data.moneylines_raw (external_id, source, game_external_id, sportsbook_id, sportsbook_name,
        home_odds, away_odds, home_team_name, away_team_name, raw_data, collected_at, game_date)
    SELECT 'x' || i, (ARRAY['ODDS_API', 'LINE_SCRAPER', 'PARTNER_FEED'])[1 + i % 3], to_char(at, 'YYYYMMDD.') || lpad((i % 15)::text, 2, '0') || '-MLB-NYY@BOS', i / 15 % 30,
           'book ' || i / 15 % 30, -110 - i % 90, 100 + i % 80, 'Boston Red Sox', 'New York Yankees',
           jsonb_build_object('id', i, 'payload', repeat('x', 110)), at, at::date
      FROM (SELECT i, now() - ($rows - i) * (interval '690 days' / $rows) AS at FROM generate_series(1, $rows) i) rows;
    CREATE TABLE control AS SELECT id, game_date, home_odds, source FROM raw_data.moneylines_raw;
    ALTER TABLE control ADD PRIMARY KEY (id);
    VACUUM (FREEZE, ANALYZE)";

/// Partitions as ours has them, without indexes.
const BARE_TABLES: &str = "
    CREATE TABLE raw_data.bare (LIKE raw_data.moneylines_raw INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (game_date);
    DO $$ DECLARE month date; BEGIN
      FOR month IN SELECT generate_series(date_trunc('month', now() - interval '690 days'), now() + interval '3 months', '1 month')
      LOOP
        EXECUTE format('CREATE TABLE raw_data.%I PARTITION OF raw_data.bare FOR VALUES FROM (%L) TO (%L)',
                       'bare_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month');
      END LOOP;
    END $$;
    CREATE TABLE raw_data.bare_default PARTITION OF raw_data.bare DEFAULT";
/// The primary key lacks the partition key, so each partition has its own.
const BARE_KEYS: &str = "
    DO $$ DECLARE partition regclass; BEGIN
      FOR partition IN SELECT relid FROM pg_partition_tree('raw_data.bare') WHERE isleaf LOOP
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (id)', partition);
      END LOOP;
    END $$";
const BARE_COPY: &str = "INSERT INTO raw_data.bare SELECT * FROM raw_data.moneylines_raw";

/// As pg_partman's own how-to goes about a table that is there.
const PARTMAN_TABLES: &str = "
    CREATE SCHEMA partman;
    CREATE EXTENSION pg_partman SCHEMA partman;
    ALTER TABLE raw_data.moneylines_raw RENAME TO former;
    CREATE TABLE raw_data.moneylines_raw (LIKE raw_data.former INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (game_date);
    DO $$ DECLARE definition text; BEGIN
      FOR definition IN SELECT pg_get_indexdef(indexrelid) FROM pg_index
                         WHERE indrelid = 'raw_data.former'::regclass AND NOT indisunique LOOP
        EXECUTE regexp_replace(definition, 'INDEX .* ON raw_data.former', 'INDEX ON raw_data.moneylines_raw');
      END LOOP;
    END $$;
    ALTER TABLE raw_data.moneylines_raw ADD PRIMARY KEY (id, game_date);
    SELECT partman.create_parent('raw_data.moneylines_raw', 'game_date', 'native', 'monthly', p_premake := 3,
             p_start_partition := (SELECT min(game_date)::text FROM raw_data.former))";
const PARTMAN_COPY: &str = "CALL partman.partition_data_proc('raw_data.moneylines_raw', p_wait := 0,
    p_source_table := 'raw_data.former', p_quiet := true)";

/// What writers do, each with its like for a table that stays as it is.
const WRITES: [&str; 4] = [
    "WITH n AS (INSERT INTO raw_data.moneylines_raw (source, game_external_id, home_odds, game_date)
                SELECT 'PARTNER_FEED', to_char(current_date - n, 'YYYYMMDD') || '.00-MLB-LAD@SDP', -110, current_date - n FROM (SELECT (random() * 680)::integer AS n) r
                RETURNING id, game_date, home_odds, source)
     INSERT INTO control SELECT * FROM n",
    "WITH n AS (UPDATE raw_data.moneylines_raw SET home_odds = home_odds - 1
                 WHERE id = (SELECT (random() * $rows)::bigint) RETURNING id, home_odds)
     UPDATE control c SET home_odds = n.home_odds FROM n WHERE c.id = n.id",
    "WITH n AS (UPDATE raw_data.moneylines_raw SET game_date = current_date - (random() * 680)::integer
                 WHERE id = (SELECT (random() * $rows)::bigint) RETURNING id, game_date)
     UPDATE control c SET game_date = n.game_date FROM n WHERE c.id = n.id",
    "WITH n AS (DELETE FROM raw_data.moneylines_raw WHERE id = (SELECT (random() * $rows)::bigint) RETURNING id)
     DELETE FROM control c USING n WHERE c.id = n.id",
];
const DIFFERING: &str = "
    SELECT count(*) FROM (
        (SELECT id, game_date, home_odds, source FROM raw_data.moneylines_raw EXCEPT ALL SELECT * FROM control)
        UNION ALL
        (SELECT * FROM control EXCEPT ALL SELECT id, game_date, home_odds, source FROM raw_data.moneylines_raw)) d";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let (rows, rounds) = (effort.rows(5_000_000, 300_000), effort.pick(3, 2));
    let server =
        production().set("max_wal_size", "16GB").set("max_parallel_maintenance_workers", "0").start()?;
    announce(format!("making {rows} rows"));
    server.create_database(SOURCE, "template0")?;
    let mut client = server.connect(SOURCE, SUPERUSER)?;
    client.batch_execute(shape::SHAPE_A)?;
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    wait_for_jobs(&mut client)?;
    FILL.split(";\n").try_for_each(|statement| client.batch_execute(&with_rows(statement, rows)))?;
    drop(client);

    let bench = Bench { server: &server, rows };
    let mut findings = Findings::new(format!(
        "{rows} rows of some 340 bytes in the order of time, over 23 months, with the plan's indexes; {rounds} rounds, \
         fsync on, indexes built by one process each: ours leaves half of the processors alone. Ours makes a key table besides, which keeps the primary key unique across partitions. pg_partman \
         4.7.2 moves a month at a time into a partitioned table that has the indexes already, without its pauses, \
         and nobody writes. Ours is at its full pace there, and considerate with writers."
    ));
    for round in 1..=rounds {
        announce(format!("round {round} of {rounds}"));
        let indexes = bench.ours(&mut findings)?;
        bench.bare(&mut findings, &indexes)?;
        bench.partman(&mut findings)?;
    }
    announce("with writers");
    bench.live(&mut findings, effort.pick(20, 8))?;
    judge(&mut findings);
    Ok(findings)
}

fn judge(findings: &mut Findings) {
    let bare = findings.between(BUILD, RATE, OURS, BARE);
    findings.at_least("copy and index builds at least 0.8 as fast as the bare way", bare, 0.8);
    let partman = findings.median(BUILD, PARTMAN, RATE);
    let (build, whole) =
        (findings.median(LIVE, "copy and index builds", RATE), findings.median(LIVE, WHOLE, RATE));
    findings.at_least("with writers, at least 2 times pg_partman without", build / partman, 2.0);
    findings.note(format!(
        "The whole conversion with writers, proof and exchange included, is {:.2} times as fast as pg_partman without.",
        whole / partman
    ));
    let stall = findings.median(LIVE, "writers, during the conversion", "ms at the longest");
    findings.at_most("no writer is kept for more than 250 ms", stall, 250.0);
    let p99 = |who| findings.median(LIVE, who, "ms at the 99th percentile");
    let (during, quiet) = (p99("writers, during the conversion"), p99("writers, in the quiet before"));
    findings.at_most("99 of 100 writes take at most 25 ms", during, 25.0);
    findings.at_most(
        "99 of 100 writes take at most 10 times what they take in the quiet",
        during / quiet,
        10.0,
    );
    let wrong = findings.median(LIVE, "rows lost, doubled or different", "rows");
    findings.at_most("0 rows lost, doubled or different", wrong, 0.0);
    let errors = findings.median(LIVE, "errors that writers met", "errors");
    findings.at_most("0 errors that writers met", errors, 0.0);
}

fn with_rows(statement: &str, rows: u64) -> String {
    statement.replace("$rows", &rows.to_string())
}

struct Bench<'a> {
    server: &'a Server,
    rows: u64,
}

impl Bench<'_> {
    /// A copy of the source to work on, and a look at how much it grows; it is dropped afterwards.
    fn contest<T>(&self, work: impl FnOnce(&mut Client) -> Result<T>) -> Result<(T, f64)> {
        let mut postgres = self.server.connect("postgres", SUPERUSER)?;
        postgres.batch_execute(&format!("CREATE DATABASE contest TEMPLATE {SOURCE} STRATEGY file_copy"))?;
        let done = Arc::new(AtomicBool::new(false));
        let before = size(&mut postgres)?;
        let watch = spawn({
            let done = Arc::clone(&done);
            move || -> Result<i64> {
                let mut peak = before;
                while !done.load(Ordering::Relaxed) {
                    peak = peak.max(size(&mut postgres)?);
                    sleep(Duration::from_millis(250));
                }
                Ok(peak)
            }
        });
        let outcome = self.server.connect("contest", SUPERUSER).and_then(|mut client| {
            client.batch_execute("SELECT groundskeeper.resume(); CHECKPOINT")?;
            work(&mut client)
        });
        done.store(true, Ordering::Relaxed);
        let peak = watch.join().map_err(|_| anyhow!("the watch panicked"))?;
        let mut postgres = self.server.connect("postgres", SUPERUSER)?;
        postgres.batch_execute("DROP DATABASE contest WITH (FORCE)")?;
        Ok((outcome?, (peak? - before) as f64 / 1e6))
    }

    fn rate(&self, took: Duration) -> f64 {
        self.rows as f64 / took.as_secs_f64()
    }

    /// Returns the definitions of the indexes that it made.
    fn ours(&self, findings: &mut Findings) -> Result<Vec<String>> {
        let ((took, indexes), disk) = self.contest(|client| {
            // The others take all they get, too.
            client.batch_execute("ALTER DATABASE contest SET groundskeeper.job_pace = 'full'")?;
            let took = convert(client)?;
            let definitions = r"SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX .* ON ONLY raw_data\.moneylines_raw', 'INDEX ON raw_data.bare')
                                  FROM pg_index WHERE indrelid = 'raw_data.moneylines_raw'::regclass";
            let indexes = client.query(definitions, &[])?.iter().map(|row| row.get(0)).collect();
            Ok((took, indexes))
        })?;
        findings.add(COPY, OURS, Role::Ours, RATE, self.rate(took.copy));
        findings.add(BUILD, OURS, Role::Ours, RATE, self.rate(took.build));
        findings.add(WHOLE, OURS, Role::Ours, RATE, self.rate(took.whole));
        findings.add(WHOLE, OURS, Role::Ours, DISK, disk);
        Ok(indexes)
    }

    fn bare(&self, findings: &mut Findings, indexes: &[String]) -> Result<()> {
        let ((copied, took), disk) = self.contest(|client| {
            client.batch_execute(BARE_TABLES)?;
            let started = Instant::now();
            client.batch_execute(BARE_COPY)?;
            let copied = started.elapsed();
            indexes.iter().try_for_each(|index| client.batch_execute(index))?;
            client.batch_execute(BARE_KEYS)?;
            Ok((copied, started.elapsed()))
        })?;
        findings.add(COPY, BARE, Role::Limit, RATE, self.rate(copied));
        findings.add(BUILD, BARE, Role::Limit, RATE, self.rate(took));
        findings.add(WHOLE, BARE, Role::Limit, DISK, disk);
        Ok(())
    }

    fn partman(&self, findings: &mut Findings) -> Result<()> {
        let (took, disk) = self.contest(|client| {
            client.batch_execute(PARTMAN_TABLES)?;
            let started = Instant::now();
            client.batch_execute(PARTMAN_COPY)?;
            let took = started.elapsed();
            let wrong: i64 = client.query_one(DIFFERING, &[])?.get(0);
            ensure!(wrong == 0, "pg_partman left {wrong} rows that differ");
            Ok(took)
        })?;
        findings.add(BUILD, PARTMAN, Role::Alternative, RATE, self.rate(took));
        findings.add(WHOLE, PARTMAN, Role::Alternative, RATE, self.rate(took));
        findings.add(WHOLE, PARTMAN, Role::Alternative, DISK, disk);
        Ok(())
    }

    /// The same with writers, who keep a control table that is compared in the end.
    fn live(&self, findings: &mut Findings, quiet_seconds: u64) -> Result<()> {
        let writes = WRITES.map(|write| with_rows(write, self.rows));
        let (measured, _) = self.contest(|client| {
            let writers =
                Writers::start(self.server, "contest", &writes.each_ref().map(String::as_str), 200)?;
            sleep(Duration::from_secs(2));
            let quiet = Instant::now();
            sleep(Duration::from_secs(quiet_seconds));
            let busy = Instant::now();
            let took = convert(client);
            let end = Instant::now();
            let written = writers.stop()?;
            let wrong: i64 = client.query_one(DIFFERING, &[])?.get(0);
            Ok((took?, written.between(quiet, busy), written.between(busy, end), wrong, written.errors))
        })?;
        let (took, quiet, during, wrong, errors) = measured;
        findings.add(LIVE, "copy and index builds", Role::Ours, RATE, self.rate(took.build));
        findings.add(LIVE, WHOLE, Role::Ours, RATE, self.rate(took.whole));
        for (who, role, latency) in [
            ("writers, during the conversion", Role::Ours, during),
            ("writers, in the quiet before", Role::Limit, quiet),
        ] {
            findings.add(LIVE, who, role, "ms at the 99th percentile", latency.p99);
            findings.add(LIVE, who, role, "ms at the longest", latency.longest);
        }
        findings.add(LIVE, "rows lost, doubled or different", Role::Ours, "rows", wrong as f64);
        findings.add(LIVE, "errors that writers met", Role::Ours, "errors", errors.len() as f64);
        errors.into_iter().take(3).for_each(|error| findings.note(format!("a writer met: {error}")));
        Ok(())
    }
}

fn size(client: &mut Client) -> Result<i64> {
    Ok(client.query_one("SELECT pg_database_size('contest')", &[])?.get(0))
}

/// How long a conversion took.
struct Took {
    /// From the first row copied to the last.
    copy: Duration,
    /// From the first row copied to the last index built.
    build: Duration,
    /// From the job's start to its end.
    whole: Duration,
}

/// Converts, and watches at which stage it is.
fn convert(client: &mut Client) -> Result<Took> {
    let job: i64 = client
        .query_one(
            &format!(
                "SELECT groundskeeper.partition_table('{TABLE}', 'game_date', accept => ARRAY['on_conflict'])"
            ),
            &[],
        )?
        .get(0);
    let look = "SELECT c.stage, extract(epoch FROM c.stage_reached_at)::float8, j.state, j.error,
                       extract(epoch FROM j.finished_at - j.started_at)::float8
                  FROM groundskeeper.jobs j LEFT JOIN groundskeeper.conversion c ON c.relation = j.target
                 WHERE j.job_id = $1";
    let look = client.prepare(look)?;
    let mut reached: Vec<(String, f64)> = Vec::new();
    loop {
        let row = client.query_one(&look, &[&job])?;
        if let (Some(stage), Some(at)) = (row.get::<_, Option<String>>(0), row.get::<_, Option<f64>>(1))
            && reached.last().is_none_or(|(last, _)| *last != stage)
        {
            reached.push((stage, at));
        }
        match row.get::<_, &str>(2) {
            "succeeded" => {
                let at = |stage| reached.iter().find(|(name, _)| name == stage).map(|(_, at)| *at);
                let since_capture = |stage| at(stage).zip(at("captured")).map(|(to, from)| to - from);
                let times = [since_capture("copied"), since_capture("indexed"), row.get(4)];
                let [Some(copy), Some(build), Some(whole)] = times else {
                    return Err(anyhow!("the stages passed unseen"));
                };
                let [copy, build, whole] = [copy, build, whole].map(Duration::from_secs_f64);
                return Ok(Took { copy, build, whole });
            }
            "failed" | "cancelled" => {
                return Err(anyhow!(
                    "the conversion failed: {}",
                    row.get::<_, Option<String>>(3).unwrap_or_default()
                ));
            }
            _ => sleep(Duration::from_millis(20)),
        }
    }
}
