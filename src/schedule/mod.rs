//! The schedule: entries are data, run by pg_cron where it is, by our launcher where it is not, or by hand.

mod entry;
mod history;
mod pg_cron;
mod run;
pub mod scheduler;
mod tidy;
mod worker;

pub use entry::{check, check_command, next_run};
pub use history::prune;
pub use run::{overdue, step};
pub use tidy::arrange_removal;

use crate::backend;
use crate::catalog;
use crate::cluster;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, can_write, home};
use crate::sql::{self, quote_identifier, quote_literal, required};
use crate::subtransaction::isolated;
use crate::{jobs, settings};
use chrono::Utc;
use groundskeeper_core::schedule::Timing;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgrx::prelude::*;
use pgrx::{PgXactCallbackEvent, register_xact_callback};

/// What a scheduler will run, as `schedule_maintenance()` returns it.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// Its name, in that scheduler.
    pub job_name: String,
    /// Its times, by that scheduler's clock.
    pub schedule: String,
    /// The statement.
    pub command: String,
    /// `pg_cron`, `launcher` or `none`.
    pub scheduler: &'static str,
}

/// An entry of the table.
struct Row {
    job_name: String,
    schedule: String,
    command: String,
}

/// Puts every entry that is enabled on the best scheduler that there is.
pub fn schedule(timezone: Option<String>) -> Result<Vec<Scheduled>> {
    can_write("schedule maintenance")?;
    cluster::not_on_worker("schedule maintenance")?;
    let zone = catalog::time_zone(&timezone.unwrap_or_else(settings::timezone))?;
    let role = role_that_runs()?;
    enter(&zone, &role)
}

/// Has the best scheduler run every entry that is enabled, by the clock of that zone and as that role.
fn enter(zone: &str, role: &str) -> Result<Vec<Scheduled>> {
    let rows = enabled()?;
    let timings =
        rows.iter().map(|row| entry::timing(&row.schedule, Some(zone))).collect::<Result<Vec<Timing>>>()?;
    let cron = pg_cron::find()?;
    let jobs: Vec<pg_cron::Job> = match &cron {
        Some(cron) => cron.jobs(&rows, &timings),
        None => Vec::new(),
    };
    let registered = match &cron {
        Some(cron) => cron.register(&jobs, role)?,
        None => Err(String::new()),
    };
    let scheduler = match &registered {
        Ok(()) => "pg_cron",
        Err(_) if backend::is_preloaded() => "launcher",
        Err(_) => "none",
    };
    write_down(zone, role, scheduler)?;
    wake(launcher()?);
    match (cron, registered) {
        (Some(cron), Ok(())) => Ok(cron.scheduled(jobs)),
        (Some(cron), Err(why)) if scheduler == "none" => {
            Failure::new(
                PgSqlErrorCode::ERRCODE_WARNING,
                format!("nothing was scheduled in database {}: {why}", quote_identifier(&cron.database)),
            )
            .detail("Run the returned commands there, as a role that may.")
            .say(PgLogLevel::WARNING);
            Ok(cron.by_hand(jobs, role))
        }
        _ => {
            if scheduler == "none" {
                say_what_is_missing(role)?;
            }
            let row = |r: Row| Scheduled {
                job_name: r.job_name,
                schedule: r.schedule,
                command: r.command,
                scheduler,
            };
            Ok(rows.into_iter().map(row).collect())
        }
    }
}

/// Takes everything of ours off every scheduler; what was on one.
pub fn unschedule() -> Result<Vec<Scheduled>> {
    can_write("unschedule maintenance")?;
    may_take_over(&current_role()?)?;
    if let Some(cron) = pg_cron::find()?
        && let Err(why) = cron.remove()?
    {
        Failure::new(
            PgSqlErrorCode::ERRCODE_WARNING,
            format!(
                "pg_cron's jobs could not be removed in database {}: {why}",
                quote_identifier(&cron.database)
            ),
        )
        .detail(format!("Run there, as a role that may: {};", cron.removal()))
        .say(PgLogLevel::WARNING);
    }
    let removed = as_owner(|| {
        sql::rows(
            "SELECT job_name, schedule, command FROM groundskeeper.schedule WHERE scheduled_at IS NOT NULL ORDER BY 1",
            &[],
            row,
        )
    })?;
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.schedule
                SET scheduler = 'none', scheduled_at = NULL, run_as = NULL, home = NULL, timezone = NULL
              WHERE scheduled_at IS NOT NULL",
            &[],
        )
    })?;
    wake(launcher()?);
    let gone = |r: Row| Scheduled {
        job_name: r.job_name,
        schedule: r.schedule,
        command: r.command,
        scheduler: "none",
    };
    Ok(removed.into_iter().map(gone).collect())
}

/// Makes a restored copy's schedule this database's own. Its scheduler may be another here, and knows nothing of it
/// yet.
pub fn resume() -> Result<()> {
    let here = home();
    let copied = as_owner(|| {
        sql::first(
            "SELECT pg_catalog.min(timezone), pg_catalog.min(run_as) FROM groundskeeper.schedule
              WHERE scheduled_at IS NOT NULL AND home <> $1 HAVING pg_catalog.count(*) > 0",
            &[here.as_str().into()],
            |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?)),
        )
    })?;
    let Some((zone, role)) = copied else { return Ok(()) };
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.schedule SET home = $1, scheduled_at = pg_catalog.now()
              WHERE scheduled_at IS NOT NULL AND home <> $1",
            &[here.as_str().into()],
        )
    })?;
    // Who may not have it run as that role has taken the first step; the status says what is left.
    if isolated(|| may_take_over(&current_role()?)).is_ok() {
        enter(&zone, &role)?;
    }
    wake(launcher()?);
    Ok(())
}

