//! `update_table_statistics`, `maintain`, `stop_maintaining`.

use super::regclass::{Regclass, existing};
use super::{built_in_plan, given, whole_plan};
use crate::encoding::Utf8;
use crate::sql::qualified;
use crate::statistics::{self, registry};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/statistics.sql",
    name = "statistics",
    requires = ["bootstrap", update_table_statistics, maintain, planned_relations, stop_maintaining]
);

/// Analyzes what has changed enough and refreshes the views whose sources have. Two functions, as those of
/// `create_monthly_partitions`.
#[pg_extern(sql = "CREATE FUNCTION @extschema@.update_table_statistics(force boolean DEFAULT false)
    RETURNS TABLE (relation text, action text, reason text, duration_ms double precision)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
CREATE FUNCTION groundskeeper.update_table_statistics(force boolean DEFAULT false)
    RETURNS TABLE (relation text, action text, reason text, duration_ms double precision)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';", requires = ["bootstrap"])]
fn update_table_statistics(
    force: default!(Option<bool>, false),
) -> Result<
    TableIterator<
        'static,
        (name!(relation, Utf8), name!(action, Utf8), name!(reason, Utf8), name!(duration_ms, f64)),
    >,
    ErrorReport,
> {
    let outcomes = statistics::update(&*whole_plan()?, given(force, "force")?)?;
    let row =
        |o: statistics::Maintained| (o.relation.into(), o.action.into(), o.reason.into(), o.duration_ms);
    Ok(TableIterator::new(outcomes.into_iter().map(row)))
}

/// Adds a table or materialized view to what is looked after; `false` if it was there.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn maintain(relation: Option<Regclass>) -> Result<bool, ErrorReport> {
    Ok(registry::add(existing(relation, "relation")?)?)
}

/// What the plan has looked after.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_safe)]
fn planned_relations() -> Result<Vec<Utf8>, ErrorReport> {
    let planned = groundskeeper_core::statistics::of_the_plan(built_in_plan()?);
    Ok(planned.into_iter().map(|relation| qualified(&relation.schema, &relation.name).into()).collect())
}

/// Takes it off again.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn stop_maintaining(relation: Option<Regclass>) -> Result<(), ErrorReport> {
    Ok(registry::remove(built_in_plan()?, existing(relation, "relation")?)?)
}
