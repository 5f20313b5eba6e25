//! Jobs: queued by any role for what it may do, run by background workers that connect as that role.

mod dispatcher;
mod fair;
pub mod pace;
mod progress;

pub use progress::{remark, report, step_done, works_on};

use crate::backend;
use crate::catalog::{self, CAN_CONNECT, Login};
use crate::cluster;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, home};
use crate::owner;
use crate::sql::{self, qualified, quote_literal, required};
use crate::worker::locks;
use groundskeeper_core::job::JobRequest;
use groundskeeper_core::plan::Qualified;
use pgrx::prelude::*;
use std::collections::HashMap;

/// Queues a job; its worker starts when the transaction commits. Returns the job's number, or that of the job
/// which has the item already.
pub fn enqueue(request: &JobRequest) -> Result<i64> {
    cluster::not_on_worker("queue jobs")?;
    let relation = catalog::relation(&request.relation)?;
    let run_as = worker_role(&request.relation, relation.as_ref().map(|relation| relation.owner.clone()))?;
    let oid = relation.map(|relation| relation.oid);
    let task = serde_json::to_string(&request.task).map_err(|e| Failure::internal(e.to_string()))?;
    let entry = request.entry.as_ref().map(serde_json::to_string).transpose();
    let entry = entry.map_err(|e| Failure::internal(e.to_string()))?;
    let caller = sql::texts("SELECT SESSION_USER::text", &[])?.into_iter().next();
    let target = qualified(&request.relation.schema, &request.relation.name);
    let id = as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.job (kind, target, item, task, run_as, requested_by, home, entry, target_oid, target_owner)
             VALUES ($1, $2, $3, $4::pg_catalog.jsonb, $5, $6, $7, $8::pg_catalog.jsonb, $9, $10)
             ON CONFLICT (item, kind) WHERE state IN ('queued', 'running') DO NOTHING",
            &[
                request.task.kind().into(),
                target.as_str().into(),
                request.item.clone().into(),
                task.as_str().into(),
                run_as.as_str().into(),
                caller.clone().into(),
                home().into(),
                entry.into(),
                oid.into(),
                oid.and_then(owner::owner_of).into(),
            ],
        )?;
        sql::first(
            "SELECT pg_catalog.max(job_id) FROM groundskeeper.job
              WHERE state IN ('queued', 'running')
                AND (task = $1::pg_catalog.jsonb OR item = $2 AND kind = $3)",
            &[task.as_str().into(), request.item.clone().into(), request.task.kind().into()],
            |row| required::<i64>(row, 1),
        )
    })?;
    dispatcher::start_at_commit();
    id.ok_or_else(|| Failure::internal("the queued job is not there"))
}

/// The role that the worker connects as: the relation's owner, whose triggers and functions must not run with the rights
/// of a greater role. A group that nobody can log in as trusts its members: a member's job runs as that member.
fn worker_role(relation: &Qualified, owner: Option<String>) -> Result<String> {
    let role = match runs_as(owner)? {
        (_, false) => return Err(Failure::not_owner(relation)),
        (role, true) => role,
    };
    if let Some(Login::Refused { why, remedy }) = catalog::login(&role)? {
        return Err(cannot_run(&role, "a job")
            .detail(format!("A job on {relation} connects as {role}, who {why}; {remedy} lets it.")));
    }
    Ok(role)
}

/// The role that a job on what that owner has would connect as, and whether the caller may have one.
pub fn runs_as(owner: Option<String>) -> Result<(String, bool)> {
    let query = format!(
        "SELECT CASE WHEN o.name IS NULL THEN me.rolname WHEN me.rolsuper OR o.can THEN o.name ELSE me.rolname END::text,
                COALESCE(o.mine, true)
           FROM pg_catalog.pg_roles me
           LEFT JOIN (SELECT r.rolname, {CAN_CONNECT}, pg_catalog.pg_has_role(r.oid, 'USAGE')
                        FROM pg_catalog.pg_roles r WHERE r.rolname = $1) o (name, can, mine) ON true
          WHERE me.rolname = CURRENT_USER"
    );
    let role = sql::first(&query, &[owner.into()], |row| {
        Ok((required::<String>(row, 1)?, required::<bool>(row, 2)?))
    })?;
    role.ok_or_else(|| Failure::internal("the current role does not exist"))
}

/// Refuses a role that no worker can connect as.
pub fn may_log_in(role: &str) -> Result<()> {
    match catalog::login(role)? {
        Some(Login::Refused { why, remedy }) => Err(cannot_run(role, "scheduled maintenance")
            .detail(format!("Workers connect as {role}, who {why}."))
            .hint(format!("{remedy};"))),
        Some(Login::As(_)) | None => Ok(()),
    }
}

