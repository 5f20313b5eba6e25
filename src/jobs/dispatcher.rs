//! The dispatcher: one short-lived worker per database that starts a runner for each job whose turn it is, and
//! leaves when there is nothing left to wait for.

use super::fair;
use crate::backend;
use crate::catalog::CAN_CONNECT;
use crate::error::Result;
use crate::extension::{home, is_at_home};
use crate::settings;
use crate::sql::{self, quote_identifier, required};
use crate::worker::{self, Between, Rights, Worker, locks, session};
use groundskeeper_core::job::{Limits, Load, Task};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerStatus, DynamicBackgroundWorker};
use pgrx::prelude::*;
use pgrx::{PgXactCallbackEvent, pg_sys, register_xact_callback};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

thread_local! {
    /// Whether the current transaction will start a dispatcher when it commits.
    static ARRANGED: Cell<bool> = const { Cell::new(false) };
}

/// Starts a dispatcher when the current transaction commits, so that it finds what was queued.
pub fn start_at_commit() {
    if backend::is_in_recovery() || ARRANGED.replace(true) {
        return;
    }
    register_xact_callback(PgXactCallbackEvent::PreCommit, || {
        ARRANGED.set(false);
        start();
    });
    register_xact_callback(PgXactCallbackEvent::Abort, || ARRANGED.set(false));
    // What another session commits later waits for the next call.
    register_xact_callback(PgXactCallbackEvent::Prepare, || ARRANGED.set(false));
}

fn start() {
    if !register(backend::database(), backend::transaction().map_or(0, pg_sys::TransactionId::into_inner)) {
        ereport!(
            WARNING,
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            "no background worker is free to run groundskeeper's jobs",
            "They stay queued; raise max_worker_processes, or call groundskeeper.plan_status() when a worker is free."
        );
    }
}

/// Starts a dispatcher in a database; `false` when no background worker is free.
pub fn start_in(database: pg_sys::Oid) -> bool {
    register(database, 0)
}

fn register(database: pg_sys::Oid, wait_for: u32) -> bool {
    let name = "pg_groundskeeper dispatcher";
    worker::start(&Worker {
        function: "groundskeeper_dispatcher",
        name,
        kind: name,
        database,
        role: None,
        told: &wait_for.to_string(),
        watched: false,
    })
    .is_some()
}

/// The dispatcher's entry point.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_dispatcher(argument: pg_sys::Datum) {
    let Some(mut between) = worker::begin(argument, Rights::Server) else { return };
    wait_for_transaction(&mut between, worker::told().parse().unwrap_or(0));
    let mut watch = Watch::default();
    while transaction(&mut between, take_the_post) {
        loop {
            // Committed before anything is started: a runner must see that its job has been given back.
            transaction(&mut between, || tidy(&mut watch));
            let Some(pause) = transaction(&mut between, || start_due(&mut watch)) else { break };
            if !BackgroundWorker::wait_latch(Some(pause)) {
                return;
            }
            worker::reread_configuration(&mut between);
        }
        // What was queued between the last look and now found the post taken, and counts on us.
        if !transaction(&mut between, leave_the_post) {
            return;
        }
    }
}

/// Runs one transaction of the dispatcher's.
fn transaction<T>(_: &mut Between, work: impl FnOnce() -> Result<T>) -> T {
    let result = BackgroundWorker::transaction(AssertUnwindSafe(work));
    match result {
        Ok(value) => value,
        // Nobody to tell but the log; the worker ends, and the next call starts another.
        Err(failure) => {
            pg_sys::panic::ErrorReport::from(failure).report(PgLogLevel::ERROR);
            unreachable!("an ERROR does not return")
        }
    }
}

/// The work was queued in a transaction that may still be on its way to its end.
fn wait_for_transaction(between: &mut Between, xid: u32) {
    if xid == 0 {
        return;
    }
    transaction(between, || {
        // SAFETY: inside a transaction of our own; the transaction waited for is another's.
        unsafe {
            pg_sys::XactLockTableWait(
                pg_sys::TransactionId::from_inner(xid),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                pg_sys::XLTW_Oper::XLTW_None,
            );
        }
        Ok(())
    });
}

