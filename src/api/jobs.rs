//! `cancel_job`, `retry_job`, `resume`; `wait_for_job` is a procedure and lives in `sql/`.

use super::given;
use crate::encoding::Utf8;
use crate::extension::can_write;
use crate::jobs;
use crate::schedule;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/wait_for_job.sql",
    name = "wait_for_job",
    requires = ["journal", look_after_jobs, cancel_job, retry_job, resume]
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

/// Lets a restored copy run the jobs that came with it; how many there are.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn resume() -> Result<i64, ErrorReport> {
    can_write("resume")?;
    let adopted = jobs::resume()?;
    schedule::resume()?;
    Ok(adopted)
}

/// Starts a worker for jobs that have none, as after a crash without preloading.
#[pg_extern(schema = "groundskeeper_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn look_after_jobs() {
    jobs::look_after();
}