fn row(row: &crate::sql::Tuple) -> Result<Row> {
    Ok(Row { job_name: required(row, 1)?, schedule: required(row, 2)?, command: required(row, 3)? })
}

fn enabled() -> Result<Vec<Row>> {
    let query = "SELECT job_name, schedule, command FROM groundskeeper.schedule WHERE enabled ORDER BY 1";
    as_owner(|| sql::rows(query, &[], row))
}

fn write_down(zone: &str, role: &str, scheduler: &str) -> Result<()> {
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.schedule
                SET scheduler = $1, timezone = $2, run_as = $3, home = $4,
                    scheduled_at = COALESCE(scheduled_at, pg_catalog.clock_timestamp())
              WHERE enabled",
            &[scheduler.into(), zone.into(), role.into(), home().into()],
        )?;
        sql::run(
            "UPDATE groundskeeper.schedule SET scheduler = 'none', scheduled_at = NULL
              WHERE NOT enabled AND scheduled_at IS NOT NULL",
            &[],
        )
    })
}

fn current_role() -> Result<String> {
    Ok(sql::texts("SELECT CURRENT_USER::text", &[])?.remove(0))
}

/// The role that entries run as: the caller, who must be able to log in and to call what is called then.
fn role_that_runs() -> Result<String> {
    let role = current_role()?;
    may_take_over(&role)?;
    jobs::may_log_in(&role)?;
    let missing = sql::texts(
        "SELECT p.oid::pg_catalog.regprocedure::text
           FROM pg_catalog.pg_proc p
          WHERE p.pronamespace IN ('groundskeeper'::pg_catalog.regnamespace, 'groundskeeper_internal'::pg_catalog.regnamespace)
            AND p.proname IN ('run_one', 'run_scheduled', 'run_overdue', 'run_step', 'overdue_runs')
            AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')",
        &[],
    )?;
    if missing.is_empty() {
        return Ok(role);
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("role {role} cannot run scheduled maintenance"),
    )
    .detail(format!("It may not call {}.", missing.join(", ")))
    .hint(format!("GRANT EXECUTE ON ROUTINE {} TO {};", missing.join(", "), quote_identifier(&role))))
}

/// The schedule is one for the database; only its role's members and superusers may take it over.
fn may_take_over(role: &str) -> Result<()> {
    let others = as_owner(|| {
        sql::texts(
            "SELECT DISTINCT s.run_as FROM groundskeeper.schedule s JOIN pg_catalog.pg_roles r ON r.rolname = s.run_as
              WHERE NOT pg_catalog.pg_has_role($1::name, r.oid, 'USAGE')",
            &[role.into()],
        )
    })?;
    match others.first() {
        None => Ok(()),
        Some(other) => Err(Failure::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied for the schedule",
        )
        .detail(format!("It is scheduled by {other}, of whom {role} is no member."))),
    }
}

/// The launcher's process, where the library is preloaded.
fn launcher() -> Result<Option<i32>> {
    let pid = "SELECT pid FROM pg_catalog.pg_stat_activity WHERE backend_type = 'pg_groundskeeper launcher'";
    as_owner(|| sql::first(pid, &[], |row| required::<i32>(row, 1)))
}

/// Has the launcher look at the schedules again, once this transaction has committed.
fn wake(launcher: Option<i32>) {
    if let Some(pid) = launcher {
        register_xact_callback(PgXactCallbackEvent::Commit, move || {
            // One that has just ended looks when it is started again.
            let _ = kill(Pid::from_raw(pid), Signal::SIGHUP);
        });
    }
}

fn say_what_is_missing(role: &str) -> Result<()> {
    let place = sql::texts(
        "SELECT pg_catalog.current_database()::text
         UNION ALL SELECT pg_catalog.current_setting('port')
         UNION ALL SELECT pg_catalog.split_part(pg_catalog.current_setting('unix_socket_directories'), ',', 1)",
        &[],
    )
    .unwrap_or_default();
    let at = |n: usize| place.get(n).map_or("", String::as_str);
    Failure::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        "the server has no scheduler: neither pg_cron nor pg_groundskeeper is preloaded",
    )
    .detail(format!(
        "Add pg_groundskeeper to shared_preload_libraries, restart, and call schedule_maintenance() again; \
             groundskeeper.prerequisites() has the lines. Or have the system's cron do it: \
             * * * * * psql -X -q -h '{}' -p {} -U {role} -d '{}' -c 'CALL groundskeeper.run_overdue()'",
        at(2),
        at(1),
        at(0)
    ))
    .say(PgLogLevel::WARNING);
    Ok(())
}

/// What a scheduler calls.
fn call(job_name: &str) -> String {
    format!("CALL groundskeeper.run_scheduled({})", quote_literal(job_name))
}

/// The time.
fn now() -> chrono::DateTime<Utc> {
    Utc::now()
}
