//! `cancel_job`, `retry_job`, `resume`; `wait_for_job` is a procedure and lives in `sql/`.

use super::given;
use super::regclass::{Regclass, existing};
use crate::encoding::Utf8;
use crate::index::rebuild;
use crate::jobs;
use crate::partition::leave;
use crate::schedule;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/wait_for_job.sql",
    name = "wait_for_job",
    requires = ["journal", look_after_jobs]
);

/// Cancels a job and returns its new state; `running` for one that has been told and has not stopped yet.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn cancel_job(job_id: Option<i64>) -> Result<Utf8, ErrorReport> {
    Ok(jobs::cancel(given(job_id, "job_id")?)?.into())
}

/// Queues a failed or cancelled job again; `queued`.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn retry_job(job_id: Option<i64>) -> Result<Utf8, ErrorReport> {
    Ok(jobs::retry(given(job_id, "job_id")?)?.into())
}

/// Builds an index anew without blocking writers; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn reindex(index: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(rebuild::ask(existing(index, "index")?)?)
}

/// Makes a partition a table of its own again; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn detach_partition(partition: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(leave::ask_to_detach(existing(partition, "partition")?)?)
}

/// Lets a restored copy run the jobs that came with it; how many there are.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn resume() -> Result<i64, ErrorReport> {
    let adopted = jobs::resume()?;
    schedule::resume()?;
    Ok(adopted)
}

/// Starts a worker for jobs that have none, as after a crash without preloading.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn look_after_jobs() {
    jobs::look_after();
}
