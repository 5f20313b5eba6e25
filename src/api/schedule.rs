//! `schedule_maintenance`, `unschedule_maintenance`, and what schedulers call.

use super::given;
use crate::encoding::Utf8;
use crate::extension;
use crate::schedule::{self, Scheduled};
use pgrx::datum::Interval;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/schedule.sql",
    name = "schedule",
    requires = [
        "statistics",
        "defaults",
        "managed_tables",
        schedule_maintenance,
        unschedule_maintenance,
        check_schedule,
        check_command,
        home,
        patience,
        unschedule_if_dropped,
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
    timezone: default!(Option<Utf8>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (name!(job_name, Utf8), name!(schedule, Utf8), name!(command, Utf8), name!(scheduler, Utf8)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(schedule::schedule(timezone.map(String::from))?.into_iter().map(row)))
}

/// Takes them off again; what was scheduled.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn unschedule_maintenance() -> Result<
    TableIterator<
        'static,
        (name!(job_name, Utf8), name!(schedule, Utf8), name!(command, Utf8), name!(scheduler, Utf8)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(schedule::unschedule()?.into_iter().map(row)))
}

fn row(scheduled: Scheduled) -> (Utf8, Utf8, Utf8, Utf8) {
    let Scheduled { job_name, schedule, command, scheduler } = scheduled;
    (job_name.into(), schedule.into(), command.into(), scheduler.into())
}

/// One step of a run.
#[pg_extern(schema = "groundskeeper_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn run_step(
    step: Option<Utf8>,
    job_name: Option<Utf8>,
    argument: default!(Option<Utf8>, "NULL"),
) -> Result<Option<Utf8>, ErrorReport> {
    let said = schedule::step(&given(step, "step")?, &given(job_name, "job_name")?, argument.as_deref())?;
    Ok(said.map(Utf8::from))
}

/// The entries that are overdue.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn overdue_runs() -> Result<Vec<Utf8>, ErrorReport> {
    Ok(schedule::overdue()?.into_iter().map(Utf8::from).collect())
}

/// Deletes what is too old from the histories.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn prune_history() -> Result<i64, ErrorReport> {
    Ok(schedule::prune()?)
}

/// True, or an error that says what is wrong: for a CHECK constraint.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn check_schedule(schedule: Option<Utf8>, timezone: Option<Utf8>) -> Result<bool, ErrorReport> {
    Ok(schedule::check(&given(schedule, "schedule")?, timezone.as_deref())?)
}

/// True, or an error that says what is wrong: for a CHECK constraint.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_unsafe)]
fn check_command(command: Option<Utf8>) -> Result<bool, ErrorReport> {
    Ok(schedule::check_command(&given(command, "command")?)?)
}

/// Which cluster and database this is.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_safe)]
fn home() -> Utf8 {
    extension::home().into()
}

/// How late an entry may be before that is said.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn patience(job_name: Option<Utf8>) -> Result<Interval, ErrorReport> {
    let patience = groundskeeper_core::schedule::patience(&given(job_name, "job_name")?);
    Ok(Interval::from_micros(i64::try_from(patience.as_micros()).unwrap_or(i64::MAX)))
}

/// Has pg_cron's jobs removed if the extension is gone at the transaction's end.
#[pg_extern(schema = "groundskeeper_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn unschedule_if_dropped() -> Result<(), ErrorReport> {
    Ok(schedule::arrange_removal()?)
}

/// When an entry is due next.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_safe)]
fn next_run(
    schedule: Option<Utf8>,
    timezone: Option<Utf8>,
    since: Option<TimestampWithTimeZone>,
    last_run: Option<TimestampWithTimeZone>,
    failures: Option<i32>,
) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    /// PostgreSQL counts from the year 2000.
    const EPOCH: i64 = 946_684_800_000_000;
    let micros = |at: TimestampWithTimeZone| i64::from(at).saturating_add(EPOCH);
    let since = micros(given(since, "since")?);
    let failures = given(failures, "failures")?;
    let (schedule, timezone) = (given(schedule, "schedule")?, timezone.as_deref());
    let next = schedule::next_run(&schedule, timezone, since, last_run.map(micros), failures)?;
    Ok(next.and_then(|next| TimestampWithTimeZone::try_from(next.timestamp_micros() - EPOCH).ok()))
}
