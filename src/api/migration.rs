//! The functions that the procedure `migrate_to_staging` calls, and `rescore`.

use super::given;
use super::regclass::{Regclass, existing};
use crate::migration;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/migration.sql",
    name = "migration",
    requires = ["journal", start_migration, migration_step, fail_migration, rescore]
);

/// Begins a run for each market that nobody is migrating; their numbers.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn start_migration(bet_type: Option<&str>, batch_size: Option<i32>) -> Result<Vec<i64>, ErrorReport> {
    Ok(migration::start(bet_type, given(batch_size, "batch_size")?)?)
}

/// Does the next piece of a run's work in this transaction; false when nothing is left.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn migration_step(run: Option<i64>) -> Result<bool, ErrorReport> {
    Ok(migration::step(given(run, "run")?)?)
}

/// Writes down that runs have ended with an error.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn fail_migration(runs: Option<Vec<i64>>, error: Option<&str>) -> Result<(), ErrorReport> {
    Ok(migration::fail(&given(runs, "runs")?, given(error, "error")?)?)
}

/// Scores the rows of a staging table by the rules as they are now; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn rescore(relation: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(migration::enqueue_rescore(existing(relation, "relation")?)?)
}
