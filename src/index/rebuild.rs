//! `reindex`: an index built anew beside the old one.

use super::build::drop_statement;
use crate::catalog;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::jobs;
use crate::owner::oid_by_name;
use crate::settings;
use crate::sql::{self, qualified};
use crate::worker::{Between, toplevel};
use groundskeeper_core::job::{JobRequest, Task};
use groundskeeper_core::plan::Qualified;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};

/// Queues the rebuilding of an index.
pub fn ask(index: Oid) -> Result<i64> {
    let wrong = |name: &str| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{name} is no index that can be rebuilt"),
        )
        .hint("Name an index; of a partitioned one, those of its partitions.")
    };
    let found = catalog::relation_by_oid(index)?
        .filter(|found| found.kind == 'i')
        .ok_or_else(|| wrong("the relation"))?;
    let table = catalog::table_of_index(index)?.ok_or_else(|| wrong(&found.quoted))?;
    let task = Task::Reindex { index: found.name, before: u32::from(found.oid) };
    jobs::enqueue(&JobRequest::plain(table, task))
}

/// Builds an index anew beside the old one. `before` is the OID that it had when the job was queued: a rebuilt
/// index has another, so a run after a crash knows whether it is done. Leftovers of an interrupted run go first.
pub fn reindex(between: &mut Between, index: &Qualified, before: u32) -> Result<()> {
    for leftover in between.transaction(|| catalog::reindex_leftovers(index))? {
        toplevel::run(between, &drop_statement(&leftover))?;
    }
    between.transaction(|| clear_shards(index))?;
    let now = between.transaction(|| Ok(catalog::relation(index)?.map(|found| u32::from(found.oid))))?;
    match now {
        Some(oid) if oid == before => toplevel::run(
            between,
            &format!("REINDEX INDEX CONCURRENTLY {}", qualified(&index.schema, &index.name)),
        ),
        _ => Ok(()),
    }
}

/// The same on the shards of a table that a cluster has spread, where each has leftovers of its own.
fn clear_shards(index: &Qualified) -> Result<()> {
    let Some(table) = catalog::table_of_index(oid_by_name(index).unwrap_or(pg_sys::InvalidOid))? else {
        return Ok(());
    };
    let Some(table) = oid_by_name(&table) else { return Ok(()) };
    if !cluster::in_shards(table)? {
        return Ok(());
    }
    let wait = format!("{}ms", settings::lock_timeout_ms());
    let failed = sql::texts(include_str!("rebuild/clear_shards.sql"), &[table.into(), wait.as_str().into()])?;
    if failed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "shards of {} have invalid indexes that could not be dropped",
        qualified(&index.schema, &index.name)
    );
    Err(Failure::new(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, message).detail(failed.join("; ")))
}
