//! The schedule's background workers beside the scheduler: one per run is connected as the role that scheduled it, and
//! one goes to pg_cron's database on behalf of a caller who may.

use super::run;
use crate::backend;
use crate::error::{Failure, Result};
use crate::sql;
use crate::worker::{self, Mailbox, Rights, answer, toplevel};
use pgrx::pg_sys;
use pgrx::prelude::*;

/// How much statements for pg_cron may take up.
const STATEMENTS: usize = 256 * 1024;

/// How much of an error message is passed on.
const ERROR: usize = 16 * 1024;

/// The entry point of one run.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_scheduled_run(argument: pg_sys::Datum) {
    let job_name = worker::told();
    let Some(mut between) = worker::begin(argument, Rights::Role) else { return };
    if let Err(failure) = toplevel::run(&mut between, &super::call(job_name)) {
        Failure::new(failure.code, format!("{} in groundskeeper's schedule", failure.message))
            .detail(failure.one_line())
            .say(PgLogLevel::WARNING);
    }
}

/// Runs statements in another database of the cluster as the caller; why not, where that fails.
pub fn run_in(database: pg_sys::Oid, statements: &[String]) -> Result<std::result::Result<(), String>> {
    let request = serde_json::to_vec(statements).map_err(|e| Failure::internal(e.to_string()))?;
    if request.len() > STATEMENTS {
        return Ok(Err("there are too many entries".to_owned()));
    }
    let Some(mailbox) = Mailbox::new(STATEMENTS) else {
        return Ok(Err("there is no dynamic shared memory left".to_owned()));
    };
    mailbox.put(&request);
    Ok(answered("groundskeeper_elsewhere", "pg_groundskeeper worker", database, &mailbox, "").map_err(
        |problem| match problem.as_bytes() {
            // What it was asked is still there: it came no further than to the door.
            answer if answer == request => "a connection there was refused".to_owned(),
            _ => problem,
        },
    ))
}

/// Starts a worker as the caller, and waits for its end: the answer that it left, if that is not `ok`.
fn answered(
    function: &str,
    kind: &str,
    database: pg_sys::Oid,
    mailbox: &Mailbox,
    extra: &str,
) -> std::result::Result<(), String> {
    answer::wait_for(function, kind, database, Some(backend::role()), mailbox, extra)?;
    let answer = mailbox.take();
    let answer = String::from_utf8_lossy(&answer);
    if answer == "ok" { Ok(()) } else { Err(answer.into_owned()) }
}

/// Runs the `CALL` of an entry in a worker, as a statement of its own; why not, where that fails.
pub fn call(job_name: &str) -> Result<std::result::Result<(), String>> {
    let Some(mailbox) = Mailbox::new(ERROR) else {
        return Ok(Err("there is no dynamic shared memory left".to_owned()));
    };
    mailbox.put(b"its worker ended without a word; see the server log");
    let database = backend::database();
    let (function, kind) = ("groundskeeper_scheduled_call", "pg_groundskeeper scheduled call");
    Ok(answered(function, kind, database, &mailbox, job_name))
}

/// The entry point of a worker for a `CALL` of the schedule.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_scheduled_call(argument: pg_sys::Datum) {
    let Some((mut between, mailbox, job_name)) = answer::connected(argument) else { return };
    let called = between
        .transaction(|| run::command_of_worker(job_name))
        .and_then(|call| toplevel::run(&mut between, &call));
    match called {
        Ok(()) => mailbox.put(b"ok"),
        Err(failure) => mailbox.put(failure.with_code().as_bytes()),
    }
}

/// The entry point of a worker that runs statements for a caller in another database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_elsewhere(argument: pg_sys::Datum) {
    let Some((mut between, mailbox, _)) = answer::connected(argument) else { return };
    let statements: Vec<String> = serde_json::from_slice(&mailbox.take()).unwrap_or_default();
    let result = between.transaction(|| statements.iter().try_for_each(|statement| sql::run(statement, &[])));
    match result {
        Ok(()) => mailbox.put(b"ok"),
        Err(failure) => mailbox.put(failure.one_line().as_bytes()),
    }
}
