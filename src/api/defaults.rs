//! What the plan and the quality rules state, for the tables and views that begin with it.

use super::{built_in_plan, given};
use crate::encoding::Utf8;
use crate::error::Failure;
use groundskeeper_core::quality;
use pgrx::JsonB;
use pgrx::iter::SetOfIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/defaults.sql",
    name = "defaults",
    requires = ["bootstrap", defaults, watched_schemas]
);

/// The rows that a table holds until they are edited, by the names of its columns.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
fn defaults(relation: Option<Utf8>) -> Result<SetOfIterator<'static, JsonB>, ErrorReport> {
    let relation = given(relation, "relation")?;
    let rows = match &*relation {
        "quality_rules" => Some(quality::default_rows()),
        _ => built_in_plan()?.rows_of(&relation),
    };
    let rows = rows.ok_or_else(|| {
        let code = PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
        Failure::new(code, format!("nothing is stated of a table \"{}\"", &*relation))
    })?;
    Ok(SetOfIterator::new(rows.into_iter().map(JsonB)))
}

/// The schemas of the database that the plan is about.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn watched_schemas() -> Result<Vec<String>, ErrorReport> {
    Ok(built_in_plan()?.schemas.clone())
}
