//! Entries as the pure part knows them.

use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::guc::as_written;
use crate::parse::statements;
use crate::sql::{self, required};
use chrono::{DateTime, Utc};
use groundskeeper_core::schedule::{Entry, Past, Timing, due_at};
use pgrx::prelude::*;

/// Reads a schedule and its zone; the error says what is wrong with them.
pub fn timing(schedule: &str, timezone: Option<&str>) -> Result<Timing> {
    Timing::parse(schedule, timezone.unwrap_or("UTC")).map_err(|invalid| {
        Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, invalid.message)
            .detail(invalid.detail)
            .hint("A schedule has the five fields of cron, as '0 10-23,0-2 * * *', and a zone a name, as America/New_York.")
    })
}

/// True, or an error that says what is wrong.
pub fn check(schedule: &str, timezone: Option<&str>) -> Result<bool> {
    timing(schedule, timezone).map(|_| true)
}

/// True for exactly one statement, or an error: a second one would run unseen, or make the first one fail each time.
pub fn check_command(command: &str) -> Result<bool> {
    let statements = as_written(|| statements(command))?;
    if statements == 1 {
        return Ok(true);
    }
    let code = PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
    Err(Failure::new(code, "the command of an entry is one statement")
        .detail(format!(
            "This has {}.",
            if statements == 0 { "none".to_owned() } else { statements.to_string() }
        ))
        .hint("Make a procedure of several statements and schedule its CALL, or an entry of each."))
}

/// A time in microseconds since 1970 as the pure part has it.
fn at(micros: i64) -> Result<DateTime<Utc>> {
    let beyond = || Failure::new(PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW, "a time is out of range");
    DateTime::from_timestamp_micros(micros).ok_or_else(beyond)
}

/// When an entry is due next; the times given are in microseconds since 1970.
pub fn next_run(
    schedule: &str,
    timezone: Option<&str>,
    since: i64,
    last_run: Option<i64>,
    failures: i32,
) -> Result<Option<DateTime<Utc>>> {
    let past = Past {
        since: at(since)?,
        last_run: last_run.map(at).transpose()?,
        failures: u32::try_from(failures).unwrap_or(0),
    };
    Ok(due_at(&timing(schedule, timezone)?, &past, super::now()))
}

/// An entry that is scheduled here.
pub struct Active {
    /// Its times and its past.
    pub entry: Entry,
    /// The role that it runs as.
    pub run_as: String,
    /// Whether a run of it is under way.
    pub running: bool,
    /// When its last run began.
    pub last_run: Option<DateTime<Utc>>,
    /// `pg_cron`, `launcher` or `none`.
    pub scheduler: String,
    /// The statement.
    pub command: String,
    /// Its zone.
    pub timezone: String,
}

/// What is scheduled here: not what a copy has brought along.
pub fn active() -> Result<Vec<Active>> {
    as_owner(|| {
        sql::rows(
            "SELECT job_name, schedule, timezone, run_as, running, failures, scheduler, command,
                    (extract(epoch FROM scheduled_at) * 1000000)::bigint,
                    (extract(epoch FROM last_run) * 1000000)::bigint
               FROM groundskeeper.schedule_state
              WHERE active AND home = $1 AND run_as IS NOT NULL AND timezone IS NOT NULL
              ORDER BY 1",
            &[crate::extension::home().into()],
            |row| {
                let timezone: String = required(row, 3)?;
                let timing = timing(&required::<String>(row, 2)?, Some(&timezone))?;
                let last_run = row.get::<i64>(10)?.map(at).transpose()?;
                let failures = u32::try_from(required::<i32>(row, 6)?).unwrap_or(0);
                let past = Past { since: at(required(row, 9)?)?, last_run, failures };
                Ok(Active {
                    entry: Entry { name: required(row, 1)?, timing, past },
                    run_as: required(row, 4)?,
                    running: required(row, 5)?,
                    last_run,
                    scheduler: required(row, 7)?,
                    command: required(row, 8)?,
                    timezone,
                })
            },
        )
    })
}
