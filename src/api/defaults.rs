//! What the plan and the quality rules state, for the tables and views that begin with it.

use super::{built_in_plan, given};
use crate::encoding::Utf8;
use crate::error::Failure;
use crate::extension::{as_owner, is_of_this_version};
use crate::settings;
use crate::sql;
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

/// The schemas whose relations are watched: as the setting lists them, else the plan's and those with a relation that is
/// managed or maintained.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
fn watched_schemas() -> Result<Vec<Utf8>, ErrorReport> {
    let schemas = match settings::watched_schemas() {
        Some(listed) => listed,
        None => {
            let mut schemas = built_in_plan()?.schemas.clone();
            // prerequisites() asks, too, and is to say so where it is not.
            let kept = if is_of_this_version()? {
                as_owner(|| sql::texts(include_str!("defaults/kept_schemas.sql"), &[]))?
            } else {
                Vec::new()
            };
            for schema in kept {
                if !schemas.contains(&schema) {
                    schemas.push(schema);
                }
            }
            schemas
        }
    };
    Ok(schemas.into_iter().map(Utf8::from).collect())
}
