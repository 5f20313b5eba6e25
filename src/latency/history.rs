//! Windows of time: what the samples in `groundskeeper.metrics` hold, and what has been counted since the last.
//!
//! Counters in shared memory are never reset. `groundskeeper.latency_mark` says how far they had come at the last
//! sample; it is unlogged, and so no less fleeting than they are.

use super::shared::{self, Scope, Shared};
use crate::backend;
use crate::error::{Failure, Result};
use crate::sql::{self, required};
use groundskeeper_core::histogram::{Histogram, decode, encode};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use std::collections::HashMap;

/// How many statements are told apart; the others are counted together.
const STATEMENTS: usize = 500;

/// Histograms over a window, each under its key.
pub struct Window<K> {
    /// What was counted.
    pub histograms: HashMap<K, Histogram>,
    /// How long the window really is, in microseconds: it begins with a sample, or with the server.
    pub length: i64,
}

/// Latency by scope from `start` on, or nothing where the library is not preloaded.
pub fn since(start: TimestampWithTimeZone) -> Result<Option<Window<usize>>> {
    let Some(shared) = shared::get() else { return Ok(None) };
    let (marks, mut histograms, began) = read(shared, Payload::Scopes, start)?;
    for (scope, now) in scopes(shared) {
        histograms.entry(scope).or_default().merge(&marks.rest(scope, &now));
    }
    let histograms = histograms.into_iter().filter_map(|(key, h)| Some((usize::try_from(key).ok()?, h)));
    Ok(Some(Window { histograms: histograms.collect(), length: (now()? - began).max(0) }))
}

/// Latency of the most expensive statements, and of all others under the key `None`.
pub fn statements_since(start: TimestampWithTimeZone) -> Result<Option<Window<Option<i64>>>> {
    let Some(shared) = shared::get() else { return Ok(None) };
    let (marks, mut known, began) = read(shared, Payload::Statements, start)?;
    for (queryid, now) in shared.statements.read(backend::database().to_u32()) {
        known.entry(queryid).or_default().merge(&marks.rest(queryid, &now));
    }
    let mut all = Histogram::default();
    for (scope, histogram) in since(start)?.map(|window| window.histograms).unwrap_or_default() {
        if i64::try_from(scope).is_ok_and(|scope| OF_STATEMENTS.contains(&scope)) {
            all.merge(&histogram);
        }
    }
    let mut histograms = HashMap::new();
    for (queryid, histogram) in most_expensive(known) {
        all = all.without(&histogram);
        histograms.insert(Some(queryid), histogram);
    }
    histograms.insert(None, all);
    Ok(Some(Window { histograms, length: (now()? - began).max(0) }))
}

/// The keys of clients' statements among the scopes; upkeep is not told apart by statement.
const OF_STATEMENTS: std::ops::Range<i64> = 0..4;

/// Statements of all scopes in steps of so many seconds between two moments, as far as there are samples; nothing for a
/// step that has none.
pub fn steps(
    begins: TimestampWithTimeZone,
    ends: TimestampWithTimeZone,
    seconds: f64,
    count: usize,
) -> Result<Vec<Option<Histogram>>> {
    let mut steps = vec![None; count];
    // Some at a time: a sample is small, and there may be very many.
    for first in (0..count).step_by(STEPS_AT_ONCE) {
        let from = first as f64 * seconds;
        let until = (first + STEPS_AT_ONCE) as f64 * seconds;
        let rows = sql::rows(
            SAMPLES,
            &[begins.into(), ends.into(), seconds.into(), from.into(), until.into()],
            |row| Ok((required::<i32>(row, 1)?, required::<Vec<u8>>(row, 2)?)),
        )?;
        for (step, bytes) in rows {
            let Some(step) = usize::try_from(step).ok().and_then(|step| steps.get_mut(step)) else {
                continue;
            };
            merge(step.get_or_insert_with(Histogram::default), &bytes, |scope| {
                OF_STATEMENTS.contains(&scope)
            })?;
        }
    }
    Ok(steps)
}

/// How many of [`steps`] are read at once.
const STEPS_AT_ONCE: usize = 8;

const SAMPLES: &str = "
    SELECT pg_catalog.floor(extract(epoch FROM sampled_at - $1) / $3)::integer, latency
      FROM groundskeeper.metrics
     WHERE sampled_at > $1 AND sampled_at < $2 AND latency IS NOT NULL
       AND sampled_at >= $1 + pg_catalog.make_interval(secs => $4) AND sampled_at < $1 + pg_catalog.make_interval(secs => $5)";

/// These statements together, in the samples between two moments of Unix time in microseconds.
pub fn of_statements(begins: i64, ends: i64, wanted: &[i64]) -> Result<Histogram> {
    let mut sum = Histogram::default();
    let samples = sql::rows(
        "SELECT statement_latency FROM groundskeeper.metrics
          WHERE sampled_at > pg_catalog.to_timestamp($1 / 1e6) AND sampled_at <= pg_catalog.to_timestamp($2 / 1e6)
            AND statement_latency IS NOT NULL",
        &[begins.into(), ends.into()],
        |row| required::<Vec<u8>>(row, 1),
    )?;
    for bytes in samples {
        merge(&mut sum, &bytes, |queryid| wanted.contains(&queryid))?;
    }
    Ok(sum)
}

