//! `prometheus_metrics`, and the rows of `monitoring.metrics`.

use super::built_in_plan;
use crate::encoding::Utf8;
use crate::exposition::Reading;
use groundskeeper_core::exposition::{Sample, family_of, names, text};
use pgrx::PgMemoryContexts;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Value, json};

extension_sql_file!(
    "../../sql/monitoring/metrics.sql",
    name = "monitoring_metrics",
    requires = ["bootstrap", metric_names, metrics, prometheus_metrics]
);

/// What there may be rows of in the view. It comes first there, so that a filter on the name leaves out what is not
/// asked for before it is read.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
fn metric_names() -> TableIterator<'static, (name!(name, Utf8), name!(kind, Utf8), name!(help, Utf8))> {
    let rows = names().map(|(name, family)| (name.into(), family.kind.name().into(), family.help.into()));
    TableIterator::new(rows.collect::<Vec<_>>())
}

/// The samples of one name, as the text of a JSON array: a `jsonb` would have to be in UTF-8. A statement reads each part
/// once, however many names it asks for.
#[pg_extern(schema = "groundskeeper_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn metrics(name: Utf8, fcinfo: pg_sys::FunctionCallInfo) -> Result<Utf8, ErrorReport> {
    // SAFETY: it is what the function manager called us with, and nothing else of this call holds what is kept there.
    let reading = unsafe { kept(fcinfo) }?;
    let samples = family_of(&name).map(|family| reading.of(family)).transpose()?.unwrap_or_default();
    // Numbers are texts: JSON has none that are infinite.
    let sample = |sample: Sample| json!({"labels": sample.labels, "value": sample.value.to_string()});
    let samples = samples.into_iter().filter(|sample| sample.name == *name).map(sample);
    Ok(Value::Array(samples.collect()).to_string().into())
}

/// What has been read at this place of the statement.
///
/// # Safety
/// `fcinfo` is what the function manager called us with, and nothing else of this call holds the result.
unsafe fn kept<'a>(fcinfo: pg_sys::FunctionCallInfo) -> Result<&'a mut Reading, ErrorReport> {
    // SAFETY: the function manager always passes a valid FmgrInfo. Its `fn_extra` is ours alone, and the memory context
    // that frees what we store there is the one in which the FmgrInfo itself lives.
    unsafe {
        let place = &mut *(*fcinfo).flinfo;
        if place.fn_extra.is_null() {
            let new = Reading::new(built_in_plan()?);
            place.fn_extra = PgMemoryContexts::For(place.fn_mcxt).leak_and_drop_on_delete(new).cast();
        }
        Ok(&mut *place.fn_extra.cast())
    }
}

/// The same in Prometheus' text format 0.0.4.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn prometheus_metrics() -> Result<Utf8, ErrorReport> {
    Ok(text(&Reading::new(built_in_plan()?).all()?).into())
}
