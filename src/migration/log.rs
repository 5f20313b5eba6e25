//! The pipeline's own log, where the database has one: written with the caller's rights, as any of its jobs does, and
//! with no greater ones than its owner's.

use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::owner;
use crate::sql::{self, Text, required};
use crate::subtransaction::isolated;
use pgrx::prelude::*;

/// Whether the log may have the run already: as deployed it has no index that would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It has not.
    New,
    /// It has, unless it could not be written.
    Known,
}

/// Writes how the run stands into `public.pipeline_execution_log`. That the log cannot be written is no reason not
/// to migrate: it is said, and our own table has it all.
pub fn write(run: i64, known: Entry) -> Result<()> {
    let there = sql::first(
        "SELECT pg_catalog.to_regclass('public.pipeline_execution_log') IS NOT NULL",
        &[],
        |row| required::<bool>(row, 1),
    )?;
    if there != Some(true) {
        return Ok(());
    }
    let Some(entry) = as_owner(|| {
        sql::first(
            "SELECT pg_catalog.jsonb_build_object(
                        'execution_id', execution_id, 'pipeline_stage', 'staging', 'source_table', raw_table,
                        'target_table', staging_table, 'records_processed', processed,
                        'records_successful', successful, 'records_failed', failed, 'start_time', started_at,
                        'end_time', finished_at, 'status', state, 'error_message', error,
                        'metadata', metadata || pg_catalog.jsonb_build_object('run_id', run_id))::pg_catalog.text
               FROM groundskeeper.migration_runs WHERE run_id = $1",
            &[run.into()],
            |row| required::<Text>(row, 1),
        )
    })?
    else {
        return Ok(());
    };
    let write = || {
        let update =
            "UPDATE public.pipeline_execution_log l
                SET records_processed = n.records_processed, records_successful = n.records_successful,
                    records_failed = n.records_failed, end_time = n.end_time, status = n.status,
                    error_message = n.error_message, metadata = n.metadata
               FROM pg_catalog.jsonb_populate_record(NULL::public.pipeline_execution_log, $1::pg_catalog.jsonb) n
              WHERE l.execution_id = n.execution_id AND l.pipeline_stage = n.pipeline_stage
                AND l.source_table = n.source_table";
        if known == Entry::Known && sql::affected(update, &[entry.clone().into()])? > 0 {
            return Ok(());
        }
        sql::run(
            "INSERT INTO public.pipeline_execution_log
                 (execution_id, pipeline_stage, source_table, target_table, records_processed, records_successful,
                  records_failed, start_time, end_time, status, error_message, metadata)
             SELECT n.execution_id, n.pipeline_stage, n.source_table, n.target_table, n.records_processed,
                    n.records_successful, n.records_failed, n.start_time, n.end_time, n.status, n.error_message, n.metadata
               FROM pg_catalog.jsonb_populate_record(NULL::public.pipeline_execution_log, $1::pg_catalog.jsonb) n",
            &[entry.clone().into()],
        )
    };
    let written = isolated(|| owner::at_most_named("public.pipeline_execution_log", write));
    if let Err(failure) = written
        && is_news(run, &failure.message)?
    {
        Failure::new(
            failure.code,
            "public.pipeline_execution_log could not be written; groundskeeper.migration_runs has the run",
        )
        .detail(failure.one_line())
        .say(PgLogLevel::WARNING);
    }
    Ok(())
}

/// Notes in the run's own row why the log lacks it; false where that was said of a run of the same call.
fn is_news(run: i64, why: &str) -> Result<bool> {
    let news = as_owner(|| {
        sql::returned(
            "UPDATE groundskeeper.migration_runs n
                SET metadata = n.metadata || pg_catalog.jsonb_build_object('not_logged', $2::pg_catalog.text)
              WHERE n.run_id = $1
             RETURNING NOT EXISTS (SELECT FROM groundskeeper.migration_runs o
                                    WHERE o.execution_id = n.execution_id AND o.metadata ->> 'not_logged' = $2)",
            &[run.into(), why.into()],
            |row| required::<bool>(row, 1),
        )
    })?;
    Ok(news == Some(true))
}
