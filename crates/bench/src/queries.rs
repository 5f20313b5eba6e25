//! The ten queries that hit the plan's tables, as the pipeline asked them before the plan and as they can be asked
//! since, with the plan's indexes and without.

mod texts;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use chrono::Utc;
use groundskeeper_sandbox::old_pipeline;
use groundskeeper_sandbox::server::{self, SUPERUSER, Server};
use groundskeeper_sandbox::shape;
use groundskeeper_sandbox::simulator::Simulation;
use postgres::Client;
use postgres::error::SqlState;
use serde_json::Value;

use super::figures::{Findings, Role, median, quantile};
use super::{Effort, wait_for_jobs};
use texts::{QUERIES, Query};
use xtask::process::announce;

const BEFORE: &str = "before the plan";
const AFTER: &str = "after the plan";
/// Who has not ended by then is not waited for.
const TIMEOUT_MS: f64 = 30_000.0;
/// A query that takes long is asked less often, but no less than this.
const FEWEST: usize = 3;
const ENOUGH_MS: f64 = 15_000.0;
/// Most of it is the start of the execution, which no index shortens.
const LITTLE_MS: f64 = 0.1;

/// The indexes that are not there before the plan, with their sizes and how often they were scanned.
const INDEXES: &str = "
    SELECT DISTINCT ON (c.relname) c.relname::text, pg_relation_size(c.oid), coalesce(pg_stat_get_numscans(c.oid), 0)
      FROM groundskeeper.plan_status() p
      JOIN pg_class c ON c.relkind IN ('i', 'I') AND right(p.item, length(c.relname::text) + 1) = '.' || c.relname
     WHERE p.state = 'applied' ORDER BY c.relname";

/// Bytes and scans by name.
type Indexes = BTreeMap<String, (i64, i64)>;

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let sizes = match effort.rows {
        Some(rows) => vec![rows],
        None => effort.pick(vec![1_000_000, 10_000_000], vec![100_000]),
    };
    let runs = effort.pick(30, 15);
    let mut findings = Findings::new(format!(
        "So many simulated raw rows and what the pipeline before the plan made of them, fsync and JIT off, memory for \
         all of it. Each query is asked {runs} times, for other games each time (less often where it takes long, never \
         longer than {} s), after one that warms up; medians and 95th percentiles are over those.",
        TIMEOUT_MS / 1e3
    ));
    for rows in sizes {
        measure(rows, runs, &mut findings)?;
    }
    Ok(findings)
}

fn measure(rows: u64, runs: usize, findings: &mut Findings) -> Result<()> {
    announce(format!("simulating {rows} raw rows, and the pipeline before the plan"));
    let options = server::Options::default().set("shared_buffers", "2GB").set("max_wal_size", "16GB");
    let server = options.set("jit", "off").start()?;
    server.create_database("bench", "template0")?;
    let mut client = server.connect("bench", SUPERUSER)?;
    client.batch_execute(shape::SHAPE_A)?;
    Simulation { rows, seed: 1, now: Utc::now() }.load(&mut client, &|_| ())?;
    old_pipeline::run(&mut client, &|_| ())?;
    client.batch_execute("VACUUM (ANALYZE)")?;
    let samples = samples(&mut client, runs + 1)?;
    announce("the queries before the plan");
    let before = all(&server, &samples, |query| query.before)?;
    announce("CREATE EXTENSION, and what it leaves to jobs");
    client.batch_execute("CREATE EXTENSION pg_groundskeeper")?;
    wait_for_jobs(&mut client)?;
    announce("a run of migrate_to_staging()");
    client.batch_execute("CALL groundskeeper.migrate_to_staging()")?;
    client.batch_execute("VACUUM (ANALYZE)")?;
    announce("the queries after the plan");
    let after = all(&server, &samples, |query| query.after.unwrap_or(query.before))?;
    // The other session's counters are there a moment after its end.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let indexes = client.query(INDEXES, &[])?;
    let indexes: Indexes = indexes.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    report(rows, &before, &after, &indexes, findings);
    Ok(())
}

/// What a query met.
struct Met {
    milliseconds: Vec<f64>,
    buffers: Vec<f64>,
    indexes: BTreeSet<String>,
    stopped: bool,
}

fn all(server: &Server, samples: &[Sample], text: impl Fn(&Query) -> &'static str) -> Result<Vec<Met>> {
    let mut client = server.connect("bench", SUPERUSER)?;
    client.batch_execute(&format!("SET statement_timeout = {TIMEOUT_MS}"))?;
    let ask = |query| ask(&mut client, samples, text(query)).with_context(|| query.purpose.to_owned());
    QUERIES.iter().map(ask).collect()
}

fn ask(client: &mut Client, samples: &[Sample], text: &str) -> Result<Met> {
    let mut met =
        Met { milliseconds: Vec::new(), buffers: Vec::new(), indexes: BTreeSet::new(), stopped: false };
    for (index, sample) in samples.iter().enumerate() {
        let spent: f64 = met.milliseconds.iter().sum();
        if met.stopped || met.milliseconds.len() >= FEWEST && spent > ENOUGH_MS {
            break;
        }
        let mut transaction = client.transaction()?;
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {}", sample.fill(text));
        match transaction.query_one(&explain, &[]) {
            // The first one warms up.
            Ok(_) if index == 0 => {}
            Ok(row) => {
                let explained: Value = row.get(0);
                let time = explained[0]["Execution Time"].as_f64().context("EXPLAIN gives no time")?;
                let plan = &explained[0]["Plan"];
                let blocks = |key: &str| plan[key].as_f64().unwrap_or(0.0);
                met.milliseconds.push(time);
                met.buffers.push(blocks("Shared Hit Blocks") + blocks("Shared Read Blocks"));
                collect_indexes(plan, &mut met.indexes);
            }
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                met.milliseconds.push(TIMEOUT_MS);
                met.buffers.push(f64::NAN);
                met.stopped = true;
            }
            Err(error) => return Err(error.into()),
        }
        transaction.rollback()?;
    }
    Ok(met)
}

