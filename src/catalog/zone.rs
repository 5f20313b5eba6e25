//! Time zones, by the one database of them that rules: PostgreSQL's.

use crate::error::{Failure, Result};
use crate::sql;
use pgrx::PgSqlErrorCode;

/// The zone of that name, in whatever case it is written, as it will be written down.
pub fn time_zone(name: &str) -> Result<String> {
    let known =
        "SELECT name FROM pg_catalog.pg_timezone_names WHERE pg_catalog.lower(name) = pg_catalog.lower($1)";
    sql::texts(known, &[name.into()])?.into_iter().next().ok_or_else(|| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("time zone \"{name}\" not recognized"),
        )
        .hint("SELECT name FROM pg_timezone_names lists those that are.")
    })
}
