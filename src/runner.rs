//! The runner: one short-lived worker per attempt at a job, connected as the job's role.

use crate::catalog;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::index::{build, dropped, rebuild};
use crate::journal::{self, Entry};
use crate::migration;
use crate::partition::convert;
use crate::partition::{drain, leave};
use crate::plan;
use crate::sql::{self, qualified, required};
use crate::worker::{self, Rights, locks, toplevel, transaction, writeback};
use groundskeeper_core::job::{self, Task};
use groundskeeper_core::partition::convert::Goal;
use groundskeeper_core::plan::{Qualified, Undo, built_in};
use pgrx::pg_sys;
use pgrx::prelude::*;

/// The runner's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_runner(argument: pg_sys::Datum) {
    let job = worker::told().parse().unwrap_or(0);
    if worker::begin(argument, Rights::Role).is_none() {
        return;
    }
    writeback::begin();
    let Ok(Some(task)) = transaction(|| claim(job)) else { return };
    let result = carry_out(&task);
    if let Err(failure) = transaction(|| finish(job, &task, result.as_ref().err())) {
        // The job says `running` without a worker now, and will be taken up again.
        ereport!(
            WARNING,
            failure.code,
            format!("the end of groundskeeper's job {job} could not be written down"),
            failure.one_line()
        );
    }
}

/// Takes the job: the lock says that its worker lives, for as long as it does.
fn claim(job: i64) -> Result<Option<Task>> {
    if !locks::take(u32::try_from(job).map_err(|e| Failure::internal(e.to_string()))?) {
        return Ok(None);
    }
    let me = sql::texts("SELECT SESSION_USER::text", &[])?;
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.job
                SET state = 'running', attempts = attempts + 1, worker_pid = pg_catalog.pg_backend_pid(),
                    started_at = COALESCE(started_at, pg_catalog.clock_timestamp()), detail = NULL, error = NULL
              WHERE job_id = $1 AND state = 'queued' AND run_as = $2",
            &[job.into(), me.first().cloned().into()],
        )?;
        sql::run(
            "INSERT INTO groundskeeper.job_attempt (job_id, attempt, started_at, state)
             SELECT j.job_id, COALESCE((SELECT pg_catalog.max(a.attempt) FROM groundskeeper.job_attempt a
                                         WHERE a.job_id = j.job_id), 0) + 1,
                    pg_catalog.clock_timestamp(), 'running'
               FROM groundskeeper.job j
              WHERE j.job_id = $1 AND j.worker_pid = pg_catalog.pg_backend_pid()",
            &[job.into()],
        )?;
        let task = "SELECT task::text FROM groundskeeper.job
                     WHERE job_id = $1 AND state = 'running' AND worker_pid = pg_catalog.pg_backend_pid()";
        let task = sql::first(task, &[job.into()], |row| required::<String>(row, 1))?;
        task.map(|t| serde_json::from_str(&t).map_err(|e| Failure::internal(e.to_string()))).transpose()
    })
}

fn carry_out(task: &Task) -> Result<()> {
    match task {
        Task::CreateIndex { index, table, .. } => {
            build::towards(task)?;
            transaction(|| record_index(index, table))
        }
        Task::DropIndex { index, unused: None } => {
            build::away(index)?;
            transaction(|| record_dropped(index))
        }
        Task::DropIndex { index, unused: Some(definition) } => dropped::drop(index, definition),
        Task::RestoreIndex { index, definition, change } => dropped::restore(index, definition, *change),
        Task::Reindex { index, before } => rebuild::reindex(index, *before),
        Task::DetachPartition { parent, partition } => leave::detach(parent, partition),
        Task::DropPartition { parent, partition } => leave::drop_partition(parent, partition),
        Task::DrainDefault { parent, batch_size } => drain::drain(parent, *batch_size),
        Task::ValidateConstraint { table, constraint, expression } => validate(table, constraint, expression),
        Task::RefreshView { view } => {
            let quoted = qualified(&view.schema, &view.name);
            toplevel::run(&format!("REFRESH MATERIALIZED VIEW {quoted}"))?;
            toplevel::run(&format!("ANALYZE {quoted}"))
        }
        Task::Analyze { table, column } => toplevel::run(&plan::analyze(table, column)),
        Task::Rescore { table } => migration::rescore(table),
        Task::AlterTable { item } => transaction(|| plan::apply_item(item)),
        Task::PartitionTable { table } => convert::run(table, Goal::Partition),
        Task::UndoPartitioning { table } => convert::run(table, Goal::Undo),
        Task::FinalizePartitioning { table } => convert::run(table, Goal::Finalize),
        Task::CatchUp { table } => convert::run(table, Goal::CatchUp),
    }
}

/// The item of the plan that an index carries out, if it is one of the plan's.
fn item_of(index: &Qualified) -> Result<Option<&'static groundskeeper_core::plan::Item>> {
    let is_it = |item: &&groundskeeper_core::plan::Item| {
        item.relation.schema == index.schema
            && item.action.kind().ends_with("index")
            && item.action.object() == Some(&index.name)
    };
    Ok(built_in()?.items.iter().find(is_it))
}

