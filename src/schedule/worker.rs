//! The scheduler's background workers. One looks at a database's schedule when the launcher says so, starts what is
//! due, and leaves when that has ended; one more per run is connected as the role that scheduled it; and one goes to
//! pg_cron's database on behalf of a caller who may.

use super::entry::{Active, active};
use super::run;
use crate::backend;
use crate::catalog::{self, Login};
use crate::error::{Failure, Result};
use crate::settings;
use crate::sql::{self, quote_identifier, required};
use crate::worker::{self, Between, Mailbox, Rights, Worker, answer, toplevel};
use chrono::{DateTime, Utc};
use groundskeeper_core::schedule::{Agenda, SystemClock};
use pgrx::bgworkers::{BackgroundWorker, DynamicBackgroundWorker};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::HashMap;
use std::time::Duration;

/// How much statements for pg_cron may take up.
const STATEMENTS: usize = 256 * 1024;

/// How much of an error message is passed on.
const ERROR: usize = 16 * 1024;

/// What a scheduler answers its launcher: when to look again, in microseconds since 1970; 0 where there is nothing
/// to look for.
pub const ANSWER: usize = size_of::<i64>();

/// Starts a scheduler in a database; it answers into the mailbox.
pub fn start_scheduler(database: pg_sys::Oid, answer: &Mailbox) -> Option<DynamicBackgroundWorker> {
    let name = "pg_groundskeeper scheduler";
    worker::start(&Worker {
        function: "groundskeeper_scheduler",
        name,
        kind: name,
        database,
        role: None,
        told: &answer.handle().to_string(),
        watched: true,
    })
}

/// The scheduler's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_scheduler(argument: pg_sys::Datum) {
    let answer = worker::told().parse().ok().and_then(Mailbox::open);
    let Some(mut between) = worker::begin(argument, Rights::Server) else { return };
    match (look_after(&mut between), answer) {
        (Ok(next), Some(answer)) => {
            answer.put(&next.map_or(0, |next| next.timestamp_micros()).to_ne_bytes());
        }
        (Ok(_), None) => {}
        // Without an answer the launcher tries again.
        (Err(failure), _) => Failure::new(
            failure.code,
            format!("groundskeeper's schedule could not be looked at: {}", failure.message),
        )
        .detail(failure.one_line())
        .say(PgLogLevel::WARNING),
    }
}

/// A run that has been started.
struct Started {
    worker: DynamicBackgroundWorker,
    since: DateTime<Utc>,
}

/// Starts what is due until nothing is running any more: when to look again.
fn look_after(between: &mut Between) -> Result<Option<DateTime<Utc>>> {
    let mut started: HashMap<String, Started> = HashMap::new();
    loop {
        if !between.transaction(installed)? {
            return Ok(None);
        }
        // Looked at before the table is: a run that has ended has written down how.
        let over: Vec<(String, DateTime<Utc>)> = started
            .iter()
            .filter(|(_, run)| worker::ended(&run.worker))
            .map(|(name, run)| (name.clone(), run.since))
            .collect();
        started.retain(|name, _| !over.iter().any(|(gone, _)| gone == name));
        between.transaction(|| over.iter().try_for_each(|(name, since)| check_begun(name, *since)))?;
        let mine = |active: &Active| active.scheduler == "launcher";
        let actives: Vec<Active> =
            between.transaction(|| Ok(active()?.into_iter().filter(mine).collect()))?;
        let waiting = |active: &&Active| !active.running && !started.contains_key(&active.entry.name);
        let entries = actives.iter().filter(waiting).map(|active| active.entry.clone()).collect();
        let agenda = Agenda { entries };
        let free = settings::max_workers().saturating_sub(started.len());
        let due: Vec<String> =
            agenda.due(&SystemClock).into_iter().take(free).map(|e| e.name.clone()).collect();
        let mut none_free = false;
        for active in actives.iter().filter(|active| due.contains(&active.entry.name)) {
            none_free |= !begin(between, active, &mut started)?;
        }
        if started.is_empty() {
            let soon = Utc::now() + Duration::from_secs(5);
            let running = actives.iter().any(|active| active.running);
            let next = agenda.next(&SystemClock);
            // A run of the one before us, or no worker free: its end tells nobody.
            return Ok(if running || none_free {
                Some(next.map_or(soon, |next| next.max(soon)))
            } else {
                next
            });
        }
        let pause = agenda.next(&SystemClock).map(|next| (next - Utc::now()).to_std().unwrap_or_default());
        let pause = pause.unwrap_or(Duration::MAX).clamp(Duration::from_millis(200), Duration::from_secs(10));
        if !BackgroundWorker::wait_latch(Some(pause)) {
            return Ok(None);
        }
    }
}

fn installed() -> Result<bool> {
    let installed = "SELECT pg_catalog.to_regclass('groundskeeper.schedule_state') IS NOT NULL
                        AND EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_groundskeeper')";
    Ok(sql::first(installed, &[], |row| required::<bool>(row, 1))? == Some(true))
}

/// Starts a run; `false` where no worker is free.
fn begin(between: &mut Between, active: &Active, started: &mut HashMap<String, Started>) -> Result<bool> {
    let name = &active.entry.name;
    let Some(Login::As(role)) = between.transaction(|| catalog::login(&active.run_as))? else {
        let why =
            format!("role {} may not log in to this database any more", quote_identifier(&active.run_as));
        between.transaction(|| run::lost(name, &why))?;
        return Ok(true);
    };
    let since = Utc::now();
    let kind = "pg_groundskeeper scheduled run";
    let run = worker::start(&Worker {
        function: "groundskeeper_scheduled_run",
        name: kind,
        kind,
        database: backend::database(),
        role: Some(role),
        told: name,
        watched: true,
    });
    match run {
        Some(worker) => {
            started.insert(name.clone(), Started { worker, since });
            Ok(true)
        }
        None => Ok(false),
    }
}

/// A worker that ended before its run began could not connect, or was told off.
fn check_begun(name: &str, since: DateTime<Utc>) -> Result<()> {
    let Some(now) = active()?.into_iter().find(|active| active.entry.name == name) else { return Ok(()) };
    if now.last_run.is_some_and(|last| last >= since) {
        return Ok(());
    }
    run::lost(
        name,
        &format!("a worker could not run it as role {}; see the server log", quote_identifier(&now.run_as)),
    )
}

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
    answer::wait_for(function, kind, database, backend::role(), mailbox, extra)?;
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
