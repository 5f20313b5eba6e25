//! `record_metrics`; what the history says is in `sql/`.

use crate::metrics;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!("../../sql/metrics/tables.sql", name = "metrics_tables", requires = ["bootstrap"]);
extension_sql_file!(
    "../../sql/metrics/reports.sql",
    name = "metrics_reports",
    requires = ["metrics_tables", "sizes", record_metrics]
);

/// Takes one sample of all metrics, and returns its time; NULL where another session is at it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn record_metrics() -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    Ok(metrics::record()?)
}