fn take_the_post() -> Result<bool> {
    Ok(is_at_home()? && locks::take(locks::DISPATCHER))
}

fn leave_the_post() -> Result<bool> {
    locks::give_back(locks::DISPATCHER);
    let more = "SELECT EXISTS (SELECT FROM groundskeeper.job WHERE state = 'queued' AND home = $1)";
    Ok(sql::first(more, &[home().into()], |row| required(row, 1))?.unwrap_or(false))
}

/// A runner that has been started.
struct Started {
    worker: DynamicBackgroundWorker,
    /// How many attempts at the job had been begun before.
    begun: i64,
    /// Whether it reads a relation from end to end.
    heavy: bool,
}

/// What a dispatcher remembers from one look to the next.
#[derive(Default)]
struct Watch {
    /// Runners that have been started and have not taken their job yet.
    started: HashMap<i64, Started>,
    /// Jobs that were waiting for a lock.
    waiting: HashSet<i64>,
}

/// Brings what the tables say of the jobs up to what has become of them.
fn tidy(Watch { started, waiting }: &mut Watch) -> Result<()> {
    prune()?;
    fair::stop_who_gives_way()?;
    give_back_orphans()?;
    count_lock_waits(waiting)?;
    started.retain(|job, runner| keep_waiting(*job, runner).unwrap_or(false));
    give_up_homeless(started)
}

/// Starts the jobs whose turn it is: how long to wait before the next look, or `None` when nothing is left to wait
/// for.
fn start_due(Watch { started, .. }: &mut Watch) -> Result<Option<Duration>> {
    let (running, working) = running()?;
    let mut load = Load { open: running + started.len(), working };
    load.working += started.values().filter(|runner| runner.heavy).count();
    let limits = limits();
    let mut refused = 0;
    for Due { job, role, begun, heavy, first } in due(started)? {
        if !(load.admits(heavy, limits) || first && load.admits_first_of_role(limits)) {
            refused += i64::from(first);
            continue;
        }
        if let Some(worker) = start_runner(job, role) {
            started.insert(job, Started { worker, begun, heavy });
            load = load.with(heavy);
        } else {
            note(job, "no background worker is free: raise max_worker_processes")?;
        }
    }
    if refused > 0 || load.open > 1 {
        fair::have_waiting_jobs_give_way(refused)?;
    }
    if load.open > 0 {
        return Ok(Some(Duration::from_millis(200)));
    }
    let queued = "SELECT EXISTS (SELECT FROM groundskeeper.job WHERE state = 'queued' AND home = $1)";
    let queued: Option<bool> = sql::first(queued, &[home().into()], |row| required(row, 1))?;
    Ok((queued == Some(true)).then_some(Duration::from_millis(500)))
}

/// Starts the runner of a job; `None` when no background worker is free.
fn start_runner(job: i64, role: pg_sys::Oid) -> Option<DynamicBackgroundWorker> {
    worker::start(&Worker {
        function: "groundskeeper_runner",
        name: &format!("pg_groundskeeper job {job}"),
        kind: "pg_groundskeeper job",
        database: backend::database(),
        role: Some(role),
        told: &job.to_string(),
        watched: true,
    })
}

/// Finished jobs are remembered for a while, not for ever.
fn prune() -> Result<()> {
    sql::run(
        "DELETE FROM groundskeeper.job
          WHERE finished_at < pg_catalog.now() - pg_catalog.make_interval(mins => $1)",
        &[settings::job_history_minutes().into()],
    )
}

