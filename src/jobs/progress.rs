//! What a job says of itself while its worker is at it.

use crate::error::Result;
use crate::extension::as_owner;
use crate::sql;
use crate::sql::Argument;
use pgrx::pg_sys::Oid;

/// Shows how far this worker's job has come.
pub fn report(phase: &str, progress: f64) -> Result<()> {
    of_this_worker("phase = $1, progress = $2", &[phase.into(), progress.into()])
}

/// Shows what it waits for.
pub fn waits(phase: &str) -> Result<()> {
    of_this_worker("phase = $1", &[phase.into()])
}

/// Says something that is to be known of the job's work, once it has succeeded too.
pub fn remark(text: &str) -> Result<()> {
    of_this_worker("detail = $1", &[text.into()])
}

/// A step is done: the attempts begin anew, as what stood in its way says nothing of the next.
pub fn step_done() -> Result<()> {
    of_this_worker("attempts = 1", &[])
}

/// The relation that the job works on by its name from now on, as the job itself has exchanged two.
pub fn works_on(relation: Oid) -> Result<()> {
    of_this_worker("target_oid = $1", &[relation.into()])
}

fn of_this_worker(change: &str, args: &[Argument]) -> Result<()> {
    let mine = "state = 'running' AND worker_pid = pg_catalog.pg_backend_pid()";
    as_owner(|| sql::run(&format!("UPDATE groundskeeper.job SET {change} WHERE {mine}"), args))
}
