//! The runner: one short-lived worker per attempt at a job, connected as the job's role.

use crate::catalog;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::index::{build, dropped, rebuild as index_rebuild};
use crate::jobs::pace;
use crate::journal;
use crate::migration;
use crate::owner;
use crate::partition::convert;
use crate::partition::{ahead, attach, drain, leave, rebuild};
use crate::plan::{self, own};
use crate::sql::{self, Tuple, qualified, required};
use crate::target::{self, Target};
use crate::worker::{self, Between, Rights, locks, toplevel, writeback};
use groundskeeper_core::job::{self, Task};
use groundskeeper_core::partition::convert::Goal;
use groundskeeper_core::plan::{Entry, Qualified, built_in};
use pgrx::pg_sys;
use pgrx::prelude::*;

/// A job that this worker has taken.
struct Job {
    number: i64,
    task: Task,
    /// The item that it carries out, or takes back.
    item: Option<String>,
    /// What the change log is to say once it is done.
    entry: Option<Entry>,
    /// The relation that it was queued for.
    target: Option<Target>,
}

/// The runner's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_runner(argument: pg_sys::Datum) {
    let number = worker::told().parse().unwrap_or(0);
    let Some(mut between) = worker::begin(argument, Rights::Role) else { return };
    writeback::begin();
    let Ok(Some(job)) = between.transaction(|| claim(number)) else { return };
    target::set(job.target.clone());
    let result = carry_out(&mut between, &job);
    target::set(None);
    let result = result.and_then(|()| between.transaction(|| write_down(&job)));
    if let Err(failure) = between.transaction(|| finish(&job, result.as_ref().err())) {
        // The job says `running` without a worker now, and will be taken up again.
        Failure::new(
            failure.code,
            format!("the end of groundskeeper's job {number} could not be written down"),
        )
        .detail(failure.one_line())
        .say(PgLogLevel::WARNING);
    }
}

/// Takes the job: the lock says that its worker lives, for as long as it does.
fn claim(number: i64) -> Result<Option<Job>> {
    if !locks::take(u32::try_from(number).map_err(|e| Failure::internal(e.to_string()))?) {
        return Ok(None);
    }
    let me = sql::texts("SELECT SESSION_USER::text", &[])?;
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.job
                SET state = 'running', attempts = attempts + 1, worker_pid = pg_catalog.pg_backend_pid(),
                    started_at = COALESCE(started_at, pg_catalog.clock_timestamp()), detail = NULL, error = NULL,
                    error_detail = NULL, gives_way = false
              WHERE job_id = $1 AND state = 'queued' AND run_as = $2",
            &[number.into(), me.first().cloned().into()],
        )?;
        sql::run(
            "INSERT INTO groundskeeper.job_attempt (job_id, attempt, started_at, state)
             SELECT j.job_id, COALESCE((SELECT pg_catalog.max(a.attempt) FROM groundskeeper.job_attempt a
                                         WHERE a.job_id = j.job_id), 0) + 1,
                    pg_catalog.clock_timestamp(), 'running'
               FROM groundskeeper.job j
              WHERE j.job_id = $1 AND j.worker_pid = pg_catalog.pg_backend_pid()",
            &[number.into()],
        )?;
        let claimed =
            "SELECT task::text, item, entry::text, target_oid, target_owner, pg_catalog.parse_ident(target)
                         FROM groundskeeper.job
                        WHERE job_id = $1 AND state = 'running' AND worker_pid = pg_catalog.pg_backend_pid()";
        sql::first(claimed, &[number.into()], |row| {
            let unreadable = |e: serde_json::Error| Failure::internal(e.to_string());
            Ok(Job {
                number,
                task: serde_json::from_str(&required::<String>(row, 1)?).map_err(unreadable)?,
                item: row.get(2)?,
                entry: row
                    .get::<String>(3)?
                    .map(|entry| serde_json::from_str(&entry))
                    .transpose()
                    .map_err(unreadable)?,
                target: target(row)?,
            })
        })
    })
}

/// The relation of a job's row. One that was not there when the job was queued cannot be told from another.
fn target(row: &Tuple<'_>) -> Result<Option<Target>> {
    let (relation, owner) = (row.get::<pg_sys::Oid>(4)?, row.get::<pg_sys::Oid>(5)?);
    let Some((relation, owner)) = relation.zip(owner) else { return Ok(None) };
    let [schema, name] = <[String; 2]>::try_from(required::<Vec<String>>(row, 6)?)
        .map_err(|_| Failure::internal("a job's target is no name of a relation"))?;
    Ok(Some(Target { name: Qualified { schema, name }, relation, owner }))
}

