//! Jobs that wait for a lock do not keep those of other roles from being served.

use crate::error::Result;
use crate::extension::home;
use crate::sql;

/// Jobs that have waited for a lock for long give their place to as many jobs of roles that have none: whoever holds that
/// lock would hold up everybody's work. So do those that another role's job waits for, as a build waits for every older
/// snapshot. They are told in the next look, when this is there to be read.
pub fn have_waiting_jobs_give_way(places: i64) -> Result<()> {
    sql::run(
        "WITH waiting AS MATERIALIZED (
             SELECT j.job_id, j.run_as, j.worker_pid, pg_catalog.min(l.waitstart) AS since
               FROM groundskeeper.job j
               JOIN pg_catalog.pg_locks l ON l.pid = j.worker_pid AND NOT l.granted
              WHERE j.state = 'running' AND j.home = $2 GROUP BY j.job_id),
         long AS (SELECT * FROM waiting WHERE since < pg_catalog.clock_timestamp() - interval '1 second')
         UPDATE groundskeeper.job SET gives_way = true
          WHERE NOT gives_way
            AND (job_id IN (SELECT job_id FROM long ORDER BY since LIMIT $1)
              OR job_id IN (SELECT l.job_id FROM long l JOIN waiting w ON w.run_as <> l.run_as
                             WHERE l.worker_pid = ANY (pg_catalog.pg_blocking_pids(w.worker_pid))))",
        &[places.into(), home().into()],
    )
}

/// Tells them.
pub fn stop_who_gives_way() -> Result<()> {
    sql::run(
        "SELECT pg_catalog.pg_cancel_backend(j.worker_pid)
           FROM groundskeeper.job j JOIN pg_catalog.pg_stat_activity a ON a.pid = j.worker_pid
          WHERE j.state = 'running' AND j.home = $1 AND j.gives_way AND a.wait_event_type = 'Lock'",
        &[home().into()],
    )
}
