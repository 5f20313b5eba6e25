//! `estimated_bloat`, `estimated_index_bloat`: what `monitoring.table_bloat` and `monitoring.index_bloat` show where
//! nothing was measured.

use super::elements;
use crate::bloat::{self, Estimate};
use crate::encoding::Utf8;
use crate::error::{Failure, Result as Fallible};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/monitoring/table_bloat.sql",
    name = "table_bloat",
    requires = ["defaults", "sizes", estimated_bloat]
);
extension_sql_file!(
    "../../sql/monitoring/index_bloat.sql",
    name = "index_bloat",
    requires = ["defaults", "sizes", estimated_index_bloat]
);

/// The share of tables with so many bytes that is dead rows or free space, from statistics alone.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn estimated_bloat(
    relations: Option<Vec<Option<Oid>>>,
    bytes: Option<Vec<Option<i64>>>,
) -> Result<
    TableIterator<
        'static,
        (name!(relation, Oid), name!(bloat_percent, Option<f64>), name!(reason, Option<Utf8>)),
    >,
    ErrorReport,
> {
    let (relations, bytes) = paired(relations, bytes)?;
    Ok(TableIterator::new(bloat::of_tables(relations, bytes)?.into_iter().map(columns)))
}

/// The share of B-trees with so many bytes that building them anew would give back, from statistics alone.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn estimated_index_bloat(
    relations: Option<Vec<Option<Oid>>>,
    bytes: Option<Vec<Option<i64>>>,
) -> Result<
    TableIterator<
        'static,
        (name!(relation, Oid), name!(bloat_percent, Option<f64>), name!(reason, Option<Utf8>)),
    >,
    ErrorReport,
> {
    let (relations, bytes) = paired(relations, bytes)?;
    Ok(TableIterator::new(bloat::of_indexes(relations, bytes)?.into_iter().map(columns)))
}

fn columns(estimate: Estimate) -> (Oid, Option<f64>, Option<Utf8>) {
    (estimate.relation, estimate.percent, estimate.reason.map(Utf8::from))
}

fn paired(
    relations: Option<Vec<Option<Oid>>>,
    bytes: Option<Vec<Option<i64>>>,
) -> Fallible<(Vec<Oid>, Vec<i64>)> {
    let (relations, bytes) = (elements(relations, "relations")?, elements(bytes, "bytes")?);
    if relations.len() != bytes.len() {
        let code = PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
        return Err(Failure::new(code, "relations and bytes must have the same length").detail(format!(
            "They have {} and {} elements.",
            relations.len(),
            bytes.len()
        )));
    }
    Ok((relations, bytes))
}
