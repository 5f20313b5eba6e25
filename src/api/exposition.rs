//! `prometheus_metrics`, and the rows of `monitoring.metrics`.

use super::built_in_plan;
use crate::encoding::Utf8;
use crate::exposition;
use groundskeeper_core::exposition::{family_of, text};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::Value;

extension_sql_file!(
    "../../sql/monitoring/metrics.sql",
    name = "monitoring_metrics",
    requires = ["bootstrap", metrics, prometheus_metrics]
);

/// The rows of the view; labels as the text of JSON, as a jsonb would have to be in UTF-8.
#[pg_extern(schema = "groundskeeper_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn metrics() -> Result<
    TableIterator<
        'static,
        (name!(name, Utf8), name!(kind, Utf8), name!(labels, Utf8), name!(value, f64), name!(help, Utf8)),
    >,
    ErrorReport,
> {
    let samples = exposition::samples(built_in_plan()?)?;
    let rows = samples.into_iter().filter_map(|sample| {
        let family = family_of(&sample.name)?;
        let labels = Value::Object(sample.labels).to_string();
        Some((sample.name.into(), family.kind.name().into(), labels.into(), sample.value, family.help.into()))
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

/// The same in Prometheus' text format 0.0.4.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn prometheus_metrics() -> Result<Utf8, ErrorReport> {
    Ok(text(&exposition::samples(built_in_plan()?)?).into())
}