fn cannot_run(role: &str, what: &str) -> Failure {
    Failure::new(
        PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        format!("role {role} cannot run {what}"),
    )
}

/// The items that a job has, each with what to say of it.
pub fn active_by_item() -> Result<HashMap<String, String>> {
    let rows = as_owner(|| {
        sql::rows(
            "SELECT item, pg_catalog.format('job %s is %s%s', job_id, state, ': ' || detail)
               FROM groundskeeper.job WHERE state IN ('queued', 'running') AND item IS NOT NULL",
            &[],
            |row| Ok((required::<String>(row, 1)?, required::<String>(row, 2)?)),
        )
    })?;
    Ok(rows.into_iter().collect())
}

/// The open jobs that run as a role, if there are any, in words.
pub fn open_as(role: &str) -> Result<Vec<String>> {
    as_owner(|| {
        sql::texts(
            "SELECT pg_catalog.format('job %s runs as it', pg_catalog.min(job_id)) FROM groundskeeper.job
              WHERE run_as = $1 AND state IN ('queued', 'running') HAVING pg_catalog.count(*) > 0",
            &[role.into()],
        )
    })
}

/// Why the last job on an item failed, if it did.
pub fn last_error(item: &str) -> Result<Option<String>> {
    let last = as_owner(|| {
        sql::first(
            "SELECT CASE WHEN state = 'failed' THEN pg_catalog.format('job %s failed: %s', job_id, error) END
               FROM groundskeeper.job WHERE item = $1 ORDER BY job_id DESC LIMIT 1",
            &[item.into()],
            |row| row.get::<String>(1),
        )
    })?;
    Ok(last.flatten())
}

/// The open job of a kind on a relation, if there is one.
pub fn open_of_kind(target: &str, kind: &str) -> Result<Option<i64>> {
    let open = "SELECT job_id FROM groundskeeper.job WHERE target = $1 AND kind = $2 AND state IN ('queued', 'running')";
    let job = as_owner(|| sql::first(open, &[target.into(), kind.into()], |row| required::<i64>(row, 1)))?;
    if job.is_some() {
        dispatcher::start_at_commit();
    }
    Ok(job)
}

/// Cancels the open job of a kind on a relation, if there is one.
pub fn cancel_kind(target: &str, kind: &str) -> Result<()> {
    open_of_kind(target, kind)?.map_or(Ok(()), |job| cancel(job).map(|_| ()))
}

/// Cancels the job that has an item; `false` while it is still running and has only been told.
pub fn cancel_item(item: &str) -> Result<bool> {
    let job = as_owner(|| {
        sql::first(
            "SELECT job_id FROM groundskeeper.job WHERE item = $1 AND state IN ('queued', 'running')",
            &[item.into()],
            |row| required::<i64>(row, 1),
        )
    })?;
    job.map_or(Ok(true), |job| Ok(cancel(job)? == "cancelled"))
}

/// A job as the caller may see it.
struct Job {
    state: String,
    run_as: String,
    requested_by: String,
    worker_pid: Option<i32>,
}

fn find(job: i64) -> Result<Job> {
    let found = as_owner(|| {
        sql::first(
            "SELECT j.state, j.run_as, j.requested_by,
                    (SELECT l.pid FROM pg_catalog.pg_locks l
                      WHERE l.locktype = 'userlock' AND l.granted
                        AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                           WHERE datname = pg_catalog.current_database())
                        AND l.classid::bigint = $2 AND l.objid::bigint = j.job_id)
               FROM groundskeeper.job j WHERE j.job_id = $1",
            &[job.into(), i64::from(locks::CLASS).into()],
            |row| {
                Ok(Job {
                    state: required(row, 1)?,
                    run_as: required(row, 2)?,
                    requested_by: required(row, 3)?,
                    worker_pid: row.get(4)?,
                })
            },
        )
    })?;
    let found = found.ok_or_else(|| {
        Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, format!("job {job} does not exist"))
            .hint("SELECT * FROM groundskeeper.jobs shows those that do.")
    })?;
    may_manage(job, &found)?;
    Ok(found)
}

/// A job is its requester's, and that of members of the role that it runs as.
fn may_manage(job: i64, found: &Job) -> Result<()> {
    let allowed = sql::first(
        "SELECT me.rolsuper OR CURRENT_USER = $1
             OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = $2 AND pg_catalog.pg_has_role(r.oid, 'USAGE'))
           FROM pg_catalog.pg_roles me WHERE me.rolname = CURRENT_USER",
        &[found.requested_by.as_str().into(), found.run_as.as_str().into()],
        |row| required::<bool>(row, 1),
    )?;
    if allowed == Some(true) {
        return Ok(());
    }
    Err(Failure::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for job {job}"),
    )
    .detail(format!("It was requested by {} and runs as {}.", found.requested_by, found.run_as)))
}

