//! `reindex`, `drop_unused_indexes`; which are unused is told by `monitoring.unused_indexes`.

use super::regclass::{Regclass, existing};
use super::{given, whole_plan};
use crate::encoding::Utf8;
use crate::index::{rebuild, unused};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!("../../sql/indexes.sql", name = "indexes", requires = [reindex, drop_unused_indexes]);

/// Builds an index anew without blocking writers; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn reindex(index: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(rebuild::ask(existing(index, "index")?)?)
}

/// Queues the dropping of each unused index; a dry run only says which.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off the signature")]
fn drop_unused_indexes(
    dry_run: default!(Option<bool>, true),
) -> Result<
    TableIterator<
        'static,
        (
            name!(item, Utf8),
            name!(action, Utf8),
            name!(state, Utf8),
            name!(detail, Option<Utf8>),
            name!(sql, Option<Utf8>),
        ),
    >,
    ErrorReport,
> {
    let outcomes = unused::drop_all(&*whole_plan()?, given(dry_run, "dry_run")?)?;
    Ok(TableIterator::new(outcomes.into_iter().map(|o| {
        (o.item.into(), o.action.into(), o.state.into(), Some(o.detail.into()), Some(o.sql.into()))
    })))
}
