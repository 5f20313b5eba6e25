//! Steps towards an index, or its absence, from whatever is there: a crash or an error leaves an INVALID index,
//! which is dropped and built again.

use crate::catalog::{self, Build};
use crate::cluster;
use crate::error::{Failure, Result};
use crate::settings;
use crate::sql::qualified;
use crate::waiting::run_before_deadline;
use crate::worker::{Between, toplevel};
use groundskeeper_core::job::{IndexState, IndexStep, Task, towards_index, towards_no_index};
use groundskeeper_core::names;
use groundskeeper_core::plan::Qualified;

/// The statement of a `create_index` task.
pub fn statement(task: &Task, build: Build) -> Option<String> {
    let Task::CreateIndex { index, table, keys, predicate, unique } = task else { return None };
    let relation = qualified(&table.schema, &table.name);
    let wanted = catalog::WantedIndex {
        name: &index.name,
        relation: &relation,
        keys,
        predicate: predicate.as_deref(),
        unique: *unique,
    };
    Some(catalog::index_statement(&wanted, build))
}

/// Builds the index of a `create_index` task without blocking writers.
pub fn towards(between: &mut Between, task: &Task) -> Result<()> {
    let Task::CreateIndex { index, table, .. } = task else {
        return Err(Failure::internal("not a task that builds an index"));
    };
    let partitioned = between.transaction(|| Ok(catalog::relation(table)?.is_some_and(|t| t.kind == 'p')))?;
    if partitioned {
        return towards_partitioned(between, task, index, table);
    }
    again(between, index, table, &statement(task, Build::Concurrent).unwrap_or_default())
}

/// The statement that drops an index without blocking writers. On a cluster a node may lack it.
pub fn drop_statement(index: &Qualified) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS {}", qualified(&index.schema, &index.name))
}

/// Builds an index of a table by that statement, without blocking writers.
pub fn again(between: &mut Between, index: &Qualified, table: &Qualified, statement: &str) -> Result<()> {
    let mut has_cleared = false;
    loop {
        match towards_index(state(between, index)?) {
            IndexStep::Done => return Ok(()),
            IndexStep::Drop => toplevel::run(between, &drop_statement(index))?,
            IndexStep::Build => {
                let Err(failure) = toplevel::run(between, statement) else { continue };
                // What a run that was lost has left on a shard is known by the name of what this one leaves.
                if !clear_shards(between, index, table)? || has_cleared || !cluster::is_of_leftover(&failure)
                {
                    return Err(failure);
                }
                has_cleared = true;
            }
        }
    }
}

/// Drops what a build that failed has left of an index of a table that is in shards, there too; whether it is such a table.
fn clear_shards(between: &mut Between, index: &Qualified, table: &Qualified) -> Result<bool> {
    let spread = between
        .transaction(|| catalog::relation(table)?.map_or(Ok(false), |table| cluster::in_shards(table.oid)))?;
    if spread && state(between, index)? == IndexState::Invalid {
        toplevel::run(between, &drop_statement(index))?;
    }
    Ok(spread)
}

/// Drops an index without blocking writers. A partitioned one can only be dropped under a lock, briefly.
pub fn away(between: &mut Between, index: &Qualified) -> Result<()> {
    loop {
        match towards_no_index(state(between, index)?) {
            IndexStep::Done | IndexStep::Build => return Ok(()),
            IndexStep::Drop if is_partitioned(between, index)? => {
                briefly(between, format!("DROP INDEX {}", qualified(&index.schema, &index.name)))?;
            }
            IndexStep::Drop => toplevel::run(between, &drop_statement(index))?,
        }
    }
}

/// On the parent alone first, then each partition's own index, concurrently, and attached. The parent's becomes
/// valid with the last of them.
fn towards_partitioned(
    between: &mut Between,
    task: &Task,
    index: &Qualified,
    table: &Qualified,
) -> Result<()> {
    let Task::CreateIndex { keys, predicate, unique, .. } = task else { return Ok(()) };
    if state(between, index)? == IndexState::Absent {
        briefly(between, statement(task, Build::OnlyParent).unwrap_or_default())?;
    }
    for partition in between.transaction(|| catalog::partitions_without(table, index))? {
        let own = Qualified {
            schema: partition.schema.clone(),
            name: names::suffixed(&partition.name, &index.name),
        };
        towards(
            between,
            &Task::CreateIndex {
                index: own.clone(),
                table: partition,
                keys: keys.clone(),
                predicate: predicate.clone(),
                unique: *unique,
            },
        )?;
        let (parent, child) = (qualified(&index.schema, &index.name), qualified(&own.schema, &own.name));
        briefly(between, format!("ALTER INDEX {parent} ATTACH PARTITION {child}"))?;
    }
    Ok(())
}

/// A statement that takes a strong lock and holds it for a moment.
pub fn briefly(between: &mut Between, statement: String) -> Result<()> {
    between.transaction(|| run_before_deadline(settings::lock_timeout_ms(), &[statement]))
}

fn state(between: &mut Between, index: &Qualified) -> Result<IndexState> {
    between.transaction(|| {
        Ok(match catalog::index_named(&index.schema, &index.name)? {
            None => IndexState::Absent,
            Some((_, false)) => IndexState::Invalid,
            Some((_, true)) => IndexState::Valid,
        })
    })
}

fn is_partitioned(between: &mut Between, index: &Qualified) -> Result<bool> {
    between.transaction(|| Ok(catalog::relation(index)?.is_some_and(|i| i.kind == 'I')))
}