/// A runner holds its job's lock while it lives. A job that says `running` without it was left by a
/// crash: it goes back to the queue, and the attempt does not count.
fn give_back_orphans() -> Result<()> {
    sql::run(
        "WITH orphan AS (
             UPDATE groundskeeper.job j
                SET state = 'queued',
                    attempts = attempts - 1, worker_pid = NULL, detail = 'its worker was lost; it goes on'
              WHERE state = 'running' AND home = $2
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
                                 WHERE l.locktype = 'userlock' AND l.granted
                                   AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                                      WHERE datname = pg_catalog.current_database())
                                   AND l.classid::bigint = $1 AND l.objid::bigint = j.job_id)
             RETURNING job_id)
         UPDATE groundskeeper.job_attempt a
            SET state = 'lost', finished_at = pg_catalog.clock_timestamp()
           FROM orphan WHERE a.job_id = orphan.job_id AND a.state = 'running'",
        &[i64::from(locks::CLASS).into(), home().into()],
    )
}

/// Counts the waits for locks that have begun since the last look.
fn count_lock_waits(waiting: &mut HashSet<i64>) -> Result<()> {
    let now: HashSet<i64> = sql::rows(
        "SELECT j.job_id FROM groundskeeper.job j JOIN pg_catalog.pg_stat_activity a ON a.pid = j.worker_pid
          WHERE j.state = 'running' AND a.wait_event_type = 'Lock'",
        &[],
        |row| required(row, 1),
    )?
    .into_iter()
    .collect();
    let begun: Vec<i64> = now.difference(waiting).copied().collect();
    *waiting = now;
    if begun.is_empty() {
        return Ok(());
    }
    sql::run(
        "UPDATE groundskeeper.job_attempt SET lock_waits = lock_waits + 1
          WHERE job_id = ANY ($1) AND state = 'running'",
        &[begun.into()],
    )
}

/// Whether a started runner is still on its way; one that ended before it had taken its job could not connect.
fn keep_waiting(job: i64, runner: &Started) -> Result<bool> {
    // Looked at first: one that has taken its job and is already gone is seen to have taken it.
    let ended = matches!(runner.worker.pid(), Err(BackgroundWorkerStatus::Stopped));
    let waits = "SELECT j.state = 'queued'
                    AND (SELECT pg_catalog.count(*) FROM groundskeeper.job_attempt a WHERE a.job_id = j.job_id) = $2
                   FROM groundskeeper.job j WHERE j.job_id = $1";
    let waits: Option<bool> = sql::first(waits, &[job.into(), runner.begun.into()], |row| required(row, 1))?;
    if waits == Some(true) && ended {
        sql::run(
            "UPDATE groundskeeper.job
                SET attempts = attempts + 1, not_before = pg_catalog.now() + pg_catalog.make_interval(secs => 1 << LEAST(attempts, 8)),
                    state = CASE WHEN attempts >= 5 THEN 'failed' ELSE 'queued' END,
                    finished_at = CASE WHEN attempts >= 5 THEN pg_catalog.clock_timestamp() END,
                    error = pg_catalog.format('a worker could not connect as role %I; see the server log', run_as)
              WHERE job_id = $1 AND state = 'queued'",
            &[job.into()],
        )?;
        return Ok(false);
    }
    Ok(waits == Some(true))
}

/// A role that is gone, or may not log in any more, cannot run its jobs.
fn give_up_homeless(started: &HashMap<i64, Started>) -> Result<()> {
    let query = format!(
        "SELECT j.job_id, j.run_as,
                CASE WHEN r.oid IS NULL THEN 'does not exist any more'
                     WHEN NOT r.rolcanlogin THEN 'may not log in any more'
                     ELSE 'may not connect to this database any more' END
           FROM groundskeeper.job j
           LEFT JOIN pg_catalog.pg_roles r ON r.rolname = j.run_as
          WHERE j.state = 'queued' AND j.home = $1 AND {CAN_CONNECT} IS NOT TRUE"
    );
    let lost = sql::rows(&query, &[home().into()], |row| {
        Ok((required::<i64>(row, 1)?, required::<String>(row, 2)?, required::<String>(row, 3)?))
    })?;
    for (job, role, why) in lost.into_iter().filter(|(job, ..)| !started.contains_key(job)) {
        let error = format!("role {} {why}", quote_identifier(&role));
        sql::run(
            "UPDATE groundskeeper.job SET state = 'failed', error = $2, finished_at = pg_catalog.clock_timestamp()
              WHERE job_id = $1 AND state = 'queued'",
            &[job.into(), error.as_str().into()],
        )?;
    }
    Ok(())
}

