//! `schedule_maintenance`, `unschedule_maintenance`, and what schedulers call.

use super::given;
use crate::schedule::{self, Scheduled};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/schedule.sql",
    name = "schedule",
    requires = [
        "statistics",
        "defaults",
        schedule_maintenance,
        unschedule_maintenance,
        check_schedule,
        next_run,
        run_step,
        overdue_runs,
        prune_history
    ]
);

/// Puts the entries of the schedule on the best scheduler that there is.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn schedule_maintenance(
    timezone: default!(Option<String>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (name!(job_name, String), name!(schedule, String), name!(command, String), name!(scheduler, String)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(schedule::schedule(timezone)?.into_iter().map(row)))
}

/// Takes them off again; what was scheduled.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn unschedule_maintenance() -> Result<
    TableIterator<
        'static,
        (name!(job_name, String), name!(schedule, String), name!(command, String), name!(scheduler, String)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(schedule::unschedule()?.into_iter().map(row)))
}

fn row(scheduled: Scheduled) -> (String, String, String, String) {
    (scheduled.job_name, scheduled.schedule, scheduled.command, scheduled.scheduler.to_owned())
}

/// One step of a run.
#[pg_extern(schema = "groundskeeper_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn run_step(
    step: Option<String>,
    job_name: Option<String>,
    argument: default!(Option<String>, "NULL"),
) -> Result<Option<String>, ErrorReport> {
    Ok(schedule::step(&given(step, "step")?, &given(job_name, "job_name")?, argument.as_deref())?)
}

/// The entries that are overdue.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn overdue_runs() -> Result<Vec<String>, ErrorReport> {
    Ok(schedule::overdue()?)
}

/// Deletes what is too old from the histories.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn prune_history() -> Result<i64, ErrorReport> {
    Ok(schedule::prune()?)
}

/// True, or an error that says what is wrong: for a CHECK constraint.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn check_schedule(schedule: Option<&str>, timezone: Option<&str>) -> Result<bool, ErrorReport> {
    Ok(schedule::check(given(schedule, "schedule")?, timezone)?)
}

/// When an entry is due next.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_safe)]
fn next_run(
    schedule: Option<&str>,
    timezone: Option<&str>,
    since: Option<TimestampWithTimeZone>,
    last_run: Option<TimestampWithTimeZone>,
    failures: Option<i32>,
) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    /// PostgreSQL counts from the year 2000.
    const EPOCH: i64 = 946_684_800_000_000;
    let micros = |at: TimestampWithTimeZone| i64::from(at) + EPOCH;
    let since = micros(given(since, "since")?);
    let failures = given(failures, "failures")?;
    let next =
        schedule::next_run(given(schedule, "schedule")?, timezone, since, last_run.map(micros), failures)?;
    Ok(next.and_then(|next| TimestampWithTimeZone::try_from(next.timestamp_micros() - EPOCH).ok()))
}