fn carry_out(between: &mut Between, job: &Job) -> Result<()> {
    if job.task.is_heavy() {
        pace::wait(between)?;
    }
    match &job.task {
        task @ Task::CreateIndex { .. } => build::towards(between, task),
        Task::DropIndex { index, unused: None } => build::away(between, index),
        Task::DropIndex { index, unused: Some(definition) } => dropped::drop(between, index, definition),
        Task::RestoreIndex { index, definition, change } => {
            dropped::restore(between, index, definition, *change)
        }
        Task::Reindex { index, before } => index_rebuild::reindex(between, index, *before),
        Task::DetachPartition { parent, partition } => leave::detach(between, parent, partition),
        Task::DropPartition { parent, partition } => leave::drop_partition(between, parent, partition),
        Task::CreatePartitions { parent, months } => ahead::make(between, parent, *months),
        Task::AttachPartition { parent, table, oid } => attach::attach(between, parent, table, *oid),
        Task::DrainDefault { parent, batch_size } => drain::drain(between, parent, *batch_size),
        Task::ValidateConstraint { table, constraint, expression } => {
            validate(between, table, constraint, expression)
        }
        Task::RefreshView { view } => {
            let quoted = qualified(&view.schema, &view.name);
            toplevel::run(between, &format!("REFRESH MATERIALIZED VIEW {quoted}"))?;
            toplevel::run(between, &format!("ANALYZE {quoted}"))
        }
        Task::Analyze { table, column } => toplevel::run(between, &plan::analyze(table, column)),
        Task::Rescore { table } => migration::rescore(between, table),
        Task::AlterTable { item } => {
            between.transaction(|| cluster::one_by_one(|| plan::apply_item(&*own::whole(built_in()?)?, item)))
        }
        Task::AlterColumnType { table, column, type_name } => {
            between.transaction(|| plan::retype(table, column, type_name))
        }
        Task::PartitionTable { table } => convert::run(between, table, Goal::Partition),
        Task::UndoPartitioning { table } => convert::run(between, table, Goal::Undo),
        Task::FinalizePartitioning { table } => convert::run(between, table, Goal::Finalize),
        Task::CatchUp { table } => convert::run(between, table, Goal::CatchUp),
        Task::RebuildKeys { table } => rebuild::rebuild_keys(between, table),
    }
}

/// The change log's part of a job that is done. One that takes an item back has no change to write down, but ends one.
fn write_down(job: &Job) -> Result<()> {
    if let Task::UndoPartitioning { table } | Task::FinalizePartitioning { table } = &job.task {
        plan::take_up(&*own::whole(built_in()?)?, table)?;
    }
    if let (Task::DropIndex { unused: None, .. }, Some(item)) = (&job.task, &job.item) {
        return journal::mark_item_reverted(item);
    }
    let Some(mut entry) = job.entry.clone() else { return Ok(()) };
    if let Some(item) = plan::item(&*own::whole(built_in()?)?, &entry.item)? {
        plan::note(&item, &mut entry)?;
    }
    journal::record(&entry)
}

/// Validates a constraint; one that rows violate says how many.
fn validate(between: &mut Between, table: &Qualified, constraint: &str, expression: &str) -> Result<()> {
    // In a transaction, as it reads the rows by the table's CHECK: as the owner, and not of another table by that name.
    let statement = plan::validate(table, constraint);
    let result = between.transaction(|| owner::run(&statement));
    match result {
        Err(failure) if failure.code == PgSqlErrorCode::ERRCODE_CHECK_VIOLATION => {
            let quoted = qualified(&table.schema, &table.name);
            let violating = between.transaction(|| catalog::rows_violating(&quoted, expression))?;
            Err(Failure::new(failure.code, plan::rows_in_the_way(constraint, violating, expression)))
        }
        result => result,
    }
}

/// After so many seconds a job that has given its place to another is tried again.
const GIVEN_WAY: f64 = 10.0;

/// Writes down how the attempt ended, and whether there will be another.
fn finish(job: &Job, failure: Option<&Failure>) -> Result<()> {
    let known = "SELECT attempts, gives_way FROM groundskeeper.job WHERE job_id = $1";
    let (attempts, gives_way) = as_owner(|| {
        sql::first(known, &[job.number.into()], |row| {
            Ok((required::<i32>(row, 1)?, required::<bool>(row, 2)?))
        })
    })?
    .unwrap_or_default();
    let attempt = u32::try_from(attempts).unwrap_or(0);
    let (state, pause) = match failure {
        None => ("succeeded", 0.0),
        Some(f) if f.code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED && gives_way => ("queued", GIVEN_WAY),
        Some(f) if f.code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED => ("cancelled", 0.0),
        Some(f) if job::is_passing(&crate::error::sqlstate(f.code)) && attempt < job::MAX_ATTEMPTS => {
            ("queued", job::backoff(attempt, jitter()).as_secs_f64())
        }
        Some(_) => ("failed", 0.0),
    };
    let error = failure.map(|failure| failure.message.clone());
    let detail = failure.and_then(|failure| failure.detail.clone());
    let rows = if failure.is_none() { rows_done(&job.task)? } else { 0 };
    let refused = i32::from(failure.is_some_and(Failure::is_lock_not_available));
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.job
                SET state = $2, error = $3, error_detail = $5, gives_way = gives_way AND $2 = 'queued',
                    attempts = attempts - CASE WHEN $2 = 'queued' AND gives_way THEN 1 ELSE 0 END, not_before = pg_catalog.now() + pg_catalog.make_interval(secs => $4),
                    finished_at = CASE WHEN $2 <> 'queued' THEN pg_catalog.clock_timestamp() END,
                    detail = CASE $2 WHEN 'queued' THEN 'to be tried again' WHEN 'succeeded' THEN detail END, worker_pid = NULL
              WHERE job_id = $1",
            &[job.number.into(), state.into(), error.clone().into(), pause.into(), detail.clone().into()],
        )?;
        sql::run(
            "UPDATE groundskeeper.job_attempt
                SET state = CASE WHEN $2 = 'queued' THEN 'failed' ELSE $2 END, error = $3, error_detail = $6,
                    finished_at = pg_catalog.clock_timestamp(), rows_done = $4, lock_waits = lock_waits + $5
              WHERE job_id = $1 AND state = 'running'",
            &[job.number.into(), state.into(), error.into(), rows.into(), refused.into(), detail.into()],
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
