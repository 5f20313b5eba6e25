//! What was done is remembered for a while, not for ever.

use crate::error::Result;
use crate::extension::{as_owner, can_write};
use crate::settings;
use crate::sql::{self, required};
use crate::subtransaction::isolated;

/// Deletes what is older than `groundskeeper.job_history`: finished jobs, the log of maintenance, runs of the
/// migration, and what pg_cron wrote down of our runs, where it is in this database. How many rows.
pub fn prune() -> Result<i64> {
    can_write("prune histories")?;
    let minutes = settings::job_history_minutes();
    let pruned = |delete: &str| {
        let statement = format!(
            "WITH gone AS ({delete} < pg_catalog.now() - pg_catalog.make_interval(mins => $1) RETURNING 1)
             SELECT pg_catalog.count(*) FROM gone"
        );
        Ok(sql::returned(&statement, &[minutes.into()], |row| required::<i64>(row, 1))?.unwrap_or(0))
    };
    let own = as_owner(|| {
        Ok(pruned("DELETE FROM groundskeeper.job WHERE finished_at")?
            + pruned("DELETE FROM groundskeeper.maintenance_log WHERE started_at")?
            + pruned("DELETE FROM groundskeeper.alert_history WHERE happened_at")?
            + pruned("DELETE FROM groundskeeper.migration_runs WHERE finished_at")?)
    })?;
    let cron = "SELECT pg_catalog.to_regclass('cron.job_run_details') IS NOT NULL";
    if sql::first(cron, &[], |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(own);
    }
    // As the caller: the table is pg_cron's, and shows and gives each role its own.
    let theirs = isolated(|| {
        pruned(
            "DELETE FROM cron.job_run_details d USING cron.job j
              WHERE j.jobid = d.jobid AND pg_catalog.starts_with(j.command, 'CALL groundskeeper.run_') AND d.end_time",
        )
    });
    Ok(own + theirs.unwrap_or(0))
}
