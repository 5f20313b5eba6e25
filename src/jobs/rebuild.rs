//! `reindex`, `detach_partition`, `drop_partition`: commands on what is there already, concurrent where they can be.

use crate::catalog;
use crate::error::{Failure, Result};
use crate::partition::managed;
use crate::partition::release::released;
use crate::settings;
use crate::sql::{self, qualified, required};
use crate::waiting::run_before_deadline;
use crate::worker::{toplevel, transaction};
use groundskeeper_core::job::{DetachState, DetachStep, towards_detached};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;

/// Builds an index anew beside the old one. `before` is the OID that it had when the job was queued: a rebuilt
/// index has another, so a run after a crash knows whether it is done. Leftovers of an interrupted run go first.
pub fn reindex(index: &Qualified, before: u32) -> Result<()> {
    for leftover in transaction(|| catalog::reindex_leftovers(index))? {
        toplevel::run(&super::drop_index(&leftover))?;
    }
    let now = transaction(|| Ok(catalog::relation(index)?.map(|found| u32::from(found.oid))))?;
    match now {
        Some(oid) if oid == before => {
            toplevel::run(&format!("REINDEX INDEX CONCURRENTLY {}", qualified(&index.schema, &index.name)))
        }
        _ => Ok(()),
    }
}

/// Detaches a partition without blocking writers where PostgreSQL can: not beside a default partition, and not
/// where something else must go with it in the same transaction.
pub fn detach(parent: &Qualified, partition: &Qualified) -> Result<()> {
    let (parent_name, name) =
        (qualified(&parent.schema, &parent.name), qualified(&partition.schema, &partition.name));
    loop {
        let (state, default) = transaction(|| detach_state(parent, partition))?;
        let keys = transaction(|| Ok(managed::find(&parent_name)?.is_some_and(|t| t.key_table.is_some())))?;
        let statement = |suffix: &str| format!("ALTER TABLE {parent_name} DETACH PARTITION {name}{suffix}");
        match towards_detached(state, default || keys) {
            DetachStep::Done => return Ok(()),
            DetachStep::Concurrently => toplevel::run(&statement(" CONCURRENTLY"))?,
            DetachStep::Finalize => toplevel::run(&statement(" FINALIZE"))?,
            DetachStep::Briefly => transaction(|| leave(&parent_name, partition, &[statement("")]))?,
        }
    }
}

/// Drops a partition: in the transaction that detaches it, so a table that somebody else has detached is left
/// alone. What foreign keys refer to is not detached.
pub fn drop_partition(parent: &Qualified, partition: &Qualified) -> Result<()> {
    let (parent_name, name) =
        (qualified(&parent.schema, &parent.name), qualified(&partition.schema, &partition.name));
    transaction(|| {
        let suffix = match detach_state(parent, partition)?.0 {
            DetachState::Attached => "",
            DetachState::Pending => " FINALIZE",
            DetachState::Detached if catalog::relation(partition)?.is_none() => return Ok(()),
            DetachState::Detached => {
                return Err(Failure::new(
                    PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("{name} is no partition of {parent_name} any more"),
                ));
            }
        };
        let detach = format!("ALTER TABLE {parent_name} DETACH PARTITION {name}{suffix}");
        leave(&parent_name, partition, &[detach, format!("DROP TABLE {name}")])
    })
}

/// Runs the statements with which a partition leaves its table, and lets go of what the table keeps for it.
fn leave(parent: &str, partition: &Qualified, statements: &[String]) -> Result<()> {
    if let Some(table) = managed::find(parent)? {
        released(&table, partition)?;
    }
    run_before_deadline(settings::lock_timeout_ms(), statements)
}

/// Whether a partition is attached, and whether its parent has a default partition.
fn detach_state(parent: &Qualified, partition: &Qualified) -> Result<(DetachState, bool)> {
    let found = sql::first(
        "SELECT i.inhdetachpending, COALESCE(t.partdefid, 0) <> 0
           FROM pg_catalog.pg_inherits i
           JOIN pg_catalog.pg_partitioned_table t ON t.partrelid = i.inhparent
          WHERE i.inhparent = pg_catalog.to_regclass($1) AND i.inhrelid = pg_catalog.to_regclass($2)",
        &[
            qualified(&parent.schema, &parent.name).into(),
            qualified(&partition.schema, &partition.name).into(),
        ],
        |row| Ok((required::<bool>(row, 1)?, required::<bool>(row, 2)?)),
    )?;
    Ok(match found {
        None => (DetachState::Detached, false),
        Some((true, default)) => (DetachState::Pending, default),
        Some((false, default)) => (DetachState::Attached, default),
    })
}
