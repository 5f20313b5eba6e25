//! The functions that the procedure `migrate_to_staging` calls, what configures it, and `rescore`.

use super::given;
use super::quality::Text;
use super::regclass::{Regclass, existing};
use crate::backend;
use crate::encoding::Utf8;
use crate::error::Failure;
use crate::migration;
use groundskeeper_core::migration::{Iso, iso, roles};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/migration.sql",
    name = "migration",
    requires = [
        "journal",
        "names",
        start_migration_0_2,
        migration_step_0_2,
        fail_migration_0_2,
        rescore,
        moment_of,
        local_time_of,
        check_column_name
    ]
);

/// Begins a run for each market that nobody is migrating; the numbers of those with something to do.
#[pg_extern(schema = "groundskeeper_internal", name = "start_migration", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn start_migration_0_2(
    bet_type: Option<Utf8>,
    batch_size: Option<i32>,
    sweep: Option<bool>,
) -> Result<Vec<i64>, ErrorReport> {
    let in_procedure = backend::is_in_procedure();
    let runs =
        migration::start(bet_type.as_deref(), given(batch_size, "batch_size")?, given(sweep, "sweep")?)?;
    if in_procedure && !runs.is_empty() {
        backend::hold_requests_to_stop();
    }
    Ok(runs)
}

/// Does the next piece of a run's work in this transaction, and says what became of it. A request to stop is heeded
/// here, and written down.
#[pg_extern(schema = "groundskeeper_internal", name = "migration_step", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn migration_step_0_2(run: Option<i64>, tries: Option<i32>) -> Result<&'static str, ErrorReport> {
    let in_procedure = backend::is_in_procedure();
    Ok(migration::step(given(run, "run")?, given(tries, "tries")?, in_procedure)?)
}

/// Raises what a step has failed with, and lets requests to stop through again.
#[pg_extern(schema = "groundskeeper_internal", name = "fail_migration", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn fail_migration_0_2() -> Result<(), ErrorReport> {
    let failed = migration::failed();
    backend::heed_requests_to_stop(failed.is_none());
    failed.map_or(Ok(()), |failure| Err(failure.into()))
}

/// Scores the rows of a staging table by the rules as they are now; the number of the job that does it.
#[pg_extern(schema = "groundskeeper", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn rescore(relation: Option<Regclass>) -> Result<i64, ErrorReport> {
    Ok(migration::enqueue_rescore(existing(relation, "relation")?)?)
}

/// The moment that a text in ISO 8601 tells with its offset.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe, strict)]
fn moment_of(text: Text<'_>) -> Option<TimestampWithTimeZone> {
    match read(text)? {
        Iso::Moment(at) => TimestampWithTimeZone::try_from(at).ok(),
        Iso::Local(_) => None,
    }
}

/// What clocks show by a text in ISO 8601 without an offset.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe, strict)]
fn local_time_of(text: Text<'_>) -> Option<Timestamp> {
    match read(text)? {
        Iso::Local(at) => Timestamp::try_from(at).ok(),
        Iso::Moment(_) => None,
    }
}

/// Such texts are ASCII, in every encoding.
fn read(text: Text<'_>) -> Option<Iso> {
    iso(std::str::from_utf8(text.bytes()?).ok()?)
}

/// True for a role that the migration knows of the relation.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn check_column_name(
    relation: Option<Utf8>,
    role: Option<Utf8>,
    column_name: Option<Utf8>,
) -> Result<bool, ErrorReport> {
    let (relation, role) = (given(relation, "relation")?, given(role, "role")?);
    let (relation, role) = (&*relation, &*role);
    let invalid = |message: String| Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message);
    let known = roles(relation).ok_or_else(|| {
        invalid(format!("the migration knows no relation \"{relation}\"")).hint(
            "It is a raw table, a staging table of a market, or staging.games, with its schema: raw_data.spreads_raw.",
        )
    })?;
    if !known.contains(&role) {
        return Err(invalid(format!("relation {relation} has no role \"{role}\""))
            .detail(format!("The roles are {}.", known.join(", ")))
            .into());
    }
    if given(column_name, "column_name")?.trim().is_empty() {
        return Err(invalid(format!("the column of role {role} has no name")).into());
    }
    Ok(true)
}
