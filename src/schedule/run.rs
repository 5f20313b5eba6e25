//! The steps of one run, each called by `groundskeeper_internal.run_one()` in a transaction of its own.

use super::entry::{Active, active};
use super::worker;
use crate::backend;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, can_write};
use crate::latency;
use crate::parse::is_call;
use crate::sql::{self, required};
use crate::subtransaction::caught;
use crate::worker::locks;
use chrono::Duration;
use groundskeeper_core::schedule::due_at;
use pgrx::prelude::*;

/// A scheduler that calls an entry by itself is given this long before the entry counts as overdue.
const GRACE: Duration = Duration::seconds(90);

/// Carries out one step.
pub fn step(step: &str, job_name: &str, argument: Option<&str>) -> Result<Option<String>> {
    can_write("run scheduled maintenance")?;
    latency::is_upkeep();
    match step {
        "begin" => {
            take_requests_to_stop_again();
            begin(job_name)
        }
        "hold" => hold(job_name),
        "call" => call(job_name),
        "failed" => {
            keep_requests_to_stop();
            Ok(None)
        }
        "end" => end(job_name, argument).map(|()| None),
        _ => Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("unknown step \"{step}\""),
        )
        .hint("CALL groundskeeper.run_scheduled(job_name) takes all steps of a run.")),
    }
}

/// The entries that have waited for longer than their scheduler takes, and that run as the caller.
pub fn overdue() -> Result<Vec<String>> {
    can_write("run scheduled maintenance")?;
    latency::is_upkeep();
    let me = me()?;
    let now = super::now();
    let overdue = |active: &Active| {
        let grace = if active.scheduler == "pg_cron" { GRACE } else { Duration::zero() };
        let due = due_at(&active.entry.timing, &active.entry.past, now);
        active.run_as == me && !active.running && due.is_some_and(|due| due + grace <= now)
    };
    Ok(active()?.into_iter().filter(overdue).map(|active| active.entry.name).collect())
}

fn me() -> Result<String> {
    Ok(sql::texts("SELECT CURRENT_USER::text", &[])?.remove(0))
}

/// The entry, which must run as the caller; `None` where it is not scheduled here.
fn own(job_name: &str) -> Result<Option<Active>> {
    let known = "SELECT true FROM groundskeeper.schedule WHERE job_name = $1";
    let known = as_owner(|| sql::first(known, &[job_name.into()], |row| required::<bool>(row, 1)))?;
    if known.is_none() {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("the schedule has no entry \"{job_name}\""),
        )
        .hint("SELECT job_name FROM groundskeeper.schedule lists them."));
    }
    let Some(found) = active()?.into_iter().find(|active| active.entry.name == job_name) else {
        return Ok(None);
    };
    let me = me()?;
    if found.run_as == me {
        return Ok(Some(found));
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for scheduled \"{job_name}\""),
    )
    .detail(format!("It runs as {}, and not as {me}.", found.run_as)))
}

/// Writes down that a run begins, if one is due; its command.
fn begin(job_name: &str) -> Result<Option<String>> {
    let Some(found) = own(job_name)? else { return Ok(None) };
    let now = super::now();
    if found.running || due_at(&found.entry.timing, &found.entry.past, now).is_none_or(|due| due > now) {
        return Ok(None);
    }
    let failures = i32::try_from(found.entry.past.failures).unwrap_or(i32::MAX);
    // Two callers at once: the second waits for the first, and then sees that it has begun.
    let begun = as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.schedule_run (job_name) VALUES ($1) ON CONFLICT DO NOTHING",
            &[job_name.into()],
        )?;
        sql::returned(
            "UPDATE groundskeeper.schedule_run
                SET last_run = pg_catalog.clock_timestamp(), unfinished = true, failures = $2
              WHERE job_name = $1 AND last_run IS NOT DISTINCT FROM pg_catalog.to_timestamp($3) RETURNING true",
            &[
                job_name.into(),
                failures.into(),
                found.last_run.map(|at| at.timestamp_micros() as f64 / 1e6).into(),
            ],
            |row| required::<bool>(row, 1),
        )
    })?;
    Ok(begun.map(|_| found.command))
}

