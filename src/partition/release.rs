//! What else goes when a partition leaves its table.

use super::managed::Managed;
use crate::error::{Failure, Result};
use crate::sql::qualified;
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// Lets go of what a managed table keeps elsewhere for the rows of a partition. Called in the transaction that
/// detaches or drops the partition, before it does; an error keeps the partition.
pub fn released(parent: &Managed, partition: &Qualified) -> Result<()> {
    let Some(keys) = &parent.key_table else { return Ok(()) };
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("{} cannot leave {} yet", qualified(&partition.schema, &partition.name), parent.parent),
    )
    .detail(format!("The keys of its rows are in {keys}.")))
}
