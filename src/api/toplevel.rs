//! What procedures that commit ask first.

use super::given;
use crate::encoding::Utf8;
use crate::error::Failure;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!("../../sql/toplevel.sql", name = "toplevel", requires = [require_top_level]);

/// Raises an error unless the procedure that calls it may commit.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_unsafe)]
fn require_top_level(routine: Option<Utf8>) -> Result<(), ErrorReport> {
    let routine = given(routine, "routine")?;
    // SAFETY: both read the backend's own state. Nothing here has connected to SPI, so the connection asked about
    // is the calling procedure's.
    let may_commit = unsafe { pg_sys::SPI_inside_nonatomic_context() && !pg_sys::IsSubTransaction() };
    if may_commit {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_INVALID_TRANSACTION_TERMINATION,
        format!("groundskeeper.{}() cannot run inside a transaction block", &*routine),
    )
    .detail("It commits what it has done step by step, so the transaction must be its own. Nothing was changed.")
    .hint(
        "CALL it as a statement by itself: outside of BEGIN and COMMIT, with the driver in autocommit mode, and in no \
         function or block with EXCEPTION.",
    ))?
}
