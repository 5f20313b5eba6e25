//! `query_latency`, `statement_latency`.

use super::given;
use crate::encoding::{Utf8, to_rust};
use crate::error::{Failure, Result as Fallible};
use crate::latency::{self, STATEMENTS};
use crate::sql::{self, required};
use groundskeeper_core::histogram::Histogram;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::collections::HashMap;

extension_sql_file!(
    "../../sql/statement_texts.sql",
    name = "statement_texts",
    requires = ["bootstrap", query_latency, statement_latency_0_2, latency_uncounted]
);

/// The scopes in the order of the result, each with the counters that it sums up.
const SCOPES: [(&str, &[usize]); 7] = [
    ("statements", &[0, 1, 2, 3]),
    ("transactions", &[4]),
    ("select", &[0]),
    ("write", &[1]),
    ("utility", &[2]),
    ("maintenance", &[5]),
    ("client_wait", &[6]),
];

/// How long clients of this database waited, by scope.
#[pg_extern(schema = "groundskeeper", volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn query_latency(
    since: default!(Option<Interval>, "'1 hour'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(scope, Utf8),
            name!(calls, i64),
            name!(p50_ms, Option<f64>),
            name!(p95_ms, Option<f64>),
            name!(p99_ms, Option<f64>),
            name!(max_ms, Option<f64>),
            name!(over_slo, i64),
            name!(failed, i64),
            name!(measured_over, Interval),
        ),
    >,
    ErrorReport,
> {
    let mut rows = Vec::new();
    if is_uncounted() {
        return Ok(TableIterator::new(rows));
    }
    if let Some(window) = latency::since(start_of(since)?)? {
        for (scope, parts) in SCOPES {
            let mut sum = Histogram::default();
            parts.iter().filter_map(|part| window.histograms.get(part)).for_each(|part| sum.merge(part));
            let length = Interval::from_micros(window.length);
            rows.push((
                scope.into(),
                count(sum.calls()),
                quantile(&sum, 0.5),
                quantile(&sum, 0.95),
                quantile(&sum, 0.99),
                longest(&sum),
                count(sum.over_objective()),
                count(sum.failed),
                length,
            ));
        }
    }
    Ok(TableIterator::new(rows))
}

/// The same by statement, the most expensive first; those that were not told apart in a last row without an
/// identifier.
#[pg_extern(schema = "groundskeeper", name = "statement_latency", volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn statement_latency_0_2(
    since: default!(Option<Interval>, "'1 hour'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(queryid, Option<i64>),
            name!(query, Option<Utf8>),
            name!(calls, i64),
            name!(p50_ms, Option<f64>),
            name!(p95_ms, Option<f64>),
            name!(p99_ms, Option<f64>),
            name!(max_ms, Option<f64>),
            name!(over_slo, i64),
            name!(failed, i64),
            name!(measured_over, Interval),
            name!(total_ms, f64),
        ),
    >,
    ErrorReport,
> {
    if is_uncounted() {
        return Ok(TableIterator::new(Vec::new()));
    }
    let Some(window) = latency::statements_since(start_of(since)?)? else {
        return Ok(TableIterator::new(Vec::new()));
    };
    let mut texts = texts()?;
    let mut statements: Vec<_> = window.histograms.into_iter().filter(|(_, h)| h.calls() > 0).collect();
    statements.sort_by(|(a, x), (b, y)| a.is_none().cmp(&b.is_none()).then(y.total().total_cmp(&x.total())));
    let rows = statements.into_iter().map(move |(queryid, histogram)| {
        (
            queryid,
            match queryid {
                Some(queryid) => texts.remove(&queryid).map(Utf8::from),
                None => Some(
                    format!("all others: {STATEMENTS} statements of all databases are told apart").into(),
                ),
            },
            count(histogram.calls()),
            quantile(&histogram, 0.5),
            quantile(&histogram, 0.95),
            quantile(&histogram, 0.99),
            longest(&histogram),
            count(histogram.over_objective()),
            count(histogram.failed),
            Interval::from_micros(window.length),
            histogram.total() / 1000.0,
        )
    });
    Ok(TableIterator::new(rows))
}

/// The beginning of a window that reaches back from now.
fn start_of(since: Option<Interval>) -> Fallible<TimestampWithTimeZone> {
    let since = given(since, "since")?;
    let (start, is_past) = sql::first("SELECT now() - $1, now() - $1 < now()", &[since.into()], |row| {
        Ok((required::<TimestampWithTimeZone>(row, 1)?, required::<bool>(row, 2)?))
    })?
    .ok_or_else(|| Failure::internal("the clock tells nothing"))?;
    if !is_past {
        let code = PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
        return Err(Failure::new(code, "since must be positive")
            .detail("It says how far back the window reaches.")
            .hint("Pass an interval such as '1 hour'."));
    }
    Ok(start)
}

/// Whether nothing is counted in this database though the library is preloaded, which is said.
fn is_uncounted() -> bool {
    let reason = latency::uncounted().filter(|_| latency::is_preloaded());
    if let Some(reason) = &reason {
        notice!("{reason}");
    }
    reason.is_some()
}

/// Texts from pg_stat_statements, as far as the caller may see them; of statements that it has none of, because they
/// always fail, our own for who may see everybody's.
fn texts() -> Fallible<HashMap<i64, String>> {
    let rows =
        sql::rows("SELECT queryid, query FROM groundskeeper_internal.statement_texts()", &[], |row| {
            Ok((required::<i64>(row, 1)?, required::<String>(row, 2)?))
        })?;
    let mut texts: HashMap<i64, String> = rows.into_iter().collect();
    let sees_all = "SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')";
    if sql::first(sees_all, &[], |row| required::<bool>(row, 1))? == Some(true) {
        for (queryid, text) in latency::texts() {
            texts.entry(queryid).or_insert_with(|| to_rust(&text));
        }
    }
    Ok(texts)
}

/// Why latency is not counted in this database; NULL where it is.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
fn latency_uncounted() -> Option<Utf8> {
    latency::uncounted().map(Utf8::from)
}

fn quantile(histogram: &Histogram, q: f64) -> Option<f64> {
    histogram.quantile(q).map(|microseconds| microseconds / 1000.0)
}

fn longest(histogram: &Histogram) -> Option<f64> {
    (histogram.calls() > 0).then_some(histogram.longest as f64 / 1000.0)
}

fn count(calls: u64) -> i64 {
    i64::try_from(calls).unwrap_or(i64::MAX)
}