/// Adds what a sample has of some keys.
fn merge(sum: &mut Histogram, bytes: &[u8], wanted: impl Fn(i64) -> bool) -> Result<()> {
    let sample = decode(bytes).map_err(|_| Failure::internal("a stored histogram cannot be read"))?;
    for (key, histogram) in sample {
        if wanted(key) {
            sum.merge(&histogram);
        }
    }
    Ok(())
}

/// What statements of clients have been counted since the last sample, and since when; nothing where the library is not
/// preloaded.
pub fn unsampled() -> Result<Option<(Histogram, i64)>> {
    let Some(shared) = shared::get() else { return Ok(None) };
    let (marks, counted) = Marks::read(shared, Payload::Scopes)?;
    let mut sum = Histogram::default();
    for (scope, now) in scopes(shared).filter(|(scope, _)| OF_STATEMENTS.contains(scope)) {
        sum.merge(&marks.rest(scope, &now));
    }
    Ok(Some((sum, counted)))
}

/// What clients of this database have been counted since the server was started, by scope; nothing where the library is
/// not preloaded.
pub fn since_start() -> Vec<(&'static str, Histogram)> {
    let Some(shared) = shared::get() else { return Vec::new() };
    NAMES.into_iter().zip(scopes(shared).map(|(_, calls)| calls)).collect()
}

/// The scopes in the order of [`Scope::ALL`].
const NAMES: [&str; Scope::ALL.len()] =
    ["select", "write", "utility", "other", "transactions", "maintenance", "client_wait"];

/// What one sample adds to the history.
pub struct Sample {
    /// Histograms by scope.
    pub scopes: Vec<u8>,
    /// Histograms by query identifier.
    pub statements: Vec<u8>,
    /// Since when, in microseconds of Unix time.
    pub began: i64,
}

/// What has been counted since the last sample; the marks are moved to now. As the owner of the extension.
pub fn sample() -> Result<Option<Sample>> {
    let Some(shared) = shared::get() else { return Ok(None) };
    forget_dropped_databases(shared)?;
    let (marks, began) = Marks::read(shared, Payload::Statements)?;
    let statements = shared.statements.read(backend::database().to_u32());
    let kept: Vec<i64> = statements.keys().copied().collect();
    let mut window = HashMap::new();
    let mut moved = Vec::new();
    for (queryid, now) in &statements {
        let rest = marks.rest(*queryid, now);
        if rest.calls() > 0 {
            moved.push((*queryid, now));
            window.insert(*queryid, rest);
        }
    }
    let window = most_expensive(window);
    let (marks, _) = Marks::read(shared, Payload::Scopes)?;
    let scopes: Vec<(i64, Histogram)> = scopes(shared).collect();
    let rest: Vec<(i64, Histogram)> = scopes.iter().map(|(key, now)| (*key, marks.rest(*key, now))).collect();
    store(shared, &scopes, &moved, kept)?;
    let pairs = |all: &'_ [(i64, Histogram)]| encode(all.iter().map(|(key, h)| (*key, h)));
    Ok(Some(Sample { scopes: pairs(&rest), statements: pairs(&window), began }))
}

fn scopes(shared: &Shared) -> impl Iterator<Item = (i64, Histogram)> {
    let database = shared.database(backend::database().to_u32());
    Scope::ALL.into_iter().enumerate().map(move |(key, scope)| {
        let counters = database.and_then(|database| database.scope(scope));
        (key as i64, counters.map(|counters| counters.read()).unwrap_or_default())
    })
}

fn most_expensive(statements: HashMap<i64, Histogram>) -> Vec<(i64, Histogram)> {
    let mut sorted: Vec<_> = statements.into_iter().filter(|(_, histogram)| histogram.calls() > 0).collect();
    sorted.sort_by(|(_, a), (_, b)| b.total().total_cmp(&a.total()));
    sorted.truncate(STATEMENTS);
    sorted
}

/// Which of the two columns of a sample.
#[derive(Clone, Copy)]
enum Payload {
    Scopes,
    Statements,
}

/// How far the counters had come at the last sample.
struct Marks(HashMap<i64, Histogram>);

impl Marks {
    /// What has been counted since.
    fn rest(&self, key: i64, now: &Histogram) -> Histogram {
        self.0.get(&key).map_or_else(|| now.clone(), |before| now.since(before))
    }

    /// The marks, and when they were made: with the counters where there are none.
    fn read(shared: &Shared, payload: Payload) -> Result<(Self, i64)> {
        let (marks, _, began) = read_rows(shared, payload, None)?;
        Ok((marks, began))
    }
}

