//! Unused indexes: dropped with a word in the change log, and built again when that is taken back.

use super::build_index;
use crate::catalog;
use crate::error::{Failure, Result};
use crate::journal;
use crate::plan::dropped_index;
use crate::settings;
use crate::sql::qualified;
use crate::waiting::run_before_deadline;
use crate::worker::transaction;
use groundskeeper_core::job::Definition;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// Drops an index, unless another has its name by now. The change is recorded when the index is gone: a crash before
/// that is made up for by the next run, which finds it gone.
pub fn drop(index: &Qualified, definition: &Definition) -> Result<()> {
    let now = transaction(|| Ok(catalog::relation(index)?.map(|found| u32::from(found.oid))))?;
    if now.is_some_and(|oid| oid != definition.oid) {
        let code = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
        let name = qualified(&index.schema, &index.name);
        return Err(Failure::new(
            code,
            format!("index {name} is another than the one that was found unused"),
        )
        .hint("Call groundskeeper.drop_unused_indexes() again."));
    }
    build_index::away(index)?;
    transaction(|| dropped_index::record(index, definition))
}

/// Builds it again.
pub fn restore(index: &Qualified, definition: &Definition, change: i64) -> Result<()> {
    let statement = definition
        .concurrently()
        .ok_or_else(|| Failure::internal("an index that cannot be built concurrently"))?;
    build_index::again(index, &statement)?;
    transaction(|| {
        run_before_deadline(settings::lock_timeout_ms(), &definition.after)?;
        journal::mark_reverted(change)
    })
}
