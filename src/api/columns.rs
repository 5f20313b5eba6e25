//! `alter_column_type`: a column of the user's own gets another type, and what stands on it stays.

use super::given;
use super::regclass::{Regclass, existing};
use crate::encoding::{Utf8, to_rust};
use crate::plan;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!("../../sql/columns.sql", name = "columns", requires = [alter_column_type]);

/// Changes the type of a column; the number of the job that does it, or NULL where it is done.
#[pg_extern(sql = "CREATE FUNCTION groundskeeper.alter_column_type(relation regclass, column_name name, type text)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path TO pg_catalog, pg_temp
    AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';", requires = ["bootstrap"])]
fn alter_column_type(
    relation: Option<Regclass>,
    column_name: Option<&core::ffi::CStr>,
    r#type: Option<Utf8>,
) -> Result<Option<i64>, ErrorReport> {
    let relation = existing(relation, "relation")?;
    let column = to_rust(given(column_name, "column_name")?.to_bytes());
    Ok(plan::alter_column_type(relation, &column, &given(r#type, "type")?)?)
}