fn collect_indexes(node: &Value, indexes: &mut BTreeSet<String>) {
    indexes.extend(node["Index Name"].as_str().map(str::to_owned));
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect_indexes(child, indexes);
    }
}

fn report(rows: u64, before: &[Met], after: &[Met], indexes: &Indexes, findings: &mut Findings) {
    let (mut better, mut within, mut slowest, mut useful) = (0, 0, 0.0f64, BTreeSet::new());
    for (query, (before, after)) in QUERIES.iter().zip(before.iter().zip(after)) {
        let case = format!("{rows} rows, {}. {}", query.number, query.purpose);
        for (who, role, met) in [(AFTER, Role::Ours, after), (BEFORE, Role::Alternative, before)] {
            let p95 = quantile(met.milliseconds.iter().copied(), 0.95);
            met.milliseconds.iter().for_each(|ms| findings.add(&case, who, role, "ms", *ms));
            findings.add(&case, who, role, "ms at the 95th percentile", p95);
            let buffers = median(met.buffers.iter().copied());
            if buffers.is_finite() {
                findings.add(&case, who, role, "buffers", buffers);
            }
        }
        let gain = 1.0 - findings.median(&case, AFTER, "ms") / findings.median(&case, BEFORE, "ms");
        let p95 = findings.median(&case, AFTER, "ms at the 95th percentile");
        better += usize::from(gain >= 0.3);
        within += usize::from(p95 < 500.0);
        slowest = slowest.max(p95);
        let plans: Vec<&str> =
            after.indexes.iter().filter(|index| indexes.contains_key(*index)).map(String::as_str).collect();
        useful.extend(plans.iter().map(|index| (*index).to_owned()));
        let served = match plans.as_slice() {
            [] => query.reason.to_owned(),
            some => format!("served by {}", some.join(", ")),
        };
        let stopped = if before.stopped { ", where it was stopped before" } else { "" };
        let before = findings.median(&case, BEFORE, "ms");
        let little = if before < LITTLE_MS { ", where there was little to gain" } else { "" };
        findings.note(format!("{case}: {:.0} % less time{stopped}{little}; {served}", gain * 100.0));
    }
    let asked = QUERIES.len() as f64;
    findings.at_least(
        &format!("{rows} rows: 10 of 10 queries take at least 30 % less time"),
        better as f64,
        asked,
    );
    findings.at_least(
        &format!("{rows} rows: 10 of 10 queries have a p95 under 500 ms"),
        within as f64,
        asked,
    );
    findings.note(format!("{rows} rows: the slowest p95 is {slowest:.1} ms."));
    for (index, (bytes, scans)) in indexes.iter().filter(|(index, _)| !useful.contains(*index)) {
        let others = match scans {
            0 => "and nothing else has".to_owned(),
            _ => format!("but foreign keys and the migration have scanned it {scans} times"),
        };
        let megabytes = *bytes as f64 / 1e6;
        findings.note(format!("{rows} rows: none of the ten uses {index} ({megabytes:.1} MB), {others}."));
    }
}

/// What stands for `$game` and the like: a game that was quoted, and what belongs to it.
struct Sample(Vec<(&'static str, String)>);

impl Sample {
    fn fill(&self, sql: &str) -> String {
        self.0.iter().fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value))
    }
}

/// Games spread over the seasons.
fn samples(client: &mut Client, count: usize) -> Result<Vec<Sample>> {
    let names = [
        "$game",
        "$date",
        "$home",
        "$away",
        "$start",
        "$staged",
        "$enhanced",
        "$raw",
        "$book",
        "$collected",
        "$middle",
        "$midgame",
    ];
    let drawn = client.query(
        "SELECT quote_literal(g.external_id), quote_literal(g.game_date), quote_literal(g.home_team_normalized),
                quote_literal(g.away_team_normalized), quote_literal(g.game_datetime), g.id::text, e.id::text,
                r.id::text, quote_literal(r.sportsbook_name), quote_literal(r.collected_at),
                ((SELECT count(*) FROM raw_data.moneylines_raw) / 2)::text,
                ((SELECT count(*) FROM staging.games) / 2)::text
           FROM (SELECT *, row_number() OVER (ORDER BY hashint8(id::bigint)) AS place FROM staging.games
                  WHERE game_datetime IS NOT NULL) g
           JOIN curated.enhanced_games e ON e.staging_game_id = g.id
           JOIN LATERAL (SELECT r.* FROM raw_data.moneylines_raw r JOIN staging.moneylines m ON m.raw_id = r.id
                          WHERE r.game_external_id = g.external_id AND btrim(r.sportsbook_name) <> '' LIMIT 1) r ON true
          WHERE g.place <= $1 ORDER BY g.place",
        &[&(count as i64 + 5)],
    )?;
    let sample = |row: &postgres::Row| {
        Sample(names.into_iter().enumerate().map(|(at, name)| (name, row.get(at))).collect())
    };
    Ok(drawn.iter().take(count).map(sample).collect())
}