/// Cancels a job and returns its new state. A running one is told to stop, and says `cancelled` when it has; its
/// row is left alone, as its worker would wait for our transaction to write how it ended.
pub fn cancel(job: i64) -> Result<String> {
    let found = find(job)?;
    match (found.state.as_str(), found.worker_pid) {
        ("running", Some(pid)) => {
            sql::run("SELECT pg_catalog.pg_cancel_backend($1)", &[pid.into()])?;
            Ok("running".to_owned())
        }
        ("queued" | "running", _) if cancelled_while(job, &found.state)? => Ok("cancelled".to_owned()),
        // a worker has taken or finished it meanwhile
        ("queued" | "running", _) => cancel(job),
        (state, _) => Ok(state.to_owned()),
    }
}

/// Marks a job that no worker has as cancelled; `false` if it is no longer in that state.
fn cancelled_while(job: i64, state: &str) -> Result<bool> {
    let changed = as_owner(|| {
        sql::returned(
            "UPDATE groundskeeper.job
                SET state = 'cancelled', finished_at = pg_catalog.clock_timestamp(), worker_pid = NULL
              WHERE job_id = $1 AND state = $2 RETURNING true",
            &[job.into(), state.into()],
            |row| required::<bool>(row, 1),
        )
    })?;
    Ok(changed == Some(true))
}

/// Queues a failed or cancelled job again.
pub fn retry(job: i64) -> Result<String> {
    let found = find(job)?;
    if !matches!(found.state.as_str(), "failed" | "cancelled") {
        return Err(Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("job {job} is {}", found.state),
        )
        .hint("Only a failed or cancelled job can be tried again."));
    }
    as_owner(|| {
        sql::run(
            "UPDATE groundskeeper.job
                SET state = 'queued', attempts = 0, not_before = pg_catalog.now(), finished_at = NULL, error = NULL,
                    error_detail = NULL, detail = NULL, worker_pid = NULL
              WHERE job_id = $1 AND state IN ('failed', 'cancelled')",
            &[job.into()],
        )
    })?;
    dispatcher::start_at_commit();
    Ok("queued".to_owned())
}

/// Makes a restored copy's jobs this database's own; how many there are.
pub fn resume() -> Result<i64> {
    let here = home();
    let adopted = as_owner(|| {
        sql::returned(
            &format!(
                "WITH adopted AS (
                     UPDATE groundskeeper.job
                        SET home = {here}, state = 'queued', worker_pid = NULL,
                            target_oid = pg_catalog.to_regclass(target),
                            target_owner = (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(target))
                      WHERE state IN ('queued', 'running') AND home <> {here} RETURNING 1)
                 SELECT pg_catalog.count(*) FROM adopted",
                here = quote_literal(&here)
            ),
            &[],
            |row| required::<i64>(row, 1),
        )
    })?;
    dispatcher::start_at_commit();
    Ok(adopted.unwrap_or(0))
}

/// Starts a dispatcher: what any look at a job does on the side.
pub fn look_after() {
    dispatcher::start_at_commit();
}

/// Starts a dispatcher if a job is open and nobody looks after it, as after a crash, or once the dispatcher was told to
/// end; `false` where that takes a worker, and none is free.
pub fn go_on() -> Result<bool> {
    let left = "SELECT EXISTS (SELECT FROM groundskeeper.job WHERE state IN ('queued', 'running') AND home = $1)
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
                                    WHERE l.locktype = 'userlock' AND l.granted AND l.classid::bigint = $2 AND l.objid::bigint = $3
                                      AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                                         WHERE datname = pg_catalog.current_database()))";
    let args = [home().into(), i64::from(locks::CLASS).into(), i64::from(locks::DISPATCHER).into()];
    let left = as_owner(|| sql::first(left, &args, |row| required::<bool>(row, 1)))?;
    Ok(left != Some(true) || dispatcher::start_in(backend::database()))
}

/// Starts a dispatcher if a job is open: what any look at the plan does on the side.
pub fn look_after_open() -> Result<()> {
    let open = "SELECT EXISTS (SELECT FROM groundskeeper.job WHERE state IN ('queued', 'running'))";
    if as_owner(|| sql::first(open, &[], |row| required::<bool>(row, 1)))? == Some(true) {
        look_after();
    }
    Ok(())
}
