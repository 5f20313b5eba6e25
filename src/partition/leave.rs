//! `detach_partition`, `drop_partition`: a partition leaves its table, concurrently where it can.

use super::drain;
use super::managed;
use super::release::{Leaving, ties};
use crate::catalog;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::jobs;
use crate::sql::{self, qualified, required};
use crate::worker::{Between, toplevel};
use groundskeeper_core::job::{DetachState, DetachStep, JobRequest, Task, towards_detached};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// Queues the detaching of a partition.
pub fn ask_to_detach(partition: Oid) -> Result<i64> {
    let (parent, partition) = partition_of(partition)?;
    let task = Task::DetachPartition { parent: parent.clone(), partition };
    jobs::enqueue(&JobRequest::plain(parent, task))
}

/// Queues the dropping of a partition.
pub fn ask_to_drop(partition: Oid) -> Result<i64> {
    let (parent, partition) = partition_of(partition)?;
    let quoted = qualified(&partition.schema, &partition.name);
    if drain::is_default(&quoted)? {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("{quoted} is a default partition"),
        )
        .hint("groundskeeper.drain_default() moves what it can into partitions of their own."));
    }
    let task = Task::DropPartition { parent: parent.clone(), partition };
    jobs::enqueue(&JobRequest::plain(parent, task))
}

/// A partition with its parent, by name.
fn partition_of(partition: Oid) -> Result<(Qualified, Qualified)> {
    let found = catalog::relation_by_oid(partition)?;
    let parent = catalog::parent_of_partition(partition)?;
    found.map(|found| found.name).zip(parent).map(|(partition, parent)| (parent, partition)).ok_or_else(
        || {
            Failure::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, "the relation is no partition")
                .hint("SELECT relid FROM pg_partition_tree('parent') lists those of a table.")
        },
    )
}

/// Detaches a partition without blocking writers where PostgreSQL can: not beside a default partition, and not
/// where something else must go with it in the same transaction.
pub fn detach(between: &mut Between, parent: &Qualified, partition: &Qualified) -> Result<()> {
    let (parent_name, name) =
        (qualified(&parent.schema, &parent.name), qualified(&partition.schema, &partition.name));
    loop {
        let (state, default) = between.transaction(|| detach_state(parent, partition))?;
        let together = between.transaction(|| must_be_together(parent, &parent_name))?;
        let statement = |suffix: &str| format!("ALTER TABLE {parent_name} DETACH PARTITION {name}{suffix}");
        match towards_detached(state, default || together) {
            DetachStep::Done => return Ok(()),
            DetachStep::Concurrently => toplevel::run(between, &statement(" CONCURRENTLY"))?,
            DetachStep::Finalize => toplevel::run(between, &statement(" FINALIZE"))?,
            DetachStep::Briefly => leave(between, parent, partition, vec![statement("")])?,
        }
    }
}

/// Whether more goes with a partition than PostgreSQL would take along in two transactions: its keys, or its shards.
fn must_be_together(parent: &Qualified, quoted: &str) -> Result<bool> {
    let has_keys = managed_above(quoted)?.is_some_and(|table| table.key_table.is_some());
    Ok(has_keys || catalog::relation(parent)?.map_or(Ok(false), |found| cluster::in_shards(found.oid))?)
}

/// Drops a partition: in the transaction that detaches it, so a table that somebody else has detached is left
/// alone. What foreign keys refer to is not detached.
pub fn drop_partition(between: &mut Between, parent: &Qualified, partition: &Qualified) -> Result<()> {
    let (parent_name, name) =
        (qualified(&parent.schema, &parent.name), qualified(&partition.schema, &partition.name));
    let state = between.transaction(|| {
        let state = detach_state(parent, partition)?.0;
        let is_there = state != DetachState::Detached || catalog::relation(partition)?.is_some();
        Ok(is_there.then_some(state))
    })?;
    let suffix = match state {
        None => return Ok(()),
        Some(DetachState::Attached) => "",
        Some(DetachState::Pending) => " FINALIZE",
        Some(DetachState::Detached) => {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{name} is no partition of {parent_name} any more"),
            ));
        }
    };
    let detach = format!("ALTER TABLE {parent_name} DETACH PARTITION {name}{suffix}");
    leave(between, parent, partition, vec![detach, format!("DROP TABLE {name}")])
}

/// Runs the statements with which a partition leaves its table, and lets go of what the table keeps for it. One that is
/// no partition any more refuses the first of them.
fn leave(
    between: &mut Between,
    parent: &Qualified,
    partition: &Qualified,
    statements: Vec<String>,
) -> Result<()> {
    let leaving = between.transaction(|| {
        let relations = "SELECT p.partrelid, NULLIF(p.partdefid, 0), pg_catalog.to_regclass($2)::oid
                           FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = pg_catalog.to_regclass($1)";
        let parent = qualified(&parent.schema, &parent.name);
        let names = [parent.clone(), qualified(&partition.schema, &partition.name)];
        let args = names.each_ref().map(|name| name.as_str().into());
        let found = sql::first(relations, &args, |row| {
            Ok((required::<Oid>(row, 1)?, row.get::<Oid>(2)?, required::<Oid>(row, 3)?))
        })?;
        let (oid, default, leaving) = found.ok_or_else(|| Failure::internal(format!("{parent} is gone")))?;
        let ties = managed_above(&parent)?.map_or(Ok(None), |table| ties(&table, leaving, partition))?;
        Ok(Leaving { parent: oid, default, partition: leaving, names, statements, ties })
    })?;
    leaving.leave(between)
}

/// The managed table that a table is, or is a partition of: what is kept for a partition of a partition is kept there.
fn managed_above(parent: &str) -> Result<Option<managed::Managed>> {
    let root = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
                  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.oid = pg_catalog.pg_partition_root(pg_catalog.to_regclass($1))";
    match sql::texts(root, &[parent.into()])?.as_slice() {
        [root] => managed::or_converted(root),
        _ => Ok(None),
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