/// Marks, the sum of the samples since `start`, and since when all of that was counted.
fn read(
    shared: &Shared,
    payload: Payload,
    start: TimestampWithTimeZone,
) -> Result<(Marks, HashMap<i64, Histogram>, i64)> {
    read_rows(shared, payload, Some(start))
}

fn read_rows(
    shared: &Shared,
    payload: Payload,
    start: Option<TimestampWithTimeZone>,
) -> Result<(Marks, HashMap<i64, Histogram>, i64)> {
    let (mut marks, mut samples) = (HashMap::new(), HashMap::new());
    let mut began = None;
    // On a standby both tables tell of the primary.
    if backend::is_in_recovery() {
        return Ok((Marks(marks), samples, unix(shared.began())));
    }
    let mut marked = None;
    // One statement, so that samples and marks are of the same moment.
    let rows = sql::rows(
        match payload {
            Payload::Scopes => SCOPES,
            Payload::Statements => STATEMENT_ROWS,
        },
        &[start.into(), shared.began().into()],
        |row| Ok((required::<bool>(row, 1)?, required::<i64>(row, 2)?, row.get::<Vec<u8>>(3)?)),
    )?;
    for (is_mark, time, bytes) in rows {
        let newest = if is_mark { &mut marked } else { &mut began };
        *newest = Some(newest.map_or(time, |earlier: i64| earlier.min(time)));
        let histograms = bytes.map(|bytes| decode(&bytes)).transpose();
        let histograms = histograms.map_err(|_| Failure::internal("a stored histogram cannot be read"))?;
        for (key, histogram) in histograms.into_iter().flatten() {
            if is_mark {
                marks.insert(key, histogram);
            } else {
                samples.entry(key).or_insert_with(Histogram::default).merge(&histogram);
            }
        }
    }
    let counted = marked.unwrap_or_else(|| unix(shared.began()));
    Ok((Marks(marks), samples, began.map_or(counted, |began: i64| began.min(counted))))
}

/// Whether it is a mark, since when in Unix microseconds, and histograms. A sample of a clock that was ahead is of no time.
const SCOPES: &str = "
    SELECT false, (extract(epoch FROM since) * 1000000)::bigint, latency
      FROM groundskeeper.metrics WHERE sampled_at > $1 AND sampled_at <= pg_catalog.clock_timestamp() AND latency IS NOT NULL
    UNION ALL
    SELECT true, (extract(epoch FROM marked_at) * 1000000)::bigint, counts
      FROM groundskeeper.latency_mark WHERE began = $2 AND queryid IS NULL";

/// The mark of the scopes says when those of the statements that have not changed since were still true.
const STATEMENT_ROWS: &str = "
    SELECT false, (extract(epoch FROM since) * 1000000)::bigint, statement_latency
      FROM groundskeeper.metrics WHERE sampled_at > $1 AND sampled_at <= pg_catalog.clock_timestamp() AND latency IS NOT NULL
    UNION ALL
    SELECT true, (extract(epoch FROM max(marked_at) OVER ()) * 1000000)::bigint,
           CASE WHEN queryid IS NOT NULL THEN counts END
      FROM groundskeeper.latency_mark WHERE began = $2";

fn store(
    shared: &Shared,
    scopes: &[(i64, Histogram)],
    statements: &[(i64, &Histogram)],
    kept: Vec<i64>,
) -> Result<()> {
    sql::run(
        "DELETE FROM groundskeeper.latency_mark WHERE began <> $1 OR queryid <> ALL ($2)",
        &[shared.began().into(), kept.into()],
    )?;
    let of_scopes = encode(scopes.iter().map(|(key, histogram)| (*key, histogram)));
    let mut keys = vec![None];
    let mut counts = vec![of_scopes];
    for (queryid, histogram) in statements {
        keys.push(Some(*queryid));
        counts.push(encode([(*queryid, *histogram)]));
    }
    sql::run(
        "INSERT INTO groundskeeper.latency_mark (queryid, began, marked_at, counts)
         SELECT queryid, $1, pg_catalog.clock_timestamp(), counts
           FROM ROWS FROM (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::bytea[])) m (queryid, counts)
         ON CONFLICT (queryid) DO UPDATE SET marked_at = EXCLUDED.marked_at, counts = EXCLUDED.counts",
        &[shared.began().into(), keys.into(), counts.into()],
    )
}

fn forget_dropped_databases(shared: &Shared) -> Result<()> {
    let there = sql::rows("SELECT oid FROM pg_catalog.pg_database", &[], |row| {
        Ok(required::<pg_sys::Oid>(row, 1)?.to_u32())
    })?;
    shared.forget_databases(|oid| there.contains(&oid));
    Ok(())
}

fn now() -> Result<i64> {
    sql::first(
        "SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint",
        &[],
        |row| required(row, 1),
    )?
    .ok_or_else(|| Failure::internal("the clock tells nothing"))
}

/// PostgreSQL counts from 2000 on.
fn unix(microseconds: i64) -> i64 {
    const FROM_1970_TO_2000: i64 = 10_957 * 86_400 * 1_000_000;
    microseconds + FROM_1970_TO_2000
}