/// Takes the lock that says that the run is under way, until its transaction ends; and sets its zone. The worker of
/// a `CALL` takes it by itself: the lock is to last as long as the work. Which of them it is.
fn hold(job_name: &str) -> Result<Option<String>> {
    let Some(found) = own(job_name)? else { return Ok(None) };
    if is_call(&found.command) {
        return Ok(Some("CALL".to_owned()));
    }
    if !slot(job_name)?.is_some_and(locks::take_for_run) {
        return Ok(None);
    }
    set_zone(&found.timezone, true)?;
    Ok(Some("EXECUTE".to_owned()))
}

fn slot(job_name: &str) -> Result<Option<u32>> {
    let slot = "SELECT slot FROM groundskeeper.schedule_run WHERE job_name = $1";
    let slot = as_owner(|| sql::first(slot, &[job_name.into()], |row| required::<i32>(row, 1)))?;
    Ok(slot.and_then(|slot| u32::try_from(slot).ok()))
}

fn set_zone(zone: &str, until_end: bool) -> Result<()> {
    let set = "SELECT pg_catalog.set_config('groundskeeper.timezone', $1, $2)";
    sql::texts(set, &[zone.into(), until_end.into()]).map(drop)
}

/// Has a worker run the entry's `CALL`, and waits for it; why it failed, be it that who waits was told to stop.
fn call(job_name: &str) -> Result<Option<String>> {
    if own(job_name)?.is_none() {
        return Ok(None);
    }
    let problem = match caught(|| worker::call(job_name)) {
        Ok(outcome) => outcome.err(),
        Err(failure) => Some(failure.with_code()),
    };
    if problem.is_some() {
        keep_requests_to_stop();
    }
    Ok(problem)
}

/// A run that has failed is written down before anything else stops the procedure: a request to cancel comes as two
/// signals, and the second one later where the machine is busy. The error at the procedure's end lets all of it go.
fn keep_requests_to_stop() {
    if backend::is_in_procedure() {
        backend::hold_requests_to_stop();
    }
}

/// The next run can be stopped, by what comes from now on.
fn take_requests_to_stop_again() {
    if backend::heed_requests_to_stop(false) {
        backend::forget_request_to_cancel();
    }
}

/// What a worker runs that was started for an entry's `CALL`; the lock is its session's.
pub fn command_of_worker(job_name: &str) -> Result<String> {
    let found = own(job_name)?;
    let held = slot(job_name)?.is_some_and(locks::take_run_for_session);
    let found = found.filter(|_| held).ok_or_else(|| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            format!("another run of scheduled \"{job_name}\" is under way"),
        )
    })?;
    set_zone(&found.timezone, false)?;
    Ok(found.command)
}

/// Writes down how the run ended, in its own transaction.
fn end(job_name: &str, problem: Option<&str>) -> Result<()> {
    if own(job_name)?.is_none() {
        return Ok(());
    }
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.schedule_run
                SET unfinished = false, last_error = $2,
                    failures = CASE WHEN $2 IS NULL THEN 0 ELSE failures + 1 END,
                    last_success = CASE WHEN $2 IS NULL THEN pg_catalog.clock_timestamp() ELSE last_success END
              WHERE job_name = $1",
            &[job_name.into(), problem.into()],
        )
    })
}

/// Writes down that a run could not even begin.
pub fn lost(job_name: &str, why: &str) -> Result<()> {
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.schedule_run AS r (job_name, last_run, failures, last_error)
             VALUES ($1, pg_catalog.clock_timestamp(), 1, $2)
             ON CONFLICT (job_name) DO UPDATE
                SET last_run = EXCLUDED.last_run, last_error = EXCLUDED.last_error, failures = r.failures + 1,
                    unfinished = false",
            &[job_name.into(), why.into()],
        )
    })
}
