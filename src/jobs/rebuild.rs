//! `reindex` and `detach_partition`: concurrent commands on what is there already.

use super::build_index::briefly;
use super::runner::transaction;
use super::toplevel;
use crate::catalog;
use crate::error::Result;
use crate::sql::{self, qualified, required};
use groundskeeper_core::job::{DetachState, DetachStep, towards_detached};
use groundskeeper_core::plan::Qualified;

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

/// Detaches a partition without blocking writers where PostgreSQL can: not beside a default partition.
pub fn detach(parent: &Qualified, partition: &Qualified) -> Result<()> {
    let (parent_name, name) =
        (qualified(&parent.schema, &parent.name), qualified(&partition.schema, &partition.name));
    loop {
        let (state, default) = transaction(|| detach_state(parent, partition))?;
        let statement = |suffix: &str| format!("ALTER TABLE {parent_name} DETACH PARTITION {name}{suffix}");
        match towards_detached(state, default) {
            DetachStep::Done => return Ok(()),
            DetachStep::Concurrently => toplevel::run(&statement(" CONCURRENTLY"))?,
            DetachStep::Finalize => toplevel::run(&statement(" FINALIZE"))?,
            DetachStep::Briefly => briefly(statement(""))?,
        }
    }
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