/// How many jobs are running, and how many of the heavy ones are at work: one that waits for a lock burdens nobody.
fn running() -> Result<(usize, usize)> {
    let running = sql::rows(
        "SELECT j.task::text, a.wait_event_type IS NOT DISTINCT FROM 'Lock'
           FROM groundskeeper.job j LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = j.worker_pid
          WHERE j.state = 'running' AND j.home = $1",
        &[home().into()],
        |row| Ok((is_heavy(&required::<String>(row, 1)?), required::<bool>(row, 2)?)),
    )?;
    let working = running.iter().filter(|(heavy, waits)| *heavy && !waits).count();
    Ok((running.len(), working))
}

/// Whether a stored task burdens the machine; one that cannot be read might.
fn is_heavy(task: &str) -> bool {
    serde_json::from_str(task).map_or(true, |task: Task| task.is_heavy())
}

fn limits() -> Limits {
    Limits::new(settings::max_workers(), session::cores())
}

/// A job whose turn it is.
struct Due {
    job: i64,
    role: pg_sys::Oid,
    begun: i64,
    heavy: bool,
    /// Whether its role has no other job at work, and none that has just given way.
    first: bool,
}

/// The jobs whose turn it is, at most one per relation, with the OID of the role that runs them and the number of attempts
/// that have been begun: the roles by turns, each oldest first.
fn due(started: &HashMap<i64, Started>) -> Result<Vec<Due>> {
    let begun: Vec<i64> = started.keys().copied().collect();
    let query = format!(
        "WITH busy AS (
             SELECT target, run_as FROM groundskeeper.job WHERE state = 'running' AND home = $1 OR job_id = ANY ($2)),
         first AS (
             SELECT DISTINCT ON (target) job_id, run_as, task FROM groundskeeper.job
              WHERE state = 'queued' AND home = $1 AND not_before <= pg_catalog.clock_timestamp()
                AND target NOT IN (SELECT target FROM busy)
              ORDER BY target, job_id)
         SELECT f.job_id, r.oid,
                (SELECT pg_catalog.count(*) FROM groundskeeper.job_attempt a WHERE a.job_id = f.job_id),
                f.task::text, o.place = 1 AND NOT o.gave_way
           FROM first f JOIN pg_catalog.pg_roles r ON r.rolname = f.run_as AND {CAN_CONNECT}
          CROSS JOIN LATERAL (
               SELECT (SELECT pg_catalog.count(*) FROM busy b WHERE b.run_as = f.run_as)
                    + (SELECT pg_catalog.count(*) FROM first e WHERE e.run_as = f.run_as AND e.job_id <= f.job_id),
                      EXISTS (SELECT FROM groundskeeper.job w WHERE w.run_as = f.run_as AND w.gives_way AND w.state = 'queued'
                                 AND w.not_before > pg_catalog.clock_timestamp())) o (place, gave_way)
          ORDER BY o.gave_way, o.place, f.job_id"
    );
    sql::rows(&query, &[home().into(), begun.into()], |row| {
        Ok(Due {
            job: required(row, 1)?,
            role: required(row, 2)?,
            begun: required(row, 3)?,
            heavy: is_heavy(&required::<String>(row, 4)?),
            first: required(row, 5)?,
        })
    })
}

fn note(job: i64, detail: &str) -> Result<()> {
    sql::run(
        "UPDATE groundskeeper.job SET detail = $2 WHERE job_id = $1 AND detail IS DISTINCT FROM $2",
        &[job.into(), detail.into()],
    )
}
