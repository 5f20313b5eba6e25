//! `record_metrics`, and waits as they are sampled; what the history says is in `sql/`.

use crate::encoding::Utf8;
use crate::latency::waits;
use crate::metrics;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!("../../sql/metrics/tables.sql", name = "metrics_tables", requires = ["bootstrap"]);
extension_sql_file!(
    "../../sql/metrics/reports.sql",
    name = "metrics_reports",
    requires = ["metrics_tables", "sizes", "cluster", record_metrics]
);

extension_sql_file!(
    "../../sql/monitoring/wait_events.sql",
    name = "wait_events",
    requires = ["bootstrap", sampled_waits]
);

/// Takes one sample of all metrics, and returns its time; NULL where another session is at it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn record_metrics() -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    Ok(metrics::record()?)
}

/// What was sampled of waits in this database in the last hours; `began` says by which counters.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn sampled_waits() -> Result<
    TableIterator<
        'static,
        (
            name!(sampled_hour, TimestampWithTimeZone),
            name!(began, i64),
            name!(wait_event_type, Utf8),
            name!(wait_event, Utf8),
            name!(samples, i64),
            name!(max_sessions, i32),
        ),
    >,
    ErrorReport,
> {
    let began = waits::began();
    let rows = waits::waited().into_iter().map(|waited| {
        let hour = to_timestamp(waited.hour as f64);
        (hour, began, waited.class.into(), waited.event.into(), waited.samples, waited.most)
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}