fn record_index(index: &Qualified, table: &Qualified) -> Result<()> {
    let Some(item) = item_of(index)? else { return Ok(()) };
    let quoted = qualified(&index.schema, &index.name);
    let definition =
        sql::texts("SELECT pg_catalog.pg_get_indexdef($1::pg_catalog.regclass)", &[quoted.as_str().into()])?;
    journal::record(&Entry {
        item: item.id(),
        forward: definition,
        inverse: vec![format!("DROP INDEX {quoted}")],
        undo: Undo { relation: (*table != item.relation).then(|| table.clone()), ..Undo::default() },
        ..Entry::default()
    })
}

fn record_dropped(index: &Qualified) -> Result<()> {
    let Some(item) = item_of(index)? else { return Ok(()) };
    journal::mark_item_reverted(&item.id())
}

/// Validates a constraint; one that rows violate says how many.
fn validate(table: &Qualified, constraint: &str, expression: &str) -> Result<()> {
    let result = toplevel::run(&plan::validate(table, constraint));
    match result {
        Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_CHECK_VIOLATION => {
            let quoted = qualified(&table.schema, &table.name);
            let violating = transaction(|| catalog::rows_violating(&quoted, expression))?;
            Err(Failure::new(failure.code, plan::rows_in_the_way(constraint, violating, expression)))
        }
        Err(failure) => Err(failure),
        Ok(()) => transaction(|| record_validated(table, constraint, expression)),
    }
}

/// A constraint that was the user's, and NOT VALID, must become so again when the plan is taken back.
fn record_validated(table: &Qualified, constraint: &str, expression: &str) -> Result<()> {
    let is_it = |item: &&groundskeeper_core::plan::Item| {
        item.relation == *table
            && matches!(&item.action, groundskeeper_core::plan::Action::CheckConstraint { expression: e, .. } if e == expression)
    };
    let Some(item) = built_in()?.items.iter().find(is_it) else { return Ok(()) };
    let statement = plan::validate(table, constraint);
    let inverse = match catalog::relation(table)? {
        Some(found) => {
            catalog::check_named(found.oid, constraint)?.map(|check| check.off_and_on(&found.quoted))
        }
        None => None,
    };
    journal::record(&Entry {
        item: item.id(),
        forward: vec![statement],
        inverse: inverse.into_iter().flat_map(|(off, on)| std::iter::once(off).chain(on)).collect(),
        undo: Undo { was_not_valid: Some(constraint.to_owned()), ..Undo::default() },
        ..Entry::default()
    })
}

/// Writes down how the attempt ended, and whether there will be another.
fn finish(job: i64, task: &Task, failure: Option<&Failure>) -> Result<()> {
    let attempts = as_owner(|| {
        sql::first("SELECT attempts FROM groundskeeper.job WHERE job_id = $1", &[job.into()], |row| {
            required::<i32>(row, 1)
        })
    })?
    .unwrap_or(0);
    let attempt = u32::try_from(attempts).unwrap_or(0);
    let (state, pause) = match failure {
        None => ("succeeded", 0.0),
        Some(f) if f.code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED => ("cancelled", 0.0),
        Some(f) if job::is_passing(&crate::error::sqlstate(f.code)) && attempt < job::MAX_ATTEMPTS => {
            ("queued", job::backoff(attempt, jitter()).as_secs_f64())
        }
        Some(_) => ("failed", 0.0),
    };
    let error = failure.map(Failure::one_line);
    let rows = if failure.is_none() { rows_done(task)? } else { 0 };
    let refused = i32::from(failure.is_some_and(Failure::is_lock_not_available));
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.job
                SET state = $2, error = $3, not_before = pg_catalog.now() + pg_catalog.make_interval(secs => $4),
                    finished_at = CASE WHEN $2 <> 'queued' THEN pg_catalog.clock_timestamp() END,
                    detail = CASE WHEN $2 = 'queued' THEN 'to be tried again' END, worker_pid = NULL
              WHERE job_id = $1",
            &[job.into(), state.into(), error.clone().into(), pause.into()],
        )?;
        sql::run(
            "UPDATE groundskeeper.job_attempt
                SET state = CASE WHEN $2 = 'queued' THEN 'failed' ELSE $2 END, error = $3,
                    finished_at = pg_catalog.clock_timestamp(), rows_done = $4, lock_waits = lock_waits + $5
              WHERE job_id = $1 AND state = 'running'",
            &[job.into(), state.into(), error.into(), rows.into(), refused.into()],
        )
    })
}

/// The rows that an index was built over, or that were copied; other jobs count none.
fn rows_done(task: &Task) -> Result<i64> {
    if let Task::PartitionTable { table } = task {
        return convert::rows_copied(table);
    }
    let (Task::CreateIndex { index, .. } | Task::Reindex { index, .. }) = task else { return Ok(0) };
    let rows = "SELECT COALESCE(pg_catalog.sum(GREATEST(c.reltuples, 0)), 0)::bigint
                  FROM pg_catalog.pg_class c
                 WHERE c.relkind = 'i'
                   AND (c.oid = pg_catalog.to_regclass($1)
                     OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))))";
    let name = qualified(&index.schema, &index.name);
    Ok(sql::first(rows, &[name.as_str().into()], |row| required::<i64>(row, 1))?.unwrap_or(0))
}

/// A number in `0.0..1.0` that rivals do not share.
fn jitter() -> f64 {
    sql::first("SELECT pg_catalog.random()", &[], |row| required::<f64>(row, 1)).ok().flatten().unwrap_or(0.5)
}
